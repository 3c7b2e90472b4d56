package storage

import (
	"errors"
	"io/fs"
)

func (t *onDisk) hasEmpty() bool {
	for i, name := range t.names {
		if name != "" && t.files[i].Length == 0 {
			return true
		}
	}
	return false
}

// CreateEmpty implements [EmptyCreator]. A file that is there and not empty gives [ErrLonger].
func (t *onDisk) CreateEmpty() error {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return ErrClosed
	}
	if t.emptyDone.Load() {
		return nil
	}
	return t.createEmpty()
}

func (t *onDisk) createEmpty() error {
	t.emptying.Lock()
	defer t.emptying.Unlock()
	if t.emptyDone.Load() {
		return nil
	}
	root, err := t.openRoot(true)
	if err != nil {
		return fileError("create", t.dir, err)
	}
	defer root.Close()
	for i, name := range t.names {
		if name == "" || t.files[i].Length != 0 {
			continue
		}
		fi, err := root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			f, cerr := t.create(root, i)
			if cerr == nil {
				cerr = f.Close()
			}
			err = cerr
		} else if err == nil && !fi.Mode().IsRegular() {
			err = ErrNotRegular
		} else if err == nil && fi.Size() > 0 {
			err = ErrLonger
		}
		if err != nil {
			return fileError("create", t.path(i), err)
		}
	}
	t.emptyDone.Store(true)
	return nil
}
