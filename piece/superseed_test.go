package piece

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BEP 16: one piece at a time, and the next when somebody else has it.
func TestBEP16_OnePieceAtATime(t *testing.T) {
	const n = 4
	s := NewSuperSeed(n, newRand(1))
	a, b := NewBitfield(n), NewBitfield(n)
	s.Join(1, a)
	s.Join(2, b)
	x, ok := s.Reveal(1, a)
	require.True(t, ok)
	y, ok := s.Reveal(2, b)
	require.True(t, ok)
	require.NotEqual(t, x, y, "rarest first counts what was revealed")
	require.True(t, s.Revealed(1, x))
	require.False(t, s.Revealed(1, y))
	require.False(t, s.Revealed(3, x))

	_, ok = s.Reveal(1, a)
	require.False(t, ok, "it does not have it yet")
	a.Set(x)
	require.Empty(t, s.Seen(nil, 1, x))
	require.Equal(t, n-1, s.Left())
	_, ok = s.Reveal(1, a)
	require.False(t, ok, "nobody else has it")
	b.Set(x)
	require.Equal(t, []PeerID{1}, s.Seen(nil, 2, x))
	z, ok := s.Reveal(1, a)
	require.True(t, ok)
	require.NotContains(t, []int{x, y}, z)

	// Who leaves gives its piece back.
	s.Leave(1, a)
	s.Leave(1, a)
	c := NewBitfield(n)
	s.Join(3, c)
	got, _ := s.Reveal(3, c)
	require.NotContains(t, []int{x, y}, got)
	for _, bad := range []int{-1, n} {
		require.Empty(t, s.Seen(nil, 3, bad))
	}
	_, ok = s.Reveal(9, c)
	require.False(t, ok)
}

func TestBEP16_AloneIsNotHeldUp(t *testing.T) {
	const n = 5
	s := NewSuperSeed(n, newRand(1))
	has := NewBitfield(n)
	s.Join(1, has)
	for range n {
		i, ok := s.Reveal(1, has)
		require.True(t, ok)
		has.Set(i)
		s.Seen(nil, 1, i)
	}
	require.Zero(t, s.Left())
	_, ok := s.Reveal(1, has)
	require.False(t, ok)
}

// A swarm of peers who pass on what they get: the seed sends little more than
// each piece once (the BEP says 105 %).
func TestBEP16_SendsEachPieceAboutOnce(t *testing.T) {
	const n, peers = 200, 20
	rnd := newRand(3)
	s := NewSuperSeed(n, rnd)
	has := make([]*Bitfield, peers)
	for k := range has {
		has[k] = NewBitfield(n)
		s.Join(PeerID(k), has[k])
	}
	got := func(k, i int) {
		has[k].Set(i)
		s.Seen(nil, PeerID(k), i)
	}
	sent, pending := 0, make([]int, peers)
	for k := range pending {
		pending[k] = -1
	}
	for step := 0; s.Left() > 0; step++ {
		require.Less(t, step, 1<<20)
		k := rnd.IntN(peers)
		if pending[k] >= 0 {
			got(k, pending[k])
			pending[k] = -1
			sent++
		}
		if i, ok := s.Reveal(PeerID(k), has[k]); ok {
			pending[k] = i
		}
		for range 3 { // what they tell each other meanwhile
			from, i := rnd.IntN(peers), rnd.IntN(n)
			if has[from].Has(i) && !has[k].Has(i) && pending[k] != i {
				got(k, i)
			}
		}
	}
	t.Logf("sent %d of %d", sent, n)
	require.LessOrEqual(t, sent, n*105/100)
}
