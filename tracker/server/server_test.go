package server

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
	"github.com/seed1734be99/starling/tracker"
)

// ask sends a request as if from a remote address and returns the answer.
func ask(t *testing.T, s *Server, remote, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.RemoteAddr = remote
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func query(params ...string) string {
	q := url.Values{"info_hash": {strings.Repeat("h", 20)}, "peer_id": {strings.Repeat("p", 20)}, "port": {"6881"}, "left": {"1"}}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
		if params[i+1] == "" {
			q.Del(params[i])
		}
	}
	return "/announce?" + q.Encode()
}

type answer struct {
	Complete   int    `bencode:"complete"`
	Downloaded int    `bencode:"downloaded"`
	Incomplete int    `bencode:"incomplete"`
	Interval   int    `bencode:"interval"`
	Min        int    `bencode:"min interval"`
	Failure    string `bencode:"failure reason"`
	Peers6     string `bencode:"peers6"`
}

func announced(t *testing.T, s *Server, remote string, params ...string) answer {
	t.Helper()
	var a answer
	body := ask(t, s, remote, query(append([]string{"compact", "1"}, params...)...)).Body.Bytes()
	require.NoError(t, bencode.Unmarshal(body, &a), "%q", body)
	return a
}

func newServer(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

func TestGoldenAnswers(t *testing.T) {
	s := newServer(t, Config{MinInterval: time.Minute})
	const two = "192.0.2.2:1000"
	ask(t, s, "192.0.2.1:1000", query("peer_id", strings.Repeat("a", 20)))
	ask(t, s, "[2001:db8::1]:1000", query("peer_id", strings.Repeat("b", 20), "port", "258", "left", "0"))
	head := "d8:completei1e10:downloadedi0e10:incompletei2e8:intervali1800e12:min intervali60e5:peers"

	require.Equal(t, head+"6:\xc0\x00\x02\x01\x1a\xe16:peers618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x02e",
		ask(t, s, two, query("compact", "1")).Body.String())

	w := ask(t, s, two, query())
	require.Contains(t, w.Body.String(), head+"ld2:ip")
	require.Contains(t, w.Body.String(), "d2:ip9:192.0.2.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee")
	require.Contains(t, w.Body.String(), "d2:ip11:2001:db8::17:peer id20:bbbbbbbbbbbbbbbbbbbb4:porti258ee")
	require.Equal(t, "text/plain", w.Header().Get("Content-Type"))
	require.Equal(t, "no-cache", w.Header().Get("Pragma"))
	_, err := bencode.Scan(w.Body.Bytes())
	require.NoError(t, err)

	require.Contains(t, ask(t, s, two, query("no_peer_id", "1")).Body.String(), "d2:ip9:192.0.2.14:porti6881ee")
	require.Equal(t, head+"0:e", ask(t, s, two, query("compact", "1", "numwant", "0")).Body.String())
	require.Equal(t, head+"lee", ask(t, s, two, query("numwant", "0")).Body.String())
}

func TestEvents(t *testing.T) {
	s := newServer(t, Config{})
	const a, b = "192.0.2.1:1", "192.0.2.2:1"
	require.Equal(t, 1, announced(t, s, a, "event", "started").Incomplete)
	require.Equal(t, 2, announced(t, s, b, "event", "nonsense", "left", "").Incomplete)

	got := announced(t, s, a, "event", "completed", "left", "0")
	require.Equal(t, []int{1, 1, 1}, []int{got.Complete, got.Incomplete, got.Downloaded})
	got = announced(t, s, a, "event", "completed", "left", "0") // said again: its answer was lost
	require.Equal(t, 1, got.Downloaded)
	got = announced(t, s, b, "event", "complete", "left", "0")
	require.Equal(t, []int{2, 0, 2}, []int{got.Complete, got.Incomplete, got.Downloaded})

	got = announced(t, s, b, "event", "stopped", "left", "0")
	require.Equal(t, []int{1, 0, 2}, []int{got.Complete, got.Incomplete, got.Downloaded})
	require.Equal(t, Stats{Swarms: 1, Peers: 1, Seeds: 1, Announces: 6}, s.Stats())
}

// T23: a tracker that was restarted takes what comes.
func TestUnknownPeerIsNoError(t *testing.T) {
	for _, event := range []string{"", "completed", "stopped", "paused"} {
		s := newServer(t, Config{})
		got := announced(t, s, "192.0.2.1:1", "event", event)
		require.Empty(t, got.Failure)
		require.Equal(t, 1800, got.Interval)
		if event == "stopped" {
			require.Zero(t, s.Stats().Peers+s.Stats().Swarms)
		} else {
			require.Equal(t, 1, s.Stats().Peers)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t, Config{NoFullScrape: true})
	for _, bad := range [][]string{
		{"info_hash", ""}, {"info_hash", "short"}, {"info_hash", strings.Repeat("h", 21)},
		{"peer_id", ""}, {"peer_id", strings.Repeat("h", 19)},
		{"port", ""}, {"port", "65536"}, {"port", "-1"}, {"port", "x"},
	} {
		require.NotEmpty(t, announced(t, s, "192.0.2.1:1", bad...).Failure, "%q", bad)
	}
	require.NotEmpty(t, announced(t, s, "nowhere").Failure)
	require.Contains(t, ask(t, s, "192.0.2.1:1", "/scrape").Body.String(), "14:failure reason")
	require.Contains(t, ask(t, s, "192.0.2.1:1", "/scrape?info_hash=x").Body.String(), "14:failure reason")
	require.Contains(t, ask(t, s, "192.0.2.1:1", "/scrape?"+strings.Repeat("info_hash=x&", maxScrape+1)).Body.String(), "14:failure reason")
	require.Equal(t, 404, ask(t, s, "192.0.2.1:1", "/").Code)
	r := httptest.NewRequest(http.MethodPost, query(), nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	require.Equal(t, 405, w.Code)
	require.Zero(t, s.Stats().Peers)
}

func TestPaths(t *testing.T) {
	s := newServer(t, Config{})
	for _, path := range []string{"/announce", "/announce.php", "/passkey/announce"} {
		require.Equal(t, 200, ask(t, s, "192.0.2.1:1", path+strings.TrimPrefix(query(), "/announce")).Code)
	}
	require.Equal(t, uint64(3), s.Stats().Announces)
}

// T25, and every spelling of the client's encoding (T28).
func TestReportedAddress(t *testing.T) {
	s := newServer(t, Config{TrustIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, test := range []struct{ remote, ip, want string }{
		{"127.0.0.1:5", "", "127.0.0.1"},
		{"127.0.0.1:5", "198.51.100.7", "198.51.100.7"},
		{"[::1]:5", "2001:db8::7", "2001:db8::7"},
		{"[::ffff:127.0.0.1]:5", "198.51.100.7", "198.51.100.7"},
		{"10.1.2.3:5", "198.51.100.7", "198.51.100.7"},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1"},
		{"[fe80::1%eth0]:5", "198.51.100.7", "fe80::1"},
		{"127.0.0.1:5", "example.org", "127.0.0.1"},
		{"127.0.0.1:5", "0.0.0.0", "127.0.0.1"},
		{"127.0.0.1:5", "224.0.0.1", "127.0.0.1"},
	} {
		got, no := s.address(test.remote, test.ip)
		require.Empty(t, no)
		require.Equal(t, test.want, got.String(), "%+v", test)
	}

	all := "/announce?info_hash=" + strings.Repeat("%68", 20) + "&peer_id=" + strings.Repeat("%70", 20) + "&port=%31&left=1"
	ask(t, s, "192.0.2.1:1", all)
	require.Equal(t, 2, announced(t, s, "192.0.2.2:1").Incomplete)
}

func TestNumWant(t *testing.T) {
	s := newServer(t, Config{MaxNumWant: 70})
	for i := range 100 {
		ask(t, s, fmt.Sprintf("192.0.2.%d:1", i), query())
	}
	drawn := make(map[string]bool)
	for want, peers := range map[string]int{"": 50, "0": 0, "7": 7, "1000000": 70, "-1": 50, "x": 50} {
		body := ask(t, s, "198.51.100.1:1", query("compact", "1", "numwant", want, "event", "stopped")).Body.String()
		require.Contains(t, body, fmt.Sprintf("5:peers%d:", 6*peers), "numwant=%s", want)
	}
	for range 20 {
		body := ask(t, s, "192.0.2.1:1", query("compact", "1", "numwant", "10")).Body.String()
		_, list, _ := strings.Cut(body, "5:peers60:")
		for i := range 10 {
			require.NotEqual(t, byte(1), list[6*i+3], "the asker is among its own peers")
			drawn[list[6*i:6*i+6]] = true
		}
	}
	require.Greater(t, len(drawn), 60, "200 draws from 99 peers")
}

func TestDrawLeavesOut(t *testing.T) {
	s := newServer(t, Config{})
	ask(t, s, "192.0.2.1:1", query("left", "0"))
	ask(t, s, "192.0.2.2:1", query("port", "0")) // counted, but not to be connected to
	ask(t, s, "192.0.2.3:1", query())
	require.Contains(t, ask(t, s, "192.0.2.4:1", query("left", "0", "compact", "1")).Body.String(), "5:peers6:\xc0\x00\x02\x03")
	require.Contains(t, ask(t, s, "192.0.2.3:1", query("compact", "1")).Body.String(), "5:peers12:")
	require.Equal(t, 4, s.Stats().Peers)
}

// T22: two intervals without a word.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Interval: time.Minute})
		announced(t, s, "192.0.2.1:1")
		<-time.After(time.Minute)
		announced(t, s, "192.0.2.2:1", "left", "0")
		<-time.After(time.Minute)
		got := announced(t, s, "192.0.2.3:1")
		require.Equal(t, []int{1, 2}, []int{got.Complete, got.Incomplete})
		<-time.After(time.Second)
		got = announced(t, s, "192.0.2.3:1")
		require.Equal(t, []int{1, 1}, []int{got.Complete, got.Incomplete})
		<-time.After(time.Minute)
		require.Contains(t, ask(t, s, "192.0.2.4:1", "/scrape").Body.String(), "d8:completei0e10:downloadedi0e11:downloadersi1e10:incompletei1ee")
		<-time.After(2 * time.Minute)
		require.Equal(t, Stats{Announces: 4, Scrapes: 1, Forgotten: 3}, s.Stats())
	})
}

func TestSweepOfForgottenSwarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Interval: time.Minute, MaxSwarms: 1})
		announced(t, s, "192.0.2.1:1")
		other := strings.Repeat("h", 19) + "x" // the same shard
		require.Contains(t, announced(t, s, "192.0.2.1:1", "info_hash", other).Failure, "full")
		<-time.After(2*time.Minute + 1)
		require.Empty(t, announced(t, s, "192.0.2.1:1", "info_hash", other).Failure)
		require.Equal(t, int64(1), s.swarms.Load())
		require.Equal(t, int64(1), s.peers.Load())
	})
}

func TestFull(t *testing.T) {
	s := newServer(t, Config{MaxSwarms: 2, MaxPeers: 3})
	hash := func(i int) string { return strings.Repeat(fmt.Sprint(i), 20) }
	require.Empty(t, announced(t, s, "192.0.2.1:1", "info_hash", hash(1)).Failure)
	require.Empty(t, announced(t, s, "192.0.2.1:1", "info_hash", hash(2)).Failure)
	require.NotEmpty(t, announced(t, s, "192.0.2.1:1", "info_hash", hash(3)).Failure)
	require.Empty(t, announced(t, s, "192.0.2.2:1", "info_hash", hash(2)).Failure)
	require.NotEmpty(t, announced(t, s, "192.0.2.3:1", "info_hash", hash(2)).Failure)
	require.Empty(t, announced(t, s, "192.0.2.2:1", "info_hash", hash(2)).Failure, "who is in stays in")
	announced(t, s, "192.0.2.2:1", "info_hash", hash(2), "event", "stopped")
	require.Empty(t, announced(t, s, "192.0.2.3:1", "info_hash", hash(2)).Failure)
}

func TestScrape(t *testing.T) {
	s := newServer(t, Config{MinInterval: 2 * time.Minute})
	a, b, c := strings.Repeat("a", 20), strings.Repeat("b", 20), strings.Repeat("c", 20)
	announced(t, s, "192.0.2.1:1", "info_hash", b)
	announced(t, s, "192.0.2.2:1", "info_hash", b, "event", "paused")
	announced(t, s, "192.0.2.1:1", "info_hash", a, "left", "0", "event", "completed")
	fa := "20:" + a + "d8:completei1e10:downloadedi1e11:downloadersi0e10:incompletei0ee"
	fb := "20:" + b + "d8:completei0e10:downloadedi0e11:downloadersi1e10:incompletei2ee"
	tail := "e5:flagsd20:min_request_intervali120eee"
	for target, want := range map[string]string{
		"/scrape": fa + fb,
		"/scrape?info_hash=" + b + "&info_hash=" + a + "&info_hash=" + b: fa + fb,
		"/x/scrape.php?info_hash=" + b:                                   fb,
		"/scrape?info_hash=" + c:                                         "",
	} {
		body := ask(t, s, "192.0.2.9:1", target).Body.String()
		require.Equal(t, "d5:filesd"+want+tail, body, target)
		n, err := bencode.Scan([]byte(body))
		require.NoError(t, err)
		require.Equal(t, len(body), n)
	}
}

// T29: packed if asked for and smaller.
func TestGzip(t *testing.T) {
	s := newServer(t, Config{})
	small := ask(t, s, "192.0.2.1:1", query("compact", "1"), "Accept-Encoding", "gzip")
	require.Empty(t, small.Header().Get("Content-Encoding"))
	for i := range 20 {
		ask(t, s, fmt.Sprintf("192.0.2.%d:1", i), query())
	}
	plain := ask(t, s, "192.0.2.1:1", query())
	require.Empty(t, plain.Header().Get("Content-Encoding"))
	require.Equal(t, fmt.Sprint(plain.Body.Len()), plain.Header().Get("Content-Length"))

	packed := ask(t, s, "192.0.2.1:1", query(), "Accept-Encoding", "br, gzip;q=0.5")
	require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	require.Less(t, packed.Body.Len(), plain.Body.Len())
	z, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	body, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Len(t, body, plain.Body.Len())

	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "deflate": false, "gzip;q=0": false, "gzip; q=0.000": false,
		"deflate, gzip;q=1.0": true, "gzip;q=x": true,
	} {
		require.Equal(t, want, wantsGzip([]string{header}), header)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{{Interval: -1}, {Interval: time.Millisecond}, {NumWant: -1}, {NumWant: 300}, {MaxPeers: -5}} {
		_, err := New(bad)
		require.ErrorContains(t, err, "server: Config.")
	}
	s := newServer(t, Config{MaxNumWant: 10})
	require.Equal(t, 10, s.cfg.NumWant)
}

// The three structures of a swarm say the same after any history.
func TestSwarmInvariants(t *testing.T) {
	w := newSwarm()
	now := time.Unix(1000, 0)
	seed := uint32(1)
	next := func(n uint32) uint32 {
		seed = seed*1664525 + 1013904223
		return seed >> 8 % n
	}
	for i := range 5000 {
		now = now.Add(time.Duration(next(3)) * time.Second)
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(next(40))}), 1)
		switch next(5) {
		case 0:
			if p := w.byAddr[addr]; p != nil {
				w.remove(p)
			}
		case 1:
			w.expire(now.Add(-20 * time.Second))
		case 2:
			w.draw(nil, int(next(10)), addr, next(2) == 0)
		default:
			w.put(addr, [20]byte{}, next(3) == 0, next(3) == 0, now)
		}
		seeds, partial, listed := 0, 0, 0
		for at, p := range w.peers {
			require.Equal(t, at, p.at)
			require.Same(t, p, w.byAddr[p.addr])
			if p.seed {
				seeds++
			} else if p.partial {
				partial++
			}
		}
		last := time.Time{}
		for p := w.oldest; p != nil; p = p.newer {
			listed++
			require.False(t, p.heard.Before(last))
			last = p.heard
		}
		require.Len(t, w.byAddr, len(w.peers), "step %d", i)
		require.Equal(t, []int{len(w.peers), seeds, partial}, []int{listed, w.seeds, w.partial})
	}
}

func TestConcurrentAnnounces(t *testing.T) {
	s := newServer(t, Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				ask(t, s, fmt.Sprintf("192.0.2.%d:1", i*10+j%10), query("info_hash", strings.Repeat(string(rune('a'+j%5)), 20)))
				if j%10 == 0 {
					s.Stats()
					ask(t, s, "192.0.2.1:1", "/scrape")
				}
			}
		})
	}
	wg.Wait()
	st := s.Stats()
	require.Equal(t, 5, st.Swarms)
	require.Equal(t, int64(st.Peers), s.peers.Load())
	require.Equal(t, int64(st.Swarms), s.swarms.Load())
}

// Our client against our server, over both families of loopback.
func TestClientAgainstServer(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Skip("no such loopback:", err)
			}
			srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: newServer(t, Config{MinInterval: 2 * time.Second})}}
			srv.Start()
			defer srv.Close()
			c := tracker.Client{MinInterval: time.Second}
			r := tracker.Request{InfoHash: [20]byte{'-', 4}, PeerID: [20]byte{1}, Port: 1001, Left: 5, NumWant: -1, Event: tracker.Started}
			resp, err := c.Announce(t.Context(), srv.URL+"/announce?pass=key", r)
			require.NoError(t, err)
			require.Empty(t, resp.Peers)

			r.PeerID, r.Port, r.Event, r.Left = [20]byte{2}, 1002, tracker.Completed, 0
			resp, err = c.Announce(t.Context(), srv.URL+"/announce", r)
			require.NoError(t, err)
			local := netip.MustParseAddrPort(l.Addr().String()).Addr()
			require.Equal(t, tracker.Response{
				Interval: 30 * time.Minute, MinInterval: 2 * time.Second, Complete: 1, Incomplete: 1, Downloaded: 1,
				Peers: []tracker.Peer{{Addr: netip.AddrPortFrom(local, 1001), Port: 1001}},
			}, resp)

			r.Port = 1001
			r.Event = tracker.Stopped
			resp, err = c.Announce(t.Context(), srv.URL+"/announce", r)
			require.NoError(t, err)
			require.Zero(t, resp.Incomplete)

			r.IP = strings.Repeat("x", 10)
			_, err = c.Announce(t.Context(), srv.URL+"/scrapes", r)
			require.ErrorIs(t, err, tracker.ErrMalformed, "a scrape is no announce")
		})
	}
}

func BenchmarkAnnounce(b *testing.B) {
	for _, peers := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			s, err := New(Config{})
			require.NoError(b, err)
			a := announce{compact: true, want: 50}
			for i := range peers {
				a.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
				s.announce(&a, time.Now())
			}
			b.ReportAllocs()
			for b.Loop() {
				body, _ := s.announce(&a, time.Now())
				if bytes.HasPrefix(body, []byte("d14:")) {
					b.Fatal("refused")
				}
			}
		})
	}
}
