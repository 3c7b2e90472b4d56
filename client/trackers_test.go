package client_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/tracker/server"
)

// announced is an announce that a recorder got.
type announced struct {
	at                         time.Time
	event                      string
	uploaded, downloaded, left int64
	hash, id, key, numwant     string
	from                       string // its address
}

// A recorder is a tracker that notes what it is told. The fields are set
// before it is used.
type recorder struct {
	peers    []string   // told to everybody
	external netip.Addr // told to be the asker's (BEP 24), if valid
	interval time.Duration
	body     string                 // is the answer, if there is one
	status   int                    // likewise
	hangs    func(a announced) bool // no answer until the client gives up

	mu  sync.Mutex
	got []announced
}

func number(q url.Values, key string) int64 {
	n, err := strconv.ParseInt(q.Get(key), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	a := announced{
		at: time.Now(), event: q.Get("event"), hash: q.Get("info_hash"), id: q.Get("peer_id"), key: q.Get("key"), numwant: q.Get("numwant"), from: req.RemoteAddr,
		uploaded: number(q, "uploaded"), downloaded: number(q, "downloaded"), left: number(q, "left"),
	}
	r.mu.Lock()
	r.got = append(r.got, a)
	r.mu.Unlock()
	if r.hangs != nil && r.hangs(a) {
		<-req.Context().Done()
		return
	}
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
	if r.body != "" {
		w.Write([]byte(r.body))
		return
	}
	var compact []byte
	for _, p := range r.peers {
		ap := netip.MustParseAddrPort(p)
		compact = append(compact, ap.Addr().AsSlice()...)
		compact = binary.BigEndian.AppendUint16(compact, ap.Port())
	}
	interval := r.interval
	if interval == 0 {
		interval = 30 * time.Minute
	}
	var external string
	if r.external.IsValid() {
		external = fmt.Sprintf("11:external ip%d:%s", r.external.BitLen()/8, r.external.AsSlice())
	}
	fmt.Fprintf(w, "d%s8:intervali%de5:peers%d:%se", external, int(interval.Seconds()), len(compact), compact)
}

func (r *recorder) all() []announced {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// count says how often an event was announced.
func (r *recorder) count(event string) (n int) {
	for _, a := range r.all() {
		if a.event == event {
			n++
		}
	}
	return n
}

// last returns the last announce of an event.
func (r *recorder) last(t testing.TB, event string) announced {
	t.Helper()
	all := r.all()
	for _, a := range slices.Backward(all) {
		if a.event == event {
			return a
		}
	}
	require.FailNow(t, "not announced: "+event)
	return announced{}
}

// serveOn runs a tracker on loopback.
func serveOn(t testing.TB, h http.Handler) string {
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return web.URL + "/announce"
}

func TestAnnouncedLife(t *testing.T) {
	const size = 1<<20 + 77
	src, dst := t.TempDir(), t.TempDir()
	m := payload(t, src, size, 64<<10)
	seedTracker, tracker := &recorder{}, &recorder{}
	seeder := start(t, client.Config{Dir: src})
	seed := add(t, seeder, client.Spec{MetaInfo: m, Trackers: [][]string{{serveOn(t, seedTracker)}}})
	wait(t, seed)
	tracker.peers = []string{address(seeder)}
	leech := start(t, client.Config{Dir: dst})
	tor := add(t, leech, client.Spec{MetaInfo: m, Trackers: [][]string{{serveOn(t, tracker)}}})
	wait(t, tor)
	sameFile(t, src, dst)

	heard := func(r *recorder, event string, n int) func() bool {
		return func() bool { return r.count(event) == n }
	}
	until(t, tor, 10*time.Second, "completed is answered", func() bool { return tor.Trackers()[0].Completed })
	all := tracker.all()
	require.Equal(t, "started", all[0].event)
	require.Equal(t, int64(size), all[0].left)
	require.Zero(t, all[0].uploaded+all[0].downloaded)
	done := tracker.last(t, "completed")
	require.Zero(t, done.left)
	require.Equal(t, int64(size), done.downloaded)
	infohash := m.Hashes().V1
	for _, a := range all {
		require.Equal(t, string(infohash[:]), a.hash)
		require.Equal(t, all[0].id, a.id)
		require.Equal(t, all[0].key, a.key)
	}

	tor.Pause()
	until(t, tor, 10*time.Second, "a pause is announced", heard(tracker, "stopped", 1))
	require.Equal(t, int64(size), tracker.last(t, "stopped").downloaded)
	tor.Resume()
	until(t, tor, 10*time.Second, "resuming is announced", heard(tracker, "started", 2))
	again := tracker.last(t, "started")
	require.Zero(t, again.left+again.uploaded+again.downloaded, "counters of a session begin at zero")

	require.NoError(t, tor.Recheck(t.Context()))
	wait(t, tor)
	require.NoError(t, leech.Close())
	require.Equal(t, 2, tracker.count("stopped"))
	require.Equal(t, 1, tracker.count("completed"))
	require.NoError(t, seeder.Close())
	require.Zero(t, seedTracker.count("completed"), "it was complete when it began")
	bye := seedTracker.last(t, "stopped")
	require.Equal(t, int64(size), bye.uploaded)
	require.Zero(t, bye.downloaded+bye.left)
}

// A tracker that is of no use is seen in Trackers, and harms nothing.
func TestBadTrackers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		tracker *recorder
		err     string
	}{
		{"nonsense", &recorder{body: "<html>hello</html>"}, ""},
		{"nothing", &recorder{body: " "}, ""},
		{"failure", &recorder{body: "d14:failure reason11:not allowede"}, "not allowed"},
		{"status", &recorder{status: 500, body: "oops"}, "500"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := t.TempDir()
			m := payload(t, src, 100<<10, 32<<10)
			seeder := start(t, client.Config{Dir: src})
			wait(t, add(t, seeder, client.Spec{MetaInfo: m}))
			tor := add(t, start(t, client.Config{Dir: t.TempDir()}), client.Spec{
				MetaInfo: m, Trackers: [][]string{{serveOn(t, tc.tracker)}}, Peers: []string{address(seeder)},
			})
			wait(t, tor)
			until(t, tor, 10*time.Second, "the tracker's fault is seen", func() bool { return tor.Trackers()[0].Fails > 0 })
			require.Contains(t, tor.Trackers()[0].Err, tc.err)
			require.NotEmpty(t, tor.Trackers()[0].Err)
			require.NoError(t, tor.Stats().Fault)
		})
	}
}

// udpTracker answers BEP 15 by hand with one peer, and tells what it heard.
func udpTracker(t testing.TB, peer netip.AddrPort) (url string, events func() []uint32) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var heard []uint32
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			be := binary.BigEndian
			switch {
			case n >= 16 && be.Uint32(b[8:]) == 0: // connect
				out := append(be.AppendUint32(nil, 0), b[12:16]...)
				pc.WriteTo(be.AppendUint64(out, 4711), from)
			case n >= 98 && be.Uint32(b[8:]) == 1 && be.Uint64(b) == 4711: // announce
				mu.Lock()
				heard = append(heard, be.Uint32(b[80:]))
				mu.Unlock()
				out := append(be.AppendUint32(nil, 1), b[12:16]...)
				for _, v := range []uint32{1800, 1, 1} { // interval, leechers, seeders
					out = be.AppendUint32(out, v)
				}
				out = append(out, peer.Addr().AsSlice()...)
				pc.WriteTo(be.AppendUint16(out, peer.Port()), from)
			}
		}
	}()
	t.Cleanup(func() {
		pc.Close()
		<-done
	})
	return "udp://" + pc.LocalAddr().String() + "/announce", func() []uint32 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(heard)
	}
}

func TestUDPTracker(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	m := payload(t, src, 300<<10, 32<<10)
	seeder := start(t, client.Config{Dir: src})
	wait(t, add(t, seeder, client.Spec{MetaInfo: m}))
	url, heard := udpTracker(t, netip.MustParseAddrPort(address(seeder)))
	leech := start(t, client.Config{Dir: dst})
	tor := add(t, leech, client.Spec{MetaInfo: m, Trackers: [][]string{{url}}})
	wait(t, tor)
	sameFile(t, src, dst)
	until(t, tor, 10*time.Second, "completed is answered", func() bool { return tor.Trackers()[0].Completed })
	require.NoError(t, leech.Close())
	require.Equal(t, []uint32{2, 1, 3}, heard(), "started, completed, stopped")
}

// A tracker that takes datagrams and never answers was never told that we
// began, so there is no goodbye to wait for.
func TestSilentUDPTracker(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer pc.Close()
	src := t.TempDir()
	m := payload(t, src, 100<<10, 32<<10)
	c := start(t, client.Config{Dir: src})
	wait(t, add(t, c, client.Spec{MetaInfo: m, Trackers: [][]string{{"udp://" + pc.LocalAddr().String()}}}))
	_, _, err = pc.ReadFrom(make([]byte, 100)) // it asks
	require.NoError(t, err)
	within(t, 5*time.Second, "Close", func() { c.Close() })
}

// named is a network in which one name has an address of each family.
type named struct {
	net.Dialer
	name string
}

func (n *named) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && host == n.name {
		address = net.JoinHostPort(map[string]string{"tcp4": "127.0.0.1", "tcp6": "::1"}[network], port)
	}
	return n.Dialer.DialContext(ctx, network, address)
}

func (n *named) Listen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}

// Who listens on both families announces over each, with the same id and key;
// the tracker's peers of both are taken, and both hear the end (BEP 7).
func TestT17_BothFamilies(t *testing.T) {
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	tracker := &recorder{}
	srv := &http.Server{Handler: tracker}
	go srv.Serve(l)
	defer srv.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	m := torrentOf(t, "a", noise(100, 1), 16<<10)
	c := start(t, client.Config{Dir: t.TempDir(), Listen: ":0", Network: &named{name: "tracker.test"}})
	tor := add(t, c, client.Spec{MetaInfo: m, Trackers: [][]string{{"http://tracker.test:" + port + "/announce"}}})
	until(t, tor, 10*time.Second, "both are announced", func() bool { return tracker.count("started") == 2 })
	require.NoError(t, c.Close())
	require.Equal(t, 2, tracker.count("stopped"))
	families := make(map[bool]int)
	all := tracker.all()
	for _, a := range all {
		families[netip.MustParseAddrPort(a.from).Addr().Unmap().Is4()]++
		require.Equal(t, all[0].id, a.id)
		require.Equal(t, all[0].key, a.key)
	}
	require.Equal(t, map[bool]int{true: 2, false: 2}, families)
}

// The NAT check of a tracker is answered with our whole handshake as soon as
// the 48 bytes are in which name the torrent, and costs nobody anything (W8).
func TestT14_NATCheck(t *testing.T) {
	checking, err := server.New(server.Config{NATCheck: true})
	require.NoError(t, err)
	url := serveOn(t, checking)
	m := torrentOf(t, "a", noise(100, 1), 16<<10)
	tor := add(t, start(t, client.Config{Dir: t.TempDir()}), client.Spec{MetaInfo: m, Trackers: [][]string{{url}}})
	until(t, tor, 10*time.Second, "the tracker knows us", func() bool { return tor.Trackers()[0].Started })
	st := checking.Stats()
	require.Equal(t, [3]uint64{1, 0, 1}, [3]uint64{st.NATChecks, st.NATFailures, uint64(st.Peers)})
	require.Zero(t, tor.Stats().Peers)

	closed := add(t, start(t, client.Config{Dir: t.TempDir(), Listen: "none"}), client.Spec{MetaInfo: m, Trackers: [][]string{{url}}})
	until(t, closed, 10*time.Second, "the check fails", func() bool { return closed.Trackers()[0].Fails > 0 })
	require.Zero(t, checking.Stats().Peers-1)
}

func TestT12_Scrape(t *testing.T) {
	tracker, err := server.New(server.Config{})
	require.NoError(t, err)
	url := serveOn(t, tracker)
	src := t.TempDir()
	m := payload(t, src, 100<<10, 32<<10)
	seed := add(t, start(t, client.Config{Dir: src}), client.Spec{MetaInfo: m, Trackers: [][]string{{"wss://tracker.test/", "http://127.0.0.1:1/a"}, {url}}})
	wait(t, seed)
	until(t, seed, 10*time.Second, "the tracker knows us", func() bool { return tracker.Stats().Seeds == 1 })
	counts, err := seed.Scrape(t.Context())
	require.NoError(t, err)
	require.Equal(t, [3]int{1, 0, 0}, [3]int{counts.Complete, counts.Incomplete, counts.Downloaded})
	last := seed.Trackers()[2]
	require.Equal(t, [2]int{1, 0}, [2]int{last.Seeders, last.Leechers})
	require.True(t, slices.ContainsFunc(seed.Trackers(), func(s client.TrackerInfo) bool { return s.Unsupported }), "T30: shown, and no fault")

	lone := add(t, start(t, client.Config{Dir: t.TempDir()}), client.Spec{MetaInfo: m})
	_, err = lone.Scrape(t.Context())
	require.ErrorIs(t, err, client.ErrNoTracker)
}
