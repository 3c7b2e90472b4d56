package client_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/tracker/server"
)

// smallTorrent is one of many that differ in their names.
func smallTorrent(t testing.TB, i int) *metainfo.MetaInfo {
	t.Helper()
	name, sums := fmt.Sprintf("t%06d", i), strings.Repeat("01234567890123456789", 4)
	m, err := metainfo.New(fmt.Appendf(nil, "d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%se",
		4*blockSize, len(name), name, blockSize, len(sums), sums))
	require.NoError(t, err)
	return m
}

// sockets counts what a network opens.
type sockets struct {
	*simnet.Host
	mu           sync.Mutex
	dials, binds int
}

func (s *sockets) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	s.dials++
	s.mu.Unlock()
	return s.Host.DialContext(ctx, network, address)
}

func (s *sockets) ListenPacket(network, address string) (net.PacketConn, error) {
	s.mu.Lock()
	s.binds++
	s.mu.Unlock()
	return s.Host.ListenPacket(network, address)
}

// Ten thousand torrents begin at once: their announces are spread; over UDP they
// share one socket, over HTTP a few connections (of fewer torrents, unless
// STARLING_LARGE is set); closing tells them all.
func TestRT20_ManyTorrents(t *testing.T) {
	for scheme, n := range map[string]int{"udp": 10_000, "http": 2000} {
		switch {
		case os.Getenv("STARLING_LARGE") != "":
			n = 10_000
		case withRace || runtime.GOARCH == "386":
			n = 1000
		}
		t.Run(scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { manyTorrents(t, scheme, n) })
		})
	}
}

func manyTorrents(t *testing.T, scheme string, n int) {
	const interval = 30 * time.Minute
	tracker, err := server.New(server.Config{Interval: interval})
	require.NoError(t, err)
	w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 20 * time.Millisecond}, tracker)
	pc, err := w.Host(ip4(9, 9)).ListenPacket("udp", ":80")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		tracker.ServeUDP(pc)
		close(served)
	}()
	defer func() {
		pc.Close()
		<-served
	}()
	network := &sockets{Host: w.Host(ip4(0, 1))}
	tr := &http.Transport{DialContext: network.DialContext, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	c, err := client.New(client.Config{Network: network, Listen: ":6881", Storage: zeros{}, HTTPClient: &http.Client{Transport: tr}})
	require.NoError(t, err)
	for i := range n {
		add(t, c, client.Spec{MetaInfo: smallTorrent(t, i), Trust: true, Trackers: [][]string{{scheme + "://10.0.9.9:80/announce"}}})
	}
	total := func() int { st := tracker.Stats(); return int(st.HTTP.Announces + st.UDP.Announces) }
	// The rate in each second, while the torrents start and for an interval after.
	most, busy, before := 0, 0, 0
	count := func(until func() bool) float64 {
		most, busy = 0, 0
		begun, from := total(), 0
		before = begun
		for !until() {
			time.Sleep(time.Second)
			now := total()
			most = max(most, now-before)
			if now > before {
				busy++
			}
			before = now
			from++
			require.Less(t, from, 4*3600)
		}
		return float64(before-begun) / float64(max(busy, 1))
	}
	average := count(func() bool { return total() >= n })
	t.Logf("%s: %d torrents started within %d s, %.0f announces a second on average, at most %d", scheme, n, busy, average, most)
	require.LessOrEqual(t, float64(most), 2*average)
	end := time.Now().Add(interval + time.Minute)
	average = count(func() bool { return !time.Now().Before(end) })
	t.Logf("%s: the next interval: %d announces, %.0f a second while there are some, at most %d", scheme, total()-n, average, most)
	require.LessOrEqual(t, float64(most), 2*average)
	require.GreaterOrEqual(t, total(), 2*n)
	network.mu.Lock()
	dials, binds := network.dials, network.binds
	network.mu.Unlock()
	t.Logf("%s: %d connections and %d UDP sockets for %d announces", scheme, dials, binds, total())
	if scheme == "udp" {
		require.Equal(t, [2]int{0, 1}, [2]int{dials, binds})
	} else {
		require.LessOrEqual(t, dials, n/10)
		require.Zero(t, binds)
	}

	began, announced := time.Now(), total()
	require.NoError(t, c.Close())
	took := time.Since(began)
	t.Logf("%s: Close took %v of virtual time", scheme, took.Round(time.Millisecond))
	require.LessOrEqual(t, took, 5*time.Second)
	require.Equal(t, n, total()-announced, "every one has said stopped")
	require.Zero(t, tracker.Stats().Peers)
}

// Of many torrents half have a tracker that died: it had answered once, and
// failed since. Closing says stopped to all others, and waits no longer for the
// dead one than the second that it is given.
func TestT4_DeadTrackersAddNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const torrents = 1000
		dead, tracker := &recorder{interval: 2 * time.Minute}, &recorder{interval: 2 * time.Minute}
		var died atomic.Bool
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 20 * time.Millisecond}, tracker)
		l, err := w.Host(ip4(9, 8)).Listen("tcp", ":80")
		require.NoError(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if died.Load() {
				<-r.Context().Done()
				return
			}
			dead.ServeHTTP(rw, r)
		})}
		go srv.Serve(l)
		defer srv.Close()
		c := w.client(ip4(0, 1), client.Config{Storage: zeros{}})
		for i := range torrents {
			url := w.url
			if i%2 == 0 {
				url = "http://10.0.9.8/announce"
			}
			add(t, c, client.Spec{MetaInfo: smallTorrent(t, i), Trust: true, Trackers: [][]string{{url}}})
		}
		time.Sleep(90 * time.Second)
		require.Equal(t, torrents/2, dead.count("started"))
		require.Equal(t, torrents/2, tracker.count("started"))
		died.Store(true)
		time.Sleep(10 * time.Minute)
		began := time.Now()
		require.NoError(t, c.Close())
		t.Logf("Close took %v", time.Since(began))
		require.Less(t, time.Since(began), 2*time.Second)
		require.Equal(t, torrents/2, tracker.count("stopped"))
	})
}

// The same on real sockets and in real time, which takes two minutes.
func TestRT20_ManyTorrentsOnSockets(t *testing.T) {
	if os.Getenv("STARLING_LARGE") == "" {
		t.Skip("takes two minutes: STARLING_LARGE=1 go test ./client -run RT20_ManyTorrentsOnSockets -v")
	}
	for _, scheme := range []string{"udp", "http"} {
		t.Run(scheme, func(t *testing.T) { manyOnSockets(t, scheme, 10_000) })
	}
}

func manyOnSockets(t *testing.T, scheme string, n int) {
	tracker, err := server.New(server.Config{})
	require.NoError(t, err)
	var connections atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	pc, err := net.ListenPacket("udp", l.Addr().String())
	require.NoError(t, err)
	web := &http.Server{Handler: tracker, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}}
	var wg sync.WaitGroup
	wg.Go(func() { web.Serve(l) })
	wg.Go(func() { tracker.ServeUDP(pc) })
	defer func() {
		web.Close()
		pc.Close()
		wg.Wait()
	}()
	metas := make([]*metainfo.MetaInfo, n)
	for i := range metas {
		metas[i] = smallTorrent(t, i)
	}
	c := start(t, client.Config{Storage: zeros{}})
	before := held()
	for _, m := range metas {
		add(t, c, client.Spec{MetaInfo: m, Trust: true, Trackers: [][]string{{scheme + "://" + l.Addr().String() + "/announce"}}})
	}
	began, most, last := time.Now(), 0, 0
	total := func() int { st := tracker.Stats(); return int(st.HTTP.Announces + st.UDP.Announces) }
	for tick := time.NewTicker(time.Second); last < n; <-tick.C {
		now := total()
		most, last = max(most, now-last), now
		require.Less(t, time.Since(began), 3*time.Minute)
	}
	took := time.Since(began).Seconds()
	each := float64(held()-before) / float64(n)
	runtime.KeepAlive(metas)
	sockets, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	began = time.Now()
	require.NoError(t, c.Close())
	closed := time.Since(began)
	t.Logf("%s: %d torrents announced in %.0f s, %.0f a second, at most %d; %d connections in all; %d descriptors open at the end; %.2f KiB a torrent; Close %v, %d said stopped",
		scheme, n, took, float64(n)/took, most, connections.Load(), len(sockets), each/1024, closed.Round(time.Millisecond), total()-n)
	require.LessOrEqual(t, float64(most), 2*float64(n)/took)
	require.Less(t, closed, 5*time.Second)
	require.Equal(t, 2*n, total())
}
