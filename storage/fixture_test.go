package storage

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
)

const testPiece = 16 << 10

// fixtureFile is a file with its path in one string.
func fixtureFile(path string, length int64) metainfo.File {
	var parts []string
	for path != "" {
		dir, name := filepath.Split(path)
		parts = append([]string{name}, parts...)
		path = filepath.Clean(dir)
		if path == "." {
			path = ""
		}
	}
	return metainfo.File{Path: parts, Length: length}
}

func fixture(t testing.TB, files ...metainfo.File) Spec {
	t.Helper()
	l, err := metainfo.NewLayout(testPiece, files)
	require.NoError(t, err)
	return Spec{Name: "fixture", Layout: l}
}

// openDisk opens a torrent of s and closes it with the test.
func openDisk(t testing.TB, s *Files, spec Spec) *onDisk {
	t.Helper()
	tor, err := s.Open(spec)
	require.NoError(t, err)
	t.Cleanup(func() { tor.Close() })
	return tor.(*onDisk)
}

func noise(n int64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func mustWrite(t testing.TB, tor Torrent, b []byte, off int64) {
	t.Helper()
	_, err := tor.WriteAt(b, off)
	require.NoError(t, err)
}

func readErr(tor Torrent, off, n int64) error {
	_, err := tor.ReadAt(make([]byte, n), off)
	return err
}

func writeErr(tor Torrent, off, n int64) error {
	_, err := tor.WriteAt(make([]byte, n), off)
	return err
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, b, 0o666))
}

// tree lists what is below dir.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	}))
	return names
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	require.NoError(t, err)
	return fi.Size()
}

// poolSize is the number of open files.
func (s *Files) poolSize() int {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return len(s.pool.table)
}
