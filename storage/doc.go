// Package storage keeps the payload of torrents: as files on disk ([Files]) or in memory ([Memory]).
//
// It is one of the library's extension points. A [Storage] opens torrents; what it opens is an
// [io.ReaderAt], an [io.WriterAt] and an [io.Closer]. Whatever more an implementation can do is found
// by asserting one-method interfaces, once, when the torrent is opened: [Syncer], [Prober],
// [EmptyCreator], [Remover]. The suite in storage/storagetest says what every implementation must obey.
//
// # Addresses
//
// Offsets are addresses of the torrent's address space: piece*PieceLength + begin
// (metainfo.Layout.Offset). In a v1 torrent (BEP 3) that is the files laid back to back; in a layout
// with files aligned to pieces (BEP 52) there are gaps behind files, which read as zeros, and what is
// written there is dropped. Padding files (BEP 47) are treated the same way and never exist on disk.
//
// # Order of calls
//
//	Open → EmptyCreator, Prober, ReadAt, WriteAt, Syncer (any order, any number at once) → Close or Remover
//
// Everything is safe for concurrent use. Close waits for the calls that are on their way.
//
// # What Files promises
//
//   - Opening a torrent and reading from it create nothing. Folders and files come with the first write
//     that needs them; a file has its full size from then on (sparse where the system can do it).
//   - Nothing outside the save folder is opened, created or removed, also when somebody puts a symbolic
//     link in the way between a check and its use (os.Root).
//   - A hole is never passed off as data of a file that has gone: reading beyond the end of a short file
//     is io.ErrUnexpectedEOF, and a file that was removed, replaced or cut short behind our back gives
//     [ErrChanged] (noticed within a second) until a [Prober] has looked at it again.
//   - An existing file that is longer than the torrent says is not cut: the first write gives [ErrLonger].
//   - Two open torrents of one Files never share a file: the second Open gives [ErrInUse].
//   - At most MaxOpen files are open at once, for all torrents together, plus those in use this moment.
//
// Not implemented: preallocation, moving a torrent, parts of pieces of unwanted files kept aside,
// locks against other programs using the same folder.
package storage
