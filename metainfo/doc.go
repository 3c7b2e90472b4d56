// Package metainfo reads and writes .torrent files, info dictionaries, infohashes
// and magnet links, builds torrents from files, and knows the arithmetic of
// pieces, blocks and files. It implements the metainfo side of BEP 3, 9, 12, 19,
// 27, 47 and 53.
//
// Begin with [Load], [LoadFile] or [Parse] for a .torrent, [New] for an info
// dictionary that peers sent, [ParseMagnet] for a link, [Build] for files of
// one's own. [Info.Layout] maps pieces to files.
//
// # Hostile input
//
// All input may be hostile. A .torrent and an info dictionary are at most
// [MaxSize] bytes, have at most [MaxPieces] pieces of at most [MaxPieceLength]
// bytes each, and are nested and counted within the limits of package bencode.
// What contradicts itself is refused (a [*FieldError] that says where); odd
// values of what one can do without (trackers, web seeds, comments) are ignored.
// Keys may be in any order, as in many torrents; of keys that occur twice the
// first one counts. If an info dictionary has both files and a length, the files
// count.
//
// [File.Path] is safe to be created below a save folder on the running system:
// no component leads out of it, and no two files of a torrent get the same path,
// also where case or Unicode form make no difference. Names as they are in the
// torrent are in [File.Raw] and [Info.RawName]. The targets of symbolic links
// ([File.Target]) are data; nothing here follows them.
//
// The infohash covers the info dictionary as it was found; [MetaInfo.InfoBytes]
// are those bytes, never encoded anew.
//
// # Not here
//
// Torrents of BEP 52 alone are refused with [ErrUnsupportedVersion]; a hybrid is
// used by its BEP 3 part, and its BEP 52 part is not looked at.
//
// Values of this package do not change by themselves; their methods may be called
// concurrently.
package metainfo
