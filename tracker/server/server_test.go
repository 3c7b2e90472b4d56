package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/tracker"
)

func TestConfig(t *testing.T) {
	for _, bad := range []Config{
		{Interval: -1}, {Interval: time.Millisecond}, {Interval: 25 * time.Hour}, {NumWant: -1}, {NumWant: 300}, {MaxPeers: -5},
	} {
		_, err := New(bad)
		require.ErrorContains(t, err, "server: Config.")
	}
	require.Equal(t, 10, newServer(t, Config{MaxNumWant: 10}).cfg.NumWant)
}

func TestMethods(t *testing.T) {
	w := httptest.NewRecorder()
	newServer(t, Config{}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, query(), nil))
	require.Equal(t, 405, w.Code)
}

func TestSetAllowed(t *testing.T) {
	s := newServer(t, Config{})
	a, b := strings.Repeat("a", 20), strings.Repeat("b", 20)
	announced(t, s, "192.0.2.1:1", "info_hash", a)
	announced(t, s, "192.0.2.1:1", "info_hash", b, "left", "0")
	announced(t, s, "[2001:db8::1]:1", "info_hash", b)
	s.SetAllowed([][20]byte{[20]byte([]byte(a))})
	st := s.Stats()
	require.Equal(t, []int{1, 1, 1, 0, 0}, []int{st.Swarms, st.Peers, st.IPv4, st.IPv6, st.Seeds}, "what is off the list is forgotten")
	require.Equal(t, int64(1), s.peers.Load()+s.swarms.Load()-1)
	require.Empty(t, announced(t, s, "192.0.2.2:1", "info_hash", a).Failure)
	for _, event := range []string{"started", "stopped"} {
		require.Equal(t, string(notAllowed), announced(t, s, "192.0.2.1:1", "info_hash", b, "event", event).Failure)
	}
	require.Equal(t, string(notAllowed), newUDPPeer(s, "192.0.2.1:1").announce(t, udpAnnounce{hash: 'b', port: 1}).failure)
	s.SetAllowed([][20]byte{})
	require.NotEmpty(t, announced(t, s, "192.0.2.1:1", "info_hash", a).Failure)
	s.SetAllowed(nil)
	require.Empty(t, announced(t, s, "192.0.2.1:1", "info_hash", b).Failure)
}

func TestCheck(t *testing.T) {
	var got *Request
	s := newServer(t, Config{})
	s.cfg.Check = func(r *Request) error {
		got = new(Request)
		*got = *r
		s.Stats() // no lock is held
		switch {
		case r.Path == "/panic/announce":
			panic("x")
		case !strings.HasPrefix(r.Path, "/key/"):
			return errors.New("no such key" + strings.Repeat("é", 200))
		}
		return nil
	}
	params := strings.TrimPrefix(query("uploaded", "3", "downloaded", "4", "left", "5", "event", "paused", "key", "0000abcd", "compact", "1"), "/announce?")
	require.Contains(t, ask(t, s, "192.0.2.1:9", "/key/announce?"+params).Body.String(), "8:interval")
	want := Request{
		Transport: HTTP, Path: "/key/announce", Query: params, From: netip.MustParseAddr("192.0.2.1"), Addr: netip.MustParseAddrPort("192.0.2.1:6881"),
		InfoHash: natHash, PeerID: [20]byte([]byte(strings.Repeat("p", 20))), Key: 0xabcd, Uploaded: 3, Downloaded: 4, Left: 5, PartialSeed: true,
	}
	require.Equal(t, want, *got)
	no := announced(t, s, "192.0.2.1:9").Failure
	require.True(t, strings.HasPrefix(no, "no such key"))
	require.LessOrEqual(t, len(no), maxRefusal)

	p := newUDPPeer(s, "192.0.2.1:9")
	a := udpAnnounce{hash: 'h', id: 'p', left: -6, event: 2, port: 6881, options: "\x02\x05/key/\x02\x0dannounce?b=c%"}
	require.Empty(t, p.announce(t, a).failure)
	want.Transport, want.Query, want.Uploaded, want.Downloaded, want.Left = UDP, "b=c%", 8, 7, -6
	want.Event, want.PartialSeed = tracker.Started, false
	require.Equal(t, want, *got)
	a.options = ""
	require.NotEmpty(t, p.announce(t, a).failure)
	a.options = "\x02\x0f/panic/announce"
	require.Equal(t, "internal error", p.announce(t, a).failure)

	require.Contains(t, ask(t, s, "[::ffff:192.0.2.1]:9", "/key/scrape?info_hash="+strings.Repeat("h", 20)).Body.String(), "5:files")
	require.Equal(t, Request{Transport: HTTP, Path: "/key/scrape", Query: "info_hash=" + strings.Repeat("h", 20), From: netip.MustParseAddr("192.0.2.1"), Scrape: true}, *got)
	require.Equal(t, 1, s.Stats().Peers)
}

func TestStats(t *testing.T) {
	s := newServer(t, Config{})
	announced(t, s, "192.0.2.1:1", "left", "0")
	announced(t, s, "192.0.2.1:1", "port", "x")
	p := newUDPPeer(s, "[2001:db8::1]:1")
	p.announce(t, udpAnnounce{hash: 'h', left: 1, port: 1})
	p.announce(t, udpAnnounce{hash: 'i', left: 1, port: 1})
	p.announce(t, udpAnnounce{hash: 'i', event: 3, port: 1})
	p.send(nil)
	require.Equal(t, Stats{
		Swarms: 2, Peers: 2, IPv4: 1, IPv6: 1, Seeds: 1,
		HTTP: Requests{Announces: 1, Failures: 1}, UDP: Requests{Announces: 3, Connects: 3, Ignored: 1},
	}, s.Stats())
}

// Announces, sweeps, scrapes and new lists at once; the counts stay right.
func TestConcurrentRequests(t *testing.T) {
	s := newServer(t, Config{FullScrape: true})
	lists := [][][20]byte{nil, {[20]byte([]byte(strings.Repeat("a", 20))), [20]byte([]byte(strings.Repeat("b", 20)))}}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := newUDPPeer(s, fmt.Sprintf("[2001:db8::%d]:1", i))
			id := p.connect(t)
			for j := range 60 {
				hash := byte('a' + j%5)
				announced(t, s, fmt.Sprintf("192.0.2.%d:1", i*10+j%10), "info_hash", strings.Repeat(string(rune(hash)), 20), "left", fmt.Sprint(j%2))
				p.send(udpAnnounce{hash: hash, left: int64(j % 3), event: uint32(j % 4), port: uint16(1 + j%7), want: -1}.packet(id))
				switch j % 10 {
				case 0:
					s.Stats()
					ask(t, s, "192.0.2.1:1", "/scrape")
				case 3:
					s.sweepAll(s.now() + 4000 + uint32(i*1000+j*100)) // all of them are silent by then
				case 6:
					s.SetAllowed(lists[j/10%2])
				}
			}
		})
	}
	wg.Wait()
	checkCounts(t, s)
}

// checkCounts compares the counters with what is there.
func checkCounts(t *testing.T, s *Server) {
	var v4, v6, seeds, swarms int
	for i := range s.shards {
		for _, w := range s.shards[i].swarms {
			swarms++
			v4 += len(w.v4.records)
			if w.v6 != nil {
				v6 += len(w.v6.records)
			}
			seeds += w.seeds()
		}
	}
	st := s.Stats()
	require.Equal(t, []int{swarms, v4 + v6, v4, v6, seeds}, []int{st.Swarms, st.Peers, st.IPv4, st.IPv6, st.Seeds})
	require.Equal(t, []int64{int64(swarms), int64(v4 + v6)}, []int64{s.swarms.Load(), s.peers.Load()})
}

// A day of comings and goings in fake time: nothing grows, nothing is miscounted.
func TestSweepsBoundMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		most := 0
		for minute := range 24 * 60 {
			<-time.After(time.Minute)
			for i := range 20 {
				n := minute*20 + i
				announced(t, s, peerAddr(n), "info_hash", fmt.Sprintf("%019d", n/3)+string([]byte{byte(n / 3)}), "left", fmt.Sprint(n%2), "numwant", "0")
			}
			most = max(most, s.Stats().Peers)
		}
		require.Less(t, most, 20*60*2)
		checkCounts(t, s)
		st := s.Stats()
		require.Equal(t, uint64(24*60*20), st.Forgotten+uint64(st.Peers))
	})
}

// What the package comment says of memory.
func TestBytesPerPeer(t *testing.T) {
	s := newServer(t, Config{NoPeerIDs: true})
	before := heap()
	a := announce{want4: true, left: 1}
	var ans answer
	for i := range 200_000 {
		hash := i % 20_000
		a.hash = [20]byte{0: byte(hash >> 8), 1: byte(hash), 19: byte(hash * 7)}
		a.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)
		require.Empty(t, s.announce(&a, 1, &ans))
	}
	each := float64(heap()-before) / 200_000
	t.Logf("%.1f bytes a peer", each)
	require.Less(t, each, 32.0)
	require.Equal(t, 200_000, s.Stats().Peers)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
