package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// TestHoldStopsTheClocks: while we do not read from a peer its pipeline does
// not shrink, and no clock of it is ahead afterwards.
func TestHoldStopsTheClocks(t *testing.T) {
	l, data := flat(t, 256<<10, 64<<20)
	n := newNode(t, l, data, 64<<20)
	p := n.seed(1, false)
	r := &n.g.s.members.get(p).req
	for range 12 {
		for _, b := range asked(n.sent(p)) {
			require.NoError(t, n.feed(p, n.block(b, data)))
		}
		n.now = n.now.Add(100 * time.Millisecond)
	}
	r.steady = true
	open := asked(n.sent(p))
	depth := r.depth
	require.Greater(t, depth, startDepth)
	n.g.Hold(p, true, n.now)
	for range 30 {
		n.tick(time.Second)
	}
	require.Equal(t, depth, r.depth)
	r.open[r.head].at = n.g.s.at(n.now) // asked while it was held
	n.g.Hold(p, false, n.now)
	require.False(t, r.snubbed)
	now := n.g.s.at(n.now)
	require.LessOrEqual(t, r.sampleAt, now)
	require.LessOrEqual(t, r.lastBlock, now)
	for _, q := range r.open[r.head:] {
		require.LessOrEqual(t, q.at, now)
	}
	require.NotEmpty(t, open)
	n.tick(blockTimeout + time.Second)
	require.True(t, r.snubbed, "and they go on")
}

// TestLostRequest: a request that a peer has dropped, while it answers all
// others, is asked again.
func TestLostRequest(t *testing.T) {
	l, data := flat(t, 256<<10, 64<<20)
	n := newNode(t, l, data, 64<<20)
	p := n.join(1, false)
	n.g.ExtHandshake(p, peerwire.ExtHandshake{ReqQ: startDepth}, n.now, &n.eff)
	bits := piece.NewBitfield(l.NumPieces())
	for i := range bits.Len() {
		bits.Set(i)
	}
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgBitfield, Data: bits.Bytes()}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	dropped := asked(n.sent(p))[0]
	for _, q := range slices.Clone(n.g.s.members.get(p).req.open[1:]) {
		require.NoError(t, n.feed(p, n.block(q.b, data)))
	}
	var left int64
	var got []piece.Block
	for range 60 {
		for _, m := range n.sent(p) {
			b := piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length}
			switch m.ID {
			case peerwire.MsgCancel:
				require.Equal(t, dropped, b)
				left = n.g.Stats(n.now).Left
			case peerwire.MsgRequest:
				got = append(got, b)
				require.NoError(t, n.feed(p, n.block(b, data)))
			}
		}
		n.tick(time.Second)
	}
	require.Greater(t, left, int64(32<<20), "long before the end")
	require.True(t, slices.Contains(got, dropped), "and it comes")
	require.False(t, n.g.s.members.get(p).req.snubbed)
}

// TestTickIsFair: with room for one peer's requests at a time, every peer has
// its turn.
func TestTickIsFair(t *testing.T) {
	l, data := flat(t, 256<<10, 4<<20)
	n := newNode(t, l, data, 16<<20)
	var peers []PeerID
	for i := range byte(5) {
		peers = append(peers, n.seed(i, false))
		n.sent(peers[i])
	}
	first := map[PeerID]int{}
	for range 50 {
		for _, p := range peers { // all that is asked is taken back: each wants more
			n.g.s.asking.release(n.g.s.members.get(p), nil)
			n.g.s.members.get(p).out.writing = false
		}
		n.now = n.now.Add(time.Second)
		n.g.Tick(n.now, &n.eff)
		first[n.eff.Wake[0]]++
		n.eff.Reset()
	}
	for _, p := range peers {
		require.GreaterOrEqual(t, first[p], 5, "%v", first)
	}
}
