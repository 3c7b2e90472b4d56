package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/peerwire"
)

// wired is a dialer whose connections are there already.
type wired struct{ nc net.Conn }

func (w wired) DialContext(context.Context, string, string) (net.Conn, error) { return w.nc, nil }

func hello(infohash, id byte) peerwire.Handshake {
	h := peerwire.Handshake{InfoHash: [20]byte{infohash}, PeerID: [20]byte{id}}
	h.Reserved.Set(peerwire.FastBit)
	return h
}

func bytesOf(h peerwire.Handshake) []byte { return h.Append(nil) }

// knows answers for torrent 1, as peer 1.
func knows(h [20]byte) (peerwire.Handshake, bool) { return hello(1, 1), h[0] == 1 }

// gather reads until the connection is closed.
func gather(nc net.Conn) <-chan []byte {
	ch := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(nc)
		ch <- b
	}()
	return ch
}

// TestAcceptRefuses (RW2): nothing is sent to who does not name a torrent of
// ours, and the connection is closed.
func TestAcceptRefuses(t *testing.T) {
	wrongText := bytesOf(hello(1, 2))
	wrongText[5] ^= 1
	wrongLength := bytesOf(hello(1, 2))
	wrongLength[0] = 18
	for _, tc := range []struct {
		name string
		sent []byte
		want error
	}{
		{"unknown infohash", bytesOf(hello(7, 2)), ErrUnknown},
		{"unknown infohash, 48 bytes", bytesOf(hello(7, 2))[:48], ErrUnknown},
		{"wrong protocol text", wrongText, nil},
		{"wrong length byte", wrongLength, nil},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: curl/8.5.0\r\n\r\n"), nil},
		{"noise", random(68), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				got := gather(b)
				go b.Write(tc.sent)
				from := time.Now()
				_, _, err := Accept(t.Context(), a, knows)
				require.Error(t, err)
				if tc.want != nil {
					require.ErrorIs(t, err, tc.want)
				} else {
					var pe *peerwire.ProtocolError
					require.ErrorAs(t, err, &pe)
				}
				require.Empty(t, <-got, "not a byte for a stranger")
				require.Zero(t, time.Since(from), "at once")
				b.Close()
			})
		})
	}
}

// TestHandshakeDeadline (RW3): ten seconds for all of it, however slowly the
// bytes come.
func TestHandshakeDeadline(t *testing.T) {
	whole := bytesOf(hello(1, 2))
	for _, tc := range []struct {
		name string
		peer func(nc net.Conn)
	}{
		{"silence", func(net.Conn) {}},
		{"half of it", func(nc net.Conn) { nc.Write(whole[:34]) }},
		{"all but one byte", func(nc net.Conn) { nc.Write(whole[:67]) }},
		{"a byte a second", func(nc net.Conn) {
			for i := range whole {
				if _, err := nc.Write(whole[i : i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}},
	} {
		for _, outgoing := range []bool{false, true} {
			name := tc.name + ", incoming"
			if outgoing {
				name = tc.name + ", outgoing"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := net.Pipe()
					got := gather(b)
					var peer sync.WaitGroup
					peer.Go(func() { tc.peer(b) })
					from := time.Now()
					var err error
					if outgoing {
						_, _, err = Dial(t.Context(), wired{a}, "", hello(1, 1), nil)
					} else {
						_, _, err = Accept(t.Context(), a, knows)
					}
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
					require.Equal(t, HandshakeTimeout, time.Since(from))
					<-got // closed
					b.Close()
					peer.Wait()
				})
			})
		}
	}
}

// TestHandshakeEndsWithItsContext: closing the client does not wait for it.
func TestHandshakeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := net.Pipe()
		got := gather(b)
		time.AfterFunc(3*time.Second, cancel)
		from := time.Now()
		_, _, err := Accept(ctx, a, knows)
		require.Error(t, err)
		require.Equal(t, 3*time.Second, time.Since(from))
		<-got
		b.Close()
	})
}

// TestAnswerAt48Bytes (W8): a tracker that checks for NAT sends no more, and
// reads our 68.
func TestAnswerAt48Bytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		done := make(chan error, 1)
		go func() {
			_, _, err := Accept(t.Context(), a, knows)
			done <- err
		}()
		_, err := b.Write(bytesOf(hello(1, 2))[:47])
		require.NoError(t, err)
		b.SetReadDeadline(time.Now().Add(time.Second))
		_, err = b.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "47 bytes are not enough")
		b.SetReadDeadline(time.Time{})
		_, err = b.Write(bytesOf(hello(1, 2))[47:48])
		require.NoError(t, err)
		from := time.Now()
		var ours [peerwire.HandshakeLen]byte
		_, err = io.ReadFull(b, ours[:])
		require.NoError(t, err)
		require.Zero(t, time.Since(from))
		require.Equal(t, bytesOf(hello(1, 1)), ours[:])
		b.Close()
		require.ErrorIs(t, <-done, io.EOF)
	})
}

// TestDialWaitsForTheirHandshake (RW30): nothing but our 68 bytes goes out
// before the others are in.
func TestDialWaitsForTheirHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		done := make(chan error, 1)
		go func() {
			nc, theirs, err := Dial(t.Context(), wired{a}, "", hello(1, 1), nil)
			if err == nil && (nc != a || theirs != hello(1, 2)) {
				err = errors.New("another connection or handshake")
			}
			done <- err
		}()
		var got [peerwire.HandshakeLen]byte
		_, err := io.ReadFull(b, got[:])
		require.NoError(t, err)
		require.Equal(t, bytesOf(hello(1, 1)), got[:])
		b.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := b.Read(got[:])
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "%d bytes too early", n)
		_, err = b.Write(bytesOf(hello(1, 2)))
		require.NoError(t, err)
		require.NoError(t, <-done)
		// The deadline is taken back: the connection lives for longer than that.
		time.Sleep(2 * HandshakeTimeout)
		go b.Write([]byte{1})
		_, err = a.Read(got[:1])
		require.NoError(t, err)
		a.Close()
		b.Close()
	})
}

// TestDialRefuses: ourselves, another torrent, another peer than the tracker
// named (W18).
func TestDialRefuses(t *testing.T) {
	named := [20]byte{5}
	for _, tc := range []struct {
		name   string
		theirs peerwire.Handshake
		want   *[20]byte
		err    error
	}{
		{"ourselves", hello(1, 1), nil, ErrSelf},
		{"another torrent", hello(3, 2), nil, ErrUnknown},
		{"another peer (W18)", hello(1, 2), &named, ErrOtherPeerID},
		{"the peer that was named", hello(1, 5), &named, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				got := gather(b)
				go b.Write(bytesOf(tc.theirs))
				nc, _, err := Dial(t.Context(), wired{a}, "", hello(1, 1), tc.want)
				if tc.err == nil {
					require.NoError(t, err)
					nc.Close()
				} else {
					require.ErrorIs(t, err, tc.err)
					require.Nil(t, nc)
				}
				require.Len(t, <-got, peerwire.HandshakeLen) // and closed
				b.Close()
			})
		})
	}
}

// TestAcceptRefusesOurselves: the same from the other side.
func TestAcceptRefusesOurselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		got := gather(b)
		go b.Write(bytesOf(hello(1, 1)))
		_, _, err := Accept(t.Context(), a, knows)
		require.ErrorIs(t, err, ErrSelf)
		<-got
		b.Close()
	})
}

// TestHandshakeErrorsAreShort: they end in logs.
func TestHandshakeErrorsAreShort(t *testing.T) {
	a, b := net.Pipe()
	go func() {
		b.Write([]byte(strings.Repeat("\n%s\x00", 30)))
		b.Close()
	}()
	_, _, err := Accept(t.Context(), a, knows)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 200)
}
