package client_test

import (
	"bytes"
	"context"
	"fmt"

	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/storage"
)

// slowDisk writes so many bytes a second, whoever asks, and reads at once.
type slowDisk struct {
	storage.Storage
	rate int64

	mu    sync.Mutex
	ready time.Time // when the disk has done what it was given
}

type slowTorrent struct {
	storage.Torrent
	disk *slowDisk
}

func (d *slowDisk) Open(s storage.Spec) (storage.Torrent, error) {
	t, err := d.Storage.Open(s)
	return &slowTorrent{t, d}, err
}

func (t *slowTorrent) WriteAt(p []byte, off int64) (int, error) {
	d := t.disk
	d.mu.Lock()
	now := time.Now()
	if d.ready.Before(now) {
		d.ready = now
	}
	d.ready = d.ready.Add(time.Duration(int64(len(p)) * int64(time.Second) / d.rate))
	wait := d.ready.Sub(now)
	d.mu.Unlock()
	time.Sleep(wait) // this is the disk
	return t.Torrent.WriteAt(p, off)
}

// TestSlowDisk: peers that send faster than a disk of 1 MB/s writes. Reading
// stops at the budget and TCP makes the peers wait; none is dropped or snubbed
// for it, and the disk is kept busy. In fake time.
func TestSlowDisk(t *testing.T) {
	const rate = 1 << 20
	for _, tc := range []struct {
		memory int64
		size   int
		piece  int
		peers  int
		fast   bool
	}{
		{memory: 16 << 20, size: 48 << 20, piece: 4 << 20, peers: 8, fast: true},
		{memory: 16 << 20, size: 48 << 20, piece: 16 << 20, peers: 4},
		{memory: 8 << 20, size: 24 << 20, piece: 256 << 10, peers: 50},
		{memory: leastMemory(t), size: 16 << 20, piece: 1 << 20, peers: 3, fast: true},
	} {
		t.Run(fmt.Sprintf("memory=%dMiB,piece=%dKiB,peers=%d", tc.memory>>20, tc.piece>>10, tc.peers), func(t *testing.T) {
			data := noise(tc.size, 9)
			m := torrentOf(t, "slow", data, tc.piece)
			synctest.Test(t, func(t *testing.T) {
				net0 := simnet.New(simnet.Options{Link: simnet.Link{Latency: 5 * time.Millisecond}})
				me := net0.Host(netip.MustParseAddr("10.0.0.1"))
				crew := newCrew(t)
				var peers []string
				for i := range tc.peers {
					h := net0.Host(netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)}))
					s := &source{m: m, data: data, fast: tc.fast}
					peers = append(peers, crew.listen(t, h, ":6881", s.serve).String())
				}
				disk := storage.NewMemory()
				c, err := client.New(client.Config{
					Listen: ":6881", Network: me, Memory: tc.memory,
					Storage: &slowDisk{Storage: disk, rate: rate},
				})
				require.NoError(t, err)
				defer c.Close()
				tor := add(t, c, client.Spec{MetaInfo: m, Peers: peers})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var left []client.Event
				watched := make(chan struct{})
				events := tor.Events(ctx)
				go func() {
					defer close(watched)
					for ev := range events {
						if ev.Kind == client.EventPeerLeft && !complete(tor) {
							left = append(left, ev)
						}
					}
				}()
				w := watchSlow(ctx, tor, c, tc.peers)
				began := time.Now()
				require.NoError(t, tor.Wait(ctx), "%+v", tor.Stats())
				took := time.Since(began)
				cancel()
				<-w.done
				<-watched
				_, peak := c.MemoryUse()
				t.Logf("%d MiB in %v of fake time (%.2f MB/s): most held at once %d of %d peers, held in %d of %d looks; buffers' peak %.1f MiB of %.0f; wasted %.1f MiB",
					tc.size>>20, took.Round(time.Millisecond), float64(tc.size)/took.Seconds()/(1<<20), w.held, tc.peers, w.holding, w.looks, mib(peak), mib(tc.memory), mib(tor.Stats().Wasted))
				require.Empty(t, left, "no peer is dropped")
				require.Zero(t, w.snubbed, "no peer is snubbed")
				require.Zero(t, w.missing, "all stay connected")
				require.LessOrEqual(t, peak, tc.memory)
				require.Zero(t, tor.Stats().HashFails)
				require.Less(t, took.Seconds(), 2*float64(tc.size)/rate+3, "the disk is kept busy")
				if tc.peers >= 50 { // fewer may be stopped by asking for nothing more
					require.Greater(t, w.held, tc.peers/4, "reading stops")
				}
				require.True(t, bytes.Equal(data, disk.Bytes(m.Hashes())))
			})
		})
	}
}

// slowWatch is what was seen of the peers, ten times a second.
type slowWatch struct {
	done                                   chan struct{}
	held, holding, snubbed, missing, looks int
}

func watchSlow(ctx context.Context, tor *client.Torrent, c *client.Client, peers int) *slowWatch {
	w := &slowWatch{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for joined := false; ; w.looks++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			infos := tor.Peers()
			held := 0
			for _, p := range infos {
				if p.Held {
					held++
				}
				if p.Snubbed {
					w.snubbed++
				}
			}
			w.held = max(w.held, held)
			if held > 0 {
				w.holding++
			}
			if joined = joined || len(infos) == peers; joined && len(infos) < peers {
				if !complete(tor) {
					w.missing++
				}
			}
		}
	}()
	return w
}

var _ client.Network = (*simnet.Host)(nil)

func complete(tor *client.Torrent) bool {
	st := tor.Stats()
	return st.Complete()
}
