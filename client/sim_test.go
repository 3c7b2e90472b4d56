package client_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/storage"
	"github.com/seed1734be99/starling/tracker/server"
)

// A world is a network in memory with a tracker, in the bubble of a test.
type world struct {
	*simnet.Net
	t    *testing.T
	m    *metainfo.MetaInfo
	data []byte
	url  string // of the tracker
}

func ip4(a, b byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, a, b}) }

// newWorld makes a network with a tracker (nil: one of ours) and a torrent of
// size bytes. When the test ends, everything on it must be closed.
func newWorld(t *testing.T, size, pieceLength int, link simnet.Link, tracker http.Handler) *world {
	t.Helper()
	w := &world{Net: simnet.New(simnet.Options{Link: link}), t: t, data: noise(size, 7)}
	w.m = torrentOf(t, "payload", w.data, pieceLength)
	t.Cleanup(func() {
		time.Sleep(time.Minute) // an http.Transport closes what it was dialing when it has it
		require.Empty(t, w.Left())
	})
	if tracker == nil {
		s, err := server.New(server.Config{})
		require.NoError(t, err)
		tracker = s
	}
	l, err := w.Host(ip4(9, 9)).Listen("tcp", ":80")
	require.NoError(t, err)
	srv := &http.Server{Handler: tracker}
	done := make(chan struct{})
	go func() {
		srv.Serve(l)
		close(done)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	w.url = "http://10.0.9.9/announce"
	return w
}

// client makes a client on the host of that address.
func (w *world) client(at netip.Addr, cfg client.Config) *client.Client {
	w.t.Helper()
	h := w.Host(at)
	tr := &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true} // as between rare announces
	w.t.Cleanup(tr.CloseIdleConnections)                                       // behind Close: goodbyes use it
	cfg.HTTPClient = &http.Client{Transport: tr}
	cfg.Listen = ":6881"
	if cfg.Network == nil {
		cfg.Network = h
	}
	if cfg.Storage == nil {
		cfg.Storage = storage.NewMemory()
	}
	return start(w.t, cfg)
}

// full is a storage that holds the whole payload.
func (w *world) full() *storage.Memory {
	w.t.Helper()
	s := storage.NewMemory()
	st, err := s.Open(storage.Spec{Name: "payload", Hashes: w.m.Hashes(), Layout: w.m.Info.Layout()})
	require.NoError(w.t, err)
	_, err = st.WriteAt(w.data, 0)
	require.NoError(w.t, err)
	require.NoError(w.t, st.Close())
	return s
}

// spec is the torrent with the tracker.
func (w *world) spec() client.Spec {
	return client.Spec{MetaInfo: w.m, Trackers: [][]string{{w.url}}}
}

// simAddr is where the client of a host listens.
func simAddr(a netip.Addr) string { return netip.AddrPortFrom(a, 6881).String() }

// The swarm of TestSwarm on lines of 20 ms and some MBit/s, in fake time.
func TestSwarmInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const leeches = 20
		w := newWorld(t, 8<<20, 32<<10, simnet.Link{Latency: 20 * time.Millisecond}, nil)
		seedAt := ip4(0, 1)
		w.Host(seedAt).SetLink(simnet.Link{Latency: 20 * time.Millisecond, Up: 500 << 10, Down: 2 << 20})
		seed := add(t, w.client(seedAt, client.Config{Storage: w.full(), UploadSlots: 4}), w.spec())
		waitFor(t, seed, time.Minute)
		began := time.Now()
		var list []*client.Torrent
		var kept []*storage.Memory
		for i := range leeches {
			at, mem := ip4(1, byte(i)), storage.NewMemory()
			w.Host(at).SetLink(simnet.Link{Latency: 20 * time.Millisecond, Up: 500 << 10, Down: 2 << 20})
			kept = append(kept, mem)
			list = append(list, add(t, w.client(at, client.Config{Storage: mem}), w.spec()))
		}
		for i, l := range list {
			waitFor(t, l, 10*time.Minute)
			require.Equal(t, w.data, kept[i].Bytes(w.m.Hashes()))
		}
		took := time.Since(began)
		t.Logf("all complete after %v of virtual time", took.Round(time.Millisecond))
		swarmBounds(t, w.m, seed, list)
		require.Less(t, took, 90*time.Second)
	})
}

// Everything is closed at a random moment of a swarm's life: while dials,
// handshakes, announces, downloads, checks and seeding are under way. The
// bubble ends only when no goroutine is left, and newWorld looks at the
// sockets.
func TestCloseAtAnyVirtualMoment(t *testing.T) {
	for i := range 40 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(uint64(i), 1))
				w := newWorld(t, 1<<20, 32<<10, simnet.Link{Latency: 30 * time.Millisecond, Up: 200 << 10}, nil)
				clients := []*client.Client{w.client(ip4(0, 1), client.Config{Storage: w.full()})}
				add(t, clients[0], w.spec())
				for n := range 4 {
					c := w.client(ip4(1, byte(n)), client.Config{})
					s := w.spec()
					if n%2 == 1 {
						s.MetaInfo, s.Magnet = nil, w.m.Magnet().String()
					}
					s.Peers = []string{simAddr(ip4(0, 1)), simAddr(ip4(7, 7))} // the second is nobody
					add(t, c, s)
					clients = append(clients, c)
				}
				time.Sleep(time.Duration(rnd.Int64N(int64(15 * time.Second))))
				rnd.Shuffle(len(clients), func(a, b int) { clients[a], clients[b] = clients[b], clients[a] })
				for _, c := range clients {
					began := time.Now()
					require.NoError(t, c.Close())
					require.LessOrEqual(t, time.Since(began), 5*time.Second)
				}
			})
		})
	}
}

// Two peers that have nothing for each other stay connected.
func TestKeepAlivesHoldAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
		a := add(t, w.client(ip4(0, 1), client.Config{}), client.Spec{MetaInfo: w.m})
		b := add(t, w.client(ip4(0, 2), client.Config{}), client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 1))}})
		time.Sleep(time.Hour)
		for _, tor := range []*client.Torrent{a, b} {
			peers := tor.Peers()
			require.Len(t, peers, 1)
			require.Greater(t, peers[0].Connected, 59*time.Minute)
		}
	})
}

// BEP 3: two minutes. What we send is at most so far apart, and a peer that
// is silent for so long is dropped, but none that keeps itself alive.
func TestTwoMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
		tor := add(t, w.client(ip4(0, 1), client.Config{}), client.Spec{MetaInfo: w.m})
		waitState(t, tor, client.Running)
		nc, err := w.Host(ip4(0, 2)).DialContext(t.Context(), "tcp", simAddr(ip4(0, 1)))
		require.NoError(t, err)
		defer nc.Close()
		p, err := greet(nc, w.m.Hashes().V1, false)
		require.NoError(t, err)
		last, silent := time.Now(), time.Now() // anything came; anything was sent
		for range 30 {
			silent = time.Now()
			require.NoError(t, p.send(peerwire.Message{ID: peerwire.MsgKeepAlive}))
			m, err := p.next()
			require.NoError(t, err)
			require.Equal(t, peerwire.MsgKeepAlive, m.ID)
			require.LessOrEqual(t, time.Since(last), 2*time.Minute)
			last = time.Now()
		}
		_, err = io.Copy(io.Discard, nc)
		require.NoError(t, err)
		require.InDelta(t, 120, time.Since(silent).Seconds(), 3)
		synctest.Wait()
		require.Empty(t, tor.Peers())
	})
}

// waitState waits until the torrent is in a state.
func waitState(t testing.TB, tor *client.Torrent, want client.State) {
	t.Helper()
	until(t, tor, 20*time.Second, want.String(), func() bool { return tor.Stats().State == want })
}

// A dialRecorder notes when a client dials an address.
type dialRecorder struct {
	*simnet.Host
	mu    sync.Mutex
	dials map[string][]time.Time
}

func (r *dialRecorder) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	r.mu.Lock()
	if r.dials == nil {
		r.dials = make(map[string][]time.Time)
	}
	r.dials[address] = append(r.dials[address], time.Now())
	r.mu.Unlock()
	return r.Host.DialContext(ctx, network, address)
}

func (r *dialRecorder) times(address string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dials[address]
}

// W6: a connection that was lost is made again after 15 s, one that was
// refused after a minute, then two and so on; each varies by a half. Who came
// to us is not dialled at all.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lossy, refusing := ip4(0, 2), ip4(0, 3)
		tracker := &recorder{peers: []string{simAddr(lossy), simAddr(refusing)}}
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, tracker)
		w.Host(refusing) // is there, and does not listen
		newCrew(t).listen(t, w.Host(lossy), ":6881", func(nc net.Conn) error {
			p, err := greet(nc, w.m.Hashes().V1, false)
			if err == nil {
				err = p.send(peerwire.Message{ID: peerwire.MsgUnchoke})
			}
			return err // and hangs up
		})
		r := &dialRecorder{Host: w.Host(ip4(0, 1))}
		tor := add(t, w.client(ip4(0, 1), client.Config{Network: r}), w.spec())
		waitState(t, tor, client.Running)
		nc, err := w.Host(ip4(0, 4)).DialContext(t.Context(), "tcp", simAddr(ip4(0, 1)))
		require.NoError(t, err)
		_, err = greet(nc, w.m.Hashes().V1, false)
		require.NoError(t, err)
		nc.Close()
		time.Sleep(20 * time.Minute)

		lost := r.times(simAddr(lossy))
		require.Greater(t, len(lost), 30)
		for i := 1; i < len(lost); i++ {
			require.InDelta(t, 15, lost[i].Sub(lost[i-1]).Seconds(), 9)
		}
		refused := r.times(simAddr(refusing))
		require.GreaterOrEqual(t, len(refused), 3)
		for i := 1; i < len(refused); i++ {
			wait := 60 << (i - 1)
			require.InDelta(t, wait, refused[i].Sub(refused[i-1]).Seconds(), float64(wait)/2+2)
		}
		for address := range r.dials {
			require.Contains(t, []string{simAddr(lossy), simAddr(refusing), "10.0.9.9:80"}, address)
		}
	})
}

// A peer that unchokes and then sends nothing is snubbed: what it owes is
// asked of others when there are any.
func TestSnubbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 256<<10, 32<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
		c := newCrew(t)
		at := c.listen(t, w.Host(ip4(0, 2)), ":6881", func(nc net.Conn) error {
			p, err := greet(nc, w.m.Hashes().V1, true)
			if err != nil {
				return err
			}
			if err := p.send(peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}); err != nil {
				return err
			}
			for {
				if _, err := p.next(); err != nil {
					return err
				}
				if err := p.send(peerwire.Message{ID: peerwire.MsgKeepAlive}); err != nil {
					return err
				}
			}
		})
		tor := add(t, w.client(ip4(0, 1), client.Config{}), client.Spec{MetaInfo: w.m, Peers: []string{at.String()}})
		time.Sleep(5 * time.Second)
		peers := tor.Peers()
		require.Len(t, peers, 1)
		require.False(t, peers[0].Snubbed)
		require.Positive(t, peers[0].Requests)
		time.Sleep(20 * time.Second)
		peers = tor.Peers()
		require.True(t, peers[0].Snubbed)
		require.LessOrEqual(t, peers[0].Requests, 1)

		seed := add(t, w.client(ip4(0, 3), client.Config{Storage: w.full()}), client.Spec{MetaInfo: w.m})
		waitFor(t, seed, time.Minute)
		tor.AddPeers(simAddr(ip4(0, 3)))
		began := time.Now()
		waitFor(t, tor, time.Minute)
		require.Less(t, time.Since(began), 15*time.Second)
	})
}

// Regular announces come at the interval that the tracker names, and no more.
func TestT7_Interval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := &recorder{interval: 20 * time.Minute}
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, tracker)
		add(t, w.client(ip4(0, 1), client.Config{}), w.spec())
		time.Sleep(5*time.Hour + time.Minute)
		got := tracker.all()
		require.Len(t, got, 16)
		for i, a := range got {
			require.Equal(t, i == 0, a.event == "started", "%d: %q", i, a.event)
			if i > 0 {
				require.InDelta(t, 1200, a.at.Sub(got[i-1].at).Seconds(), 5)
			}
		}
	})
}

// Close tells a tracker that does not answer goodbye for five seconds, not
// longer, however many torrents and trackers there are.
func TestRT17_DeadTrackersHoldCloseForFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := &recorder{hangs: func(a announced) bool { return a.event == "stopped" }}
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, tracker)
		c := w.client(ip4(0, 1), client.Config{})
		const torrents = 300
		for i := range torrents {
			m := torrentOf(t, fmt.Sprint("t", i), w.data[:100+i], 16<<10)
			add(t, c, client.Spec{MetaInfo: m, Trackers: [][]string{{w.url}}})
		}
		until(t, c.Torrents()[0], 5*time.Minute, "all are known to the tracker", func() bool { return len(tracker.all()) >= torrents })
		time.Sleep(time.Second)
		began := time.Now()
		require.NoError(t, c.Close())
		require.InDelta(t, 5, time.Since(began).Seconds(), 1)
	})
}

// A torrent is removed in the middle of a download, or just after a pause
// whose announce is under way: the tracker hears of it once, all the same.
func TestRemoveSaysGoodbye(t *testing.T) {
	for i := range 40 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := &recorder{}
				w := newWorld(t, 1<<20, 16<<10, simnet.Link{Latency: 10 * time.Millisecond, Up: 100 << 10}, tracker)
				seed := add(t, w.client(ip4(0, 1), client.Config{Storage: w.full()}), client.Spec{MetaInfo: w.m})
				waitFor(t, seed, time.Minute)
				c := w.client(ip4(0, 2), client.Config{})
				s := w.spec()
				s.Peers = []string{simAddr(ip4(0, 1))}
				tor := add(t, c, s)
				until(t, tor, time.Minute, "downloading", func() bool { return tor.Stats().Downloaded > 0 })
				if i%2 == 1 {
					tor.Pause()
					time.Sleep(5 * time.Millisecond)
				}
				require.NoError(t, c.Remove(tor))
				var events []string
				for _, a := range tracker.all() {
					events = append(events, a.event)
				}
				require.Equal(t, "started stopped", strings.Join(events, " "))
			})
		})
	}
}
