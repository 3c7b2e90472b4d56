package client_test

import (
	"crypto/sha1"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/storage"
)

// zeroTorrent is one of zeros, in pieces of 256 KiB.
func zeroTorrent(t testing.TB, name string, pieces int) *metainfo.MetaInfo {
	t.Helper()
	const length = 256 << 10
	sum := sha1.Sum(make([]byte, length))
	m, err := metainfo.New(fmt.Appendf(nil, "d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%se",
		pieces*length, len(name), name, length, pieces*len(sum), strings.Repeat(string(sum[:]), pieces)))
	require.NoError(t, err)
	return m
}

// blanks is a storage of torrents that are not there yet, and are forgotten.
type blanks struct{ zeros }

func (b blanks) Open(storage.Spec) (storage.Torrent, error) { return b, nil }

func (blanks) ReadAt(p []byte, _ int64) (int, error) {
	for i := range p {
		p[i] = 0xff
	}
	return len(p), nil
}

// holding is the storage of who has everything, or nothing.
func holding(all bool) storage.Storage {
	if all {
		return zeros{}
	}
	return blanks{}
}

// A ground is where clients meet: in memory and fake time, or on loopback.
type ground struct {
	client func(n int, cfg client.Config) *client.Client // the n-th of the test
	addr   func(n int, c *client.Client) string
}

func simGround(t *testing.T) ground {
	w := newWorld(t, 16<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
	at := func(n int) netip.Addr { return ip4(2, byte(n)) }
	return ground{
		client: func(n int, cfg client.Config) *client.Client { return w.client(at(n), cfg) },
		addr:   func(n int, _ *client.Client) string { return simAddr(at(n)) },
	}
}

func loopbackGround(t *testing.T) ground {
	return ground{
		client: func(_ int, cfg client.Config) *client.Client { return start(t, cfg) },
		addr:   func(_ int, c *client.Client) string { return address(c) },
	}
}

// A limitCase is one client with a limit among others without one: it seeds to
// them, or downloads from them.
type limitCase struct {
	name     string
	peers    int
	torrents int
	own      bool // the limit is each torrent's
	each     bool // the limit is each connection's
	down     bool
	rates    []int64 // one after the other, each for twenty seconds
}

const mebibyte = 1 << 20

func limitCases() (cases []limitCase) {
	for _, down := range []bool{false, true} {
		way := map[bool]string{false: "up", true: "down"}[down]
		cases = append(cases,
			limitCase{way + "/one peer", 1, 1, false, false, down, []int64{mebibyte}},
			limitCase{way + "/ten peers", 10, 1, false, false, down, []int64{mebibyte}},
			limitCase{way + "/two torrents", 2, 2, false, false, down, []int64{mebibyte}},
			limitCase{way + "/two torrents, each its own", 2, 2, true, false, down, []int64{mebibyte / 2}},
			limitCase{way + "/ten peers, each its own", 10, 1, false, true, down, []int64{mebibyte / 10}},
			limitCase{way + "/changed, one peer", 1, 1, false, false, down, []int64{mebibyte, 2 * mebibyte, mebibyte / 4, mebibyte}},
			limitCase{way + "/changed, ten peers", 10, 1, false, false, down, []int64{mebibyte, 2 * mebibyte, mebibyte / 4, mebibyte}},
			limitCase{way + "/changed, each its own", 10, 1, false, true, down, []int64{mebibyte / 10, mebibyte / 5}},
		)
	}
	return cases
}

// run measures what passes, and compares it with the limit; 5 % is allowed.
func (lc limitCase) run(t *testing.T, g ground) {
	limited := g.client(0, client.Config{Storage: holding(!lc.down), UploadSlots: lc.peers})
	var torrents []*client.Torrent
	set := func(rate int64) {
		l := client.Limits{Upload: rate}
		if lc.down {
			l = client.Limits{Download: rate}
		}
		switch {
		case lc.each:
			require.NoError(t, limited.SetPeerLimits(l))
		case lc.own:
			for _, tor := range torrents {
				require.NoError(t, tor.SetLimits(l))
			}
		default:
			require.NoError(t, limited.SetLimits(l))
		}
	}
	var total int64 // bytes that a torrent needs, so that nobody is done before the end
	for _, rate := range lc.rates {
		total += 30 * rate
	}
	if lc.each && lc.down {
		total *= int64(lc.peers)
	} else if !lc.each && !lc.down {
		total = 2 * total / int64(lc.peers)
	}
	var metas []*metainfo.MetaInfo
	for i := range lc.torrents {
		m := zeroTorrent(t, fmt.Sprint("zeros", i), int(total/(256<<10))+1)
		metas = append(metas, m)
		torrents = append(torrents, add(t, limited, client.Spec{MetaInfo: m, Trust: !lc.down}))
	}
	set(lc.rates[0])
	for i := range lc.peers {
		c := g.client(i+1, client.Config{Storage: holding(lc.down)})
		spec := client.Spec{MetaInfo: metas[i%lc.torrents], Trust: lc.down}
		if !lc.down {
			spec.Peers = []string{g.addr(0, limited)}
		}
		add(t, c, spec)
		if lc.down {
			torrents[i%lc.torrents].AddPeers(g.addr(i+1, c))
		}
	}
	passed := func() (sum int64, each map[netip.AddrPort]int64) {
		each = make(map[netip.AddrPort]int64)
		for _, tor := range torrents {
			st := tor.Stats()
			sum += pick(lc.down, st.Downloaded, st.Uploaded)
			for _, p := range tor.Peers() {
				if n := pick(lc.down, p.Downloaded, p.Uploaded); n > 0 {
					each[p.Addr] = n
				}
			}
		}
		return sum, each
	}
	until(t, torrents[0], time.Minute, "all are served", func() bool {
		_, each := passed()
		return len(each) == lc.peers
	})
	gates := int64(1)
	if lc.own {
		gates = int64(lc.torrents)
	} else if lc.each {
		gates = int64(lc.peers)
	}
	for _, rate := range lc.rates {
		set(rate)
		began := time.Now()
		before, eachBefore := passed()
		time.Sleep(20 * time.Second)
		after, eachAfter := passed()
		want := float64(rate*gates) * time.Since(began).Seconds()
		var each []int64 // KiB
		for addr, n := range eachAfter {
			each = append(each, (n-eachBefore[addr])>>10)
		}
		t.Logf("%s: limit %d KiB/s: %+.2f %%; KiB to each: %v", lc.name, rate*gates>>10, 100*(float64(after-before)/want-1), each)
		require.InEpsilon(t, want, float64(after-before), 0.05)
		require.Len(t, each, lc.peers)
		for _, n := range each {
			require.InEpsilon(t, want/float64(lc.peers)/1024, float64(n), 0.15, "equal shares: %v", each)
		}
	}
}

func pick(first bool, a, b int64) int64 {
	if first {
		return a
	}
	return b
}

// TestC8_Limits: a limit holds within 5 % over twenty seconds, for one
// connection, for ten, over two torrents, and when it is changed on the way,
// both ways; and connections get equal shares.
func TestC8_Limits(t *testing.T) {
	for _, lc := range limitCases() {
		t.Run(lc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { lc.run(t, simGround(t)) })
		})
	}
}

// TestC8_LimitsInRealTime is TestC8_Limits on real sockets.
func TestC8_LimitsInRealTime(t *testing.T) {
	if os.Getenv("STARLING_LARGE") == "" {
		t.Skip("takes more than a minute; with STARLING_LARGE=1")
	}
	for _, lc := range limitCases() {
		t.Run(lc.name, func(t *testing.T) {
			t.Parallel()
			lc.run(t, loopbackGround(t))
		})
	}
}

// TestC8_LowUploadDoesNotSlowDownload: two peers that have half each; one may
// send hardly anything, and gets its half no later for that.
func TestC8_LowUploadDoesNotSlowDownload(t *testing.T) {
	took := func(limit int64) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 16<<20, 256<<10, simnet.Link{Latency: 20 * time.Millisecond, Up: 2 * mebibyte, Down: 4 * mebibyte}, nil)
			low := w.client(ip4(0, 1), client.Config{UploadLimit: limit, Storage: w.part(0, 8<<20)})
			other := w.client(ip4(0, 2), client.Config{Storage: w.part(8<<20, 8<<20)})
			a := add(t, low, client.Spec{MetaInfo: w.m})
			b := add(t, other, client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 1))}})
			began := time.Now()
			until(t, a, 5*time.Minute, "it has the other half", func() bool { return a.Stats().Downloaded >= 8<<20 })
			d = time.Since(began)
			if limit > 0 {
				require.Less(t, b.Stats().Downloaded, limit*int64(d/time.Second+2))
				require.Positive(t, b.Stats().Downloaded)
			}
		})
		return d
	}
	free, low := took(0), took(16<<10)
	t.Logf("8 MiB took %v without a limit on what is sent, %v with one of 16 KiB/s", free, low)
	require.Less(t, low, free+free/10)
}

// TestC8_ExemptLocal: with the option peers at local addresses pass without
// limits, those elsewhere obey them.
func TestC8_ExemptLocal(t *testing.T) {
	for _, exempt := range []bool{false, true} {
		t.Run(fmt.Sprint(exempt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 16<<10, 16<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
				m := zeroTorrent(t, "zeros", 80)
				lim := client.Limits{Upload: 200 << 10, Download: 200 << 10}
				seed := w.client(ip4(0, 1), client.Config{Storage: zeros{}, ExemptLocal: exempt, UploadLimit: 100 << 10, PeerLimits: lim})
				require.NoError(t, add(t, seed, client.Spec{MetaInfo: m, Trust: true}).SetLimits(lim))
				near := add(t, w.client(ip4(0, 2), client.Config{Storage: blanks{}}), client.Spec{MetaInfo: m, Peers: []string{simAddr(ip4(0, 1))}})
				far := add(t, w.client(netip.MustParseAddr("8.8.8.8"), client.Config{Storage: blanks{}}), client.Spec{MetaInfo: m, Peers: []string{simAddr(ip4(0, 1))}})
				time.Sleep(40 * time.Second)
				st := near.Stats()
				require.Equal(t, exempt, st.Complete())
				got := far.Stats().Downloaded
				if !exempt {
					got += st.Downloaded
				}
				require.Less(t, got, int64(42*100<<10))
				require.Greater(t, got, int64(15*100<<10))
			})
		})
	}
}

// TestC8_CancelAndChokeWhileWaiting: a real client with a low limit obeys both
// at once, and sends nothing afterwards.
func TestC8_CancelAndChokeWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
		c := w.client(ip4(0, 1), client.Config{Storage: w.full(), UploadLimit: blockSize / 10})
		tor := add(t, c, client.Spec{MetaInfo: w.m})
		waitState(t, tor, client.Running)
		nc, err := w.Host(ip4(0, 2)).DialContext(t.Context(), "tcp", simAddr(ip4(0, 1)))
		require.NoError(t, err)
		defer nc.Close()
		p, err := greet(nc, w.m.Hashes().V1, false) // without pieces that are served in spite of a choke (BEP 6)
		require.NoError(t, err)
		require.NoError(t, p.send(peerwire.Message{ID: peerwire.MsgInterested}))
		_, err = p.await(peerwire.MsgUnchoke)
		require.NoError(t, err)
		began := time.Now()
		for i := range uint32(5) {
			require.NoError(t, p.send(peerwire.Message{ID: peerwire.MsgRequest, Index: i, Length: blockSize}))
		}
		m, err := p.await(peerwire.MsgPiece) // the burst
		require.NoError(t, err)
		require.Zero(t, m.Index)
		require.NoError(t, p.send(peerwire.Message{ID: peerwire.MsgCancel, Index: 1, Length: blockSize}))
		m, err = p.await(peerwire.MsgPiece)
		require.NoError(t, err)
		require.EqualValues(t, 2, m.Index, "not the one that was cancelled")
		require.InDelta(t, 10, time.Since(began).Seconds(), 0.5)
		require.NoError(t, p.send(peerwire.Message{ID: peerwire.MsgNotInterested})) // the next round chokes it
		for m.ID != peerwire.MsgChoke {
			m, err = p.next()
			require.NoError(t, err)
		}
		sent := tor.Stats().Uploaded
		go io.Copy(io.Discard, p.in)
		time.Sleep(time.Minute)
		require.Equal(t, sent, tor.Stats().Uploaded, "nothing follows a choke")
		require.Less(t, sent, int64(4*blockSize))
	})
}

// TestC8_EndsWhileWaiting: pausing, removing and closing do not wait for limits.
func TestC8_EndsWhileWaiting(t *testing.T) {
	for _, down := range []bool{false, true} {
		for name, end := range map[string]func(c *client.Client, tor *client.Torrent) error{
			"pause":  func(_ *client.Client, tor *client.Torrent) error { tor.Pause(); return nil },
			"remove": func(c *client.Client, tor *client.Torrent) error { return c.Remove(tor) },
			"close":  func(c *client.Client, _ *client.Torrent) error { return c.Close() },
		} {
			t.Run(fmt.Sprintf("%s/down=%v", name, down), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := simGround(t)
					m := zeroTorrent(t, "zeros", 80)
					c := g.client(0, client.Config{Storage: holding(!down), UploadLimit: 1, DownloadLimit: 1})
					tor := add(t, c, client.Spec{MetaInfo: m, Trust: !down})
					var others []*client.Torrent
					for i := range 5 {
						oc := g.client(i+1, client.Config{Storage: holding(down)})
						others = append(others, add(t, oc, client.Spec{MetaInfo: m, Trust: down, Peers: []string{g.addr(0, c)}}))
					}
					time.Sleep(30 * time.Second)
					require.Equal(t, 5, tor.Stats().Peers)
					began := time.Now()
					require.NoError(t, end(c, tor))
					require.Less(t, time.Since(began), time.Second)
					time.Sleep(time.Second)
					for _, o := range others {
						require.Zero(t, o.Stats().Peers)
					}
				})
			})
		}
	}
}

// TestC8_NegativeLimits are refused.
func TestC8_NegativeLimits(t *testing.T) {
	c := start(t, client.Config{})
	tor := add(t, c, client.Spec{MetaInfo: zeroTorrent(t, "zeros", 1)})
	for _, l := range []client.Limits{{Upload: -1}, {Download: -1}} {
		require.ErrorContains(t, c.SetLimits(l), "SetLimits")
		require.ErrorContains(t, c.SetPeerLimits(l), "SetPeerLimits")
		require.ErrorContains(t, tor.SetLimits(l), "SetLimits")
		_, err := client.New(client.Config{Listen: "none", PeerLimits: l})
		require.ErrorContains(t, err, "Config.PeerLimits")
	}
}

// part is a storage that holds so many bytes of the payload from one on.
func (w *world) part(from, n int64) *storage.Memory {
	w.t.Helper()
	s := storage.NewMemory()
	st, err := s.Open(storage.Spec{Name: "payload", Hashes: w.m.Hashes(), Layout: w.m.Info.Layout()})
	require.NoError(w.t, err)
	_, err = st.WriteAt(w.data[from:from+n], from)
	require.NoError(w.t, err)
	require.NoError(w.t, st.Close())
	return s
}
