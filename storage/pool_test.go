package storage

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
)

// many is a torrent of n files of a kilobyte.
func many(t testing.TB, name string, n int) Spec {
	var files []metainfo.File
	for i := range n {
		files = append(files, fixtureFile(fmt.Sprintf("%s/%d", name, i), 1024))
	}
	return fixture(t, files...)
}

func TestPoolKeepsTheLatest(t *testing.T) {
	s := NewFiles(t.TempDir())
	s.MaxOpen = 3
	tor := openDisk(t, s, many(t, "x", 10))
	for _, file := range []int64{0, 1, 2, 0, 3} { // 1 is the oldest
		mustWrite(t, tor, []byte("x"), file*1024)
	}
	for file, open := range []bool{true, false, true, true} {
		_, there := s.pool.table[handleKey{tor, file, true}]
		require.Equal(t, open, there, "file %d", file)
	}
	require.NoError(t, readErr(tor, 1024, 1))
	require.Contains(t, s.pool.table, handleKey{tor, 1, false}, "a reader does not open for writing")
	require.NoError(t, readErr(tor, 0, 1))
	require.NotContains(t, s.pool.table, handleKey{tor, 0, false}, "a file open for writing is read as well")
	require.NoError(t, tor.Close())
	require.Zero(t, s.poolSize())
}

// The bound holds for all torrents together, but for the files in use.
func TestPoolBoundUnderLoad(t *testing.T) {
	const torrents, files, workers, bound = 4, 50, 8, 6
	s := NewFiles(t.TempDir())
	s.MaxOpen = bound
	var all []*onDisk
	for i := range torrents {
		all = append(all, openDisk(t, s, many(t, fmt.Sprint(i), files)))
	}
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		wg.Go(func() {
			buf := make([]byte, 100)
			for i := range 400 {
				tor := all[(i+w)%torrents]
				off := int64((i*7+w)%files) * 1024
				_, err := tor.WriteAt(buf, off)
				if err == nil {
					_, err = tor.ReadAt(buf, off)
				}
				if n := s.poolSize(); n > bound+workers {
					err = fmt.Errorf("%d files in the pool", n)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.LessOrEqual(t, s.poolSize(), bound)
}

func TestHandleInUseIsNotClosed(t *testing.T) {
	s := NewFiles(t.TempDir())
	s.MaxOpen = 1
	tor := openDisk(t, s, many(t, "x", 5))
	h, f, err := tor.borrow(0, true)
	require.NoError(t, err)
	for i := range int64(4) {
		mustWrite(t, tor, []byte("x"), (i+1)*1024)
	}
	s.pool.retireFile(tor, 0)
	_, err = f.WriteAt([]byte("held"), 0)
	require.NoError(t, err)
	s.pool.release(h)
	_, err = f.WriteAt([]byte("held"), 0)
	require.ErrorIs(t, err, os.ErrClosed, "the last user closes it")
	require.LessOrEqual(t, s.poolSize(), 1)
}

// Files that the pool closed in between are synced all the same, and an error of closing is told.
func TestSyncReachesClosedFiles(t *testing.T) {
	s := NewFiles(t.TempDir())
	s.MaxOpen = 1
	tor := openDisk(t, s, many(t, "x", 5))
	mustWrite(t, tor, noise(5*1024), 0)
	require.Len(t, tor.fresh.files, 5)
	require.Equal(t, map[string]struct{}{".": {}, "x": {}}, tor.fresh.folders)
	require.NoError(t, tor.Sync())
	require.Empty(t, tor.fresh.files)
	require.Empty(t, tor.fresh.folders)

	tor.lateError(2, os.ErrDeadlineExceeded)
	require.ErrorIs(t, tor.Sync(), os.ErrDeadlineExceeded)
	require.NoError(t, tor.Sync(), "told once")
	tor.lateError(2, os.ErrDeadlineExceeded)
	require.ErrorIs(t, tor.Close(), os.ErrDeadlineExceeded)
}

func TestSyncAfterTheFileHasGone(t *testing.T) {
	s := NewFiles(t.TempDir())
	tor := openDisk(t, s, many(t, "x", 2))
	mustWrite(t, tor, noise(2*1024), 0)
	require.NoError(t, os.Remove(tor.path(1)))
	s.pool.closeIdle(nil)
	require.ErrorIs(t, tor.Sync(), ErrChanged)
	require.Len(t, tor.fresh.files, 1, "tried again next time")
}

func TestSettledStateIsSmall(t *testing.T) {
	tor := openDisk(t, NewFiles(t.TempDir()), many(t, "x", 3))
	require.Nil(t, tor.known.states, "an idle torrent knows nothing and holds nothing")
}
