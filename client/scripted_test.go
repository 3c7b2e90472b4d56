package client_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
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

const blockSize = 16 << 10 // bytes, as we cut pieces

// noise returns n bytes that are the same at every run.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// torrentOf makes a torrent of one file with that content.
func torrentOf(t testing.TB, name string, data []byte, pieceLength int) *metainfo.MetaInfo {
	t.Helper()
	var sums []byte
	for rest := data; len(rest) > 0; {
		n := min(len(rest), pieceLength)
		s := sha1.Sum(rest[:n])
		sums = append(sums, s[:]...)
		rest = rest[n:]
	}
	m, err := metainfo.New(fmt.Appendf(nil, "d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%se",
		len(data), len(name), name, pieceLength, len(sums), sums))
	require.NoError(t, err)
	return m
}

// A scripted is a peer that does what a test says: it speaks frames over any
// connection, and has no opinions. Its methods are for one goroutine, but send
// may be called beside next.
type scripted struct {
	net.Conn
	theirs peerwire.Handshake
	in     *bufio.Reader
	limits peerwire.Limits
	frame  []byte
}

var scriptedIDs atomic.Uint64

// greeting is a handshake with a peer id of its own.
func greeting(infohash metainfo.Hash, fast bool) peerwire.Handshake {
	h := peerwire.Handshake{InfoHash: infohash}
	copy(h.PeerID[:], "-XX0001-")
	binary.BigEndian.PutUint64(h.PeerID[12:], scriptedIDs.Add(1))
	if fast {
		h.Reserved.Set(peerwire.FastBit)
	}
	return h
}

// greet makes the handshake over nc, on whichever side.
func greet(nc net.Conn, infohash metainfo.Hash, fast bool) (*scripted, error) {
	ours := greeting(infohash, fast)
	if _, err := nc.Write(ours.Append(nil)); err != nil {
		return nil, err
	}
	p := &scripted{Conn: nc, in: bufio.NewReaderSize(nc, 4<<10)}
	var b [peerwire.HandshakeLen]byte
	_, err := io.ReadFull(p.in, b[:])
	if err == nil {
		p.theirs, err = peerwire.ParseHandshake(b[:])
	}
	return p, err
}

// send writes messages at once.
func (p *scripted) send(msgs ...peerwire.Message) error {
	var b []byte
	for i := range msgs {
		b = msgs[i].Append(b)
	}
	_, err := p.Write(b)
	return err
}

// next waits for a message. Its Data are valid until the next call.
func (p *scripted) next() (m peerwire.Message, err error) {
	var head [4]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return m, err
	}
	p.frame = append(p.frame[:0], head[:]...)
	p.frame = append(p.frame, make([]byte, binary.BigEndian.Uint32(head[:]))...)
	if _, err := io.ReadFull(p.in, p.frame[4:]); err != nil {
		return m, err
	}
	_, err = p.limits.Next(p.frame, &m)
	return m, err
}

// await returns the next message with that id.
func (p *scripted) await(id peerwire.ID) (peerwire.Message, error) {
	for {
		m, err := p.next()
		if err != nil || m.ID == id {
			return m, err
		}
	}
}

// A source is a scripted peer that has everything and unchokes at once.
type source struct {
	m    *metainfo.MetaInfo
	data []byte
	fast bool
	most int           // blocks that it sends, then it only listens; 0: no end
	part int           // and then so many bytes of one more block
	open chan struct{} // it unchokes when this is closed; nil: at once
}

// block returns the answer to a request, its data not copied.
func (s *source) block(m peerwire.Message) net.Buffers {
	at := int64(m.Index)*s.m.Info.PieceLength + int64(m.Begin)
	return net.Buffers{peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length), s.data[at : at+int64(m.Length)]}
}

// everything says what a source has.
func (s *source) everything() peerwire.Message {
	if s.fast {
		return peerwire.Message{ID: peerwire.MsgHaveAll}
	}
	n := s.m.Info.NumPieces()
	bits := make([]byte, (n+7)/8)
	for i := range n {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	return peerwire.Message{ID: peerwire.MsgBitfield, Data: bits}
}

// serve makes the handshake and answers until the connection ends.
func (s *source) serve(nc net.Conn) error {
	p, err := greet(nc, s.m.Hashes().V1, s.fast)
	if err != nil {
		return err
	}
	if err := p.send(s.everything()); err != nil {
		return err
	}
	if s.open != nil {
		<-s.open
	}
	if err := p.send(peerwire.Message{ID: peerwire.MsgUnchoke}); err != nil {
		return err
	}
	for sent := 0; ; {
		m, err := p.next()
		if err != nil {
			return err
		}
		if m.ID != peerwire.MsgRequest || s.most > 0 && sent > s.most {
			continue
		}
		b := s.block(m)
		if sent++; s.most > 0 && sent > s.most {
			if s.part == 0 {
				continue
			}
			b[1] = b[1][:s.part]
		}
		if _, err := b.WriteTo(nc); err != nil {
			return err
		}
	}
}

// A crew is scripted peers that end with the test.
type crew struct {
	mu    sync.Mutex
	conns []net.Conn
	wg    sync.WaitGroup
}

func newCrew(t testing.TB) *crew {
	c := new(crew)
	t.Cleanup(func() {
		c.mu.Lock()
		for _, nc := range c.conns {
			nc.Close()
		}
		c.mu.Unlock()
		c.wg.Wait()
	})
	return c
}

// run runs a peer over nc.
func (c *crew) run(nc net.Conn, peer func(net.Conn) error) {
	c.mu.Lock()
	c.conns = append(c.conns, nc)
	c.mu.Unlock()
	c.wg.Go(func() {
		defer nc.Close()
		peer(nc)
	})
}

// dial connects a peer to a client, from that loopback address.
func (c *crew) dial(t testing.TB, from string, to *client.Client, peer func(net.Conn) error) {
	t.Helper()
	c.run(dialFrom(t, from, to), peer)
}

func dialFrom(t testing.TB, from string, to *client.Client) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	nc, err := d.Dial("tcp", address(to))
	require.NoError(t, err)
	return nc
}

// listen lets a peer answer every connection to addr.
func (c *crew) listen(t testing.TB, n client.Network, addr string, peer func(net.Conn) error) netip.AddrPort {
	t.Helper()
	l, err := n.Listen("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	c.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c.run(nc, peer)
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// until waits for a condition, looking again after every event of the torrent
// and every hundredth of a second.
func until(t testing.TB, tor *client.Torrent, within time.Duration, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, "not within "+within.String()+": "+what, "%+v\n%+v", tor.Stats(), tor.Peers())
		}
	}
}

// zeros is a storage of torrents that are all zeros and take no room; with
// Spec.Trust they are complete.
type zeros struct{ reads *atomic.Int64 }

func (z zeros) Open(storage.Spec) (storage.Torrent, error) { return z, nil }

func (z zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	if z.reads != nil {
		z.reads.Add(int64(len(p)))
	}
	return len(p), nil
}

func (zeros) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func (zeros) Close() error { return nil }
