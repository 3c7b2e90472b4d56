package client_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/metainfo"
)

// private is the torrent of a world with the private flag.
func (w *world) private() *metainfo.MetaInfo {
	w.t.Helper()
	raw := bytes.TrimSuffix(w.m.InfoBytes, []byte("e"))
	m, err := metainfo.New(append(bytes.Clone(raw), "7:privatei1ee"...))
	require.NoError(w.t, err)
	return m
}

// outgoing is a network that notes who is dialled.
type outgoing struct {
	*simnet.Host
	mu     sync.Mutex
	dialed map[string]int
}

func (o *outgoing) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	o.mu.Lock()
	if o.dialed == nil {
		o.dialed = make(map[string]int)
	}
	o.dialed[address]++
	o.mu.Unlock()
	return o.Host.DialContext(ctx, network, address)
}

func (o *outgoing) count(address string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dialed[address]
}

// A private torrent uses one tracker; when that one fails it goes over to the
// next, drops all peers, and connects only to those of the new one (BEP 27).
func TestT18_PrivateSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool // the first tracker's
		first := &recorder{interval: 2 * time.Minute, peers: []string{simAddr(ip4(1, 1)), simAddr(ip4(1, 2))}}
		second := &recorder{interval: 2 * time.Minute, peers: []string{simAddr(ip4(2, 1))}}
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: 10 * time.Millisecond}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Query().Get("second") != "":
				second.ServeHTTP(rw, r)
			case down.Load():
				http.Error(rw, "down", http.StatusServiceUnavailable)
			default:
				first.ServeHTTP(rw, r)
			}
		}))
		m := w.private()
		for _, at := range []netip.Addr{ip4(1, 1), ip4(1, 2), ip4(2, 1)} {
			l, err := w.Host(at).Listen("tcp", ":6881")
			require.NoError(t, err)
			go func() { // a peer that has nothing and stays
				for {
					nc, err := l.Accept()
					if err != nil {
						return
					}
					if p, err := greet(nc, m.Hashes().V1, true); err == nil {
						go func() {
							defer p.Close()
							for _, err := p.next(); err == nil; _, err = p.next() {
							}
						}()
					}
				}
			}()
			defer l.Close()
		}
		out := &outgoing{Host: w.Host(ip4(0, 1))}
		c := w.client(ip4(0, 1), client.Config{Network: out, Trackers: client.TrackerConfig{ToAll: true}}) // which is not for private ones
		tor := add(t, c, client.Spec{MetaInfo: m, Trackers: [][]string{{w.url}, {w.url + "?second=1"}}, Peers: []string{simAddr(ip4(2, 1))}})
		peers := func() (list []string) {
			for _, p := range tor.Peers() {
				list = append(list, p.Addr.Addr().String())
			}
			return list
		}
		time.Sleep(3 * time.Minute)
		require.ElementsMatch(t, []string{"10.0.1.1", "10.0.1.2"}, peers())
		require.Zero(t, out.count(simAddr(ip4(2, 1))), "the program's peers are not for private torrents")
		require.Empty(t, second.all())

		down.Store(true)
		time.Sleep(2 * time.Minute)
		require.ElementsMatch(t, []string{"10.0.2.1"}, peers())
		require.Equal(t, 1, second.count("started"))
		dialed := out.count(simAddr(ip4(1, 1)))
		time.Sleep(20 * time.Minute)
		require.ElementsMatch(t, []string{"10.0.2.1"}, peers())
		require.Equal(t, dialed, out.count(simAddr(ip4(1, 1))), "those of the old tracker are forgotten")
		require.NoError(t, c.Close())
		require.Equal(t, 1, second.count("stopped"))
	})
}

// Two torrents, two trackers: neither tracker hears of the other's torrent.
func TestRT18_EachItsOwnTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := make(map[string]map[string]bool) // hashes by passkey
		var mu sync.Mutex
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: time.Millisecond}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			key := r.URL.Query().Get("passkey")
			if heard[key] == nil {
				heard[key] = make(map[string]bool)
			}
			heard[key][r.URL.Query().Get("info_hash")] = true
			(&recorder{interval: time.Minute}).ServeHTTP(rw, r)
		}))
		c := w.client(ip4(0, 1), client.Config{})
		public := torrentOf(t, "public", noise(100, 1), 16<<10)
		private := w.private()
		add(t, c, client.Spec{MetaInfo: public, Trackers: [][]string{{w.url + "?passkey=one"}}})
		add(t, c, client.Spec{MetaInfo: private, Trackers: [][]string{{w.url + "?passkey=two"}}})
		time.Sleep(time.Hour)
		require.NoError(t, c.Close())
		a, b := public.Hashes().V1, private.Hashes().V1
		require.Equal(t, map[string]map[string]bool{"one": {string(a[:]): true}, "two": {string(b[:]): true}}, heard)
	})
}

// A tracker lists ourselves: nobody dials that, whether the address is known
// from the listener or told by the tracker (BEP 24).
func TestT26_Ourselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside := netip.MustParseAddr("192.0.2.77")
		tracker := &recorder{peers: []string{simAddr(ip4(0, 1)), simAddr(outside), simAddr(ip4(0, 2))}, external: outside}
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: time.Millisecond}, tracker)
		out := &outgoing{Host: w.Host(ip4(0, 1))}
		add(t, w.client(ip4(0, 1), client.Config{Network: out}), w.spec())
		time.Sleep(10 * time.Minute)
		require.Zero(t, out.count(simAddr(ip4(0, 1))))
		require.Zero(t, out.count(simAddr(outside)))
		require.NotZero(t, out.count(simAddr(ip4(0, 2))))
	})
}

// A hundred thousand peers in one answer, most of them nonsense: what is kept
// and what is dialled at once are bounded.
func TestRT6_ManyPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := make([]string, 100_000)
		for i := range many {
			many[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(10 + i>>16), byte(i >> 8), byte(i)}), 6881).String()
		}
		w := newWorld(t, 64<<10, 16<<10, simnet.Link{Latency: time.Millisecond}, &recorder{peers: many})
		out := &outgoing{Host: w.Host(ip4(0, 1))}
		c := w.client(ip4(0, 1), client.Config{Network: out, ReconnectRefused: 24 * time.Hour, MaxHandshakes: 10})
		add(t, c, w.spec())
		time.Sleep(20 * time.Minute)
		out.mu.Lock()
		defer out.mu.Unlock()
		require.Greater(t, len(out.dialed), 100)
		require.LessOrEqual(t, len(out.dialed), 2000)
	})
}

// A magnet link that was announced to two trackers turns out to be private: the
// one that is left hears so, and its peers are not dialled any more.
func TestT18_MagnetTurnsPrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &recorder{interval: 2 * time.Minute, peers: []string{simAddr(ip4(1, 1))}}
		left := &recorder{interval: 2 * time.Minute, peers: []string{simAddr(ip4(2, 1))}}
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: 10 * time.Millisecond}, kept)
		other := w.serve(ip4(9, 8), left)
		m := w.private()
		out := &outgoing{Host: w.Host(ip4(0, 1))}
		c := w.client(ip4(0, 1), client.Config{Network: out, Trackers: client.TrackerConfig{ToAll: true}})
		link := "magnet:?xt=urn:btih:" + m.Hashes().V1.String()
		tor := add(t, c, client.Spec{Magnet: link + "&x.pe=" + simAddr(ip4(3, 1)), Trackers: [][]string{{w.url}, {other}}})
		time.Sleep(90 * time.Second)
		require.NotZero(t, out.count(simAddr(ip4(2, 1))))
		require.NotZero(t, out.count(simAddr(ip4(3, 1))))
		_, err := c.Add(client.Spec{MetaInfo: m}) // as from a peer
		require.ErrorIs(t, err, client.ErrExists)
		require.True(t, tor.Info().Private)
		before := out.count(simAddr(ip4(2, 1))) + out.count(simAddr(ip4(3, 1)))
		time.Sleep(30 * time.Minute)
		require.Equal(t, before, out.count(simAddr(ip4(2, 1)))+out.count(simAddr(ip4(3, 1))))
		require.NotZero(t, out.count(simAddr(ip4(1, 1))))
		require.Equal(t, 1, left.count("stopped"))
		require.NoError(t, c.Close())
		require.Equal(t, 1, left.count("stopped"))
		require.Equal(t, 1, kept.count("stopped"))
	})
}

// Somebody's magnet link does not bring a tracker of its own into a private
// torrent that is there.
func TestRT18_NoTrackerFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		foreign := &recorder{}
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: 10 * time.Millisecond}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if down.Load() {
				http.Error(rw, "down", http.StatusServiceUnavailable)
				return
			}
			(&recorder{interval: 2 * time.Minute}).ServeHTTP(rw, r)
		}))
		other := w.serve(ip4(9, 8), foreign)
		m := w.private()
		c := w.client(ip4(0, 1), client.Config{})
		add(t, c, client.Spec{MetaInfo: m, Trackers: [][]string{{w.url}}})
		_, err := c.Add(client.Spec{Magnet: "magnet:?xt=urn:btih:" + m.Hashes().V1.String(), Trackers: [][]string{{other}}})
		require.ErrorIs(t, err, client.ErrExists)
		down.Store(true)
		time.Sleep(10 * time.Minute)
		require.Empty(t, foreign.all())
	})
}
