package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/leakcheck"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/storage"
)

// within runs f, which must return in that time.
func within(t testing.TB, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		b := make([]byte, 1<<20)
		require.FailNow(t, what+" has not returned within "+d.String(), "%s", b[:runtime.Stack(b, true)])
	}
}

// fixture is a complete seeder of a payload in src.
type fixture struct {
	src    string
	m      *metainfo.MetaInfo
	seeder *client.Client
	seed   *client.Torrent
}

func newFixture(t testing.TB, size int, pieceLength int64) *fixture {
	t.Helper()
	f := &fixture{src: t.TempDir()}
	f.m = payload(t, f.src, size, pieceLength)
	f.seeder = start(t, client.Config{Dir: f.src})
	f.seed = add(t, f.seeder, client.Spec{MetaInfo: f.m})
	wait(t, f.seed)
	return f
}

// spec is the torrent with the seeder's address.
func (f *fixture) spec() client.Spec {
	return client.Spec{MetaInfo: f.m, Peers: []string{address(f.seeder)}}
}

// afterEvents waits for that many events of the torrent, or its end.
func afterEvents(t testing.TB, tor *client.Torrent, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if n <= 0 {
		return
	}
	for ev := range tor.Events(ctx) {
		if n--; n <= 0 || ev.Kind == client.EventCompleted {
			return
		}
	}
}

// RL1: Close at random moments of a download. The rest of the payload is
// fetched afterwards, so that all of it was in order.
func TestCloseAtAnyMoment(t *testing.T) {
	leakcheck.Check(t)
	f := newFixture(t, 2<<20, 32<<10)
	url, _ := loopbackTracker(t)
	for i := range 30 {
		dst := t.TempDir()
		s := f.spec()
		s.Trackers = [][]string{{url}}
		if i%3 == 2 {
			s.MetaInfo, s.Magnet = nil, f.m.Magnet().String()
		}
		c, err := client.New(client.Config{Dir: dst, Listen: "127.0.0.1:0"})
		require.NoError(t, err)
		tor := add(t, c, s)
		afterEvents(t, tor, rand.IntN(70)-5)
		within(t, 5*time.Second, "Close", func() { require.NoError(t, c.Close()) })
		if i%5 == 0 {
			again := start(t, client.Config{Dir: dst})
			wait(t, add(t, again, f.spec()))
			sameFile(t, f.src, dst)
		}
	}
}

// RL2: Close from many places at once, together with Remove, and from the
// program's own code that the client calls.
func TestCloseFromEverywhere(t *testing.T) {
	f := newFixture(t, 1<<20, 32<<10)
	for range 10 {
		c, err := client.New(client.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
		require.NoError(t, err)
		tor := add(t, c, f.spec())
		afterEvents(t, tor, rand.IntN(20))
		within(t, 5*time.Second, "Close", func() {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					if i == 3 {
						c.Remove(tor)
					} else if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
		require.NoError(t, c.Close())
	}
	c := start(t, client.Config{Dir: t.TempDir()})
	tor := add(t, c, f.spec())
	within(t, 5*time.Second, "Close inside of the loop over events", func() {
		for range tor.Events(t.Context()) {
			c.Close()
		}
	})
}

// RL4: one torrent is removed in the middle of its download, another goes on.
func TestRemoveWhileDownloading(t *testing.T) {
	f, g := newFixture(t, 2<<20, 32<<10), newFixture(t, 3<<20, 64<<10)
	for i := range 20 {
		dir, other := t.TempDir(), t.TempDir()
		c := start(t, client.Config{Dir: dir})
		s := g.spec()
		s.Dir = other
		stays := add(t, c, s)
		tor := add(t, c, f.spec())
		afterEvents(t, tor, rand.IntN(60))
		waiting := make(chan error, 1)
		go func() { waiting <- tor.Wait(context.Background()) }()
		within(t, 5*time.Second, "Remove", func() { require.NoError(t, c.Remove(tor, i%2 == 0)) })
		if err := <-waiting; err != nil {
			require.ErrorIs(t, err, client.ErrRemoved)
		}
		if i%2 == 0 {
			require.Empty(t, tree(t, dir), "with DeleteData nothing is left")
		}
		wait(t, stays)
		sameFile(t, g.src, other)
		require.NoError(t, c.Close())
	}
}

// tree lists the files below dir.
func tree(t testing.TB, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path != dir {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func TestRemoveKeepsOrDeletes(t *testing.T) {
	f := newFixture(t, 1<<20, 32<<10)
	dir := t.TempDir()
	c := start(t, client.Config{Dir: dir})
	tor := add(t, c, f.spec())
	wait(t, tor)
	require.NoError(t, c.Remove(tor))
	sameFile(t, f.src, dir)
	tor = add(t, c, f.spec())
	wait(t, tor)
	require.Zero(t, tor.Stats().Downloaded)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o666))
	require.NoError(t, c.Remove(tor, client.DeleteData))
	require.Equal(t, []string{filepath.Join(dir, "mine")}, tree(t, dir))
}

// RL5: added twice, at once, as file and as magnet.
func TestAddTwice(t *testing.T) {
	f := newFixture(t, 100<<10, 32<<10)
	c := start(t, client.Config{Dir: t.TempDir()})
	var mu sync.Mutex
	var wg sync.WaitGroup
	found := map[*client.Torrent]int{}
	fresh := 0
	for i := range 16 {
		wg.Go(func() {
			s := client.Spec{MetaInfo: f.m, Trackers: [][]string{{fmt.Sprintf("udp://127.0.0.1:1/%d", i)}}}
			if i%2 == 0 {
				s.MetaInfo, s.Magnet = nil, f.m.Magnet().String()
			}
			tor, err := c.Add(s)
			mu.Lock()
			defer mu.Unlock()
			found[tor]++
			if err == nil {
				fresh++
			} else if !errors.Is(err, client.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Len(t, found, 1)
	require.Equal(t, 1, fresh)
	require.Len(t, c.Torrents(), 1)
	tor := c.Torrents()[0]
	require.Len(t, tor.Trackers(), 16)
	_, err := c.Add(f.spec())
	require.ErrorIs(t, err, client.ErrExists)
	wait(t, tor) // the peer was taken
}

// The torrent file that comes behind a magnet link spares fetching the
// metadata.
func TestFileBehindMagnet(t *testing.T) {
	f := newFixture(t, 100<<10, 32<<10)
	c := start(t, client.Config{Dir: t.TempDir()})
	tor, err := c.AddMagnet(f.m.Magnet().String())
	require.NoError(t, err)
	same, err := c.Add(client.Spec{MetaInfo: f.m})
	require.ErrorIs(t, err, client.ErrExists)
	require.Same(t, tor, same)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = tor.Metadata(ctx)
	require.NoError(t, err)
}

// RL6: what comes and goes leaves nothing behind.
func TestAddAndRemoveManyTimes(t *testing.T) {
	f := newFixture(t, 100<<10, 16<<10)
	url, _ := loopbackTracker(t)
	// Connections that are kept for the next announces are no leak, but goroutines.
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	c := start(t, client.Config{Dir: t.TempDir(), HTTPClient: web})
	round := func(i int) {
		s := f.spec()
		s.Trackers = [][]string{{url}}
		tor := add(t, c, s)
		if i%10 == 0 {
			wait(t, tor)
		}
		require.NoError(t, c.Remove(tor, client.DeleteData))
	}
	measure := func() (heap int64, goroutines int) {
		var ms runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&ms)
		return int64(ms.HeapAlloc), runtime.NumGoroutine()
	}
	for i := range 30 {
		round(i)
	}
	heap, goroutines := measure()
	for i := range 300 {
		round(i)
	}
	until(t, f.seed, 5*time.Second, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines+3 })
	after, _ := measure()
	t.Logf("heap %d KiB before, %d KiB after", heap>>10, after>>10)
	require.Less(t, after, heap+1<<20)
}

// A gate is a storage whose reads wait until it is opened.
type gate struct {
	storage.Storage
	open chan struct{}
}

type gated struct {
	storage.Torrent
	open chan struct{}
}

func (g gate) Open(s storage.Spec) (storage.Torrent, error) {
	st, err := g.Storage.Open(s)
	return gated{st, g.open}, err
}

func (g gated) ReadAt(b []byte, off int64) (int, error) {
	<-g.open
	return g.Torrent.ReadAt(b, off)
}

// RL7: what waits returns at once when its context has ended, and the torrent
// goes on as if nobody had asked.
func TestCancelledContexts(t *testing.T) {
	f := newFixture(t, 300<<10, 32<<10)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	c := start(t, client.Config{Dir: t.TempDir()})
	open := make(chan struct{})
	checking := add(t, c, client.Spec{MetaInfo: f.m, Storage: gate{storage.NewFiles(f.src), open}})
	magnet := add(t, start(t, client.Config{Dir: t.TempDir()}), client.Spec{Magnet: f.m.Magnet().String()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Wait, checking": func() error { return checking.Wait(ctx) },
		"Wait, magnet":   func() error { return magnet.Wait(ctx) },
		"Metadata":       func() error { _, err := magnet.Metadata(ctx); return err },
		"Checked":        func() error { return checking.Checked(ctx) },
		"Recheck":        func() error { return checking.Recheck(ctx) },
		"AddURL":         func() error { _, err := c.AddURL(ctx, silent.URL); return err },
	} {
		within(t, time.Second, name, func() {
			if err := call(); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for range magnet.Events(ctx) { // ends at once
	}
	close(open)
	wait(t, checking)
}

// RL8: who subscribes and does not read holds nobody up, and is told how many
// events it missed.
func TestSubscriberThatNeverReads(t *testing.T) {
	f := newFixture(t, 1<<20, 1<<10) // 1,024 pieces
	c := start(t, client.Config{Dir: t.TempDir()})
	s := f.spec()
	s.Paused = true
	tor := add(t, c, s)
	events := tor.Events(t.Context())
	tor.Resume()
	wait(t, tor)
	seen, lost := 0, 0
	for ev := range events {
		seen++
		lost += ev.Lost
		if seen == 256 { // all that was kept; the next one tells of the rest
			go tor.Pause()
		}
		if ev.Lost > 0 {
			break
		}
	}
	require.Equal(t, 257, seen)
	require.Greater(t, seen+lost, 1024)
}

// RL13: pauses and resumptions at random moments, in the check too. No peer
// stays, nothing is lost or fetched twice.
func TestPauseAndResumeAtAnyMoment(t *testing.T) {
	f := newFixture(t, 4<<20, 128<<10)
	for range 3 {
		dst := t.TempDir()
		c := start(t, client.Config{Dir: dst})
		s := f.spec()
		s.Limits.Download = 8 << 20 // so that there are moments
		tor := add(t, c, s)
		tor.Pause() // in the check
		tor.Resume()
		for range 5 {
			afterEvents(t, tor, 1+rand.IntN(8))
			tor.Pause()
			until(t, tor, 5*time.Second, "no peer is kept", func() bool { return len(tor.Peers()) == 0 })
			require.Equal(t, client.Paused, tor.Stats().State)
			until(t, tor, 5*time.Second, "no memory is kept", func() bool { now, _ := c.MemoryUse(); return now == 0 })
			tor.Resume()
			tor.AddPeers(address(f.seeder)) // mostly at once then, not after a second
			if st := tor.Stats(); st.Complete() {
				break
			}
		}
		wait(t, tor)
		sameFile(t, f.src, dst)
		st := tor.Stats()
		require.Equal(t, f.m.Info.Length(), st.Downloaded)
		require.Zero(t, st.HashFails)
		require.NoError(t, c.Close())
	}
}

// Pause beside the end of a check, and beside Resume: what was said last
// holds. A paused torrent lets nobody in.
func TestPauseAndResumeAtOnce(t *testing.T) {
	f := newFixture(t, 256<<10, 32<<10)
	f.seed.Pause() // it would come to us
	c := start(t, client.Config{Dir: f.src})
	tor := add(t, c, client.Spec{MetaInfo: f.m})
	wait(t, tor)
	letsIn := func() bool {
		nc := dialFrom(t, "", c)
		defer nc.Close()
		p, err := greet(nc, f.m.Hashes().V1, false)
		if err == nil {
			_, err = p.next()
		}
		return err == nil
	}
	require.True(t, letsIn())
	for range 100 {
		var wg sync.WaitGroup
		wg.Go(func() { tor.Recheck(t.Context()) })
		wg.Go(tor.Pause)
		wg.Wait()
		until(t, tor, 5*time.Second, "paused", func() bool { return tor.Stats().State == client.Paused })
		require.False(t, letsIn(), "paused")
		wg.Go(tor.Resume)
		wg.Go(tor.Pause)
		wg.Go(tor.Resume)
		wg.Wait()
		tor.Pause()
		require.False(t, letsIn(), "paused again")
		tor.Resume()
		until(t, tor, 5*time.Second, "running", func() bool { return tor.Stats().State == client.Running })
		require.True(t, letsIn(), "running")
	}
}

func TestRecheckFindsDamage(t *testing.T) {
	f := newFixture(t, 1<<20+5, 32<<10)
	dst := t.TempDir()
	c := start(t, client.Config{Dir: dst})
	tor := add(t, c, f.spec())
	wait(t, tor)
	file, err := os.OpenFile(filepath.Join(dst, "payload"), os.O_RDWR, 0)
	require.NoError(t, err)
	var b [1]byte
	for _, at := range []int64{0, 100_000, 1 << 20} { // the last piece is the third
		_, err = file.ReadAt(b[:], at)
		require.NoError(t, err)
		_, err = file.WriteAt([]byte{b[0] ^ 1}, at)
		require.NoError(t, err)
	}
	require.NoError(t, file.Close())
	f.seed.Pause()
	require.NoError(t, tor.Recheck(t.Context()))
	require.Equal(t, f.m.Info.NumPieces()-3, tor.Stats().Have)
	f.seed.Resume()
	wait(t, tor)
	sameFile(t, f.src, dst)
	require.Equal(t, f.m.Info.Length()+2*32<<10+5, tor.Stats().Downloaded)
}

// Without records a restart checks, and downloads nothing that is there.
func TestRestartChecks(t *testing.T) {
	f := newFixture(t, 1<<20, 32<<10)
	dst := t.TempDir()
	c := start(t, client.Config{Dir: dst})
	wait(t, add(t, c, f.spec()))
	require.NoError(t, c.Close())
	c = start(t, client.Config{Dir: dst})
	tor := add(t, c, client.Spec{MetaInfo: f.m})
	wait(t, tor)
	require.Zero(t, tor.Stats().Downloaded)
	require.NoError(t, c.Close())

	path := filepath.Join(dst, "payload") // half of it is gone
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b[:512<<10:512<<10], bytes.Repeat([]byte{1}, 100)...), 0o666))
	c = start(t, client.Config{Dir: dst})
	tor = add(t, c, f.spec())
	wait(t, tor)
	sameFile(t, f.src, dst)
	require.Equal(t, int64(512<<10), tor.Stats().Downloaded)
}
