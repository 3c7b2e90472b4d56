package client_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/storage"
)

// garbage is a stream to be sent behind a handshake: random bytes, random
// frames with sane lengths, or sane messages with random numbers.
func garbage(r *rand.Rand, kind int) []byte {
	bytes := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	if kind == 0 {
		return bytes(1 + r.IntN(4000))
	}
	var b []byte
	for range 1 + r.IntN(40) {
		if kind == 1 {
			n := r.IntN(60)
			b = append(b, 0, 0, 0, byte(n))
			b = append(b, bytes(n)...)
			continue
		}
		m := peerwire.Message{ID: peerwire.ID(r.IntN(22)), Index: r.Uint32N(12), Begin: r.Uint32N(3) * blockSize, Length: r.Uint32N(2) * blockSize}
		switch m.ID {
		case peerwire.MsgPiece:
			m.Data = bytes(r.IntN(2) * blockSize)
		case peerwire.MsgBitfield:
			m.Data = bytes(1 + r.IntN(3))
		case peerwire.MsgExtended:
			m.Index = r.Uint32N(3)
			m.Data = append([]byte("d1:md11:ut_metadatai3ee13:metadata_sizei"), bytes(r.IntN(30))...)
		}
		b = m.Append(b)
	}
	return b
}

// TestNoiseAfterTheHandshake (RW1): whatever bytes follow a handshake, nothing
// panics, memory stays bounded, and the other peer is not harmed: with the
// metadata and without.
func TestNoiseAfterTheHandshake(t *testing.T) {
	const streams = 300
	data := noise(10*64<<10, 11)
	m := torrentOf(t, "noise", data, 64<<10)
	for _, magnet := range []bool{false, true} {
		t.Run(fmt.Sprintf("magnet=%v", magnet), func(t *testing.T) {
			c := start(t, client.Config{Storage: storage.NewMemory(), MaxPeers: -1, MaxPeersPerTorrent: -1})
			spec := client.Spec{MetaInfo: m}
			if magnet {
				spec = client.Spec{Hashes: m.Hashes()}
			}
			tor := add(t, c, spec)
			crew := newCrew(t)
			good := &source{m: m, data: data, fast: true, open: make(chan struct{})}
			unchoke := sync.OnceFunc(func() { close(good.open) })
			t.Cleanup(unchoke)
			crew.dial(t, "", c, good.serve)
			until(t, tor, 10*time.Second, "the good peer is there", func() bool {
				return tor.Stats().Seeds == 1
			})
			ended := make(chan struct{}, streams)
			r := rand.New(rand.NewPCG(20, 26))
			for i := range streams {
				b := garbage(r, i%3)
				nc := dialFrom(t, "127.0.0.2", c)
				crew.run(nc, func(nc net.Conn) error {
					defer func() { ended <- struct{}{} }()
					hs := greeting(m.Hashes().V1, i%2 == 0)
					if i%5 != 0 {
						hs.Reserved.Set(peerwire.ExtensionBit)
					}
					if _, err := nc.Write(append(hs.Append(nil), b...)); err != nil {
						return err
					}
					nc.(*net.TCPConn).CloseWrite() // read to the end, then closed
					_, err := io.Copy(io.Discard, nc)
					return err
				})
			}
			for range streams {
				select {
				case <-ended:
				case <-time.After(20 * time.Second):
					require.FailNow(t, "a connection is stuck", "%+v", tor.Peers())
				}
			}
			until(t, tor, 10*time.Second, "only the good peer is left", func() bool { return tor.Stats().Peers == 1 })
			require.True(t, tor.Peers()[0].Addr.Addr().String() == "127.0.0.1")
			unchoke()
			if !magnet { // without BEP 10 there is nobody to have the metadata from
				wait(t, tor)
			}
			st := tor.Stats()
			used, peak := c.MemoryUse()
			t.Logf("%d streams; wasted %d KiB, failed their hash: %d pieces; buffers' peak %.1f MiB, now %d bytes",
				streams, st.Wasted>>10, st.HashFails, mib(peak), used)
			require.Zero(t, st.HashFails, "blocks that nobody asked for are not taken")
			require.Zero(t, used)
		})
	}
}

// TestSilentConnections (RW4): three hundred connections that say nothing, or
// half a handshake, don't keep a good peer out.
func TestSilentConnections(t *testing.T) {
	data := noise(100<<10, 12)
	m := torrentOf(t, "silent", data, 32<<10)
	c := start(t, client.Config{Storage: storage.NewMemory()})
	tor := add(t, c, client.Spec{MetaInfo: m})
	crew := newCrew(t)
	for i := range 300 {
		hs := greeting(m.Hashes().V1, true)
		half := hs.Append(nil)[:i%peerwire.HandshakeHead]
		crew.dial(t, fmt.Sprintf("127.0.0.%d", 2+i%50), c, func(nc net.Conn) error {
			nc.Write(half)
			_, err := io.Copy(io.Discard, nc)
			return err
		})
	}
	began := time.Now()
	s := &source{m: m, data: data, fast: true}
	crew.dial(t, "", c, s.serve)
	wait(t, tor)
	took := time.Since(began)
	t.Logf("complete %v after a good peer came behind 300 silent ones", took)
	require.Less(t, took, 2*time.Second)
}

// TestRequestFlood (RW15): a hundred thousand requests at once by a peer that
// does not read the answers. The queue is bounded, the disk is not read for
// what does not fit, and memory stays flat.
func TestRequestFlood(t *testing.T) {
	const requests, pieces = 100000, 64
	for _, fast := range []bool{true, false} {
		t.Run(fmt.Sprintf("fast=%v", fast), func(t *testing.T) {
			m := torrentOf(t, "flood", make([]byte, pieces*blockSize), blockSize)
			var reads atomic.Int64
			c := start(t, client.Config{Storage: zeros{&reads}, Memory: 16 << 20})
			tor := add(t, c, client.Spec{MetaInfo: m, Trust: true})
			nc := dialFrom(t, "", c)
			defer nc.Close()
			p, err := greet(nc, m.Hashes().V1, fast)
			require.NoError(t, err)
			require.NoError(t, p.send(peerwire.Message{ID: peerwire.MsgInterested}))
			_, err = p.await(peerwire.MsgUnchoke)
			require.NoError(t, err)
			var flood []byte
			for i := range requests {
				flood = peerwire.AppendRequest(flood, uint32(i%pieces), 0, blockSize)
			}
			stop := watchHeap()
			nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
			n, err := nc.Write(flood) // nothing is read: it may be cut off
			queued := 0
			for _, p := range tor.Peers() {
				queued = max(queued, p.Queued)
			}
			live, used := stop()
			_, peak := c.MemoryUse()
			t.Logf("%d of %d requests taken (%v); queued %d; read from disk %.1f MiB; heap: live +%.1f MiB, in use +%.1f MiB; buffers' peak %.1f MiB",
				n/17, requests, err, queued, mib(reads.Load()), mib(live), mib(used), mib(peak))
			require.LessOrEqual(t, queued, 500)
			require.Less(t, reads.Load(), int64(32<<20), "what the sockets and one run hold")
			require.Less(t, live, int64(8<<20))
			require.LessOrEqual(t, peak, int64(16<<20))
			// Somebody else is served meanwhile.
			other, err := greet(dialFrom(t, "127.0.0.3", c), m.Hashes().V1, true)
			require.NoError(t, err)
			defer other.Close()
			require.NoError(t, other.send(peerwire.Message{ID: peerwire.MsgInterested}))
			_, err = other.await(peerwire.MsgUnchoke)
			require.NoError(t, err)
			require.NoError(t, other.send(peerwire.Message{ID: peerwire.MsgRequest, Length: blockSize}))
			got, err := other.await(peerwire.MsgPiece)
			require.NoError(t, err)
			require.Len(t, got.Data, blockSize)
		})
	}
}

// TestOversizedPrefix (RW6): a length of 2^31 or 2^32-1 ends the connection,
// and nothing is allocated on its word.
func TestOversizedPrefix(t *testing.T) {
	m := torrentOf(t, "prefix", make([]byte, 4*blockSize), blockSize)
	c := start(t, client.Config{Storage: storage.NewMemory()})
	tor := add(t, c, client.Spec{MetaInfo: m})
	before := liveHeap()
	for _, head := range []string{"\x80\x00\x00\x00", "\xff\xff\xff\xff\x07", "\x04\x00\x00\x00\x05", "\x00\x03\x00\x00\x07"} {
		p, err := greet(dialFrom(t, "", c), m.Hashes().V1, true)
		require.NoError(t, err)
		until(t, tor, 10*time.Second, "joined", func() bool { return tor.Stats().Peers == 1 })
		_, err = io.WriteString(p, head)
		require.NoError(t, err)
		p.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = io.Copy(io.Discard, p.in)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "closed, not waited for")
		p.Close()
		until(t, tor, 10*time.Second, "left", func() bool { return tor.Stats().Peers == 0 })
	}
	grown := liveHeap() - before
	_, peak := c.MemoryUse()
	t.Logf("four prefixes: heap +%d KiB, buffers' peak %d KiB", grown>>10, peak>>10)
	require.Less(t, grown, int64(1<<20))
	require.Less(t, peak, int64(1<<20))
}

// TestGarbageTorrents: each way to add something broken gives one line.
func TestGarbageTorrents(t *testing.T) {
	c := start(t, client.Config{Storage: storage.NewMemory()})
	_, err := c.AddFile("no/such/file.torrent")
	require.ErrorContains(t, err, "no/such/file.torrent")
	for _, bad := range []client.Spec{{}, {Magnet: "magnet:?dn=x"}, {Magnet: "http://x"}, {Hashes: metainfo.Hashes{V2: metainfo.HashV2{1}}}} {
		tor, err := c.Add(bad)
		require.Error(t, err)
		require.Nil(t, tor)
		require.NotContains(t, err.Error(), "\n")
	}
	require.Empty(t, c.Torrents())
}
