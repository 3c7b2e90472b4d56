package client_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/storage"
)

// liveHeap is what the process keeps on its heap.
func liveHeap() int64 {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}

// watchHeap measures what the heap grows by until the function that it returns
// is called: live after a collection, and as the process took it.
func watchHeap() (stop func() (live, used int64)) {
	base := liveHeap()
	done := make(chan struct{})
	var live, used int64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			var ms runtime.MemStats
			runtime.ReadMemStats(&ms)
			used = max(used, int64(ms.HeapInuse)-base)
			if n%5 == 0 {
				// Twice: what was allocated between a collection and the reading is not live.
				live = max(live, min(liveHeap(), liveHeap())-base)
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() (int64, int64) {
		close(done)
		wg.Wait()
		return live, used
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// TestBudgetWithStoppedPeers: a budget of 16 MiB, pieces of 16 MiB, and 49 of
// 50 peers stop in the middle of a piece, some in the middle of a block. What
// they began is 49 places in four pieces; the one that goes on must be able to
// finish all of them within the budget.
func TestBudgetWithStoppedPeers(t *testing.T) {
	const peers = 50
	payload := noise(64<<20, 2)
	for _, tc := range []struct {
		name   string
		size   int
		memory int64
		piece  int
		most   int // blocks that a peer sends before it stops
		part   int // bytes of a last block that never ends
	}{
		{"between blocks", 64 << 20, 16 << 20, 16 << 20, 5, 0},
		{"within a block", 64 << 20, 16 << 20, 16 << 20, 5, 9000},
		{"after a burst", 64 << 20, 16 << 20, 16 << 20, 30, 100},
		{"smallest budget, within a block", 20 << 20, leastMemory(t), 4 << 20, 5, 16383},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := payload[:tc.size]
			m := torrentOf(t, "payload", data, tc.piece)
			dir := t.TempDir()
			c := start(t, client.Config{Dir: dir, Memory: tc.memory})
			tor := add(t, c, client.Spec{MetaInfo: m})
			stop := watchHeap()
			crew := newCrew(t)
			for i := range peers - 1 {
				s := &source{m: m, data: data, fast: i%2 == 0, most: 1 + i%tc.most, part: tc.part}
				crew.dial(t, "", c, s.serve)
			}
			until(t, tor, 20*time.Second, "49 peers begin", func() bool {
				return tor.Stats().Downloaded >= (peers-1)*blockSize
			})
			s := &source{m: m, data: data}
			crew.dial(t, "", c, s.serve)
			wait(t, tor)
			st := tor.Stats()
			live, used := stop()
			_, peak := c.MemoryUse()
			t.Logf("budget %.0f MiB: peak of buffers %.1f MiB; heap: live +%.1f MiB, in use +%.1f MiB; wasted %.2f MiB; hash failures %d",
				mib(tc.memory), mib(peak), mib(live), mib(used), mib(st.Wasted), st.HashFails)
			require.LessOrEqual(t, peak, tc.memory)
			require.Less(t, live, tc.memory+8<<20, "workers and peers have a little of their own")
			require.Zero(t, st.HashFails)
			require.True(t, st.Complete())
			got, err := os.ReadFile(filepath.Join(dir, "payload"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got), "what was written is what was sent")
		})
	}
}

// leastMemory is the smallest budget of whole MiB that New accepts.
func leastMemory(t *testing.T) int64 {
	for n := int64(1 << 20); ; n += 1 << 20 {
		if c, err := client.New(client.Config{Listen: "none", Memory: n}); err == nil {
			require.NoError(t, c.Close())
			return n
		}
	}
}

// TestSameBlockFromTwoPeers: in the endgame two peers send the same blocks at
// the same moment. The first claim of each wins, the other is waste, and
// nothing writes the same bytes twice (run with -race).
func TestSameBlockFromTwoPeers(t *testing.T) {
	const perPiece, rounds = 2, 50 // as many as a peer whose rate is not known is asked for twice
	disk := storage.NewMemory()
	c := start(t, client.Config{Storage: disk})
	for round := range rounds {
		data := noise(2*perPiece*blockSize, byte(round))
		m := torrentOf(t, "same", data, perPiece*blockSize)
		tor := add(t, c, client.Spec{MetaInfo: m})
		crew := newCrew(t)
		var asked sync.WaitGroup
		asked.Add(2)
		goOn := make(chan struct{})
		for range 2 {
			s := &source{m: m, data: data, fast: round%2 == 0}
			crew.dial(t, "", c, func(nc net.Conn) error {
				first, second, err := s.collect(nc, 2*perPiece)
				asked.Done()
				if err != nil {
					return err
				}
				asked.Wait() // both were asked for everything
				first.WriteTo(nc)
				<-goOn
				second.WriteTo(nc)
				_, err = io.Copy(io.Discard, nc)
				return err
			})
		}
		until(t, tor, 10*time.Second, "the first piece came twice", func() bool {
			st := tor.Stats()
			return st.Downloaded+st.Wasted == 2*perPiece*blockSize
		})
		st := tor.Stats()
		require.EqualValues(t, perPiece*blockSize, st.Downloaded)
		require.EqualValues(t, perPiece*blockSize, st.Wasted)
		require.Equal(t, 2, st.Peers)
		close(goOn)
		wait(t, tor)
		require.True(t, bytes.Equal(data, disk.Bytes(m.Hashes())))
		st = tor.Stats()
		require.EqualValues(t, len(data), st.Downloaded)
		require.Zero(t, st.HashFails)
		require.NoError(t, c.Remove(tor))
	}
	used, _ := c.MemoryUse()
	require.Zero(t, used, "no buffer is lost")
	t.Logf("%d rounds: %d blocks came twice, each counted once and wasted once", rounds, rounds*perPiece)
}

// collect greets, unchokes, and answers nothing until it was asked for n
// blocks: then it returns the answers, those of piece 0 first.
func (s *source) collect(nc net.Conn, n int) (first, rest net.Buffers, err error) {
	p, err := greet(nc, s.m.Hashes().V1, s.fast)
	if err != nil {
		return nil, nil, err
	}
	if err := p.send(s.everything(), peerwire.Message{ID: peerwire.MsgUnchoke}); err != nil {
		return nil, nil, err
	}
	for range n {
		m, err := p.await(peerwire.MsgRequest)
		if err != nil {
			return nil, nil, err
		}
		if m.Index == 0 {
			first = append(first, s.block(m)...)
		} else {
			rest = append(rest, s.block(m)...)
		}
	}
	return first, rest, nil
}

// fullDisk refuses writes while it is full.
type fullDisk struct {
	storage.Storage
	full atomic.Bool
}

type fullTorrent struct {
	storage.Torrent
	disk *fullDisk
}

func (d *fullDisk) Open(s storage.Spec) (storage.Torrent, error) {
	t, err := d.Storage.Open(s)
	return &fullTorrent{t, d}, err
}

func (t *fullTorrent) WriteAt(p []byte, off int64) (int, error) {
	if t.disk.full.Load() {
		return 0, &os.PathError{Op: "write", Path: "payload", Err: syscall.ENOSPC}
	}
	return t.Torrent.WriteAt(p, off)
}

// TestFullDisk: the torrent stands still with the cause, its peer stays, and
// it goes on when there is room.
func TestFullDisk(t *testing.T) {
	data := noise(3<<20+5, 4)
	for _, length := range []int{64 << 10, 2 << 20} {
		m := torrentOf(t, "full", data, length)
		disk := &fullDisk{Storage: storage.NewMemory()}
		disk.full.Store(true)
		c := start(t, client.Config{Storage: disk})
		tor := add(t, c, client.Spec{MetaInfo: m})
		s := &source{m: m, data: data, fast: true}
		newCrew(t).dial(t, "", c, s.serve)
		err := tor.Wait(t.Context())
		var fault *client.FaultError
		require.ErrorAs(t, err, &fault)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Contains(t, err.Error(), "full")
		require.NotContains(t, err.Error(), "\n")
		st := tor.Stats()
		require.Equal(t, client.Faulted, st.State)
		require.Zero(t, st.Verified, "nothing is reported that was not written")
		require.Equal(t, 1, st.Peers)
		disk.full.Store(false)
		tor.Resume()
		// What else was on its way to the full disk may fail a second time.
		until(t, tor, 20*time.Second, "complete after the disk has room", func() bool {
			st := tor.Stats()
			if st.State == client.Faulted {
				tor.Resume()
			}
			return st.Complete()
		})
		wait(t, tor)
		require.True(t, bytes.Equal(data, disk.Storage.(*storage.Memory).Bytes(m.Hashes())))
		used, _ := c.MemoryUse()
		t.Logf("pieces of %d KiB: %v; buffers in use afterwards: %d bytes", length>>10, err, used)
	}
}

// TestPortTaken: the error is one line and says which port.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = client.New(client.Config{Listen: l.Addr().String()})
	require.Error(t, err)
	require.True(t, errors.Is(err, syscall.EADDRINUSE), "%v", err)
	require.Contains(t, err.Error(), l.Addr().String())
	require.NotContains(t, err.Error(), "\n")
}
