package udpmux

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func socket(t *testing.T, network, address string) net.PacketConn {
	t.Helper()
	s, err := net.ListenPacket(network, address)
	if err != nil && network == "udp6" {
		t.Skip("no IPv6 here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func open(t *testing.T, m *Mux, k Kind) net.PacketConn {
	t.Helper()
	c, err := m.Open(k)
	require.NoError(t, err)
	return c
}

func TestPacketsGoToTheirProtocol(t *testing.T) {
	for network, address := range map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			other := socket(t, network, address)
			m := New(socket(t, network, address))
			defer m.Close()
			to := map[Kind]net.PacketConn{}
			for k := range kinds {
				to[k] = open(t, m, k)
				require.Equal(t, m.LocalAddr(), to[k].LocalAddr())
			}
			for _, p := range []struct {
				bytes string
				kind  Kind
			}{
				{"\x00\x00\x00\x01 a tracker's answer", Tracker},
				{"d1:rd2:id20:abcdefghij0123456789e1:t1:a1:y1:re", DHT},
				{"\x01 data", UTP}, {"\x21 state", UTP}, {"\x41 syn", UTP},
			} {
				for _, nobodys := range []string{"GET / HTTP/1.1\r\n", "\x51", "\x02", "\xff", ""} {
					_, err := other.WriteTo([]byte(nobodys), m.LocalAddr())
					require.NoError(t, err)
				}
				_, err := other.WriteTo([]byte(p.bytes), m.LocalAddr())
				require.NoError(t, err)
				b := make([]byte, 100)
				n, from, err := to[p.kind].ReadFrom(b)
				require.NoError(t, err)
				require.Equal(t, p.bytes, string(b[:n]))
				require.Equal(t, other.LocalAddr().String(), from.String())

				_, err = to[p.kind].WriteTo([]byte("back"), from)
				require.NoError(t, err)
				n, from, err = other.ReadFrom(b)
				require.NoError(t, err)
				require.Equal(t, "back", string(b[:n]))
				require.Equal(t, m.LocalAddr().String(), from.String())
			}
			require.EqualValues(t, 5*5, m.Dropped())
		})
	}
}

func TestOneOpensAndCloses(t *testing.T) {
	m := New(socket(t, "udp4", "127.0.0.1:0"))
	a := open(t, m, DHT)
	_, err := m.Open(DHT)
	require.ErrorIs(t, err, ErrOpen)
	_, err = m.Open(kinds)
	require.Error(t, err)

	failed := make(chan error)
	read := func(c net.PacketConn) {
		_, _, err := c.ReadFrom(make([]byte, 1))
		failed <- err
	}
	go read(a)
	require.NoError(t, a.Close())
	require.ErrorIs(t, <-failed, net.ErrClosed)
	require.ErrorIs(t, a.Close(), net.ErrClosed)
	_, err = a.WriteTo([]byte("x"), m.LocalAddr())
	require.ErrorIs(t, err, net.ErrClosed)

	b := open(t, m, DHT) // the closing of the first one again is not its own
	a.Close()
	go read(b)
	require.NoError(t, m.Close())
	require.ErrorIs(t, <-failed, net.ErrClosed)
	_, err = m.Open(Tracker)
	require.ErrorIs(t, err, net.ErrClosed)
}

// memory is a socket whose reads are handed in.
type memory struct {
	net.PacketConn
	in   chan []byte
	fail chan error
}

func (s *memory) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p, ok := <-s.in:
		if !ok {
			return 0, nil, net.ErrClosed
		}
		return copy(b, p), &net.UDPAddr{}, nil
	case err := <-s.fail:
		return 0, nil, err
	}
}
func (s *memory) LocalAddr() net.Addr { return &net.UDPAddr{} }
func (s *memory) Close() error        { close(s.in); return nil }

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{in: make(chan []byte)}
		m := New(s)
		defer m.Close()
		c := open(t, m, Tracker)
		expires := func(after time.Duration) {
			begun := time.Now()
			_, _, err := c.ReadFrom(nil)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, after, time.Since(begun))
			var timeout net.Error
			require.True(t, errors.As(err, &timeout) && timeout.Timeout())
		}
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		expires(time.Minute)
		s.in <- []byte{0}
		expires(0) // as a real socket: not even what is there
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		_, _, err := c.ReadFrom(nil)
		require.NoError(t, err)

		require.NoError(t, c.SetDeadline(time.Now().Add(time.Hour)))
		time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Unix(1, 0)) }) // a read that waits sees it
		begun := time.Now()
		_, _, err = c.ReadFrom(nil)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begun))
	})
}

func TestAFloodIsDropped(t *testing.T) {
	s := &memory{in: make(chan []byte)}
	m := New(s)
	defer m.Close()
	c := open(t, m, UTP)
	const flood = 3 * maxQueue
	for range flood {
		s.in <- []byte{1}
	}
	s.in <- []byte{0xff} // the one before has been dealt with
	require.Len(t, c.(*conn).queue, maxQueue)
	require.GreaterOrEqual(t, m.Dropped(), uint64(flood-maxQueue))
}

func TestAReadThatFailsAtTimesIsNoEnd(t *testing.T) {
	s := &memory{in: make(chan []byte), fail: make(chan error)}
	m := New(s)
	c := open(t, m, DHT)
	odd := errors.New("port unreachable")
	for range maxFails {
		s.fail <- odd
	}
	s.in <- []byte("d")
	_, _, err := c.ReadFrom(nil)
	require.NoError(t, err)
	for range maxFails + 1 {
		s.fail <- odd
	}
	_, _, err = c.ReadFrom(nil)
	require.ErrorIs(t, err, odd)
	_, err = m.Open(UTP)
	require.ErrorIs(t, err, odd)
	m.Close()
}
