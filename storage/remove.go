package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxRemoveErrors bounds what a failed Remove tells.
const maxRemoveErrors = 8

// Remove implements [Remover]. It deletes the plain files at the torrent's paths and then those of its
// folders that are empty now; never the save folder. Links are neither followed nor deleted, and what
// somebody else put into the folders stays. It goes on after an error and tells the first few.
func (t *onDisk) Remove() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return ErrClosed
	}
	t.closeFiles() // first: some systems refuse to delete what is open
	defer t.claims.drop(t)

	root, err := os.OpenRoot(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fileError("remove", t.dir, err)
	}
	defer root.Close()
	r := remover{root: root, dir: t.dir, own: map[string]bool{".": true}}
	for _, name := range t.names {
		if name != "" {
			r.removeFile(name)
		}
	}
	r.removeFolders()
	return errors.Join(r.errs...)
}

type remover struct {
	root *os.Root
	dir  string
	own  map[string]bool // folders on the way to files: true for real ones, false for links and missing ones
	errs []error
}

func (r *remover) fail(name string, err error) {
	if !errors.Is(err, fs.ErrNotExist) && len(r.errs) < maxRemoveErrors {
		r.errs = append(r.errs, fileError("remove", filepath.Join(r.dir, name), err))
	}
}

func (r *remover) removeFile(name string) {
	if !r.isFolder(filepath.Dir(name)) {
		return
	}
	fi, err := r.root.Lstat(name)
	if err == nil && fi.Mode().IsRegular() {
		err = r.root.Remove(name)
	}
	if err != nil {
		r.fail(name, err)
	}
}

// isFolder tells whether folder and all those above it are real folders, no links.
func (r *remover) isFolder(folder string) bool {
	if real, known := r.own[folder]; known {
		return real
	}
	real := false
	if r.isFolder(filepath.Dir(folder)) {
		fi, err := r.root.Lstat(folder)
		if err != nil {
			r.fail(folder, err)
		}
		real = err == nil && fi.IsDir()
	}
	r.own[folder] = real
	return real
}

// removeFolders removes the empty ones, the deepest first.
func (r *remover) removeFolders() {
	var folders []string
	for folder, real := range r.own {
		if real && folder != "." {
			folders = append(folders, folder)
		}
	}
	slices.SortFunc(folders, func(a, b string) int {
		sep := string(filepath.Separator)
		if d := strings.Count(b, sep) - strings.Count(a, sep); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, folder := range folders {
		if err := r.root.Remove(folder); err != nil && r.isEmpty(folder) {
			r.fail(folder, err)
		}
	}
}

func (r *remover) isEmpty(folder string) bool {
	d, err := r.root.Open(folder)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(1)
	return len(names) == 0
}
