package conn

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// tenSeconds is a limit that lets a block through at once, and then one every
// ten seconds.
const tenSeconds = piece.BlockSize / 10

// limitedSeed is a rig that has everything, with an upload limit, and a peer
// that is unchoked and has been told so.
func limitedSeed(t *testing.T, data []byte) (r *rig, g *Gate, c *Conn, peer *far, ended <-chan error) {
	r = newRig(t, 256<<10, int64(len(data)), data)
	copy(r.disk, data)
	r.complete()
	g = new(Gate)
	g.Set(tenSeconds)
	r.env.Up[1] = g
	near, other := net.Pipe()
	peer = newFar(other)
	c, ended = r.run(near, true)
	go peer.Write(stream(interested))
	_, err := peer.await(peerwire.MsgUnchoke)
	require.NoError(t, err)
	return r, g, c, peer, ended
}

// gone closes the far side and looks at what is left.
func gone(t *testing.T, r *rig, g *Gate, peer *far, ended <-chan error) {
	peer.Close()
	<-ended
	r.wg.Wait()
	require.Zero(t, r.env.Send.Used())
	require.Empty(t, g.line)
}

// request is the message for the n-th block of a piece.
func request(index, n int) peerwire.Message {
	return peerwire.Message{ID: peerwire.MsgRequest, Index: uint32(index), Begin: uint32(n) * piece.BlockSize, Length: piece.BlockSize}
}

func cancelOf(m peerwire.Message) peerwire.Message {
	m.ID = peerwire.MsgCancel
	return m
}

// TestC8_ControlPassesLimits (W9): a block waits for the upload limit; control
// that comes meanwhile, requests of ours mostly, does not wait behind it.
func TestC8_ControlPassesLimits(t *testing.T) {
	data := random(1 << 20)
	synctest.Test(t, func(t *testing.T) {
		r, g, _, peer, ended := limitedSeed(t, data)
		from := time.Now()
		go peer.Write(stream(request(0, 0), request(0, 1)))
		m, err := peer.await(peerwire.MsgPiece)
		require.NoError(t, err)
		require.Zero(t, time.Since(from), "a burst of a block")
		for range 5 {
			time.Sleep(700 * time.Millisecond)
			sent := time.Now()
			_, err = peer.Write(stream(request(2, 0), cancelOf(request(2, 0))))
			require.NoError(t, err)
			m, err = peer.next()
			require.NoError(t, err)
			require.Equal(t, peerwire.MsgReject, m.ID)
			require.EqualValues(t, 2, m.Index)
			require.Zero(t, time.Since(sent), "at once")
		}
		m, err = peer.next()
		require.NoError(t, err)
		require.Equal(t, peerwire.MsgPiece, m.ID)
		require.Equal(t, data[piece.BlockSize:2*piece.BlockSize], m.Data)
		require.InDelta(t, 10, time.Since(from).Seconds(), 0.1)
		gone(t, r, g, peer, ended)
	})
}

// TestC8_OneBlockAtATime: who asks for the next block when it has the last waits
// for the limit as everybody does.
func TestC8_OneBlockAtATime(t *testing.T) {
	data := random(1 << 20)
	synctest.Test(t, func(t *testing.T) {
		r, g, c, peer, ended := limitedSeed(t, data)
		from := time.Now()
		for i := range 4 {
			_, err := peer.Write(stream(request(0, i)))
			require.NoError(t, err)
			_, err = peer.await(peerwire.MsgPiece)
			require.NoError(t, err)
			require.InDelta(t, 10*i, time.Since(from).Seconds(), 0.1)
			synctest.Wait()
		}
		time.Sleep(15 * time.Second)
		require.Zero(t, c.wakes.Load(), "the writer has gone")
		var other pass // takes all there is
		other.gates[0] = g
		other.take(share)
		sent := r.stats().Counters.Uploaded
		_, err := peer.Write(stream(request(0, 5)))
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.Equal(t, sent, r.stats().Counters.Uploaded, "not ahead of its payment")
		from = time.Now()
		_, err = peer.Write(stream(cancelOf(request(0, 5))))
		require.NoError(t, err)
		m, err := peer.next()
		require.NoError(t, err)
		require.Equal(t, peerwire.MsgReject, m.ID)
		require.Zero(t, time.Since(from))
		go io.Copy(io.Discard, peer.in)
		time.Sleep(time.Minute)
		require.Zero(t, c.wakes.Load())
		gone(t, r, g, peer, ended)
	})
}

// TestC8_CancelAndChokeWhileWaiting: what waits for a limit is still in the
// queue, so a cancel and a choke take it out, and what it would have cost is
// there for others.
func TestC8_CancelAndChokeWhileWaiting(t *testing.T) {
	data := random(1 << 20)
	synctest.Test(t, func(t *testing.T) {
		r, g, c, peer, ended := limitedSeed(t, data)
		from := time.Now()
		go peer.Write(stream(requests(0, 4, 256<<10)...))
		_, err := peer.await(peerwire.MsgPiece)
		require.NoError(t, err)
		time.Sleep(9 * time.Second)
		_, err = peer.Write(stream(cancelOf(request(0, 1))))
		require.NoError(t, err)
		m, err := peer.next()
		require.NoError(t, err)
		require.Equal(t, [2]uint32{uint32(peerwire.MsgReject), piece.BlockSize}, [2]uint32{uint32(m.ID), m.Begin})
		m, err = peer.next()
		require.NoError(t, err)
		require.Equal(t, [2]uint32{uint32(peerwire.MsgPiece), 2 * piece.BlockSize}, [2]uint32{uint32(m.ID), m.Begin}, "the next instead")
		require.InDelta(t, 10, time.Since(from).Seconds(), 0.1)

		time.Sleep(9 * time.Second)
		r.apply(choke.Decision{})
		m, err = peer.next()
		require.NoError(t, err)
		require.Equal(t, peerwire.MsgChoke, m.ID)
		m, err = peer.next()
		require.NoError(t, err)
		require.Equal(t, [2]uint32{uint32(peerwire.MsgReject), 3 * piece.BlockSize}, [2]uint32{uint32(m.ID), m.Begin})
		require.InDelta(t, 19, time.Since(from).Seconds(), 0.1)
		go io.Copy(io.Discard, peer.in)
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 2*piece.BlockSize, r.stats().Counters.Uploaded, "no block follows a choke")
		require.Zero(t, c.wakes.Load(), "the writer has gone")
		var p pass
		p.gates[0] = g
		require.Equal(t, share, p.take(share), "what it had in hand came back")
		r.unchokeAll()
		synctest.Wait()
		require.Empty(t, g.line, "who only has control to send stands in no line")
		gone(t, r, g, peer, ended)
	})
}

// TestC8_CloseWhileWaiting: closing ends a wait at once, in both directions, and
// leaves nothing in the lines.
func TestC8_CloseWhileWaiting(t *testing.T) {
	data := random(1 << 20)
	synctest.Test(t, func(t *testing.T) {
		r, g, c, peer, ended := limitedSeed(t, data)
		var others pass // stands in line too
		others.gates[0] = g
		go peer.Write(stream(requests(0, 4, 256<<10)...))
		_, err := peer.await(peerwire.MsgPiece)
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, g.line, 1)
		require.Zero(t, others.take(share))
		from := time.Now()
		c.Close(io.ErrClosedPipe)
		require.ErrorIs(t, <-ended, io.ErrClosedPipe)
		r.wg.Wait()
		require.Zero(t, time.Since(from))
		require.Equal(t, []*pass{&others}, g.line)
		require.Len(t, others.called, 1, "who is at the head now is called")
		others.leave(0)
		require.Empty(t, g.line)
		peer.Close()
	})
}

// TestC8_ReaderWaitsWithoutABuffer: a reader that waits for the download limit
// holds none, is seen as held, and ends at once when it is closed.
func TestC8_ReaderWaitsWithoutABuffer(t *testing.T) {
	const pieceLength = 256 << 10
	data := random(4 * pieceLength)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pieceLength, int64(len(data)), data)
		var g Gate
		g.Set(tenSeconds)
		r.env.Down[0] = &g
		near, other := pair(t, simnet.New(simnet.Options{Window: 1 << 20}))
		peer := newFar(other)
		c, ended := r.run(near, true)
		go func() { // answers everything at once: what is there to be read begins and ends anywhere
			other.Write(append(padding(9000), stream(haveAll, unchoke)...))
			for {
				m, err := peer.await(peerwire.MsgRequest)
				if err != nil {
					return
				}
				other.Write(answer(nil, m, pieceLength, data))
			}
		}()
		slab := int64(0)
		for range 100 {
			time.Sleep(time.Second)
			if s := r.stats(); s.Counters.Downloaded > 0 {
				slab = pieceLength
			}
			require.LessOrEqual(t, r.env.Recv.Used(), slab, "nothing beside the slab")
			info := r.env.Swarm.Peers(nil, time.Now())[0]
			require.True(t, info.Held)
			require.False(t, info.Snubbed)
		}
		got := r.stats().Counters.Downloaded
		require.InDelta(t, 11, float64(got)/piece.BlockSize, 1.5)
		g.Set(100 << 10)
		time.Sleep(8 * time.Second)
		require.Equal(t, 3, r.stats().NumHave, "nothing was lost")
		for i := range 4 {
			if at := i * pieceLength; r.env.Swarm.Have().Has(i) {
				require.True(t, bytes.Equal(data[at:at+pieceLength], r.disk[at:at+pieceLength]))
			}
		}
		from := time.Now()
		c.Close(io.ErrClosedPipe)
		require.ErrorIs(t, <-ended, io.ErrClosedPipe)
		require.Zero(t, time.Since(from))
		r.wg.Wait()
		require.Empty(t, g.line)
		peer.Close()
	})
}

// TestC8_PaceOfOnePeer: the strategy's rate for a peer holds, and one that it
// raises holds from then on.
func TestC8_PaceOfOnePeer(t *testing.T) {
	data := random(8 << 20)
	synctest.Test(t, func(t *testing.T) {
		r, g, c, peer, ended := limitedSeed(t, data)
		g.Set(0)
		go io.Copy(io.Discard, peer.in)
		id := c.ID()
		go peer.Write(stream(requests(0, 400, 256<<10)...))
		for _, rate := range []int64{50 << 10, 200 << 10} {
			r.apply(choke.Decision{Unchoke: []choke.Choice{{Peer: choke.PeerID(id), MaxRate: rate}}})
			time.Sleep(time.Second)
			before := r.stats().Counters.Uploaded
			time.Sleep(10 * time.Second)
			require.InEpsilon(t, rate*10, r.stats().Counters.Uploaded-before, 0.05)
		}
		gone(t, r, g, peer, ended)
	})
}

// apply carries out a choking decision.
func (r *rig) apply(d choke.Decision) {
	now := time.Now()
	round := choke.Round{Now: now}
	n := r.env.Swarm.Snapshot(&round, now)
	var eff swarm.Effects
	r.env.Swarm.Apply(n, d, now, &eff)
	r.carry(&eff, nil)
}

// TestC8_LongBlocksArePaidFor: a block may be longer than what was paid for in
// advance (RW13); the rest is paid before the next one, beside others in line.
func TestC8_LongBlocksArePaidFor(t *testing.T) {
	const long, blocks, rate = 128 << 10, 8, 64 << 10
	data := random(blocks * long)
	synctest.Test(t, func(t *testing.T) {
		r, g, _, peer, ended := limitedSeed(t, data)
		g.Set(2 * rate)
		done, other := make(chan struct{}), through(share, g)
		r.wg.Go(func() { other.run(done) })
		synctest.Wait()
		for i := range uint32(blocks) {
			at := i * long
			go peer.Write(stream(peerwire.Message{ID: peerwire.MsgRequest, Index: at >> 18, Begin: at & (256<<10 - 1), Length: long}))
			synctest.Wait()
		}
		from := time.Now()
		for i := range uint32(blocks) {
			m, err := peer.await(peerwire.MsgPiece)
			require.NoError(t, err)
			require.Len(t, m.Data, long)
			paid := max(0, float64(i*long)/rate) // what was sent before is
			require.InDelta(t, paid, time.Since(from).Seconds(), 0.6, "block %d", i)
		}
		close(done)
		gone(t, r, g, peer, ended)
	})
}
