package simnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed1734be99/starling/internal/leakcheck"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var (
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
	addr6 = netip.MustParseAddr("fd00::1")
)

const ms = time.Millisecond

// world is a network with two hosts and a listener on the second one's port 6881. Everything must be closed at the end.
type world struct {
	*testing.T
	n    *simnet.Net
	a, b *simnet.Host
	l    net.Listener
}

func inWorld(t *testing.T, o simnet.Options, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(o)
		w := &world{T: t, n: n, a: n.Host(addrA), b: n.Host(addrB)}
		var err error
		w.l, err = w.b.Listen("tcp", ":6881")
		require.NoError(t, err)
		test(w)
		w.l.Close()
		require.Empty(t, n.Left())
	})
}

// connect returns both ends of a new connection.
func (w *world) connect() (dialed, accepted net.Conn) {
	dialed, err := w.a.DialContext(w.Context(), "tcp", "10.0.0.2:6881")
	require.NoError(w, err)
	accepted, err = w.l.Accept()
	require.NoError(w, err)
	return dialed, accepted
}

// took runs f and requires how much of the bubble's time it took.
func (w *world) took(d time.Duration, f func()) {
	w.Helper()
	begin := time.Now()
	f()
	require.Equal(w, d, time.Since(begin))
}

func closeAll(conns ...net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

func TestEcho(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		a, b := w.connect()
		sent := make([]byte, 3<<20)
		rand.NewChaCha8([32]byte{1}).Read(sent)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := io.Copy(b, b)
			require.NoError(w, err)
			require.NoError(w, b.Close())
		})
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, 2))
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(100_000))
				_, err := a.Write(rest[:n])
				require.NoError(w, err)
				rest = rest[n:]
			}
			require.NoError(w, a.(interface{ CloseWrite() error }).CloseWrite())
			_, err := a.Write([]byte{1})
			require.ErrorIs(w, err, net.ErrClosed)
		})
		w.took(0, func() {
			got, err := io.ReadAll(a)
			require.NoError(w, err)
			require.Equal(w, sha256.Sum256(sent), sha256.Sum256(got))
		})
		wg.Wait()
		a.Close()
	})
}

func TestAddresses(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		a, b := w.connect()
		defer closeAll(a, b)
		require.Equal(w, a.LocalAddr(), b.RemoteAddr())
		require.Equal(w, a.RemoteAddr(), b.LocalAddr())
		require.Equal(w, "10.0.0.2:6881", a.RemoteAddr().String())
		require.Equal(w, addrA, b.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
		require.Same(w, w.a, w.n.Host(netip.MustParseAddr("::ffff:10.0.0.1")))
		require.Equal(w, addrA, w.a.Addr())

		six := w.n.Host(addr6)
		l, err := six.Listen("tcp6", "[::]:0")
		require.NoError(w, err)
		defer l.Close()
		c, err := w.n.Host(netip.MustParseAddr("fd00::2")).DialContext(w.Context(), "tcp", l.Addr().String())
		require.NoError(w, err)
		c.Close()
	})
}

func TestListenErrors(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		for _, c := range []struct {
			network, address string
			want             string
		}{
			{"tcp", ":6881", syscall.EADDRINUSE.Error()},
			{"tcp", "10.0.0.2:6881", syscall.EADDRINUSE.Error()},
			{"tcp", "10.0.0.1:1", syscall.EADDRNOTAVAIL.Error()},
			{"tcp6", ":1", "does not fit"},
			{"udp", ":1", "unknown network"},
			{"tcpx", ":1", "unknown network"},
			{"tcp", ":x", "invalid port"},
			{"tcp", ":65536", "invalid port"},
			{"tcp", "1", "missing port"},
			{"tcp", "example.org:1", "no such host"},
		} {
			_, err := w.b.Listen(c.network, c.address)
			require.ErrorContains(w, err, c.want)
			var op *net.OpError
			require.ErrorAs(w, err, &op)
		}
		first, err := w.b.Listen("tcp", ":0")
		require.NoError(w, err)
		second, err := w.b.Listen("tcp4", "0.0.0.0:0")
		require.NoError(w, err)
		require.NotEqual(w, first.Addr(), second.Addr())
		require.NoError(w, first.Close())
		require.ErrorIs(w, first.Close(), net.ErrClosed)
		require.NoError(w, second.Close())
	})
}

func TestDialErrors(t *testing.T) {
	link := simnet.Link{Latency: 25 * ms}
	inWorld(t, simnet.Options{Link: link, ConnectTimeout: time.Minute}, func(w *world) {
		w.took(100*ms, func() {
			_, err := w.a.DialContext(w.Context(), "tcp", "10.0.0.2:1")
			require.ErrorIs(w, err, syscall.ECONNREFUSED)
		})
		w.took(time.Minute, func() {
			_, err := w.a.DialContext(w.Context(), "tcp", "10.9.9.9:1")
			require.ErrorIs(w, err, syscall.ETIMEDOUT)
			var ne net.Error
			require.ErrorAs(w, err, &ne)
			require.True(w, ne.Timeout())
		})
		for _, address := range []string{"10.9.9.9:1", "10.0.0.2:1", "10.0.0.2:6881"} {
			ctx, cancel := context.WithTimeout(w.Context(), 30*ms)
			w.took(30*ms, func() {
				_, err := w.a.DialContext(ctx, "tcp", address)
				require.ErrorIs(w, err, context.DeadlineExceeded, address)
			})
			cancel()
			w.took(0, func() {
				_, err := w.a.DialContext(ctx, "tcp", address)
				require.Error(w, err)
			})
		}
		for _, c := range [][2]string{{"tcp", "localhost:1"}, {"tcp6", "10.0.0.2:6881"}, {"udp", "10.0.0.2:6881"}, {"tcp", "1"}} {
			_, err := w.a.DialContext(w.Context(), c[0], c[1])
			require.Error(w, err)
		}
		// The dial given up after 30 ms did not get through to the listener before its 50 ms; it arrives broken.
		c, err := w.l.Accept()
		require.NoError(w, err)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(w, err, syscall.ECONNRESET)
		c.Close()
	})
}

func TestBacklog(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		const dials = 300
		var wg sync.WaitGroup
		for range dials {
			wg.Go(func() {
				if c, err := w.a.DialContext(w.Context(), "tcp", "10.0.0.2:6881"); err == nil {
					c.Close()
				}
			})
		}
		synctest.Wait() // 128 are in the queue, the others wait
		for range dials / 2 {
			c, err := w.l.Accept()
			require.NoError(w, err)
			c.Close()
		}
		w.l.Close() // the rest is refused, or reset
		wg.Wait()
	})
}

func TestListenerClose(t *testing.T) {
	inWorld(t, simnet.Options{Link: simnet.Link{Latency: ms}}, func(w *world) {
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := w.l.Accept()
			require.ErrorIs(w, err, net.ErrClosed)
		})
		synctest.Wait()
		var c net.Conn
		wg.Go(func() {
			var err error
			c, err = w.a.DialContext(w.Context(), "tcp", "10.0.0.2:6881")
			require.NoError(w, err)
		})
		synctest.Wait() // under way
		w.l.Close()
		wg.Wait()
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(w, err, syscall.ECONNRESET)
		c.Close()
		_, err = w.a.DialContext(w.Context(), "tcp", "10.0.0.2:6881")
		require.ErrorIs(w, err, syscall.ECONNREFUSED)
	})
}

func TestLatency(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		w.a.SetLink(simnet.Link{Latency: 30 * ms})
		w.b.SetLink(simnet.Link{Latency: 10 * ms})
		var a, b net.Conn
		var wg sync.WaitGroup
		wg.Go(func() {
			w.took(40*ms, func() { b, _ = w.l.Accept() })
		})
		w.took(80*ms, func() {
			var err error
			a, err = w.a.DialContext(w.Context(), "tcp", "10.0.0.2:6881")
			require.NoError(w, err)
		})
		wg.Wait()
		buf := make([]byte, 10)
		w.took(0, func() { a.Write([]byte("ping")) })
		time.Sleep(15 * ms)
		a.Write([]byte("pong"))
		w.took(25*ms, func() {
			n, err := b.Read(buf)
			require.NoError(w, err)
			require.Equal(w, "ping", string(buf[:n]))
		})
		w.took(15*ms, func() {
			n, err := b.Read(buf)
			require.NoError(w, err)
			require.Equal(w, "pong", string(buf[:n]))
		})
		b.Close()
		w.took(40*ms, func() {
			_, err := a.Read(buf)
			require.Equal(w, io.EOF, err)
		})
		_, err := a.Write(buf)
		require.ErrorIs(w, err, syscall.ECONNRESET)
		a.Close()
	})
}

func TestLinkChangeKeepsOrder(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		a, b := w.connect()
		w.a.SetLink(simnet.Link{Latency: time.Second})
		a.Write([]byte("first"))
		w.a.SetLink(simnet.Link{})
		a.Write([]byte("second"))
		a.Close()
		w.took(time.Second, func() {
			got, err := io.ReadAll(b)
			require.NoError(w, err)
			require.Equal(w, "firstsecond", string(got))
		})
		b.Close()
	})
}

func TestBandwidth(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name     string
		up, down int64
		latency  time.Duration
		conns    int
		want     time.Duration
	}{
		{name: "up", up: mib, conns: 1, want: 4 * time.Second},
		{name: "down", down: mib / 2, conns: 1, want: 8 * time.Second},
		{name: "the slower one counts", up: mib, down: mib / 4, conns: 1, want: 16*time.Second + 3906250},
		{name: "up and latency", up: mib, latency: 50 * ms, conns: 1, want: 4*time.Second + 50*ms},
		{name: "shared by connections", up: mib, conns: 4, want: 4 * time.Second},
		{name: "down shared by connections", down: mib, conns: 4, want: 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, simnet.Options{}, func(w *world) {
				type pair struct{ a, b net.Conn }
				var pairs []pair
				for range c.conns {
					a, b := w.connect()
					pairs = append(pairs, pair{a, b})
				}
				w.a.SetLink(simnet.Link{Latency: c.latency, Up: c.up})
				w.b.SetLink(simnet.Link{Down: c.down})
				each := 4 * mib / c.conns
				w.took(c.want, func() {
					var wg sync.WaitGroup
					for _, p := range pairs {
						wg.Go(func() {
							n, err := p.a.Write(make([]byte, each))
							require.NoError(w, err)
							require.Equal(w, each, n)
						})
						wg.Go(func() {
							_, err := io.ReadFull(p.b, make([]byte, each))
							require.NoError(w, err)
						})
					}
					wg.Wait()
				})
				for _, p := range pairs {
					closeAll(p.a, p.b)
				}
			})
		})
	}
}

func TestWindow(t *testing.T) {
	inWorld(t, simnet.Options{Window: 1000}, func(w *world) {
		a, b := w.connect()
		var wrote int
		var wg sync.WaitGroup
		wg.Go(func() {
			n, err := a.Write(make([]byte, 1500))
			require.NoError(w, err)
			wrote = n
		})
		synctest.Wait()
		require.Zero(w, wrote, "a writer waits while the window is full")
		n, err := b.Read(make([]byte, 4000))
		require.NoError(w, err)
		require.Equal(w, 1000, n)
		wg.Wait()
		require.Equal(w, 1500, wrote)
		closeAll(a, b)
	})
}

func TestDeadlines(t *testing.T) {
	inWorld(t, simnet.Options{Window: 1000}, func(w *world) {
		a, b := w.connect()
		buf := make([]byte, 3000)
		expect := func(n, want int, err error) {
			w.Helper()
			require.Equal(w, want, n)
			require.ErrorIs(w, err, os.ErrDeadlineExceeded)
			var ne net.Error
			require.ErrorAs(w, err, &ne)
			require.True(w, ne.Timeout())
		}
		a.SetReadDeadline(time.Now().Add(time.Second))
		w.took(time.Second, func() {
			n, err := a.Read(buf)
			expect(n, 0, err)
		})
		n, err := a.Read(buf) // stays over
		expect(n, 0, err)
		a.SetWriteDeadline(time.Now().Add(2 * time.Second))
		w.took(2*time.Second, func() {
			n, err := a.Write(buf)
			expect(n, 1000, err)
		})
		a.SetDeadline(time.Time{}) // and can be taken back
		b.Read(buf)
		w.took(0, func() {
			_, err := a.Write(buf[:10])
			require.NoError(w, err)
		})

		var wg sync.WaitGroup // a deadline set meanwhile wakes who waits
		wg.Go(func() {
			n, err := a.Read(buf)
			expect(n, 0, err)
		})
		wg.Go(func() {
			n, err := a.Write(buf)
			expect(n, 990, err)
		})
		synctest.Wait()
		w.took(0, func() {
			a.SetDeadline(time.Now())
			wg.Wait()
		})
		closeAll(a, b)
	})
}

func TestCloseWakes(t *testing.T) {
	for _, c := range []struct {
		name        string
		end         func(w *world, a, b net.Conn)
		read, write error
	}{
		{"own close", func(_ *world, a, _ net.Conn) { a.Close() }, net.ErrClosed, net.ErrClosed},
		{"peer's close", func(_ *world, _, b net.Conn) { b.Close() }, io.EOF, syscall.ECONNRESET},
		{"cut", func(w *world, _, _ net.Conn) { require.Equal(w, 1, w.n.Cut(addrB, addrA)) }, syscall.ECONNRESET, syscall.ECONNRESET},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, simnet.Options{}, func(w *world) {
				a, b := w.connect()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := a.Read(make([]byte, 1))
					require.ErrorIs(w, err, c.read)
				})
				wg.Go(func() {
					_, err := a.Write(make([]byte, 1<<20))
					require.ErrorIs(w, err, c.write)
				})
				synctest.Wait()
				c.end(w, a, b)
				wg.Wait()
				closeAll(a, b)
				require.NoError(w, a.Close(), "twice")
			})
		})
	}
}

func TestCut(t *testing.T) {
	inWorld(t, simnet.Options{}, func(w *world) {
		a1, b1 := w.connect()
		a2, b2 := w.connect()
		a1.Write([]byte("lost"))
		require.Zero(w, w.n.Cut(addrA, addr6))
		require.Equal(w, 2, w.n.Cut(addrA, addrB))
		for _, c := range []net.Conn{a1, b1, a2, b2} {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(w, err, syscall.ECONNRESET)
			c.Close()
		}
		a3, b3 := w.connect() // new ones can be made
		a3.Write([]byte("x"))
		_, err := b3.Read(make([]byte, 1))
		require.NoError(w, err)
		closeAll(a3, b3)
	})
}

func TestWritesDoNotInterleave(t *testing.T) {
	inWorld(t, simnet.Options{Window: 100}, func(w *world) {
		a, b := w.connect()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				_, err := a.Write(bytes.Repeat([]byte{byte(i)}, 1000))
				require.NoError(w, err)
			})
		}
		buf := make([]byte, 1000)
		for range 5 {
			_, err := io.ReadFull(b, buf)
			require.NoError(w, err)
			require.Equal(w, bytes.Repeat(buf[:1], 1000), buf)
		}
		wg.Wait()
		closeAll(a, b)
	})
}

func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{})
		h := n.Host(addrA)
		l, err := h.Listen("tcp", ":1")
		require.NoError(t, err)
		p, err := h.ListenPacket("udp", ":1")
		require.NoError(t, err)
		c, err := h.DialContext(t.Context(), "tcp", "10.0.0.1:1")
		require.NoError(t, err)
		require.Equal(t, []string{
			"connection 10.0.0.1:1 of 10.0.0.1:32768", "connection 10.0.0.1:32768 of 10.0.0.1:1",
			"listener 10.0.0.1:1", "packet socket 10.0.0.1:1",
		}, n.Left())
		l.Close()
		p.Close()
		c.Close()
		require.Empty(t, n.Left())
	})
}

// A swarm's worth of connections, all at once, under the race detector.
func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Link: simnet.Link{Latency: 5 * ms, Up: 1 << 20, Down: 2 << 20}})
		const hosts = 12
		var wg sync.WaitGroup
		for i := range hosts {
			h := n.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
			l, err := h.Listen("tcp", ":1")
			require.NoError(t, err)
			wg.Go(func() {
				for range hosts {
					c, err := l.Accept()
					require.NoError(t, err)
					wg.Go(func() {
						io.Copy(c, c)
						c.Close()
					})
				}
				l.Close()
			})
		}
		for i := range hosts * hosts {
			wg.Go(func() {
				h := n.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(i%hosts + 1)}))
				c, err := h.DialContext(t.Context(), "tcp", fmt.Sprintf("10.0.0.%d:1", i/hosts+1))
				require.NoError(t, err)
				defer c.Close()
				wg.Go(func() {
					c.Write(make([]byte, 50_000))
				})
				_, err = io.ReadFull(c, make([]byte, 50_000))
				require.NoError(t, err)
			})
		}
		wg.Wait()
		require.Empty(t, n.Left())
	})
}

func TestOutsideOfBubbles(t *testing.T) {
	n := simnet.New(simnet.Options{})
	l, err := n.Host(addrB).Listen("tcp", ":1")
	require.NoError(t, err)
	a, err := n.Host(addrA).DialContext(t.Context(), "tcp", "10.0.0.2:1")
	require.NoError(t, err)
	b, err := l.Accept()
	require.NoError(t, err)
	a.Write([]byte("hello"))
	a.Close()
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	b.Close()
	l.Close()
	require.Empty(t, n.Left())
}
