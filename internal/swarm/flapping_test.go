package swarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// TestChokeFlapping (RW17): a peer that chokes and unchokes all the time, and
// reads nothing, gets no storm of requests, and its outbox stays small.
func TestChokeFlapping(t *testing.T) {
	for _, reads := range []bool{false, true} {
		l, data := flat(t, 256<<10, 64<<20)
		n := newNode(t, l, data, 64<<20)
		p := n.seed(1, false)
		requests := 0
		for range 20_000 {
			require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgChoke}))
			require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgUnchoke}))
			if reads {
				requests += len(asked(n.sent(p)))
			}
			if n.now = n.now.Add(time.Millisecond); n.now.Sub(epoch)%time.Second == 0 {
				n.tick(0)
			}
		}
		require.LessOrEqual(t, len(n.g.s.members.get(p).out.control), mostControl+17*1024)
		require.Less(t, requests, 1000, "in 20 s")
		n.tick(2 * time.Second) // it stays unchoked: all is well again
		if !reads {
			n.sent(p)
			n.tick(time.Second)
		}
		for _, q := range n.g.s.members.get(p).req.open {
			require.NoError(t, n.feed(p, n.block(q.b, data)))
		}
		require.NotEmpty(t, asked(n.sent(p)))
	}
}

// TestDeafPeerIsNotAsked: who does not read what it was asked before is asked
// no more, however slowly it flaps.
func TestDeafPeerIsNotAsked(t *testing.T) {
	l, data := flat(t, 256<<10, 64<<20)
	n := newNode(t, l, data, 64<<20)
	p := n.seed(1, false)
	for range 2000 {
		require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgChoke}))
		n.now = n.now.Add(2 * time.Second)
		require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgUnchoke}))
		n.now = n.now.Add(2 * time.Second)
	}
	require.LessOrEqual(t, len(n.g.s.members.get(p).out.control), mostControl+17*1024)
}

// TestInterestFlapping (RW17): rounds out of turn keep their distance, whatever
// the one before was called for.
func TestInterestFlapping(t *testing.T) {
	l, data := flat(t, 256<<10, 4<<20)
	n := newNode(t, l, data, 16<<20)
	n.have(data)
	p := n.join(1, false)
	before := n.g.s.choking.round
	for k := range 2000 {
		id := peerwire.MsgInterested
		if k%2 == 1 {
			id = peerwire.MsgNotInterested
		}
		require.NoError(t, n.feed(p, peerwire.Message{ID: id}))
		n.now = n.now.Add(time.Millisecond)
		if k%20 == 0 {
			n.tick(0)
		}
	}
	require.LessOrEqual(t, int(n.g.s.choking.round-before), 22, "in 2 s")
}

// TestParoleTakesWhatWasAsked: blocks that were taken back are still welcome,
// but not of a piece that one peer at a time is to answer for: a liar could mix
// its own in for ever, and nobody would be found out.
func TestParoleTakesWhatWasAsked(t *testing.T) {
	l, data := flat(t, 64<<10, 64<<10)
	n := newNode(t, l, data, 16<<20)
	liar, honest := n.seed(1, false), n.seed(2, false)
	bad := make([]byte, len(data))
	blocks := []piece.Block{}
	for k := range uint32(4) {
		blocks = append(blocks, piece.Block{Begin: k * piece.BlockSize, Length: piece.BlockSize})
	}
	n.g.s.members.get(liar).req.taken = 100 // by choking again and again
	n.g.s.members.get(honest).req.taken = 4
	require.NoError(t, n.feed(liar, n.block(blocks[0], bad)))
	for _, b := range blocks[1:] {
		require.NoError(t, n.feed(honest, n.block(b, data)))
	}
	require.Equal(t, 1, n.g.Stats(n.now).Counters.HashFails)
	require.Empty(t, n.bans, "one of two")
	require.NoError(t, n.feed(liar, peerwire.Message{ID: peerwire.MsgChoke}))
	n.tick(2 * time.Second)
	require.NoError(t, n.feed(liar, n.block(blocks[0], bad)))
	for _, q := range append([]request(nil), n.g.s.members.get(honest).req.open...) {
		require.NoError(t, n.feed(honest, n.block(q.b, data)))
	}
	require.Zero(t, n.g.Stats(n.now).Left, "%+v", n.g.Stats(n.now))
	require.Equal(t, 1, n.g.Stats(n.now).Counters.HashFails)
}

// TestBuffersLeaveRoomForSlabs: buffers of readers that wait for a slab never
// take all of the memory, or they would wait for each other for ever.
func TestBuffersLeaveRoomForSlabs(t *testing.T) {
	for _, size := range []int64{6 << 20, 12 << 20, 48 << 20} {
		p := block.NewPool(size)
		for p.Borrow(256<<10) != nil || p.Borrow(32<<10) != nil {
		}
		n, headroom := SlabRoom(p)
		require.NotNil(t, p.Get(int(n), headroom), "%d", size)
	}
}
