package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/seed1734be99/starling/metainfo"
)

// Files keeps torrents as files on disk, at the paths of their layouts (metainfo.File.Path) below a
// save folder. What it promises stands in the package comment. Use [NewFiles]; safe for concurrent use.
//
// What it opens also is a [Syncer], a [Prober], an [EmptyCreator] and a [Remover].
type Files struct {
	// MaxOpen bounds the files kept open for all torrents together; 0 means 128. Set it before the
	// first Open.
	MaxOpen int

	dir    string
	once   sync.Once
	pool   pool
	claims claims
}

var _ Storage = (*Files)(nil)

// NewFiles returns a storage whose save folder is dir, for torrents whose Spec names none; "" is the
// current folder. The folder is created when the first file is.
func NewFiles(dir string) *Files {
	return &Files{dir: dir}
}

// Open implements [Storage]. It looks at the save folder, and at nothing in it. The save folder itself
// may be reached through links; they are followed once, here.
//
// Errors: [ErrSpec]; [ErrInUse] when another open torrent has a file at the same place; a [*FileError]
// when the save folder is something else than a folder or cannot be reached. A folder that is not there
// is no error yet.
func (s *Files) Open(spec Spec) (Torrent, error) {
	s.once.Do(func() { s.pool.init(s.MaxOpen) })
	if spec.Layout == nil {
		return nil, fmt.Errorf("%w: no layout", ErrSpec)
	}
	names, err := localNames(spec.Layout.Files())
	if err != nil {
		return nil, err
	}
	dir := spec.Dir
	if dir == "" {
		dir = s.dir
	}
	dir, there, err := resolve(dir)
	if err != nil {
		return nil, fileError("open", dir, err)
	}
	t := &onDisk{
		pool:   &s.pool,
		claims: &s.claims,
		dir:    dir,
		layout: spec.Layout,
		files:  spec.Layout.Files(),
		names:  names,
		end:    spec.Layout.End(),
	}
	t.dirSeen.Store(there)
	t.emptyDone.Store(!t.hasEmpty())
	if err := s.claims.take(t); err != nil {
		return nil, err
	}
	return t, nil
}

// localNames turns the paths of a layout into names relative to the save folder; "" for files that are
// not kept on disk. metainfo makes paths safe; a layout made by hand is checked here all the same.
func localNames(files []metainfo.File) ([]string, error) {
	names := make([]string, len(files))
	taken := make(map[string]struct{}, len(files))
	for i, f := range files {
		if !onDiskFile(&f) {
			continue
		}
		name := filepath.Join(f.Path...)
		for _, part := range f.Path {
			if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/\x00"+string(os.PathSeparator)) {
				return nil, fmt.Errorf("%w: file %d: unsafe path %q", ErrSpec, i, f.Path)
			}
		}
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%w: file %d: unsafe path %q", ErrSpec, i, f.Path)
		}
		key := fold(name)
		if _, twice := taken[key]; twice {
			return nil, fmt.Errorf("%w: file %d: path %q is there twice", ErrSpec, i, f.Path)
		}
		taken[key] = struct{}{}
		names[i] = name
	}
	return names, nil
}

// fold returns what two names of the same file have in common on this system.
func fold(name string) string {
	if foldNames {
		return strings.ToLower(name)
	}
	return name
}

// resolve makes dir absolute and follows the links on its way. there tells whether it exists; as far as
// it does not, the rest is taken literally.
func resolve(dir string) (abs string, there bool, err error) {
	abs, err = filepath.Abs(dir)
	if err != nil {
		return dir, false, err
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			fi, err := os.Stat(real)
			if err != nil {
				return abs, false, err
			}
			if !fi.IsDir() {
				return abs, false, errNotFolder
			}
			return filepath.Join(real, rest), rest == "", nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return abs, false, err
		}
		if _, lerr := os.Lstat(at); lerr == nil {
			return abs, false, err // a link that leads nowhere
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
