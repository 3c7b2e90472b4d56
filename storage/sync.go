package storage

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// unsynced is what a power cut could take: files written to and folders with new names in them since
// the last Sync, whether or not the files are still open.
type unsynced struct {
	mu      sync.Mutex
	files   map[int]struct{}
	folders map[string]struct{} // relative to the save folder
	late    error               // an error told only when a file was closed
}

// wrote notes a write; it allocates for the first one to a file only.
func (u *unsynced) wrote(file int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = make(map[int]struct{})
	}
	u.files[file] = struct{}{}
}

// created notes a new name in folder; the folders on the way to it may be new as well.
func (u *unsynced) created(folder string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.folders == nil {
		u.folders = make(map[string]struct{})
	}
	for {
		u.folders[folder] = struct{}{}
		if folder == "." {
			return
		}
		folder = filepath.Dir(folder)
	}
}

// take hands over everything noted.
func (u *unsynced) take() (files map[int]struct{}, folders map[string]struct{}, late error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	files, folders, late = u.files, u.folders, u.late
	u.files, u.folders, u.late = nil, nil, nil
	return files, folders, late
}

func (u *unsynced) takeLate() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	late := u.late
	u.late = nil
	return late
}

// lateError keeps the first error of closing a written file; the next Sync or Close tells it.
func (t *onDisk) lateError(file int, err error) {
	t.fresh.mu.Lock()
	defer t.fresh.mu.Unlock()
	if t.fresh.late == nil {
		t.fresh.late = fileError("close", t.path(file), err)
	}
}

// Sync implements [Syncer]: the files, then the names in the folders. After an error what failed is
// tried again by the next Sync, whose success does not bring back what the system dropped.
func (t *onDisk) Sync() error {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return ErrClosed
	}
	files, folders, first := t.fresh.take()
	for file := range files {
		if err := t.syncFile(file); err != nil {
			t.fresh.wrote(file)
			first = firstOf(first, err)
		}
	}
	if len(folders) == 0 {
		return first
	}
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		for folder := range folders {
			t.fresh.created(folder)
		}
		return firstOf(first, fileError("sync", t.dir, err))
	}
	defer root.Close()
	for folder := range folders {
		if err := syncFolder(root, folder); err != nil {
			t.fresh.created(folder)
			first = firstOf(first, fileError("sync", filepath.Join(t.dir, folder), err))
		}
	}
	return first
}

func (t *onDisk) syncFile(file int) error {
	h, f, err := t.borrow(file, true)
	if err != nil {
		return err
	}
	defer t.pool.release(h)
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fileError("sync", t.path(file), err)
	}
	return nil
}

func firstOf(first, err error) error {
	if first != nil {
		return first
	}
	return err
}
