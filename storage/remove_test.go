package storage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// RS13.
func TestRemoveTakesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	s := NewFiles(dir)
	spec := fixture(t, fixtureFile("x/a", 10), fixtureFile("x/s/b", 10), fixtureFile("x/s/t/c", 10),
		fixtureFile("x/u/d", 10), fixtureFile("x/e", 0), fixtureFile("x/never/written", 0x4000))
	tor := openDisk(t, s, spec)
	other := openDisk(t, s, fixture(t, fixtureFile("x/u/other", 10)))
	mustWrite(t, tor, noise(40), 0)
	mustWrite(t, other, noise(10), 0)
	put(t, filepath.Join(dir, "x/s/mine.txt"), []byte("mine"))
	put(t, filepath.Join(dir, "beside"), []byte("mine"))

	require.NoError(t, tor.Remove())
	require.ElementsMatch(t, []string{"beside", "x", "x/s", "x/s/mine.txt", "x/u", "x/u/other"}, tree(t, dir))
	require.NoError(t, other.Remove())
	require.ElementsMatch(t, []string{"beside", "x", "x/s", "x/s/mine.txt"}, tree(t, dir))
	require.Zero(t, s.poolSize())
	require.Empty(t, s.claims.byDir)
}

func TestRemoveLeavesNothingOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	spec := fixture(t, fixtureFile("x/a", 10), fixtureFile("x/s/t/u/b", 10))
	tor := openDisk(t, NewFiles(dir), spec)
	mustWrite(t, tor, noise(20), 0)
	require.NoError(t, tor.Remove())
	require.Empty(t, tree(t, dir))
	require.DirExists(t, dir, "the save folder is not the torrent's")
}

func TestRemoveFollowsNoLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	put(t, filepath.Join(outside, "b"), []byte("precious"))
	put(t, filepath.Join(dir, "y/c"), []byte("precious"))
	put(t, filepath.Join(dir, "real"), []byte("precious"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x"), 0o777))
	for link, target := range map[string]string{"x/out": outside, "x/in": "../y", "x/file": "../real"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	spec := fixture(t, fixtureFile("x/out/b", 8), fixtureFile("x/in/c", 8), fixtureFile("x/file", 8))
	tor := openDisk(t, NewFiles(dir), spec)
	require.NoError(t, tor.Remove())
	require.FileExists(t, filepath.Join(outside, "b"))
	require.ElementsMatch(t, []string{"real", "x", "x/file", "x/in", "x/out", "y", "y/c"}, tree(t, dir))
}

func TestRemoveOfWhatNeverWas(t *testing.T) {
	tor := openDisk(t, NewFiles(filepath.Join(t.TempDir(), "none")), fixture(t, fixtureFile("x/a", 10)))
	require.NoError(t, tor.Remove())
	require.ErrorIs(t, tor.Remove(), ErrClosed)
}
