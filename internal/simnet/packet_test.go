package simnet_test

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/stretchr/testify/require"
)

func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Link: simnet.Link{Latency: 10 * ms}})
		a, err := n.Host(addrA).ListenPacket("udp", ":0")
		require.NoError(t, err)
		b, err := n.Host(addrB).ListenPacket("udp4", "10.0.0.2:53")
		require.NoError(t, err)
		_, err = n.Host(addrB).ListenPacket("udp", ":53")
		require.ErrorIs(t, err, syscall.EADDRINUSE)

		begin := time.Now()
		for _, s := range []string{"one", "two"} {
			_, err = a.WriteTo([]byte(s), b.LocalAddr())
			require.NoError(t, err)
		}
		buf := make([]byte, 100)
		for _, s := range []string{"one", "two"} {
			k, from, err := b.ReadFrom(buf)
			require.NoError(t, err)
			require.Equal(t, s, string(buf[:k]))
			require.Equal(t, a.LocalAddr(), from)
		}
		require.Equal(t, 20*ms, time.Since(begin))

		_, err = a.WriteTo(buf, &net.UDPAddr{IP: net.IPv4(10, 9, 9, 9), Port: 1})
		require.NoError(t, err, "packets to nobody vanish")
		_, err = a.WriteTo(buf, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 54})
		require.NoError(t, err)
		_, err = a.WriteTo(make([]byte, 70000), b.LocalAddr())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		_, err = a.WriteTo(buf, &net.TCPAddr{})
		require.Error(t, err)

		b.SetReadDeadline(time.Now().Add(time.Second))
		_, _, err = b.ReadFrom(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		b.SetDeadline(time.Time{})
		b.SetWriteDeadline(time.Now())
		_, err = b.WriteTo(buf, a.LocalAddr())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, err := b.ReadFrom(buf)
			require.ErrorIs(t, err, net.ErrClosed)
		})
		synctest.Wait()
		require.NoError(t, b.Close())
		wg.Wait()
		require.ErrorIs(t, b.Close(), net.ErrClosed)
		require.NoError(t, a.Close())
		_, err = a.WriteTo(buf, b.LocalAddr())
		require.ErrorIs(t, err, net.ErrClosed)
		require.Empty(t, n.Left())
	})
}

func TestPacketLossAndBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 7})
		n.Host(addrA).SetLink(simnet.Link{Loss: 0.25, Up: 1000 << 10})
		a, err := n.Host(addrA).ListenPacket("udp", ":1")
		require.NoError(t, err)
		b, err := n.Host(addrB).ListenPacket("udp", ":1")
		require.NoError(t, err)
		for range 1000 {
			a.WriteTo(make([]byte, 1024), b.LocalAddr())
		}
		begin := time.Now()
		b.SetReadDeadline(begin.Add(time.Minute))
		got := 0
		var last time.Duration
		for {
			_, _, err := b.ReadFrom(make([]byte, 2000))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			require.NoError(t, err)
			got++
			last = time.Since(begin)
		}
		require.InDelta(t, 750, got, 60)
		require.InDelta(t, time.Second, last, float64(20*ms))
		a.Close()
		b.Close()
	})
}
