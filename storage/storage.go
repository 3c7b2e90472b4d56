package storage

import (
	"io"

	"github.com/seed1734be99/starling/metainfo"
)

// A Storage opens torrents. It is implemented by [Files] and [Memory], and by whoever wants the payload
// elsewhere. It must be safe for concurrent use.
type Storage interface {
	// Open returns the payload of one torrent. It is quick: it neither reads nor creates payload.
	// A torrent that is open already, or that shares a file with one that is, gives an error for which
	// errors.Is finds [ErrInUse].
	Open(spec Spec) (Torrent, error)
}

// Spec says which torrent is to be opened, and where.
type Spec struct {
	Name   string           // what the torrent calls itself; for messages, never a path
	Hashes metainfo.Hashes  // its identity
	Layout *metainfo.Layout // pieces and files; required
	Dir    string           // the save folder wanted for this torrent; "" means the storage's default
}

// A Torrent is the payload of one torrent. Offsets are addresses of Layout.Offset, in bytes. All
// methods may be called at once from several goroutines; what a read returns while the same range is
// being written is not defined.
//
// The slices belong to the caller before and after the call; an implementation keeps none of them.
//
// ReadAt follows [io.ReaderAt]: fewer bytes than asked for come with an error; at and beyond the end of
// the address space it is io.EOF. It never fills in for data that is not there, except for what the
// storage cannot tell from data (the holes of a file that was begun). WriteAt refuses a range that is
// not wholly inside the torrent with [ErrRange].
//
// The typical call writes a whole slab of up to 1 MiB or reads a run of blocks of up to 1 MiB;
// implementations should make that one operation on what lies below.
//
// Close waits for calls on their way, releases everything and keeps the payload. A second Close does
// nothing and returns nil; every other call after Close gives [ErrClosed].
type Torrent interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// A Syncer can make what was written survive a power cut.
type Syncer interface {
	// Sync returns when everything whose WriteAt returned before the call is on stable storage.
	// After an error the bytes written since the last good Sync must be taken for lost.
	Sync() error
}

// A Prober can say cheaply whether a range is worth reading.
type Prober interface {
	// Present reports whether every byte of the range is backed by something: false when a file in it is
	// missing, of the wrong kind, or shorter than the range needs. It says nothing about the content.
	// Gaps and padding are always present; a range outside of the torrent never is.
	//
	// Meant for a run of calls with rising addresses, as in a check of the whole torrent: within one,
	// what is known of a file may be a second old. An address that does not rise begins a new run and
	// looks afresh. Own writes are always seen.
	Present(off, n int64) bool
}

// An EmptyCreator can create the torrent's files of no bytes, which no write would ever touch.
type EmptyCreator interface {
	// CreateEmpty makes sure that they exist. It may be called again and is cheap then.
	// Files does it by itself before the first write; a torrent of only empty files needs this call.
	CreateEmpty() error
}

// A Remover can delete a torrent's payload.
type Remover interface {
	// Remove closes the torrent as Close does and deletes its payload, and nothing that is not its own.
	// It is called instead of Close; after Close it gives [ErrClosed].
	Remove() error
}
