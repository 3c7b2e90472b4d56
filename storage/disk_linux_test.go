package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallDisk mounts a file system of a given size, where the tests may.
func smallDisk(t *testing.T, bytes int) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// RS1: a full disk is told as such; when there is room, the same write works.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 256<<10)
	put(t, filepath.Join(dir, "ballast"), noise(128<<10))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("x/a", 200<<10)))
	b := noise(200 << 10)
	n, err := tor.WriteAt(b, 0)
	require.True(t, IsFull(err), "%v", err)
	require.Less(t, n, len(b))
	var fe *FileError
	require.ErrorAs(t, err, &fe)
	require.Equal(t, "write", fe.Op)

	require.NoError(t, os.Remove(filepath.Join(dir, "ballast")))
	mustWrite(t, tor, b, 0)
	got := make([]byte, len(b))
	_, err = tor.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, b, got)
	require.NoError(t, tor.Close()) // before the disk goes
}

// RS4: a disk that is mounted for reading only can be seeded from.
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 256<<10)
	put(t, filepath.Join(dir, "a"), noise(100))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("a", 100), fixtureFile("b", 100)))
	require.NoError(t, readErr(tor, 0, 100))
	require.ErrorIs(t, writeErr(tor, 0, 100), syscall.EROFS)
	require.ErrorIs(t, writeErr(tor, 100, 100), syscall.EROFS)
	require.NoError(t, readErr(tor, 0, 100), "reading goes on")
	require.NoError(t, tor.Close())
}

// The common case is one system call: a slab to one file, a run of blocks from one file.
func TestOneSystemCall(t *testing.T) {
	const mib = 1 << 20
	tor := openDisk(t, NewFiles(t.TempDir()), fixture(t, fixtureFile("a", 3*mib)))
	slab := noise(mib)
	mustWrite(t, tor, slab, 0)

	// Counting costs calls as well, and so may the rest of the process: a hundred times, and rounded.
	perCall := func(counter string, do func()) int {
		before := ioCount(t, counter)
		for range 100 {
			do()
		}
		return (ioCount(t, counter) - before + 50) / 100
	}
	require.Equal(t, 1, perCall("syscw", func() { mustWrite(t, tor, slab, mib) }))
	require.Equal(t, 1, perCall("syscr", func() { _, _ = tor.ReadAt(slab, mib-5) }))
}

func ioCount(t *testing.T, counter string) int {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(bytes.TrimSpace(b))) {
		var n int
		if _, err := fmt.Sscanf(line, counter+": %d", &n); err == nil {
			return n
		}
	}
	t.Skip("no count of " + counter)
	return 0
}
