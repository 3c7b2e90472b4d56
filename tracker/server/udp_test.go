package server

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/tracker"
)

func TestUDPGolden(t *testing.T) {
	s := newServer(t, Config{})
	p := newUDPPeer(s, "192.0.2.1:6000")
	in, err := hex.DecodeString("000004172710198000000000" + "01020304")
	require.NoError(t, err)
	out := p.send(in)
	require.Equal(t, "0000000001020304", hex.EncodeToString(out[:8]))
	id := hex.EncodeToString(out[8:])

	announce := func(port, left string) string {
		in, err := hex.DecodeString(id + "00000001" + "0a0b0c0d" + strings.Repeat("11", 20) + strings.Repeat("22", 20) +
			"0000000000000000" + left + "0000000000000000" + "00000002" + "00000000" + "deadbeef" + "ffffffff" + port)
		require.NoError(t, err)
		require.Len(t, in, 98)
		return hex.EncodeToString(p.send(in))
	}
	require.Equal(t, "00000001"+"0a0b0c0d"+"00000708"+"00000000"+"00000001", announce("1ae1", "0000000000000000"))
	require.Equal(t, "00000001"+"0a0b0c0d"+"00000708"+"00000001"+"00000001"+"c00002011ae1", announce("1ae2", "8000000000000000"))

	// The same over IPv6, from another address: its own id, peers of 18 bytes.
	p = newUDPPeer(s, "[2001:db8::1]:6000")
	id = hex.EncodeToString(p.send(in)[8:])
	require.Equal(t, "00000001"+"0a0b0c0d"+"00000708"+"00000001"+"00000002", announce("1ae3", "0000000000000000"))
	require.Equal(t, "00000001"+"0a0b0c0d"+"00000708"+"00000002"+"00000002"+"20010db80000000000000000000000011ae3", announce("1ae4", "0000000000000001"))
}

// On a socket for both families, IPv4 comes mapped into IPv6.
func TestUDPMappedAddressIsIPv4(t *testing.T) {
	s := newServer(t, Config{})
	newUDPPeer(s, "[::ffff:192.0.2.1]:6000").announce(t, udpAnnounce{hash: 'h', left: 1, want: -1, port: 1})
	got := newUDPPeer(s, "192.0.2.2:6000").announce(t, udpAnnounce{hash: 'h', left: 1, want: -1, port: 2})
	require.Equal(t, "\xc0\x00\x02\x01\x00\x01", got.peers)
	require.Equal(t, 2, s.Stats().IPv4)
}

// Who sends with a false address gets nothing sent there that is longer than
// what he sent, and without an id of that address nothing but ids, and word that
// his is none.
func TestRT13_Spoofing(t *testing.T) {
	s := newServer(t, Config{})
	for i := range 200 {
		announced(t, s, peerAddr(i))
	}
	victim, spoofer := newUDPPeer(s, "192.0.2.1:6000"), newUDPPeer(s, "192.0.2.66:6000")
	id := spoofer.connect(t)
	announce := udpAnnounce{hash: 'h', left: 1, want: -1, port: 1}
	require.NotEmpty(t, spoofer.send(announce.packet(id)))
	scrape := func(hashes int) []byte {
		return append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, id), actionScrape), make([]byte, 4+20*hashes)...)
	}
	told := map[string][]byte{
		"another's id":    announce.packet(id),
		"no id":           announce.packet(0),
		"the magic as id": announce.packet(udpMagic),
		"scrape":          scrape(74),
		"short scrape":    scrape(1),
	}
	for name, packet := range told {
		got := victim.send(packet)
		require.Equal(t, "\x00\x00\x00\x03"+string(packet[12:16])+"connection id expired", string(got), name)
		require.LessOrEqual(t, len(got), len(packet), name)
	}
	wrong := map[string][]byte{
		"cut off":        announce.packet(id)[:announceLen-1],
		"scrape of none": scrape(1)[:scrapeLen+19],
		"an error":       append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, id), actionError), make([]byte, 100)...),
		"action 7":       append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, udpMagic), 7), make([]byte, 100)...),
		"empty":          {},
		"short":          connectPacket(1)[:15],
		"not the magic":  append(make([]byte, 8), connectPacket(1)[8:]...),
	}
	for name, packet := range wrong {
		require.Empty(t, victim.send(packet), name)
	}
	for _, extra := range []int{0, 1, 84, 1000} { // however long the request, and never longer
		require.Len(t, victim.send(append(connectPacket(1), make([]byte, extra)...)), connectLen)
	}
	st := s.Stats()
	require.Equal(t, uint64(len(wrong)), st.UDP.Ignored)
	require.Equal(t, uint64(5), st.UDP.Connects)
	require.Equal(t, uint64(1), st.UDP.Announces)
	require.Equal(t, uint64(len(told)), st.UDP.Failures)

	require.Equal(t, victim.connect(t), victim.connect(t), "nothing is kept: in a window the id stays")
	require.NotEqual(t, id, victim.connect(t))
	require.NotEqual(t, newUDPPeer(newServer(t, Config{}), "192.0.2.66:6000").connect(t), id, "each tracker has its own key")
	other := newUDPPeer(s, "192.0.2.66:7000")
	require.NotEmpty(t, other.send(announce.packet(id)), "the port may change on the way")
}

func TestUDPConnectionIDsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		p := newUDPPeer(s, "[2001:db8::1]:6000")
		for _, begin := range []time.Duration{0, 119 * time.Second, time.Second} {
			<-time.After(begin)
			id := p.connect(t)
			packet := udpAnnounce{hash: 'h', port: 1}.packet(id)
			<-time.After(2 * time.Minute)
			require.NotEmpty(t, p.send(packet), "BEP 15: two minutes")
			<-time.After(2 * time.Minute)
			require.Equal(t, string(badID), string(p.send(packet)[8:]))
		}
		// A flood of old ids is answered for its first part alone.
		<-time.After(time.Second)
		packet, before := udpAnnounce{hash: 'h', port: 1}.packet(0), s.Stats().UDP.Failures
		for range 3 * expiredPerSecond {
			p.send(packet)
		}
		require.Equal(t, uint64(expiredPerSecond), s.Stats().UDP.Failures-before)
		require.Equal(t, uint64(2*expiredPerSecond), s.Stats().UDP.Ignored)
	})
}

// directConn is a client's socket without a network: a tracker answers it, from
// the address that is asked.
type directConn struct {
	net.PacketConn
	tracker *udpPeer
	answers chan []byte
}

func (c *directConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	if out := c.tracker.send(b); len(out) > 0 {
		c.answers <- out
	}
	return len(b), nil
}

func (c *directConn) ReadFrom(b []byte) (int, net.Addr, error) {
	out, ok := <-c.answers
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return copy(b, out), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 6969}, nil
}

func (c *directConn) Close() error        { close(c.answers); return nil }
func (c *directConn) LocalAddr() net.Addr { return &net.UDPAddr{} }

// A client whose connection id is of before the restart is answered at once.
func TestT23_RestartedUDPTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *Server
		c := tracker.Client{ListenPacket: func(context.Context, string, string) (net.PacketConn, error) {
			return &directConn{tracker: newUDPPeer(s, "192.0.2.1:6000"), answers: make(chan []byte, 9)}, nil
		}}
		for restarts := range 3 {
			s = newServer(t, Config{})
			begun := time.Now()
			_, err := c.Announce(t.Context(), "udp://192.0.2.9:6969", tracker.Request{Port: 1, Left: 1})
			require.NoError(t, err)
			require.Zero(t, time.Since(begun))
			require.Equal(t, Requests{Announces: 1, Connects: 1, Failures: uint64(min(restarts, 1))}, s.Stats().UDP)
		}
	})
}

// Packets may be longer than BEP 15 has them, and cut off anywhere.
func TestUDPLengths(t *testing.T) {
	s := newServer(t, Config{})
	p := newUDPPeer(s, "192.0.2.1:6000")
	id := p.connect(t)
	whole := udpAnnounce{hash: 'h', left: 1, port: 1}.packet(id)
	for _, options := range []string{"\x00\x00", "\x01\x01\x02\x01/", "\x02\xff/", "\x02", "\x63\x00", strings.Repeat("\xff", 500)} { // 100 bytes: aria2
		require.Len(t, p.send(append(whole[:98:98], options...)), 20, "%q", options)
	}
	for n := range 98 {
		out := p.send(whole[:n])
		require.LessOrEqual(t, len(out), max(n, 40))
		require.True(t, n < 16 && len(out) == 0 || n >= 16 && out[3] == actionError, n)
	}
}

func TestUDPLargestAnswers(t *testing.T) {
	s := newServer(t, Config{NumWant: 5000, MaxNumWant: 5000})
	for i := range 400 {
		announced(t, s, peerAddr(i), "numwant", "0")
		announced(t, s, "[2001:db8::"+hex.EncodeToString([]byte{byte(i >> 8), byte(i)})+"]:1", "numwant", "0")
	}
	require.Len(t, newUDPPeer(s, "192.0.2.1:1").announce(t, udpAnnounce{hash: 'h', left: 1, want: -1}).peers, 6*242)
	require.Len(t, newUDPPeer(s, "[::1]:1").announce(t, udpAnnounce{hash: 'h', left: 1, want: 1 << 30}).peers, 18*79)
}

func TestUDPURLData(t *testing.T) {
	l := newUDPLoop(newServer(t, Config{}))
	for options, want := range map[string][2]string{
		"":                          {},
		"\x00\x02\x02/a":            {},
		"\x02\x02/a":                {"/a", ""},
		"\x01\x01\x02\x05/a?b=\x01": {"/a", "b="},
		"\x02\x03/a?\x07\x01x\x02\x02?c\x00\x02\x01y": {"/a", "?c"},
		"\x02\x00":            {},
		"\x02\x03/a":          {},
		"\x02\x02/a\x02\x09b": {"/a", ""},
		"\x02":                {},
	} {
		path, query := l.urlData([]byte(options))
		require.Equal(t, want, [2]string{path, query}, "%q", options)
	}
}

// An announce over UDP costs no garbage, whatever it is answered with.
func TestNoAllocsUDP(t *testing.T) {
	s := newServer(t, Config{})
	for i := range 1000 {
		announced(t, s, peerAddr(i), "numwant", "0")
	}
	for _, from := range []string{"10.0.0.1:1000", "[::ffff:10.0.0.1]:1000", "[2001:db8::1]:1000"} {
		p := newUDPPeer(s, from)
		id := p.connect(t)
		connect := connectPacket(1)
		large := udpAnnounce{hash: 'h', left: 1, want: -1, port: 6881}.packet(id)
		old := udpAnnounce{hash: 'h', port: 6881}.packet(id + 1)
		seed := udpAnnounce{hash: 'h', left: 0, want: 200, port: 6881, options: "\x02\x02/a"}.packet(id)
		scrape := append(binary.BigEndian.AppendUint64(nil, id), 0, 0, 0, actionScrape, 0, 0, 0, 0)
		scrape = append(scrape, strings.Repeat("h", 60)...)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			for _, packet := range [][]byte{connect, large, seed, large, scrape, large[:98], old} {
				if len(p.l.answer(packet, p.from)) == 0 {
					t.Error("no answer")
				}
			}
		}), from)
	}
}

// plainPacketConn hides that a socket is the system's.
type plainPacketConn struct{ net.PacketConn }

// Our client and our server over real sockets: both transports, both families,
// one swarm.
func TestClientAgainstServer(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			s := newServer(t, Config{MinInterval: 2 * time.Second})
			l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skip("no such loopback:", err)
			}
			web := &httptest.Server{Listener: l, Config: httptest.NewUnstartedServer(s).Config}
			web.Start()
			defer web.Close()
			local := netip.MustParseAddr(host)
			port := uint16(1000)
			for _, wrap := range []func(net.PacketConn) net.PacketConn{
				func(c net.PacketConn) net.PacketConn { return c },
				func(c net.PacketConn) net.PacketConn { return plainPacketConn{c} },
			} {
				conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
				require.NoError(t, err)
				ended := make(chan error, 2)
				go func() { ended <- s.ServeUDP(wrap(conn)) }()
				go func() { ended <- s.ServeUDP(wrap(conn)) }()
				c := tracker.Client{MinInterval: time.Second}
				for _, url := range []string{web.URL + "/announce?pass=key", "udp://" + conn.LocalAddr().String() + "/announce?pass=key"} {
					before := s.Stats().Peers
					port++
					r := tracker.Request{InfoHash: [20]byte{'-', 4}, PeerID: [20]byte{1}, Port: port, Left: 5, NumWant: -1, Event: tracker.Started}
					resp, err := c.Announce(t.Context(), url, r)
					require.NoError(t, err)
					require.Len(t, resp.Peers, before)
					require.Equal(t, []int{before + 1, 0}, []int{resp.Incomplete, resp.Complete})
					require.Equal(t, 30*time.Minute, resp.Interval)
					if before > 0 {
						require.Equal(t, local, resp.Peers[0].Addr.Addr())
					}
				}
				require.NoError(t, conn.Close())
				require.NoError(t, <-ended)
				require.NoError(t, <-ended)
			}
			require.Equal(t, 4, s.Stats().Peers)
			require.Equal(t, uint64(2), s.Stats().UDP.Announces)
		})
	}
}

// brokenConn is a socket that has stopped working.
type brokenConn struct{ net.PacketConn }

func (brokenConn) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, errors.New("broken") }

func TestServeUDPReturnsErrors(t *testing.T) {
	require.ErrorContains(t, newServer(t, Config{}).ServeUDP(brokenConn{}), "broken")
}
