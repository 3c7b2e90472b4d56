package storage

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrClosed is the answer of a torrent that was closed or removed. It matches fs.ErrClosed too.
	ErrClosed = fmt.Errorf("storage: torrent: %w", fs.ErrClosed)
	// ErrInUse says that another open torrent uses the same file (or is the same torrent).
	ErrInUse = errors.New("in use by another torrent")
	// ErrLonger says that a file on disk is longer than the torrent says; it is not cut unasked.
	ErrLonger = errors.New("the file on disk is longer than the torrent's; move it away or cut it first")
	// ErrChanged says that a file was removed, replaced or cut short while the torrent was using it. It
	// stands until a [Prober] has looked at that file again, because what was known of it is void.
	ErrChanged = errors.New("the file was removed, replaced or cut short by somebody else; check the torrent again")
	// ErrNotRegular says that there is a folder, a device or the like where a file should be.
	ErrNotRegular = errors.New("not a regular file")
	// ErrRange says that a write reaches outside of the torrent.
	ErrRange = errors.New("storage: outside of the torrent")
	// ErrSpec says that a Spec cannot be opened: no layout, an unsafe path, one path twice.
	ErrSpec = errors.New("storage: bad spec")
)

// A FileError tells which file failed and what was being done to it. errors.Is reaches the system's
// error (fs.ErrPermission, syscall.ENOSPC, ...), io.ErrUnexpectedEOF or one of this package's.
type FileError struct {
	Op   string // "open", "create", "size", "read", "write", "sync", "close", "remove"
	Path string // the file or folder on disk
	Err  error
}

func (e *FileError) Error() string { return "storage: " + e.Op + " " + e.Path + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// fileError wraps err, dropping the path that os put around it already.
func fileError(op, path string, err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		err = pe.Err
	}
	return &FileError{Op: op, Path: path, Err: err}
}

// changed says that what was known of a file is void, and by which error that showed, if any.
func changed(cause error) error {
	if cause == nil {
		return ErrChanged
	}
	return fmt.Errorf("%w (%w)", ErrChanged, cause)
}

// IsFull reports whether err says that there is no room: disk full or quota used up. It passes when
// somebody makes room; other errors of a disk seldom do.
func IsFull(err error) bool {
	for _, full := range fullErrors {
		if errors.Is(err, full) {
			return true
		}
	}
	return false
}
