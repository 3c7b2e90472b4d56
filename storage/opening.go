package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/seed1734be99/starling/metainfo"
)

// lookEvery is how long an open file is trusted to be what its path leads to.
const lookEvery = int64(time.Second)

// errStale is internal: the handle is out of use, acquire another.
var errStale = errors.New("stale handle")

// errNotFolder: something else stands where the save folder should be.
var errNotFolder = errors.New("not a folder")

// opened returns the file of a handle that the caller holds, opening it first if need be. errStale asks
// for another handle.
func (t *onDisk) opened(h *handle) (*os.File, error) {
	f := h.file.Load()
	if f == nil {
		return t.openOnce(h)
	}
	now, last := t.pool.now(), h.looked.Load()
	if now-last < lookEvery || !h.looked.CompareAndSwap(last, now) {
		return f, nil
	}
	return f, t.lookBehind(h, f)
}

func (t *onDisk) openOnce(h *handle) (*os.File, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	if f := h.file.Load(); f != nil {
		return f, nil
	}
	f, err := t.open(h.key.file, h.key.write)
	if err != nil && isAny(err, tooManyErrors) {
		t.pool.closeIdle(nil)
		f, err = t.open(h.key.file, h.key.write)
	}
	if err != nil {
		return nil, err
	}
	h.looked.Store(t.pool.now())
	h.file.Store(f)
	return f, nil
}

// open opens a file; for writing it is created and given its size first.
func (t *onDisk) open(file int, write bool) (*os.File, error) {
	state := t.known.state(file)
	if state == void {
		return nil, fileError("open", t.path(file), ErrChanged)
	}
	root, err := t.openRoot(write)
	if err != nil {
		if state == settled && errors.Is(err, fs.ErrNotExist) {
			t.noteChanged(file)
			err = changed(err)
		}
		return nil, fileError("open", t.dir, err)
	}
	defer root.Close()

	flags, op, created := os.O_RDONLY, "open", false
	if write {
		flags = os.O_RDWR
	}
	f, err := root.OpenFile(t.names[file], flags|openFlags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		switch {
		case state == settled:
			t.noteChanged(file)
			err = changed(err)
		case write:
			op, created = "create", true
			f, err = t.create(root, file)
		}
	}
	if err != nil {
		return nil, fileError(op, t.path(file), err)
	}
	if err := t.fit(f, file, write, created); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openRoot opens the save folder. It is created at most once in the torrent's life: when it has gone
// later, a disk is not mounted, and nothing shall be written in its place.
func (t *onDisk) openRoot(create bool) (*os.Root, error) {
	root, err := os.OpenRoot(t.dir)
	if create && errors.Is(err, fs.ErrNotExist) && !t.dirSeen.Load() {
		if err := os.MkdirAll(t.dir, 0o777); err != nil {
			return nil, err
		}
		root, err = os.OpenRoot(t.dir)
	}
	if err == nil {
		t.dirSeen.Store(true)
	}
	return root, err
}

// create makes a file that is not there, and the folders on the way to it. O_EXCL: a link put there in
// the meantime, leading wherever, is refused.
func (t *onDisk) create(root *os.Root, file int) (f *os.File, err error) {
	name := t.names[file]
	folder := filepath.Dir(name)
	// Again, for a folder found empty and removed by another torrent meanwhile.
	for range 3 {
		if folder != "." {
			if err := root.MkdirAll(folder, 0o777); err != nil {
				return nil, err
			}
		}
		f, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, perm(&t.files[file]))
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err == nil {
		t.fresh.created(folder)
	}
	return f, err
}

// perm is the mode of a new file, before the umask. BEP 47: attr "x".
func perm(f *metainfo.File) fs.FileMode {
	if f.Executable {
		return 0o777
	}
	return 0o666
}

// fit checks that f is a plain file of a size that will do and, for writing, makes it so.
func (t *onDisk) fit(f *os.File, file int, write, created bool) error {
	fi, err := f.Stat()
	if err != nil {
		return fileError("open", t.path(file), err)
	}
	if !fi.Mode().IsRegular() {
		return fileError("open", t.path(file), ErrNotRegular)
	}
	size, want := fi.Size(), t.files[file].Length
	if size < want && !created && t.known.state(file) == settled {
		t.noteChanged(file)
		return fileError("open", t.path(file), ErrChanged)
	}
	if write && size > want {
		return fileError("open", t.path(file), ErrLonger)
	}
	if write && size < want {
		if err := f.Truncate(want); err != nil {
			return fileError("size", t.path(file), err)
		}
		size = want
	}
	if size >= want {
		t.known.settle(file)
	}
	return nil
}

// lookBehind compares an open file with what its path leads to now. A file of ours that was replaced
// or cut short must not be written to any more, nor be served from.
func (t *onDisk) lookBehind(h *handle, f *os.File) error {
	file := h.key.file
	there, err := t.stat(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			t.noteChanged(file)
			return fileError("open", t.path(file), changed(err))
		}
		return nil // cannot tell; the open file is what it was
	}
	here, err := f.Stat()
	if err != nil {
		return fileError("open", t.path(file), err)
	}
	same := os.SameFile(here, there)
	// Some file systems have no lasting file numbers: what looks alike counts as the same content.
	alike := here.Size() == there.Size() && here.ModTime().Equal(there.ModTime())
	if t.known.state(file) == settled && (!same && !alike || there.Size() < t.files[file].Length) {
		t.noteChanged(file)
		return fileError("open", t.path(file), ErrChanged)
	}
	if !same {
		t.pool.retire(h)
		return errStale
	}
	return nil
}

// stat asks for the file at the path, following links inside the save folder alone.
func (t *onDisk) stat(file int) (fs.FileInfo, error) {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Stat(t.names[file])
}

// noteChanged: what was known of the file is void, and its open handles are.
func (t *onDisk) noteChanged(file int) {
	t.known.spoil(file)
	t.pool.retireFile(t, file)
}

func isAny(err error, of []error) bool {
	for _, e := range of {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
