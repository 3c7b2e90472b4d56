package server

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

func TestGoldenAnswers(t *testing.T) {
	s := newServer(t, Config{MinInterval: time.Minute})
	const two = "192.0.2.2:1000"
	ask(t, s, "192.0.2.1:1000", query("peer_id", strings.Repeat("a", 20)))
	ask(t, s, "[2001:db8::1]:1000", query("peer_id", strings.Repeat("b", 20), "port", "258", "left", "0"))
	head := "d8:completei1e10:downloadedi0e10:incompletei2e8:intervali1800e12:min intervali60e5:peers"

	require.Equal(t, head+"6:\xc0\x00\x02\x01\x1a\xe16:peers618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x02e",
		ask(t, s, two, query("compact", "1")).Body.String())

	w := ask(t, s, two, query())
	require.Equal(t, head+"ld2:ip9:192.0.2.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee"+
		"d2:ip11:2001:db8::17:peer id20:bbbbbbbbbbbbbbbbbbbb4:porti258eeee", w.Body.String())
	require.Equal(t, "no-cache", w.Header().Get("Pragma"))
	_, err := bencode.Scan(w.Body.Bytes())
	require.NoError(t, err)

	require.Contains(t, ask(t, s, two, query("no_peer_id", "1")).Body.String(), "d2:ip9:192.0.2.14:porti6881ee")
	require.Equal(t, head+"0:e", ask(t, s, two, query("compact", "1", "numwant", "0")).Body.String())
	require.Equal(t, head+"lee", ask(t, s, two, query("numwant", "0")).Body.String())

	s = newServer(t, Config{NoPeerIDs: true})
	ask(t, s, "192.0.2.1:1000", query())
	require.Contains(t, ask(t, s, two, query()).Body.String(), "ld2:ip9:192.0.2.14:porti6881eee")
}

// Over either transport, the same.
func TestT21_NumWant(t *testing.T) {
	s := newServer(t, Config{MaxNumWant: 70})
	for i := range 100 {
		announced(t, s, peerAddr(i))
	}
	asker := newUDPPeer(s, "10.9.9.9:1")
	for want, peers := range map[string]int{"": 50, "0": 0, "7": 7, "1000000": 70, "99999999999999999999": 50, "-1": 50, "x": 50} {
		require.Len(t, announced(t, s, "10.9.9.9:1", "numwant", want).Peers, 6*peers, "numwant=%s", want)
	}
	for want, peers := range map[int32]int{-1: 50, -7: 50, 0: 0, 7: 7, 1<<31 - 1: 70} {
		require.Len(t, asker.announce(t, udpAnnounce{hash: 'h', left: 1, want: want, port: 6881}).peers, 6*peers, "num_want %d", want)
	}
	drawn := make(map[string]int)
	for range 300 {
		list := announced(t, s, peerAddr(1), "numwant", "10").Peers
		for i := range 10 {
			drawn[list[6*i:6*i+6]]++
		}
	}
	require.Len(t, drawn, 100, "3,000 draws from 99 peers and the asker of before")
	require.NotContains(t, drawn, "\x0a\x00\x00\x01\x1a\xe1", "the asker is among its own peers")

	few := newServer(t, Config{NumWant: 3})
	for i := range 3 {
		require.Len(t, announced(t, few, peerAddr(i)).Peers, 6*i, "fewer when there are fewer")
	}
	for i := range 5 {
		require.Len(t, announced(t, few, peerAddr(i)).Peers, 6*min(2+i/3, 3))
	}
	require.Len(t, announced(t, few, peerAddr(9)).Peers, 6*3)
	require.Empty(t, announced(t, few, peerAddr(9), "event", "stopped").Peers, "who leaves needs nobody")
}

func TestDrawLeavesOut(t *testing.T) {
	s := newServer(t, Config{})
	announced(t, s, "192.0.2.1:1", "left", "0")
	announced(t, s, "192.0.2.2:1", "port", "0") // counted, but not to be connected to
	announced(t, s, "192.0.2.3:1")
	require.Equal(t, "\xc0\x00\x02\x03\x1a\xe1", announced(t, s, "192.0.2.4:1", "left", "0").Peers, "a seed gets no seeds")
	require.Len(t, announced(t, s, "192.0.2.3:1").Peers, 12)
	require.Equal(t, 4, s.Stats().Peers)
}

// Each family gets its share of what is asked for.
func TestDrawFromBothFamilies(t *testing.T) {
	s := newServer(t, Config{})
	for i := range 60 {
		announced(t, s, peerAddr(i))
	}
	announced(t, s, "[2001:db8::1]:1")
	six := 0
	for range 300 {
		got := announced(t, s, peerAddr(0), "numwant", "30")
		require.Equal(t, 30, len(got.Peers)/6+len(got.Peers6)/18)
		six += len(got.Peers6) / 18
	}
	require.InDelta(t, 150, six, 60)
	for i := range 60 {
		announced(t, s, fmt.Sprintf("[2001:db8::%d]:1", 2+i))
	}
	got := announced(t, s, peerAddr(0), "numwant", "200")
	require.Len(t, got.Peers, 6*59)
	require.Len(t, got.Peers6, 18*61)
	got = announced(t, s, peerAddr(0), "numwant", "60")
	require.InDelta(t, 30, len(got.Peers)/6, 2)
}

// Exactly two intervals without a word are still heard of.
func TestT22_Expiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Interval: time.Minute, MinInterval: 40 * time.Second, FullScrape: true})
		got := announced(t, s, "192.0.2.1:1")
		require.Equal(t, []int{60, 40}, []int{got.Interval, got.Min})
		require.Equal(t, 1800, announced(t, newServer(t, Config{}), "192.0.2.1:1").Interval, "by default")
		<-time.After(time.Minute)
		announced(t, s, "192.0.2.2:1", "left", "0")
		<-time.After(time.Minute)
		require.Equal(t, []int{1, 2, 0}, announced(t, s, "[2001:db8::3]:1").counts())
		<-time.After(time.Second)
		require.Equal(t, []int{1, 1, 0}, announced(t, s, "[2001:db8::3]:1").counts())
		<-time.After(time.Minute)
		require.Contains(t, ask(t, s, "192.0.2.4:1", "/scrape").Body.String(), "d8:completei0e10:downloadedi0e11:downloadersi1e10:incompletei1ee")
		<-time.After(2 * time.Minute)
		require.Equal(t, Stats{HTTP: Requests{Announces: 4, Scrapes: 1}, Forgotten: 3}, s.Stats())
	})
}

// A large swarm is looked through now and then, not at each announce.
func TestExpiryOfLargeSwarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Interval: 32 * time.Minute})
		for i := range 3000 {
			announced(t, s, peerAddr(i), "numwant", "0")
			if i%2 == 0 {
				<-time.After(time.Second)
			}
		}
		<-time.After(64*time.Minute - 1400*time.Second)
		kept := announced(t, s, peerAddr(2999), "numwant", "0").Incomplete
		require.InDelta(t, 2800, kept, 4)
		<-time.After(30 * time.Second)
		require.Equal(t, kept, announced(t, s, peerAddr(2999), "numwant", "0").Incomplete, "too early to look again")
		<-time.After(31 * time.Second)
		require.InDelta(t, 2800-122, announced(t, s, peerAddr(2999), "numwant", "0").Incomplete, 4)
	})
}

func TestSweepOfForgottenSwarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Interval: time.Minute, MaxSwarms: 2, MaxPeers: 2})
		other := strings.Repeat("x", 20) // of another shard
		announced(t, s, "192.0.2.1:1")
		announced(t, s, "192.0.2.1:1", "info_hash", strings.Repeat("b", 20))
		require.Contains(t, announced(t, s, "192.0.2.1:1", "info_hash", other).Failure, "no new torrents")
		require.Contains(t, announced(t, s, "192.0.2.2:1").Failure, "no new peers")
		<-time.After(2*time.Minute + time.Second)
		require.Empty(t, announced(t, s, "192.0.2.1:1", "info_hash", other).Failure)
		require.Equal(t, int64(1), s.swarms.Load())
		require.Equal(t, int64(1), s.peers.Load())

		// A torrent whose last peer has left keeps its count of completions as long.
		announced(t, s, "192.0.2.1:1", "info_hash", other, "event", "completed", "left", "0")
		announced(t, s, "192.0.2.1:1", "info_hash", other, "event", "stopped", "left", "0")
		<-time.After(2 * time.Minute)
		require.Equal(t, []int{0, 1, 1}, announced(t, s, "192.0.2.1:1", "info_hash", other).counts())
		announced(t, s, "192.0.2.1:1", "info_hash", other, "event", "stopped", "left", "0")
		<-time.After(2*time.Minute + time.Second)
		require.Zero(t, s.Stats().Swarms)
	})
}

// A tracker that was restarted takes what comes: after one interval of regular
// announces it knows the swarm again.
func TestT23_RestartedTracker(t *testing.T) {
	for _, event := range []string{"", "completed", "stopped", "paused", "started"} {
		s := newServer(t, Config{})
		got := announced(t, s, "192.0.2.1:1", "event", event)
		require.Empty(t, got.Failure)
		require.Equal(t, 1800, got.Interval)
		require.Equal(t, event == "stopped", s.Stats().Peers+s.Stats().Swarms == 0)
	}
	for event := range uint32(7) {
		s := newServer(t, Config{})
		got := newUDPPeer(s, "192.0.2.1:1").announce(t, udpAnnounce{event: event, left: 1, want: -1, port: 1})
		require.Equal(t, uint32(1800), got.interval, got.failure)
		require.Equal(t, event == 3, s.Stats().Peers == 0)
	}
	swarm := func(s *Server) (last told) {
		for i := range 30 {
			left := "1"
			if i%3 == 0 {
				left = "0"
			}
			last = announced(t, s, peerAddr(i), "left", left)
		}
		return last
	}
	before, restarted := newServer(t, Config{}), newServer(t, Config{})
	require.Equal(t, swarm(before).counts(), swarm(restarted).counts())
	require.Equal(t, []int{10, 20, 0}, announced(t, restarted, peerAddr(1)).counts())
}

func TestT24_CompletedAndComplete(t *testing.T) {
	s := newServer(t, Config{})
	const a, b, c = "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"
	require.Equal(t, []int{0, 1, 0}, announced(t, s, a, "event", "started").counts())
	require.Equal(t, []int{0, 2, 0}, announced(t, s, b, "event", "nonsense", "left", "").counts())
	require.Equal(t, []int{1, 1, 1}, announced(t, s, a, "event", "completed", "left", "0").counts())
	require.Equal(t, []int{1, 1, 1}, announced(t, s, a, "event", "completed", "left", "0").counts(), "said again: its answer was lost")
	require.Equal(t, []int{2, 0, 2}, announced(t, s, b, "event", "complete", "left", "").counts(), "left not told")
	require.Equal(t, []int{1, 0, 2}, announced(t, s, b, "event", "stopped", "left", "0").counts())
	require.Equal(t, Stats{Swarms: 1, Peers: 1, IPv4: 1, Seeds: 1, HTTP: Requests{Announces: 6}}, s.Stats())
	announced(t, s, a, "left", "5") // it has lost something
	got := newUDPPeer(s, c).announce(t, udpAnnounce{hash: 'h', event: 1, port: 5})
	require.Equal(t, []uint32{1, 1}, []uint32{got.leeches, got.seeds})
	require.Equal(t, 3, announced(t, s, a, "left", "5").Downloaded)
	for range 3 { // who still lacks something has not completed it
		require.Equal(t, []int{1, 1, 3}, announced(t, s, a, "event", "completed", "left", "5").counts())
	}
	require.Equal(t, []int{2, 0, 4}, announced(t, s, a, "event", "completed", "left", "").counts())
}

// The address is honoured from whom we trust, and never a name.
func TestT25_ReportedAddress(t *testing.T) {
	s := newServer(t, Config{TrustIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for i, test := range []struct{ remote, ip, want string }{
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
		hash := strings.Repeat(string(rune('A'+i)), 20)
		name := []string{"ip", "myip"}[i%2]
		ask(t, s, test.remote, query("info_hash", hash, name, test.ip))
		got := announced(t, s, "203.0.113.9:9", "info_hash", hash)
		want := netip.MustParseAddr(test.want).AsSlice()
		require.Equal(t, string(append(want, 0x1a, 0xe1)), got.Peers+got.Peers6, "%+v", test)
	}
	for from, want := range map[string]string{
		"127.0.0.1:5": "\xc6\x33\x64\x07", "[::ffff:10.1.1.1]:5": "\xc6\x33\x64\x07", "192.0.2.1:5": "\xc0\x00\x02\x01",
	} {
		s := newServer(t, s.cfg)
		newUDPPeer(s, from).announce(t, udpAnnounce{hash: 'h', ip: [4]byte{198, 51, 100, 7}, port: 258, left: 1})
		require.Equal(t, want+"\x01\x02", announced(t, s, "203.0.113.9:9").Peers, from)
	}
	newUDPPeer(s, "[::1]:5").announce(t, udpAnnounce{hash: 'z', ip: [4]byte{198, 51, 100, 7}, port: 258, left: 1})
	require.Empty(t, announced(t, s, "203.0.113.9:9", "info_hash", strings.Repeat("z", 20)).Peers, "over IPv6 the field is not used")
}

// Bare, all encoded, in small letters, with a plus: the same torrent.
func TestT28_EveryEncoding(t *testing.T) {
	s := newServer(t, Config{})
	rest := "&port=%31&left=1&compact=1&num%77ant=5"
	for i, query := range []string{
		"info_hash=%2D%04O%C0%DB%1Aau9%BEMr%C2%A5E%A0%FD+%03%E2&peer_id=" + strings.Repeat("%70", 20),
		"info_hash=-%04O%C0%DB%1Aau9%BEMr%C2%A5E%A0%FD%20%03%E2&peer_id=" + strings.Repeat("p", 20), // as the seed's client
		"info_hash=%2d%04%4f%c0%db%1a%61%75%39%be%4d%72%c2%a5%45%a0%fd%20%03%e2&peer_id=" + strings.Repeat("%70", 20),
		"a=%zz&&=&info%5Fhash=-%04O%C0%DB%1Aau9%BEMr%C2%A5E%A0%FD%20%03%E2&info_hash=x&peer_id=" + strings.Repeat("p", 20),
	} {
		body := ask(t, s, peerAddr(i), "/announce?"+query+rest).Body.String()
		require.Contains(t, body, fmt.Sprintf("10:incompletei%de", i+1), query)
		require.Contains(t, body, fmt.Sprintf("5:peers%d:", 6*i))
	}
	for _, bad := range []string{"%2", "%", "%g0", "", "%00"} {
		require.Contains(t, ask(t, s, "192.0.2.1:1", "/announce?info_hash="+strings.Repeat("h", 19)+bad+"&peer_id="+strings.Repeat("p", 20)+"&port=1").Body.String(),
			map[bool]string{true: "8:interval", false: "info_hash must"}[bad == "%00"], bad)
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t, Config{})
	for _, bad := range [][]string{
		{"info_hash", ""}, {"info_hash", "short"}, {"info_hash", strings.Repeat("h", 21)},
		{"peer_id", ""}, {"peer_id", strings.Repeat("h", 19)},
		{"port", ""}, {"port", "65536"}, {"port", "-1"}, {"port", "x"},
		{"pad", strings.Repeat("x", maxAnnounceQuery)},
	} {
		require.NotEmpty(t, announced(t, s, "192.0.2.1:1", bad...).Failure, "%q", bad)
	}
	require.NotEmpty(t, announced(t, s, "nowhere").Failure)
	require.Empty(t, announced(t, s, "192.0.2.1:1", "event", "stopped", "pad", strings.Repeat("x", 1<<10)).Failure)
	require.Equal(t, 404, ask(t, s, "192.0.2.1:1", "/").Code)
	require.Zero(t, s.Stats().Peers)
	require.Equal(t, uint64(11), s.Stats().HTTP.Failures)
}

func TestPaths(t *testing.T) {
	s := newServer(t, Config{})
	for _, path := range []string{"/announce", "/announce.php", "/passkey/announce"} {
		require.Equal(t, 200, ask(t, s, "192.0.2.1:1", path+strings.TrimPrefix(query(), "/announce")).Code)
	}
	require.Equal(t, uint64(3), s.Stats().HTTP.Announces)
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

// BEP 7: one client over two families is two peers.
func TestBothFamiliesOfOneClient(t *testing.T) {
	s := newServer(t, Config{})
	announced(t, s, "192.0.2.1:1", "key", "1f")
	announced(t, s, "[2001:db8::1]:1", "key", "1f")
	got := announced(t, s, "192.0.2.2:1")
	require.Len(t, got.Peers, 6)
	require.Len(t, got.Peers6, 18)
	require.Equal(t, Stats{Swarms: 1, Peers: 3, IPv4: 2, IPv6: 1, HTTP: Requests{Announces: 3}}, s.Stats())
}
