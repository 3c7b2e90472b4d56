package piece

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// scene is a torrent of n pieces of 8 blocks, of which the last is had (so that
// nothing is drawn at random for the first piece), with common pieces 0 to 3:
// two peers have these, nobody else but seeds the others.
func scene(n int) *Picker {
	p := NewPicker(even{n, 8 * BlockSize}, newRand(1))
	p.SetHave(n - 1)
	for range 2 {
		p.AddPeer(setOf(n, 0, 1, 2, 3))
	}
	return p
}

// touch begins piece i: id asks for one block of it and gets it.
func touch(t *testing.T, p *Picker, id PeerID, i int, seed bool) {
	t.Helper()
	a := &Asker{ID: id, Only: []uint32{uint32(i)}}
	if !seed {
		a.Has = setOf(p.n, i)
	}
	got := p.Next(a, 1, nil)
	require.Len(t, got, 1)
	require.EqualValues(t, i, got[0].Piece)
	require.True(t, p.Receive(id, got[0]))
}

func next(p *Picker, a *Asker) int {
	got := p.Next(a, 1, nil)
	if len(got) == 0 {
		return -1
	}
	return int(got[0].Piece)
}

// S4: "When downloading from non-seeders, always prefer completion of
// partials ... partials from seeds take priority over partials from non-seeds."
func TestP3_FromNonSeeders(t *testing.T) {
	p := scene(8)
	touch(t, p, 1, 0, false)
	touch(t, p, 1, 0, false)
	most := setOf(8, 0, 1, 2, 5, 6)
	require.Equal(t, 0, next(p, &Asker{ID: 2, Has: most}), "a partial, although 5 and 6 are rarer")
	touch(t, p, 3, 2, true)
	require.Equal(t, 2, next(p, &Asker{ID: 4, Has: most}), "a seeder touched it, although there is more to do")
	require.Equal(t, 0, next(p, &Asker{ID: 4, Has: setOf(8, 0, 5)}))
	for _, b := range p.Next(&Asker{ID: 5, Has: setOf(8, 2)}, 8, nil) {
		require.EqualValues(t, 2, b.Piece)
	}
	require.Equal(t, 0, next(p, &Asker{ID: 4, Has: most}), "when nothing is left of that")
}

// S4: "When downloading from seeders, prefer partials which were already partway
// downloaded from a seed. Do not prefer partials which haven't had any
// downloading done from a seed. However, being a partial acts as a tiebreak
// within rarest first".
func TestP3_FromSeeders(t *testing.T) {
	p := scene(8)
	touch(t, p, 1, 0, false)
	seeder, full := &Asker{ID: 9}, NewBitfield(8)
	full.fill()
	i := next(p, seeder)
	require.Contains(t, []int{4, 5, 6}, i, "the rarest, not the partial")
	require.Equal(t, i, next(p, &Asker{ID: 10, Has: full}), "a partial of seeders")

	// Among equally rare ones the partial.
	p = scene(8)
	touch(t, p, 1, 5, false)
	require.Equal(t, 5, next(p, seeder))
	// It has changed its category by that: it is better than anything now.
	p.AddHave(5)
	p.AddHave(5)
	require.Equal(t, 5, next(p, &Asker{ID: 10}))
	require.Equal(t, 5, next(p, &Asker{ID: 11, Has: setOf(8, 0, 5)}))

	// Of the partials that no seeder touched the rarest comes first.
	p = scene(8)
	for i := 4; i < 7; i++ {
		p.SetHave(i)
	}
	touch(t, p, 1, 0, false)
	touch(t, p, 1, 0, false)
	touch(t, p, 1, 1, false)
	p.AddHave(0)
	p.AddHave(2)
	p.AddHave(3)
	require.Equal(t, 1, next(p, seeder))
}

// Without a piece of our own any is welcome, so what is begun is finished.
func TestP3_FirstPieceFirst(t *testing.T) {
	p := NewPicker(even{8, 8 * BlockSize}, newRand(1))
	touch(t, p, 1, 3, false)
	p.AddHave(3)
	require.Equal(t, 3, next(p, &Asker{ID: 9}))
}

// What nobody else goes on with is bounded: at the limit seeders finish it
// too, and whoever has nothing of it begins a piece only when it is idle.
func TestP3_BoundedPartials(t *testing.T) {
	const n = 40
	p := NewPicker(even{n, 8 * BlockSize}, newRand(1))
	p.SetHave(n - 1)
	for range 2 {
		p.AddPeer(NewBitfield(n))
	}
	open, limit := p.Order().Partials()
	require.Zero(t, open)
	require.Equal(t, 5, limit)
	for i := range limit {
		p.AddHave(i) // more common than others
	}
	for i := range limit {
		touch(t, p, 1, i, false)
		if i < limit-1 {
			begun := p.Next(&Asker{ID: 2}, 8, nil) // all of it, so that it is not open
			require.Len(t, begun, 8)
			require.GreaterOrEqual(t, int(begun[0].Piece), limit)
			fetch(p, 2, begun)
		}
	}
	open, _ = p.Order().Partials()
	require.Equal(t, limit, open)
	require.Less(t, next(p, &Asker{ID: 3}), limit, "a seeder, at the limit")

	p.SetWanted(0, false)
	touch(t, p, 1, 30, false) // as many as before
	p.SetWanted(0, true)
	other := setOf(n, 31, 32, 33)
	require.Equal(t, -1, next(p, &Asker{ID: 4, Has: other, Open: 3}))
	got := p.Next(&Asker{ID: 4, Has: other}, 24, nil)
	require.Len(t, got, 8, "one piece, as it is idle")
	require.NoError(t, p.check())
}
