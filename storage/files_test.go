package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
)

func TestOpenAndReadCreateNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("x/a", 10), fixtureFile("x/b", 0)))
	require.ErrorIs(t, readErr(tor, 0, 10), fs.ErrNotExist)
	require.False(t, tor.Present(0, 10))
	require.NoError(t, tor.Sync())
	require.NoError(t, tor.Close())
	require.NoDirExists(t, filepath.Dir(dir))
}

func TestFilesComeWithTheirFirstWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "save")
	exe := fixtureFile("x/sub/deep/run", 500)
	exe.Executable = true
	link := fixtureFile("x/link", 0)
	link.Symlink = true
	padding := fixtureFile("x/.pad/1", 100)
	padding.Pad = true
	spec := fixture(t, fixtureFile("x/a", testPiece), exe, fixtureFile("x/empty", 0), link, padding, fixtureFile("x/b", 10))
	tor := openDisk(t, NewFiles(dir), spec)

	mustWrite(t, tor, []byte("z"), testPiece+499)
	require.ElementsMatch(t, []string{"x", "x/sub", "x/sub/deep", "x/sub/deep/run", "x/empty"}, tree(t, dir))
	require.EqualValues(t, 500, size(t, filepath.Join(dir, "x/sub/deep/run")), "full size at once")

	mustWrite(t, tor, make([]byte, spec.Layout.End()), 0)
	require.ElementsMatch(t, []string{"x", "x/a", "x/b", "x/sub", "x/sub/deep", "x/sub/deep/run", "x/empty"}, tree(t, dir))
}

func TestSpecDirGoesBeforeTheDefault(t *testing.T) {
	main, other := t.TempDir(), t.TempDir()
	spec := fixture(t, fixtureFile("a", 3))
	spec.Dir = other
	mustWrite(t, openDisk(t, NewFiles(main), spec), []byte("abc"), 0)
	require.Empty(t, tree(t, main))
	require.Equal(t, []string{"a"}, tree(t, other))
}

func TestCreateEmpty(t *testing.T) {
	dir := t.TempDir()
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("x/a", 0), fixtureFile("x/s/b", 0)))
	require.NoError(t, tor.CreateEmpty())
	require.ElementsMatch(t, []string{"x", "x/a", "x/s", "x/s/b"}, tree(t, dir))
	require.NoError(t, tor.CreateEmpty())
	require.NoError(t, tor.Sync())

	put(t, filepath.Join(dir, "y/a"), []byte("mine"))
	other := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("y/a", 0)))
	require.ErrorIs(t, other.CreateEmpty(), ErrLonger)
	require.EqualValues(t, 4, size(t, filepath.Join(dir, "y/a")))
}

// D4: what is there of a file that is too short can be read; what is not, is an error and no zeros.
func TestShortFileKeepsWhatItHas(t *testing.T) {
	dir := t.TempDir()
	want := noise(1000)
	put(t, filepath.Join(dir, "x/a"), want[:600])
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("x/a", 1000), fixtureFile("x/b", 50)))

	require.True(t, tor.Present(0, 600))
	require.False(t, tor.Present(0, 601))
	got := make([]byte, 1000)
	n, err := tor.ReadAt(got, 0)
	require.Equal(t, 600, n)
	require.Equal(t, want[:600], got[:600])
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	var fe *FileError
	require.ErrorAs(t, err, &fe)
	require.Equal(t, "read", fe.Op)
	require.Equal(t, tor.path(0), fe.Path)
	require.EqualValues(t, 600, size(t, fe.Path), "reading leaves it alone")

	mustWrite(t, tor, want[600:], 600)
	require.EqualValues(t, 1000, size(t, fe.Path))
	_, err = tor.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// RS11: a longer file is served from, but neither cut nor written to.
func TestLongerFileIsNotCut(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a"), []byte("abcdefgh"))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("a", 4)))
	require.NoError(t, readErr(tor, 0, 4))
	require.True(t, tor.Present(0, 4))
	require.ErrorIs(t, writeErr(tor, 0, 4), ErrLonger)
	b, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, "abcdefgh", string(b))
	require.NoError(t, os.Truncate(filepath.Join(dir, "a"), 4))
	require.NoError(t, writeErr(tor, 0, 4), "works when it has been cut")
}

// RS4.
func TestWrongKindOfThing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "x/folder"), 0o777))
	put(t, filepath.Join(dir, "x/file"), []byte("f"))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("x/folder", 10), fixtureFile("x/file/below", 10)))
	for i, off := range []int64{0, 10} {
		var fe *FileError
		require.ErrorAs(t, writeErr(tor, off, 10), &fe)
		require.Contains(t, fe.Path, tor.names[0][:1])
		require.ErrorAs(t, readErr(tor, off, 10), &fe)
		require.Equal(t, tor.path(i), fe.Path)
		require.False(t, tor.Present(off, 10))
	}
	require.ErrorIs(t, readErr(tor, 0, 10), ErrNotRegular)

	s := NewFiles(filepath.Join(dir, "x/file"))
	_, err := s.Open(fixture(t, fixtureFile("a", 1)))
	var fe *FileError
	require.ErrorAs(t, err, &fe, "a save folder that is a file")
	_, err = NewFiles(filepath.Join(dir, "x/file/deeper")).Open(fixture(t, fixtureFile("a", 1)))
	require.ErrorAs(t, err, &fe)
}

// A disk that is not mounted any more: nothing is written where it was.
func TestSaveFolderIsNotMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mount")
	require.NoError(t, os.Mkdir(dir, 0o777))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("a", 10), fixtureFile("b", 10)))
	require.NoError(t, os.Remove(dir))
	require.ErrorIs(t, writeErr(tor, 0, 10), fs.ErrNotExist)
	require.NoDirExists(t, dir)
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, writeErr(tor, 0, 10))
}

func TestOpenRefusesUnsafeLayouts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		paths [][]string
		fold  bool // refused only where case does not count
	}{
		{"parent", [][]string{{"x", "..", "..", "etc"}}, false},
		{"dot", [][]string{{"x", "."}}, false},
		{"empty component", [][]string{{"x", ""}}, false},
		{"no path", [][]string{{}}, false},
		{"slash", [][]string{{"x/../../y"}}, false},
		{"absolute", [][]string{{"/etc", "passwd"}}, false},
		{"null", [][]string{{"x\x00y"}}, false},
		{"twice", [][]string{{"x", "a"}, {"x", "b"}, {"x", "a"}}, false},
		{"twice but for case", [][]string{{"x", "a"}, {"x", "A"}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var files []metainfo.File
			for _, p := range tc.paths {
				files = append(files, metainfo.File{Path: p, Length: 1})
			}
			l, err := metainfo.NewLayout(testPiece, files)
			require.NoError(t, err)
			tor, err := NewFiles(t.TempDir()).Open(Spec{Layout: l})
			if tc.fold && !foldNames {
				require.NoError(t, err)
				require.NoError(t, tor.Close())
				return
			}
			require.ErrorIs(t, err, ErrSpec)
		})
	}
}

func TestSpanOverManySmallFiles(t *testing.T) {
	s := NewFiles(t.TempDir())
	s.MaxOpen = 5
	var files []metainfo.File
	for i := range 100 {
		files = append(files, fixtureFile(fmt.Sprintf("x/%d/f", i%7*100+i), int64(i%3)*10))
	}
	spec := fixture(t, files...)
	tor := openDisk(t, s, spec)
	want := noise(spec.Layout.End())
	mustWrite(t, tor, want, 0)
	got := make([]byte, len(want))
	_, err := tor.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.LessOrEqual(t, s.poolSize(), 5)
}

func TestIsFull(t *testing.T) {
	require.True(t, IsFull(fmt.Errorf("while at it: %w", fileError("write", "a", &fs.PathError{Op: "write", Path: "a", Err: fullErrors[0]}))))
	for _, err := range []error{nil, io.EOF, fs.ErrPermission, ErrLonger, syscall.EIO, errors.New("no space left on device")} {
		require.False(t, IsFull(err))
	}
}

func TestErrorsSayWhichFileOnce(t *testing.T) {
	err := fileError("open", "/save/a", &fs.PathError{Op: "openat", Path: "a", Err: fs.ErrPermission})
	require.EqualError(t, err, "storage: open /save/a: permission denied")
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorIs(t, fileError("read", "a", changed(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF)
	require.ErrorIs(t, fileError("read", "a", changed(io.ErrUnexpectedEOF)), ErrChanged)
}
