//go:build unix

package storage

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// RS14: a link that leads out of the save folder is not followed, wherever it stands.
func TestLinksOutOfTheSaveFolder(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	put(t, filepath.Join(outside, "file"), []byte("secret"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x"), 0o777))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "x/folder")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "file"), filepath.Join(dir, "x/file")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "new"), filepath.Join(dir, "x/new")))
	require.NoError(t, os.Symlink("../../"+filepath.Base(outside), filepath.Join(dir, "x/up")))
	for _, name := range []string{"x/folder/file", "x/folder/new", "x/file", "x/new", "x/up/file"} {
		tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile(name, 6)))
		var fe *FileError
		require.ErrorAs(t, writeErr(tor, 0, 6), &fe, name)
		require.ErrorAs(t, readErr(tor, 0, 6), &fe, name)
		require.False(t, tor.Present(0, 6), name)
	}
	require.Equal(t, []string{"file"}, tree(t, outside))
	b, err := os.ReadFile(filepath.Join(outside, "file"))
	require.NoError(t, err)
	require.Equal(t, "secret", string(b))
}

// RS14, in a race: somebody exchanges the folder for a link all the time.
func TestLinkPutInTheWay(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	folder := filepath.Join(dir, "x")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o777))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			_ = os.Rename(filepath.Join(dir, "link"), folder)
			_ = os.Rename(folder, filepath.Join(dir, "link"))
			_ = os.Rename(filepath.Join(dir, "real"), folder)
			_ = os.Rename(folder, filepath.Join(dir, "real"))
		}
	}()
	written := 0
	for range 400 {
		tor, err := NewFiles(dir).Open(fixture(t, fixtureFile("x/a", 10), fixtureFile("x/s/b", 10)))
		require.NoError(t, err)
		if writeErr(tor, 0, 20) == nil {
			written++
		}
		_ = tor.(Remover).Remove()
	}
	stop.Store(true)
	<-done
	require.Empty(t, tree(t, outside))
	t.Logf("%d of 400 attempts could write", written)
}

// A link that stays inside is the user's business.
func TestLinkInsideOfTheSaveFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "big"), 0o777))
	require.NoError(t, os.Symlink("big", filepath.Join(dir, "x")))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("x/a", 3)))
	mustWrite(t, tor, []byte("abc"), 0)
	require.FileExists(t, filepath.Join(dir, "big/a"))
	require.True(t, tor.Present(0, 3))
}

// A named pipe has no size and no other end: it is refused, and nobody waits for it.
func TestNamedPipe(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "a"), 0o666))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("a", 3)))
	require.ErrorIs(t, readErr(tor, 0, 3), ErrNotRegular)
	require.ErrorIs(t, writeErr(tor, 0, 3), ErrNotRegular)
	require.False(t, tor.Present(0, 3))
}

// RS4, as far as the rights of the tests' user allow.
func TestNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("nothing is forbidden to root")
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a"), []byte("abc"))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o444))
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o777) })
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("a", 3), fixtureFile("b", 3)))
	require.NoError(t, readErr(tor, 0, 3), "read-only data can be seeded")
	require.ErrorIs(t, writeErr(tor, 0, 3), os.ErrPermission)
	require.ErrorIs(t, writeErr(tor, 3, 3), os.ErrPermission)
}

// RS17: with no descriptor left the pool gives back its idle files.
func TestOutOfDescriptors(t *testing.T) {
	s := NewFiles(t.TempDir())
	tor := openDisk(t, s, many(t, "x", 60))
	mustWrite(t, tor, noise(40*1024), 0)
	require.Equal(t, 40, s.poolSize())
	var old syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	low := old
	low.Cur = 100
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	var taken []*os.File // everything else in the process
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		taken = append(taken, f)
	}
	_, err := tor.WriteAt(noise(20*1024), 40*1024)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
	for _, f := range taken {
		f.Close()
	}
	require.NotEmpty(t, taken)
	require.NoError(t, err)
	require.NoError(t, readErr(tor, 0, 60*1024))
}
