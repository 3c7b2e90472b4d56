package conn

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// pair is a connection over a simulated network, which buffers as TCP does.
func pair(t testing.TB, n *simnet.Net) (here, there net.Conn) {
	a, b := n.Host(netip.MustParseAddr("10.0.0.1")), n.Host(netip.MustParseAddr("10.0.0.9"))
	l, err := a.Listen("tcp", ":6881")
	require.NoError(t, err)
	defer l.Close()
	there, err = b.DialContext(context.Background(), "tcp", "10.0.0.1:6881")
	require.NoError(t, err)
	here, err = l.Accept()
	require.NoError(t, err)
	return here, there
}

// messages in their bytes.
func stream(msgs ...peerwire.Message) (b []byte) {
	for i := range msgs {
		b = msgs[i].Append(b)
	}
	return b
}

var (
	haveAll   = peerwire.Message{ID: peerwire.MsgHaveAll}
	unchoke   = peerwire.Message{ID: peerwire.MsgUnchoke}
	keepAlive = peerwire.Message{ID: peerwire.MsgKeepAlive}
)

// download lets the far side give everything, its bytes cut by send.
func download(t *testing.T, greeting []byte, send func(nc net.Conn, b []byte) error) {
	const pieceLength = 32 << 10
	data := random(3*pieceLength + 777)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pieceLength, int64(len(data)), data)
		here, there := pair(t, simnet.New(simnet.Options{}))
		_, ended := r.run(here, true)
		f := newFar(there)
		require.NoError(t, send(there, greeting))
		for r.stats().Left > 0 {
			m, err := f.await(peerwire.MsgRequest)
			require.NoError(t, err)
			require.NoError(t, send(there, answer(nil, m, pieceLength, data)))
			synctest.Wait()
		}
		require.True(t, bytes.Equal(data, r.disk))
		there.Close()
		require.ErrorIs(t, <-ended, swarm.ErrBothSeeds)
		r.wg.Wait()
		require.Zero(t, r.env.Recv.Used(), "no buffer is kept")
	})
}

// TestOneByteSegments (RW29): the connection lives, however the bytes come.
func TestOneByteSegments(t *testing.T) {
	download(t, stream(keepAlive, keepAlive, haveAll, unchoke), func(nc net.Conn, b []byte) error {
		for i := range b {
			if _, err := nc.Write(b[i : i+1]); err != nil {
				return err
			}
			if i < 30 || i > len(b)-30 {
				synctest.Wait() // a segment of its own
			}
		}
		return nil
	})
}

// TestHandshakeAndMessagesInOneSegment (RW29): what follows the handshake is
// not lost.
func TestHandshakeAndMessagesInOneSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := random(5000)
		r := newRig(t, 16<<10, int64(len(data)), data)
		here, there := pair(t, simnet.New(simnet.Options{}))
		f := newFar(there)
		_, err := there.Write(append(bytesOf(hello(1, 2)), stream(haveAll, unchoke)...))
		require.NoError(t, err)
		_, _, err = Accept(t.Context(), here, knows)
		require.NoError(t, err)
		_, err = f.in.Discard(peerwire.HandshakeLen)
		require.NoError(t, err)
		_, ended := r.run(here, true)
		m, err := f.await(peerwire.MsgRequest)
		require.NoError(t, err)
		_, err = there.Write(answer(nil, m, 16<<10, data))
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, r.stats().Left)
		there.Close()
		<-ended
		r.wg.Wait()
	})
}

// TestMessagesAtBufferEdges: a block begins and ends at each distance from
// the ends of the buffers that a reader uses.
func TestMessagesAtBufferEdges(t *testing.T) {
	const pieceLength = 16 << 10
	data := random(2 * pieceLength) // of which the peer has the first piece
	synctest.Test(t, func(t *testing.T) {
		for _, edge := range []int{parkedSize, midSize, bigSize} {
			for _, at := range []int{-14, -13, -5, -4, -1, 0, 1, 13} {
				for _, end := range []bool{false, true} { // which side of the block is at the edge
					r := newRig(t, pieceLength, int64(len(data)), data)
					here, there := pair(t, simnet.New(simnet.Options{Window: 1 << 20}))
					_, ended := r.run(here, true)
					f := newFar(there)
					_, err := there.Write(stream(peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0x80}}, unchoke))
					require.NoError(t, err)
					m, err := f.await(peerwire.MsgRequest)
					require.NoError(t, err)
					want := answer(nil, m, pieceLength, data)
					before := edge + at
					if end {
						before -= len(want)
					}
					// Everything in one write: padding up to the edge, the block, and more.
					b := padding(before)
					b = append(b, want...)
					b = append(b, padding(3000)...)
					_, err = there.Write(b)
					require.NoError(t, err)
					synctest.Wait()
					require.Equal(t, 1, r.stats().NumHave, "edge %d%+d, end %v", edge, at, end)
					require.True(t, bytes.Equal(data[:pieceLength], r.disk[:pieceLength]))
					there.Close()
					require.ErrorIs(t, <-ended, io.EOF, "edge %d%+d, end %v", edge, at, end)
					r.wg.Wait()
					require.Zero(t, r.env.Recv.Used())
				}
			}
		}
	})
}

// padding is messages of unknown kind (to be ignored), n bytes of them.
func padding(n int) (b []byte) {
	const largest = 900
	for n > 0 {
		k := min(n, largest)
		if n > largest && n < largest+5 {
			k = n - 5
		}
		if k < 5 {
			break // too little for a message: negative distances of small edges
		}
		m := peerwire.Message{ID: 200, Data: make([]byte, k-5)}
		b = m.Append(b)
		n -= k
	}
	return b
}

// TestLongMessages: an extended message and a bitfield as long as they may be
// pass through a buffer borrowed for them.
func TestLongMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 16<<10, 16<<10, random(16<<10))
		var got []int
		r.env.Extended = func(_ *Conn, id uint8, payload []byte) { got = append(got, int(id), len(payload)) }
		here, there := pair(t, simnet.New(simnet.Options{}))
		_, ended := r.run(here, true)
		go io.Copy(io.Discard, there)
		for _, n := range []int{parkedSize - 6, parkedSize - 5, midSize, maxExtended} {
			_, err := there.Write(stream(peerwire.Message{ID: peerwire.MsgExtended, Index: 9, Data: make([]byte, n)}))
			require.NoError(t, err)
			synctest.Wait()
		}
		require.Equal(t, []int{9, parkedSize - 6, 9, parkedSize - 5, 9, midSize, 9, maxExtended}, got)
		require.Zero(t, r.env.Recv.Used(), "an idle reader has only its own buffer")
		there.Close()
		<-ended
		r.wg.Wait()
	})
}

// TestOversizedPrefix (RW6): dropped at the prefix, with nothing allocated.
func TestOversizedPrefix(t *testing.T) {
	for _, head := range []string{
		"\x80\x00\x00\x00", "\xff\xff\xff\xff", // RW6
		"\x04\x00\x00\x00\x07", // a block of 64 MiB
		"\x00\x02\x00\x03\x14", // an extended message over our bound
		"\x00\x00\x00\x03\x05", // a bitfield of the wrong length
	} {
		t.Run(fmt.Sprintf("%x", head), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 16<<10, 16<<10, random(16<<10))
				here, there := pair(t, simnet.New(simnet.Options{}))
				_, ended := r.run(here, true)
				_, err := io.WriteString(there, head)
				require.NoError(t, err)
				err = <-ended
				var pe *peerwire.ProtocolError
				require.ErrorAs(t, err, &pe)
				require.Zero(t, r.env.Recv.Peak())
				r.wg.Wait()
				there.Close()
			})
		})
	}
}

// TestGateHoldsTheReader: at three quarters of the budget a reader that is to
// get blocks stops reading, is seen as held, and goes on afterwards.
func TestGateHoldsTheReader(t *testing.T) {
	const pieceLength = 256 << 10
	data := random(2 * pieceLength)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pieceLength, int64(len(data)), data)
		here, there := pair(t, simnet.New(simnet.Options{}))
		_, ended := r.run(here, true)
		f := newFar(there)
		there.Write(stream(haveAll, unchoke))
		m, err := f.await(peerwire.MsgRequest)
		require.NoError(t, err)
		var others [][]byte // somebody else's memory
		for {
			b := r.env.Recv.Get(1<<20, 0)
			if b == nil {
				break
			}
			others = append(others, b)
		}
		there.Write(answer(nil, m, pieceLength, data))
		time.Sleep(time.Minute) // longer than any time-out of requests
		require.Zero(t, r.stats().Counters.Downloaded)
		infos := r.env.Swarm.Peers(nil, time.Now())
		require.True(t, infos[0].Held)
		for _, b := range others {
			r.env.Recv.Put(b)
		}
		synctest.Wait()
		require.EqualValues(t, piece.BlockSize, r.stats().Counters.Downloaded)
		infos = r.env.Swarm.Peers(nil, time.Now())
		require.False(t, infos[0].Held)
		require.False(t, infos[0].Snubbed)
		there.Close()
		<-ended
		r.wg.Wait()
	})
}

// TestQuietReaderGivesItsBufferBack: a peer that stops after a burst, in the
// middle of a block or between two, does not keep what was lent for the burst,
// and when it goes on nothing is lost.
func TestQuietReaderGivesItsBufferBack(t *testing.T) {
	const pieceLength = 1 << 20
	data := random(2 * pieceLength)
	for _, cut := range []int{0, 1000, 5000, 16000} { // bytes of the last block that come
		t.Run(fmt.Sprintf("cut=%d", cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, pieceLength, int64(len(data)), data)
				here, there := pair(t, simnet.New(simnet.Options{Window: 1 << 20}))
				_, ended := r.run(here, true)
				f := newFar(there)
				there.Write(stream(haveAll, unchoke))
				var burst []byte
				for range 15 {
					m, err := f.await(peerwire.MsgRequest)
					require.NoError(t, err)
					burst = answer(burst, m, pieceLength, data)
				}
				m, err := f.await(peerwire.MsgRequest)
				require.NoError(t, err)
				last := answer(nil, m, pieceLength, data)
				there.Write(append(burst, last[:cut]...))
				synctest.Wait()
				landed := r.stats().Counters.Downloaded
				require.EqualValues(t, 15*piece.BlockSize, landed)
				lent := r.env.Recv.Used()
				time.Sleep(3 * quietTime)
				kept := r.env.Recv.Used() - 1<<20 // beside the slab
				t.Logf("lent for the burst: %d KiB; kept: %d KiB", (lent-1<<20)>>10, kept>>10)
				require.LessOrEqual(t, kept, int64(2*cut))
				there.Write(last[cut:])
				synctest.Wait()
				require.EqualValues(t, 16*piece.BlockSize, r.stats().Counters.Downloaded)
				there.Close()
				<-ended
				r.wg.Wait()
			})
		})
	}
}

// TestCloseInterruptsAHeldReader: closing does not wait for memory.
func TestCloseInterruptsAHeldReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := random(64 << 10)
		r := newRig(t, 64<<10, int64(len(data)), data)
		here, there := pair(t, simnet.New(simnet.Options{}))
		c, ended := r.run(here, true)
		f := newFar(there)
		there.Write(stream(haveAll, unchoke))
		m, err := f.await(peerwire.MsgRequest)
		require.NoError(t, err)
		for r.env.Recv.Get(1<<20, 0) != nil {
		}
		there.Write(answer(nil, m, 64<<10, data))
		synctest.Wait()
		c.Close(io.ErrClosedPipe)
		require.ErrorIs(t, <-ended, io.ErrClosedPipe)
		r.wg.Wait()
		there.Close()
	})
}

// loop is a connection to a peer that answers every request with zeros, in
// segments of one size, without a goroutine or an allocation.
type loop struct {
	net.Conn // nil
	segment  int
	limits   peerwire.Limits
	asked    []peerwire.Message
	head     int
	begin    []byte // what it says first
	message  []byte // the piece message being sent
	sent     int    // of message
	blocks   int    // sent
	until    int    // then the connection ends
	at       func(blocks int)
}

func (l *loop) Close() error                     { return nil }
func (l *loop) SetReadDeadline(time.Time) error  { return nil }
func (l *loop) SetWriteDeadline(time.Time) error { return nil }

func (l *loop) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		var m peerwire.Message
		k, err := l.limits.Next(b, &m)
		if err != nil || k == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if m.ID == peerwire.MsgRequest {
			if l.head == len(l.asked) {
				l.asked, l.head = l.asked[:0], 0
			}
			l.asked = append(l.asked, m)
		}
		b = b[k:]
	}
	return n, nil
}

func (l *loop) Read(p []byte) (n int, err error) {
	p = p[:min(len(p), l.segment)]
	if len(l.begin) > 0 {
		n = copy(p, l.begin)
		l.begin = l.begin[n:]
		return n, nil
	}
	for n < len(p) {
		if l.sent == len(l.message) {
			if l.blocks >= l.until || l.head == len(l.asked) {
				break
			}
			m := &l.asked[l.head]
			l.head++
			l.message = peerwire.AppendPieceHeader(l.message[:0], m.Index, m.Begin, m.Length)
			l.message = l.message[:len(l.message)+int(m.Length)] // zeros
			l.sent = 0
			l.blocks++
			if l.at != nil {
				l.at(l.blocks)
			}
		}
		k := copy(p[n:], l.message[l.sent:])
		l.sent += k
		n += k
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// pumped runs a reader over so many blocks.
func pumped(t testing.TB, blocks, segment int, at func(blocks int)) {
	r := newRig(t, 256<<10, int64(blocks+2048)*piece.BlockSize, nil)
	r.inline = true
	l := &loop{segment: segment, begin: stream(haveAll, unchoke), until: blocks, at: at,
		message: make([]byte, 0, piece.BlockSize+64), asked: make([]peerwire.Message, 0, 4096)}
	c := r.join(l, true)
	err := c.Run()
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, blocks, l.blocks)
	require.EqualValues(t, int64(blocks)*piece.BlockSize, r.stats().Counters.Downloaded)
}

// TestNoAllocsReader: reading, claiming, copying and landing a block, and
// asking for the next, allocate nothing in the steady state.
func TestNoAllocsReader(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // pools keep what they have
	for _, segment := range []int{1448, 64 << 10, 1 << 20} {
		const from, to = 4000, 12000
		var before, after runtime.MemStats
		pumped(t, to+10, segment, func(n int) {
			switch n {
			case from:
				runtime.ReadMemStats(&before)
			case to:
				runtime.ReadMemStats(&after)
			}
		})
		each := float64(after.Mallocs-before.Mallocs) / (to - from)
		t.Logf("segments of %d bytes: %.4f allocations a block", segment, each)
		if !raceEnabled { // the detector makes pools forget
			require.Less(t, each, 0.02)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	for _, segment := range []int{1448, 16 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("segment=%d", segment), func(b *testing.B) {
			b.SetBytes(piece.BlockSize)
			b.ReportAllocs()
			const warm = 2000
			pumped(b, warm+b.N, segment, func(n int) {
				if n == warm {
					b.ResetTimer()
				}
			})
		})
	}
}
