package client_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
)

// serve runs a tracker on another host of the world, on port 80.
func (w *world) serve(at netip.Addr, h http.Handler) (announceURL string) {
	w.t.Helper()
	l, err := w.Host(at).Listen("tcp", ":80")
	require.NoError(w.t, err)
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	w.t.Cleanup(func() { srv.Close() })
	return "http://" + at.String() + "/announce"
}

// neverAnswers is a tracker that hangs.
func neverAnswers(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// many adds torrents with these trackers to a client.
func many(t testing.TB, c *client.Client, from, n int, trackers func(i int) [][]string) {
	t.Helper()
	for i := range n {
		add(t, c, client.Spec{MetaInfo: smallTorrent(t, from+i), Trust: true, Trackers: trackers(i)})
	}
}

// Ten dead trackers with three hundred torrents each: those with a tracker that
// lives are announced as if there were none; and those whose first tracker is
// dead reach their second in seconds.
func TestRT16_DeadBesideTheLiving(t *testing.T) {
	for _, toAll := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const dead, n = 10, 500
			alive, second := &recorder{interval: 30 * time.Minute}, &recorder{interval: 30 * time.Minute}
			w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 20 * time.Millisecond}, alive)
			other := w.serve(ip4(9, 8), second)
			var graves []string
			for i := range dead {
				graves = append(graves, w.serve(ip4(8, byte(i+1)), http.HandlerFunc(neverAnswers)))
			}
			c := w.client(ip4(0, 1), client.Config{Storage: zeros{}, Trackers: client.TrackerConfig{ToAll: toAll}})
			many(t, c, 10_000, dead*300, func(i int) [][]string { return [][]string{{graves[i%dead]}, {other}} })
			many(t, c, 0, n, func(int) [][]string { return [][]string{{w.url}} })
			began := time.Now()
			until(t, c.Torrents()[0], time.Minute, "the living tracker knows all", func() bool { return alive.count("started") == n })
			took := time.Since(began)
			until(t, c.Torrents()[0], 3*time.Minute, "the second tracker knows all", func() bool { return second.count("started") == dead*300 })
			t.Logf("to all: %v; the living tracker's torrents after %v, those with a dead one first after %v", toAll, took, time.Since(began))
			require.Less(t, took, 20*time.Second)
			require.Less(t, time.Since(began), 90*time.Second)
			time.Sleep(time.Second) // for the last answers
			require.NoError(t, c.Close())
			require.Equal(t, n, alive.count("stopped"))
			require.Equal(t, dead*300, second.count("stopped"))
		})
	}
}

// One torrent is refused: that says nothing of the tracker, and all others say
// stopped.
func TestT4_RefusalOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 600
		tracker := &recorder{interval: 2 * time.Minute}
		h := smallTorrent(t, 0).Hashes().V1
		var refused atomic.Bool
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 20 * time.Millisecond}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if refused.Load() && r.URL.Query().Get("info_hash") == string(h[:]) {
				fmt.Fprint(rw, "d14:failure reason12:unregisterede")
				return
			}
			tracker.ServeHTTP(rw, r)
		}))
		c := w.client(ip4(0, 1), client.Config{Storage: zeros{}})
		many(t, c, 0, n, func(int) [][]string { return [][]string{{w.url}} })
		time.Sleep(time.Minute)
		require.Equal(t, n, tracker.count("started"))
		refused.Store(true)
		time.Sleep(5 * time.Minute)
		require.NoError(t, c.Close())
		require.Equal(t, n-1, tracker.count("stopped"))
	})
}

// An announce that is under way at the close is cut off: its tracker is not one
// that fails, and takes its time for everybody's farewell.
func TestT4_UnderWayAtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, slow = 400, 1200 * time.Millisecond
		tracker := &recorder{}
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 20 * time.Millisecond}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(slow):
				tracker.ServeHTTP(rw, r)
			case <-r.Context().Done():
			}
		}))
		c := w.client(ip4(0, 1), client.Config{Storage: zeros{}})
		many(t, c, 0, n, func(int) [][]string { return [][]string{{w.url}} })
		time.Sleep(3 * time.Minute)
		require.Equal(t, n, tracker.count("started"))
		c.Torrents()[0].Announce()
		time.Sleep(slow / 2)
		require.NoError(t, c.Close())
		require.Equal(t, n, tracker.count("stopped"))
	})
}

// The farewell of a pause hangs: that is no reason to wait longer at the close.
func TestT4_PauseBeforeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 20 * time.Millisecond}, &recorder{hangs: func(a announced) bool { return a.event == "stopped" }})
		c := w.client(ip4(0, 1), client.Config{Storage: zeros{}})
		many(t, c, 0, 2, func(int) [][]string { return [][]string{{w.url}} })
		time.Sleep(time.Minute)
		c.Torrents()[0].Pause()
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		require.NoError(t, c.Close())
		require.LessOrEqual(t, time.Since(began), 5*time.Second)
	})
}
