package storage

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// RS5: what somebody else does to a file under our hands fails cleanly, and a check finds it.
func TestFileChangedBehindOurBack(t *testing.T) {
	const length = 1000
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, path string)
		cause  error
	}{
		{"deleted", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, fs.ErrNotExist},
		{"moved with its folder", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".old"))
		}, fs.ErrNotExist},
		{"cut short", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 10)) }, nil},
		{"replaced", func(t *testing.T, path string) {
			put(t, path+".new", make([]byte, length))
			require.NoError(t, os.Chtimes(path+".new", time.Time{}, time.Unix(1, 0)))
			require.NoError(t, os.Rename(path+".new", path))
		}, nil},
	} {
		for _, open := range []string{"open", "closed by the pool"} {
			if open != "open" && tc.name == "replaced" {
				continue // cannot be told without a record of the times
			}
			t.Run(tc.name+"/"+open, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dir := t.TempDir()
					s := NewFiles(dir)
					tor := openDisk(t, s, fixture(t, fixtureFile("x/a", length), fixtureFile("x/b", 10)))
					mustWrite(t, tor, noise(length), 0)
					path := tor.path(0)
					tc.change(t, path)
					if open != "open" {
						s.pool.closeIdle(nil)
					}
					time.Sleep(2 * time.Second)

					for range 2 { // and it stays so
						for _, err := range []error{readErr(tor, 0, length), writeErr(tor, 0, 10)} {
							require.ErrorIs(t, err, ErrChanged)
						}
					}
					if tc.cause != nil {
						require.NoFileExists(t, path, "not made again in silence")
					}
					require.Equal(t, tc.name == "replaced", tor.Present(0, length))
					require.NotErrorIs(t, readErr(tor, 0, length), ErrChanged, "a probe has seen it")
					mustWrite(t, tor, noise(length), 0)
					require.NoError(t, readErr(tor, 0, length))
				})
			})
		}
	}
}

func TestTruncatedWhileOpenIsNoticedAtOnce(t *testing.T) {
	tor := openDisk(t, NewFiles(t.TempDir()), fixture(t, fixtureFile("a", 1000)))
	mustWrite(t, tor, noise(1000), 0)
	require.NoError(t, os.Truncate(tor.path(0), 500))
	err := readErr(tor, 0, 1000)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorIs(t, err, ErrChanged)
}

// A file replaced by one that looks the same (a restored copy) is used from then on, without an error.
func TestReplacedByACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tor := openDisk(t, NewFiles(t.TempDir()), fixture(t, fixtureFile("a", 100)))
		mustWrite(t, tor, noise(100), 0)
		path := tor.path(0)
		fi, err := os.Stat(path)
		require.NoError(t, err)
		put(t, path+".copy", noise(100))
		require.NoError(t, os.Chtimes(path+".copy", time.Time{}, fi.ModTime()))
		require.NoError(t, os.Rename(path+".copy", path))
		time.Sleep(2 * time.Second)
		mustWrite(t, tor, []byte("here"), 0)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "here", string(b[:4]))
	})
}

// A check must read what is there now, not what an open file still holds.
func TestProbeMakesTheNextReadFresh(t *testing.T) {
	tor := openDisk(t, NewFiles(t.TempDir()), fixture(t, fixtureFile("a", 4)))
	mustWrite(t, tor, []byte("good"), 0)
	put(t, tor.path(0)+".new", []byte("evil"))
	require.NoError(t, os.Rename(tor.path(0)+".new", tor.path(0)))
	require.True(t, tor.Present(0, 4))
	got := make([]byte, 4)
	_, err := tor.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, "evil", string(got))
}

func TestPresentRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		tor := openDisk(t, NewFiles(dir), fixture(t, fixtureFile("a", 100)))
		require.False(t, tor.Present(10, 10))
		put(t, filepath.Join(dir, "a"), noise(100))
		require.False(t, tor.Present(20, 10), "the same run")
		require.True(t, tor.Present(20, 10), "a new run")
		require.NoError(t, os.Remove(filepath.Join(dir, "a")))
		require.True(t, tor.Present(30, 10), "the same run")
		time.Sleep(glanceLife)
		require.False(t, tor.Present(40, 10), "a run may not be old")
		mustWrite(t, tor, []byte("x"), 0)
		require.True(t, tor.Present(50, 10), "own writes are always seen")
	})
}
