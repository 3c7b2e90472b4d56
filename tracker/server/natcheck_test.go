package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/tracker"
)

var natHash = [20]byte([]byte(strings.Repeat("h", 20)))

// client accepts connections and answers the 48 bytes of a handshake with 68 for
// the same torrent, flipped by a mask.
func client(t *testing.T, l net.Listener, mask byte, heads chan<- []byte) {
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	t.Cleanup(func() { l.Close() })
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				head := make([]byte, peerwire.HandshakeHead)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				answer := append(append([]byte(nil), head...), make([]byte, 20)...)
				answer[30] ^= mask
				c.Write(answer)
				rest, _ := io.ReadAll(c) // until the tracker closes
				heads <- append(head, rest...)
			})
		}
	})
}

// The whole of it over real sockets, HTTP and UDP, IPv4 and IPv6: 48 bytes, no
// peer id, answered by 68, closed; a client that cannot be reached, or is there
// for another torrent, is told so.
func TestT14_ConnectsBack(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			good, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skip("no such loopback:", err)
			}
			heads := make(chan []byte, 4)
			client(t, good, 0, heads)
			other, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			require.NoError(t, err)
			client(t, other, 1, heads)
			closed, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			require.NoError(t, err)
			closed.Close()

			for _, scheme := range []string{"http", "udp"} {
				s := newServer(t, Config{NATCheck: true})
				url := serve(t, s, scheme, host)
				var c tracker.Client
				announce := func(l net.Listener, event tracker.Event) error {
					r := tracker.Request{InfoHash: natHash, Port: netip.MustParseAddrPort(l.Addr().String()).Port(), Left: 1, NumWant: -1, Event: event}
					_, err := c.Announce(t.Context(), url, r)
					return err
				}
				require.NoError(t, announce(good, tracker.Started))
				want := "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("h", 20)
				require.Equal(t, want, string(<-heads))
				require.Equal(t, 1, s.Stats().Peers)
				require.NoError(t, announce(good, tracker.None))
				require.Equal(t, uint64(1), s.Stats().NATChecks, "it is remembered")

				for _, l := range []net.Listener{other, closed} {
					require.ErrorContains(t, announce(l, tracker.Started), "cannot be reached")
					require.NoError(t, announce(l, tracker.Completed), "no check on completed")
					require.NoError(t, announce(l, tracker.Stopped))
				}
				require.Equal(t, want, string(<-heads))
				st := s.Stats()
				require.Equal(t, []uint64{3, 2}, []uint64{st.NATChecks, st.NATFailures}, scheme)
				require.Equal(t, 1, st.Peers)
			}
		})
	}
}

// serve makes a tracker answer until the test's end, and returns its announce URL.
func serve(t *testing.T, s *Server, scheme, host string) string {
	if scheme == "udp" {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		require.NoError(t, err)
		ended := make(chan error)
		go func() { ended <- s.ServeUDP(conn) }()
		t.Cleanup(func() {
			conn.Close()
			require.NoError(t, <-ended)
		})
		return "udp://" + conn.LocalAddr().String() + "/announce"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	web := &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	web.Start()
	t.Cleanup(web.Close)
	return web.URL + "/announce"
}

// dialer is a network of peers who do as they are told.
type dialer struct {
	mu     sync.Mutex
	dialed []string
	answer func(conn net.Conn)
	active atomic.Int32
	most   atomic.Int32
}

func (d *dialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	d.dialed = append(d.dialed, address)
	d.mu.Unlock()
	if d.answer == nil {
		return nil, errors.New("refused")
	}
	n := d.active.Add(1)
	for most := d.most.Load(); n > most && !d.most.CompareAndSwap(most, n); most = d.most.Load() {
	}
	ours, theirs := net.Pipe()
	go func() {
		defer d.active.Add(-1)
		defer theirs.Close()
		d.answer(theirs)
	}()
	return ours, nil
}

func shakeHands(conn net.Conn) {
	head := make([]byte, peerwire.HandshakeHead)
	if _, err := io.ReadFull(conn, head); err == nil {
		conn.Write(append(head, make([]byte, 20)...))
	}
}

// Only the source address is dialled, at the announced port; with ip= nobody is.
func TestT32_WhoIsDialled(t *testing.T) {
	d := &dialer{answer: shakeHands}
	s := newServer(t, Config{NATCheck: true, Dial: d.dial})
	require.Empty(t, announced(t, s, "192.0.2.1:4000", "ip", "198.51.100.7", "port", "7000").Failure)
	require.Empty(t, announced(t, s, "[2001:db8::1]:4000", "port", "7000").Failure)
	require.Empty(t, announced(t, s, "127.0.0.1:4000", "ip", "198.51.100.7", "port", "7000").Failure)
	require.NotEmpty(t, announced(t, s, "192.0.2.1:4000", "port", "0").Failure)
	require.Empty(t, announced(t, s, "192.0.2.1:4000", "port", "1", "event", "stopped").Failure)
	require.Empty(t, announced(t, s, "192.0.2.1:4000", "port", "1", "event", "completed").Failure)
	for _, nobody := range []string{"0.0.0.0:4000", "255.255.255.255:4000", "224.0.0.1:4000", "[::]:4000", "[ff02::1]:4000"} {
		require.NotEmpty(t, announced(t, s, nobody).Failure, nobody)
	}
	for _, linkLocal := range []string{"169.254.1.1:4000", "[fe80::1%eth0]:4000"} {
		require.Empty(t, announced(t, s, linkLocal).Failure, linkLocal)
	}
	require.Equal(t, []string{"192.0.2.1:7000", "[2001:db8::1]:7000"}, d.dialed)

	off := newServer(t, Config{Dial: d.dial})
	announced(t, off, "192.0.2.1:4000")
	require.Len(t, d.dialed, 2, "off by default")
}

// In fake time: who accepts and says nothing fails after the deadline, is not
// asked again for a minute, and may come back.
func TestT32_DeadlineAndMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := true
		d := &dialer{}
		d.answer = func(conn net.Conn) {
			if silent {
				io.Copy(io.Discard, conn)
				return
			}
			shakeHands(conn)
		}
		s := newServer(t, Config{NATCheck: true, Dial: d.dial})
		const from = "192.0.2.1:4000"
		begin := time.Now()
		require.Equal(t, string(unreachable), announced(t, s, from).Failure)
		require.Equal(t, natTimeout, time.Since(begin))
		require.Zero(t, s.Stats().Peers)
		silent = false
		require.NotEmpty(t, announced(t, s, from).Failure)
		require.NotEmpty(t, newUDPPeer(s, from).announce(t, udpAnnounce{hash: 'h', left: 1, port: 6881}).failure)
		require.Len(t, d.dialed, 1)
		<-time.After(natRetry * time.Second)
		require.Empty(t, announced(t, s, from).Failure)
		require.Empty(t, announced(t, s, from, "info_hash", strings.Repeat("x", 20)).Failure, "for all torrents")
		require.Len(t, d.dialed, 2)
		<-time.After(time.Hour + natRetry*time.Second)
		announced(t, s, from)
		require.Len(t, d.dialed, 3, "after two intervals it is checked again")
	})
}

// A hundred torrents of one client need one check; and however many come, no
// more are under way at once or begun in a second than there may be.
func TestT32_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{answer: func(conn net.Conn) { io.Copy(io.Discard, conn) }}
		s := newServer(t, Config{NATCheck: true, Dial: d.dial})
		var all sync.WaitGroup
		var refused, passed atomic.Int32
		announce := func(from, hash string) {
			all.Go(func() {
				if announced(t, s, from, "info_hash", hash).Failure != "" {
					refused.Add(1)
				} else {
					passed.Add(1)
				}
			})
		}
		for i := range 100 {
			announce("192.0.2.1:1", fmt.Sprintf("%020d", i))
		}
		all.Wait()
		require.Len(t, d.dialed, 1)
		require.Equal(t, int32(100), refused.Load())
		for i := range 500 {
			announce(peerAddr(i), strings.Repeat("h", 20))
		}
		all.Wait()
		synctest.Wait()
		require.Equal(t, int32(natAtOnce), d.most.Load())
		require.Equal(t, int32(500-natAtOnce), passed.Load(), "too busy to check")
		d.answer = nil // refused at once: now the rate is the bound
		for i := range 500 {
			announced(t, s, peerAddr(1000+i))
		}
		require.InDelta(t, 1+natAtOnce+natPerSecond, len(d.dialed), 1)
		require.LessOrEqual(t, len(s.nat.results), natMemory)
		require.Zero(t, s.nat.running+s.nat.waiting)
	})
}

// Who hangs up during the check does not get in by that, nor do others.
func TestT32_HangingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{answer: func(conn net.Conn) { io.Copy(io.Discard, conn) }}
		s := newServer(t, Config{NATCheck: true, Dial: d.dial})
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		r := httptest.NewRequest(http.MethodGet, query(), nil).WithContext(ctx)
		r.RemoteAddr = "192.0.2.1:4000"
		var all sync.WaitGroup
		all.Go(func() { s.ServeHTTP(httptest.NewRecorder(), r) })
		synctest.Wait()
		require.NotEmpty(t, announced(t, s, "192.0.2.1:4000").Failure)
		all.Wait()
		require.Zero(t, s.Stats().Peers)
		require.Len(t, d.dialed, 1)
	})
}

// memoryPackets is a net.PacketConn whose packets a test hands in.
type memoryPackets struct {
	net.PacketConn
	in     chan []byte
	out    chan []byte
	from   net.Addr
	closed chan struct{}
}

func (m *memoryPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-m.in:
		return copy(b, p), m.from, nil
	case <-m.closed:
		return 0, nil, net.ErrClosed
	}
}

func (m *memoryPackets) WriteTo(b []byte, _ net.Addr) (int, error) {
	m.out <- append([]byte(nil), b...)
	return len(b), nil
}

// Over UDP the answer waits for the check, and nobody else does; closing the
// socket breaks checks off.
func TestT32_UDPGoesOnDuringCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{answer: func(conn net.Conn) { io.Copy(io.Discard, conn) }}
		s := newServer(t, Config{NATCheck: true, Dial: d.dial})
		m := &memoryPackets{in: make(chan []byte), out: make(chan []byte, 9), closed: make(chan struct{}),
			from: net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:6000"))}
		ended := make(chan error, 1)
		go func() { ended <- s.ServeUDP(m) }()
		m.in <- connectPacket(1)
		id := binary.BigEndian.Uint64((<-m.out)[8:])
		begin := time.Now()
		m.in <- udpAnnounce{hash: 'h', left: 1, port: 7000}.packet(id)
		m.in <- udpAnnounce{hash: 'h', left: 1, port: 7000, event: uint32(tracker.Stopped)}.packet(id)
		require.Equal(t, byte(actionAnnounce), (<-m.out)[3])
		require.Zero(t, time.Since(begin))
		answer := <-m.out
		require.Equal(t, natTimeout, time.Since(begin))
		require.Equal(t, byte(actionError), answer[3])
		require.Equal(t, string(unreachable), string(answer[8:]))

		m.in <- udpAnnounce{hash: 'h', left: 1, port: 7001}.packet(id)
		synctest.Wait()
		begin = time.Now()
		close(m.closed)
		require.NoError(t, <-ended)
		require.Zero(t, time.Since(begin))
		require.Empty(t, m.out)
		require.Zero(t, s.nat.running+s.nat.waiting)
		synctest.Wait()
	})
}
