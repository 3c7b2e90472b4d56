package swarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// haves are the pieces that the node says to p that it has.
func (n *node) haves(p PeerID) (list []uint32) {
	for _, m := range n.sent(p) {
		if m.ID == peerwire.MsgHave {
			list = append(list, m.Index)
		}
	}
	return list
}

func TestBEP16_SuperSeed(t *testing.T) {
	l, data := flat(t, 16<<10, 10*16<<10)
	n := newNode(t, l, data, 16<<20)
	n.have(data)
	n.g.Set(Settings{SuperSeed: true}, n.now, &n.eff)
	have := func(p PeerID, i uint32) {
		require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgHave, Index: i}))
	}
	interested := peerwire.Message{ID: peerwire.MsgInterested}
	one := n.join(1, true)
	require.Equal(t, []peerwire.ID{peerwire.MsgHaveNone}, n.kinds(one))
	require.NoError(t, n.feed(one, peerwire.Message{ID: peerwire.MsgHaveNone}, interested))
	first := n.haves(one)
	require.Len(t, first, 1)
	two := n.join(2, false)
	require.Empty(t, n.kinds(two), "without BEP 6 nothing is said")
	n.tick(time.Second) // and they may say nothing either
	second := n.haves(two)
	require.Len(t, second, 1)
	require.NotEqual(t, first, second, "each its own")

	d := n.g.s.choking
	n.g.Apply(d.round, everybody(one, two), n.now, &n.eff)
	n.carry(&n.eff)
	n.sent(one)
	block := func(i uint32) peerwire.Message {
		return peerwire.Message{ID: peerwire.MsgRequest, Index: i, Length: 16 << 10}
	}
	require.NoError(t, n.feed(one, block(first[0]), block(second[0])))
	require.ElementsMatch(t, []peerwire.ID{peerwire.MsgPiece, peerwire.MsgReject}, n.kinds(one), "what it was told of, and nothing else")

	have(one, first[0])
	require.Empty(t, n.haves(one), "it has not passed it on")
	have(two, first[0])
	third := n.haves(one)
	require.Len(t, third, 1, "the other peer has got it")
	require.NotContains(t, []uint32{first[0], second[0]}, third[0])

	n.g.Set(Settings{}, n.now, &n.eff)
	n.carry(&n.eff)
	require.Len(t, n.haves(one), 10, "all of them")
	require.Equal(t, []peerwire.ID{peerwire.MsgHaveAll}, n.kinds(n.join(3, true)))
}

// A swarm of one super-seed and some leeches completes, and the seed has sent
// little more than the payload once.
func TestP7_SuperSeedSendsOnce(t *testing.T) {
	const leeches = 5
	l, data := flat(t, 16<<10, 200*16<<10)
	seed := newNode(t, l, data, 16<<20)
	seed.have(data)
	seed.g.Set(Settings{SuperSeed: true}, seed.now, &seed.eff)
	nodes := []*node{seed}
	for range leeches {
		nodes = append(nodes, newNode(t, l, data, 16<<20))
	}
	at := make([][]PeerID, len(nodes)) // at[i][j]: j as i knows it
	for i := range nodes {
		at[i] = make([]PeerID, len(nodes))
		for j := range nodes {
			if i != j {
				at[i][j] = nodes[i].join(byte(j+1), true)
			}
		}
	}
	for i, n := range nodes {
		var all []PeerID
		for j, id := range at[i] {
			if j != i {
				all = append(all, id)
			}
		}
		n.g.Apply(n.g.s.choking.round, everybody(all...), n.now, &n.eff)
		n.carry(&n.eff)
	}
	done := func() bool {
		for _, n := range nodes[1:] {
			if n.g.Stats(n.now).Left > 0 {
				return false
			}
		}
		return true
	}
	for range 5000 {
		for i, n := range nodes {
			n.tick(time.Second) // haves ride with it
			for j, m := range nodes {
				if i != j {
					if msgs := n.sent(at[i][j]); m.g.s.members.get(at[j][i]) != nil {
						require.NoError(t, m.feed(at[j][i], msgs...))
					}
				}
			}
		}
		if done() {
			break
		}
	}
	require.True(t, done())
	sent := seed.g.Stats(seed.now).Counters.Uploaded
	t.Logf("sent %.2f of the payload", float64(sent)/float64(len(data)))
	require.Less(t, sent, int64(len(data))*115/100)
}

// everybody unchokes these.
func everybody(ids ...PeerID) (d choke.Decision) {
	for _, id := range ids {
		d.Unchoke = append(d.Unchoke, choke.Choice{Peer: choke.PeerID(id)})
	}
	return d
}

// A tick falls between a peer's handshake and its bitfield, which is a round trip
// later: what it has is counted all the same, and uncounted when it leaves.
func TestBEP16_BitfieldBehindATick(t *testing.T) {
	has := func(pieces ...int) peerwire.Message {
		b := piece.NewBitfield(10)
		for _, i := range pieces {
			b.Set(i)
		}
		return peerwire.Message{ID: peerwire.MsgBitfield, Data: b.Bytes()}
	}
	for _, late := range []bool{false, true} {
		l, data := flat(t, 16<<10, 10*16<<10)
		n := newNode(t, l, data, 16<<20)
		n.have(data)
		n.g.Set(Settings{SuperSeed: true}, n.now, &n.eff)
		left := func() int { return n.g.s.showing.super.Left() }
		one := n.join(1, true)
		if late {
			n.tick(time.Second)
		}
		require.NoError(t, n.feed(one, has(0, 1, 2, 3, 4, 5, 6, 7, 8)))
		require.Equal(t, 1, left())
		require.NoError(t, n.feed(n.join(2, true), has(0, 1)))
		n.g.Leave(one, n.now, &n.eff)
		n.carry(&n.eff)
		require.Equal(t, 8, left())
	}
}
