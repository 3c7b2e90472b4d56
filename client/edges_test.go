package client_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/storage"
)

// A moody storage fails to open while bad is set.
type moody struct {
	storage.Storage
	bad *atomic.Bool
}

var errMoody = errors.New("not in the mood")

func (m moody) Open(s storage.Spec) (storage.Torrent, error) {
	if m.bad.Load() {
		return nil, errMoody
	}
	return m.Storage.Open(s)
}

// A magnet link's data can't be opened when its metadata comes: Resume tries
// again, as often as it takes.
func TestResumeOpensAgain(t *testing.T) {
	f := newFixture(t, 100<<10, 32<<10)
	var bad atomic.Bool
	bad.Store(true)
	c := start(t, client.Config{Storage: moody{storage.NewMemory(), &bad}})
	tor := add(t, c, client.Spec{Magnet: f.m.Magnet().String(), Peers: []string{address(f.seeder)}})
	var fault *client.FaultError
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := tor.Wait(ctx)
		require.ErrorAs(t, err, &fault)
		require.ErrorIs(t, err, errMoody)
		tor.Resume()
	}
	bad.Store(false)
	tor.Resume()
	wait(t, tor)
	require.Equal(t, client.Running, tor.Stats().State)
}

// Who hears that the metadata is known finds it.
func TestMetadataIsThereWhenTold(t *testing.T) {
	f := newFixture(t, 100<<10, 32<<10)
	slow := gate{storage.NewMemory(), make(chan struct{})}
	c := start(t, client.Config{Storage: late{slow}})
	tor := add(t, c, client.Spec{Magnet: f.m.Magnet().String(), Peers: []string{address(f.seeder)}, Paused: true})
	close(slow.open)
	events := tor.Events(t.Context())
	tor.Resume()
	for ev := range events {
		if ev.Kind == client.EventMetadata {
			require.NotNil(t, tor.Info())
			break
		}
	}
}

// late takes its time to open.
type late struct{ storage.Storage }

func (l late) Open(s storage.Spec) (storage.Torrent, error) {
	time.Sleep(100 * time.Millisecond)
	return l.Storage.Open(s)
}

// A recheck looks at the disk anew: what was wrong before is forgotten.
func TestRecheckEndsAFault(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	m := payload(t, src, 300<<10, 32<<10)
	require.NoError(t, os.Mkdir(filepath.Join(dst, "payload"), 0o777)) // in the way
	seeder := start(t, client.Config{Dir: src})
	wait(t, add(t, seeder, client.Spec{MetaInfo: m}))
	c := start(t, client.Config{Dir: dst})
	tor := add(t, c, client.Spec{MetaInfo: m, Peers: []string{address(seeder)}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var fault *client.FaultError
	require.ErrorAs(t, tor.Wait(ctx), &fault)
	require.NoError(t, os.Remove(filepath.Join(dst, "payload")))
	require.NoError(t, tor.Recheck(ctx))
	wait(t, tor)
	require.Equal(t, client.Running, tor.Stats().State)
}

// A file of no bytes can't be made: Resume tries again, and the torrent is not
// complete before it is there.
func TestResumeMakesEmptyFiles(t *testing.T) {
	m, err := metainfo.New([]byte("d5:filesld6:lengthi0e4:pathl5:emptyeee4:name1:d12:piece lengthi16384e6:pieces0:e"))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "d"), nil, 0o666)) // in the way
	c := start(t, client.Config{Dir: dir})
	tor := add(t, c, client.Spec{MetaInfo: m})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var fault *client.FaultError
	require.ErrorAs(t, tor.Wait(ctx), &fault)
	tor.Resume()
	require.ErrorAs(t, tor.Wait(ctx), &fault)
	require.NoError(t, os.Remove(filepath.Join(dir, "d")))
	tor.Resume()
	wait(t, tor)
	require.FileExists(t, filepath.Join(dir, "d", "empty"))
}

// Added paused, or paused meanwhile, a torrent that is being checked connects
// to nobody and lets nobody in.
func TestPausedWhileChecking(t *testing.T) {
	src := t.TempDir()
	m := payload(t, src, 300<<10, 32<<10)
	g := gate{storage.NewFiles(src), make(chan struct{})}
	open := sync.OnceFunc(func() { close(g.open) })
	var dialled atomic.Int64
	at := newCrew(t).listen(t, new(loopback), "127.0.0.1:0", func(nc net.Conn) error {
		dialled.Add(1)
		p, err := greet(nc, m.Hashes().V1, false)
		for err == nil {
			_, err = p.next()
		}
		return err
	})
	c := start(t, client.Config{Storage: g})
	t.Cleanup(open)
	tor := add(t, c, client.Spec{MetaInfo: m, Peers: []string{at.String()}, Paused: true})
	require.Equal(t, client.Checking, tor.Stats().State)
	nc := dialFrom(t, "", c)
	defer nc.Close()
	p, err := greet(nc, m.Hashes().V1, false)
	if err == nil {
		_, err = p.next()
	}
	require.Error(t, err, "paused")
	require.Zero(t, dialled.Load())
	tor.Resume() // the check goes on, and peers may come
	until(t, tor, 5*time.Second, "connected", func() bool { return len(tor.Peers()) == 1 })
	tor.Pause()
	until(t, tor, 5*time.Second, "dropped", func() bool { return len(tor.Peers()) == 0 })
	require.Equal(t, client.Checking, tor.Stats().State)
	open()
	until(t, tor, 5*time.Second, "paused", func() bool { return tor.Stats().State == client.Paused })
}

// Pause and Resume by many at once: the torrent does in the end what it says.
func TestPauseAndResumeByMany(t *testing.T) {
	f := newFixture(t, 64<<10, 32<<10)
	for range 300 {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(f.seed.Pause)
			wg.Go(f.seed.Resume)
		}
		wg.Wait()
		f.seed.Resume()
		require.Equal(t, client.Running, f.seed.Stats().State)
	}
}

// A reader of events that has ended keeps nothing of the torrent, however long
// its context lives.
func TestEventsLetGo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := start(t, client.Config{Storage: storage.NewMemory()})
	gone := make(chan struct{})
	func() {
		tor := add(t, c, client.Spec{MetaInfo: torrentOf(t, "x", noise(100, 1), 16<<10)})
		runtime.AddCleanup(tor, func(struct{}) { close(gone) }, struct{}{})
		events := tor.Events(ctx)
		require.NoError(t, c.Remove(tor))
		for range events {
		}
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-gone:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	require.Fail(t, "the torrent is still held")
}

// A reader that was too slow hears of the last thing that happened, and how much
// it missed before that, without waiting for something else to happen.
func TestSlowReaderOfEvents(t *testing.T) {
	c := start(t, client.Config{Storage: storage.NewMemory()})
	tor := add(t, c, client.Spec{MetaInfo: torrentOf(t, "x", noise(100, 1), 16<<10)})
	until(t, tor, 5*time.Second, "running", func() bool { return tor.Stats().State == client.Running })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	events := tor.Events(ctx)
	const changes = 400
	for range changes / 2 {
		tor.Pause()
		tor.Resume()
	}
	var seen, lost int
	var state client.State
	for ev := range events {
		if lost += ev.Lost; ev.Kind == client.EventState {
			state = ev.State
		}
		if seen++; seen+lost >= changes {
			break
		}
	}
	require.NoError(t, ctx.Err(), "%d seen, %d lost", seen, lost)
	require.Equal(t, client.Running, state)
	require.Positive(t, lost)
}

// A strategy that is late still reads its own round; one that was given
// meanwhile is not lost for it.
func TestLateChoker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: time.Millisecond}, nil)
		var asked atomic.Int64
		began := make(chan struct{})
		slow := strategy(func(r *choke.Round) (d choke.Decision) {
			if asked.Add(1) == 1 {
				close(began)
			}
			for range 30 { // longer than it may
				time.Sleep(100 * time.Millisecond)
				_ = len(r.Peers)
			}
			return d
		})
		var good atomic.Int64
		seed := w.client(ip4(0, 1), client.Config{Storage: w.full()})
		leech := w.client(ip4(0, 2), client.Config{})
		s := add(t, seed, client.Spec{MetaInfo: w.m, Choker: slow})
		waitFor(t, s, time.Minute)
		l := add(t, leech, client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 1))}})
		<-began
		all := everybody(0)
		s.SetChoker(strategy(func(r *choke.Round) choke.Decision {
			good.Add(1)
			return all(r)
		}))
		waitFor(t, l, time.Minute)
		time.Sleep(time.Minute)
		require.Positive(t, good.Load(), "the new strategy was never asked")
	})
}

// A client that has all the connections it may have leaves other peers alone.
func TestFullClientDialsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: 20 * time.Millisecond}, nil)
		var peers []string
		for i := range 20 {
			add(t, w.client(ip4(1, byte(i)), client.Config{}), client.Spec{MetaInfo: w.m})
			peers = append(peers, simAddr(ip4(1, byte(i))))
		}
		r := &dialRecorder{Host: w.Host(ip4(0, 1))}
		tor := add(t, w.client(ip4(0, 1), client.Config{MaxPeers: 5, Network: r}), client.Spec{MetaInfo: w.m, Peers: peers})
		time.Sleep(30 * time.Minute)
		require.Len(t, tor.Peers(), 5)
		n := 0
		for _, d := range r.dials {
			n += len(d)
		}
		require.LessOrEqual(t, n, 20)
	})
}

// A recheck at the moment when the metadata comes.
func TestRecheckAsMetadataComes(t *testing.T) {
	m := torrentOf(t, "x", noise(100<<10, 1), 16<<10)
	c := start(t, client.Config{Storage: storage.NewMemory()})
	for range 200 {
		tor := add(t, c, client.Spec{Hashes: m.Hashes()})
		var wg sync.WaitGroup
		wg.Go(func() { c.Add(client.Spec{MetaInfo: m}) })
		wg.Go(func() {
			for errors.Is(tor.Recheck(t.Context()), client.ErrNoMetadata) {
			}
		})
		wg.Wait()
		require.NoError(t, tor.Checked(t.Context()))
		require.NoError(t, c.Remove(tor))
	}
}

// What can't be meant is refused with a word, and nothing panics.
func TestSpecIsRefused(t *testing.T) {
	c := start(t, client.Config{Dir: t.TempDir()})
	_, err := c.Add(client.Spec{MetaInfo: new(metainfo.MetaInfo)})
	require.ErrorContains(t, err, "info")
	_, err = c.Add(client.Spec{MetaInfo: torrentOf(t, "x", noise(100, 1), 16<<10), Limits: client.Limits{Upload: -1}})
	require.ErrorContains(t, err, "negative")
	require.Empty(t, c.Torrents())
}

// Data that can't be deleted is no silent success.
func TestRemoveWithoutARemover(t *testing.T) {
	c := start(t, client.Config{Storage: zeros{}})
	tor := add(t, c, client.Spec{MetaInfo: torrentOf(t, "zeros", make([]byte, 100), 16<<10)})
	wait(t, tor)
	require.ErrorContains(t, c.Remove(tor, client.DeleteData), "zeros")
	require.Empty(t, c.Torrents())
}
