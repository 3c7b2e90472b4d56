package swarm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// TestCheckWithPeers: who is still there when a check begins is neither served
// nor counted by what we had before, and is told again what we get.
func TestCheckWithPeers(t *testing.T) {
	l, data := flat(t, 16<<10, 64<<10)
	n := newNode(t, l, data, 16<<20)
	n.have(data)
	p := n.join(1, true)
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0xe0}}, peerwire.Message{ID: peerwire.MsgInterested}))
	n.sent(p)
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgRequest, Index: 3, Length: 16 << 10}))
	n.disk = make([]byte, len(data))
	n.g.Check([]uint32{0, 1, 2, 3}, nil, n.now, &n.eff)
	n.carry(&n.eff)
	require.Equal(t, []peerwire.ID{peerwire.MsgReject}, n.kinds(p), "what was asked of us is not verified any more")
	require.Equal(t, 3, n.g.s.members.get(p).want, "W11")
	n.g.Start(n.now, &n.eff)
	n.carry(&n.eff)
	require.Equal(t, []peerwire.ID{peerwire.MsgInterested}, n.kinds(p))
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgUnchoke}))
	for _, b := range asked(n.sent(p)) {
		require.NoError(t, n.feed(p, n.block(b, data)))
	}
	other := n.join(2, true)
	require.NoError(t, n.feed(other, peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0x10}}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	for _, b := range asked(n.sent(other)) {
		require.NoError(t, n.feed(other, n.block(b, data)))
	}
	n.tick(tickTime)
	var haves []uint32
	for _, m := range n.sent(p) {
		if m.ID == peerwire.MsgHave {
			haves = append(haves, m.Index)
		}
	}
	require.ElementsMatch(t, []uint32{0, 1, 2, 3}, haves)
}

// TestCheckTakesNoBlocks: a block that comes during a check begins nothing.
func TestCheckTakesNoBlocks(t *testing.T) {
	l, data := flat(t, 32<<10, 64<<10)
	n := newNode(t, l, data, 16<<20)
	n.slow = true
	p := n.seed(1, false)
	n.sent(p)
	n.g.Check([]uint32{0, 1}, nil, n.now, &n.eff)
	n.carry(&n.eff)
	require.Zero(t, n.g.Peers(nil, n.now)[0].Open, "and what was asked is taken back")
	require.Empty(t, n.begin(p, data, blk(0, 0)))
	require.Zero(t, n.g.s.pool.Used())
}

// TestSeedsGoWhenACheckHasFoundAll (W5).
func TestSeedsGoWhenACheckHasFoundAll(t *testing.T) {
	l, data := flat(t, 32<<10, 64<<10)
	n := newNode(t, l, data, 16<<20)
	copy(n.disk, data)
	p := n.seed(1, false)
	n.have(data)
	require.Contains(t, n.drops, Drop{p, ErrBothSeeds})
}

// TestReplacementWhenFull: a better connection to the same peer takes the
// place of the other; nobody is dropped for one that is refused.
func TestReplacementWhenFull(t *testing.T) {
	l, data := flat(t, 16<<10, 32<<10)
	n := newNode(t, l, data, 16<<20) // its id begins with 1
	n.g.s.limits.MaxPeers = 1
	id := Identity{ID: [20]byte{0, 5}}
	old, err := n.g.Join(id, nil, n.now, &n.eff)
	require.NoError(t, err)
	_, err = n.g.Join(Identity{ID: [20]byte{0, 6}}, nil, n.now, &n.eff)
	require.ErrorIs(t, err, ErrFull)
	id.Outgoing = true
	_, err = n.g.Join(id, nil, n.now, &n.eff)
	require.NoError(t, err)
	require.Equal(t, []Drop{{old, ErrDuplicate}}, n.eff.Drop)
}

// TestOneRoundAtATime: completion does not ask for a second round while one
// is under way: a strategy is never called twice at the same time.
func TestOneRoundAtATime(t *testing.T) {
	l, data := flat(t, 16<<10, 16<<10)
	n := newNode(t, l, data, 16<<20)
	p := n.seed(1, false)
	b := asked(n.sent(p))
	var st Step
	_, err := n.g.Batch(p, n.now, []peerwire.Message{{ID: peerwire.MsgInterested}}, &st)
	require.NoError(t, err)
	require.True(t, st.Rechoke)
	n.slow = true
	var r choke.Round
	round := n.g.Snapshot(&r, n.now)
	n.land(n.begin(p, data, b...))
	j := n.take()
	n.g.JobDone(j, n.do(j), n.now, &n.eff)
	require.Equal(t, Completed, n.eff.Events[1].Kind)
	require.False(t, n.eff.Rechoke)
	require.Positive(t, n.eff.Again)
	n.g.Apply(round, choke.Decision{}, n.now, &n.eff)
	n.now = n.now.Add(eagerTime)
	n.eff.Reset()
	n.g.Tick(n.now, &n.eff)
	require.True(t, n.eff.Rechoke, "but it comes right after")
}

// TestBuffersOfActivePeers are kept through a tick, and given back when the
// peer does nothing.
func TestBuffersOfActivePeers(t *testing.T) {
	l, data := flat(t, 256<<10, 64<<20)
	n := newNode(t, l, data, 64<<20)
	p := n.seed(1, false)
	n.g.ExtHandshake(p, peerwire.ExtHandshake{ReqQ: 1000}, n.now, &n.eff)
	var open []piece.Block
	for range 6 {
		open = asked(n.sent(p))
		for _, b := range open {
			require.NoError(t, n.feed(p, n.block(b, data)))
		}
	}
	open = asked(n.sent(p))
	out := &n.g.s.members.get(p).out
	n.tick(tickTime)
	require.NotNil(t, n.g.s.members.get(p).req.open)
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgChoke}))
	n.sent(p)
	for range 8 {
		n.tick(tickTime)
		n.sent(p)
	}
	require.NotEmpty(t, open)
	require.Nil(t, n.g.s.members.get(p).req.open)
	require.LessOrEqual(t, cap(out.control), keptControl)
}
