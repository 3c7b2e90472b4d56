package piece

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 9)) }

func setOf(n int, pieces ...int) *Bitfield {
	b := NewBitfield(n)
	for _, i := range pieces {
		b.Set(i)
	}
	return b
}

// fetch receives blocks as they were asked for, and has the pieces they end.
func fetch(p *Picker, id PeerID, bs []Block) {
	for _, b := range bs {
		p.Receive(id, b)
		if p.Complete(int(b.Piece)) {
			p.SetHave(int(b.Piece))
		}
	}
}

func TestP2_RandomFirstPiece(t *testing.T) {
	const n = 20
	for name, has := range map[string]*Bitfield{"seed": nil, "peer": setOf(n, 3, 4, 5, 6, 17)} {
		t.Run(name, func(t *testing.T) {
			seen := map[uint32]int{}
			for seed := range uint64(400) {
				p := NewPicker(even{n, BlockSize}, newRand(seed))
				p.AddPeer(setOf(n, 3)) // not a reason to take another one
				seen[p.Next(&Asker{ID: 1, Has: has}, 1, nil)[0].Piece]++
			}
			want := n
			if has != nil {
				want = has.Count()
			}
			require.Len(t, seen, want)
			for i, c := range seen {
				require.InDelta(t, 400/want, c, 40, "piece %d", i)
			}
		})
	}

	t.Run("few in many", func(t *testing.T) {
		seen := map[uint32]int{}
		for seed := range uint64(300) {
			p := NewPicker(even{5000, 1}, newRand(seed))
			seen[p.Next(&Asker{ID: 1, Has: setOf(5000, 7, 2000, 4999)}, 1, nil)[0].Piece]++
		}
		require.Len(t, seen, 3)
		for i, c := range seen {
			require.InDelta(t, 100, c, 35, "piece %d", i)
		}
	})

	t.Run("within a priority", func(t *testing.T) {
		seen := map[uint32]int{}
		for seed := range uint64(300) {
			p := NewPicker(even{n, BlockSize}, newRand(seed))
			p.Order().SetPriority(3, 6, 5)
			p.AddPeer(setOf(n, 3))
			seen[p.Next(&Asker{ID: 1}, 1, nil)[0].Piece]++
		}
		require.Len(t, seen, 3)
		for i, c := range seen {
			require.InDelta(t, 100, c, 35, "piece %d", i)
		}
	})

	t.Run("until the first is complete", func(t *testing.T) {
		p := NewPicker(even{100, BlockSize}, newRand(1))
		common := NewBitfield(100)
		common.fill()
		common.Clear(42)
		p.AddPeer(common)
		fetch(p, 1, p.Next(&Asker{ID: 1}, 1, nil))
		require.Equal(t, 1, p.NumHave())
		if !p.Have().Has(42) {
			require.Equal(t, uint32(42), p.Next(&Asker{ID: 1}, 1, nil)[0].Piece)
		}
	})
}

func TestP1_RarestFirstWithRandomTies(t *testing.T) {
	const n = 40
	first := map[uint32]int{}
	for seed := range uint64(300) {
		p := NewPicker(even{n, BlockSize}, newRand(seed))
		p.SetHave(0)
		common := NewBitfield(n)
		common.fill()
		for i := 10; i < 20; i++ {
			common.Clear(i)
		}
		p.AddPeer(common)
		// Haves that come one by one must not leave their order behind.
		for i := range n {
			p.AddHave(i)
		}
		got := p.Next(&Asker{ID: 1}, n, nil)
		require.Len(t, got, n-1)
		first[got[0].Piece]++
		for k, b := range got {
			require.Equal(t, k < 10, b.Piece >= 10 && b.Piece < 20)
		}
	}
	require.Len(t, first, 10)
	for i, c := range first {
		require.InDelta(t, 30, c, 20, "piece %d", i)
	}
}

// An asker with few of the pieces that many have gets its rarest too.
func TestP1_RarestOfFew(t *testing.T) {
	const n = 3000
	rnd := newRand(5)
	p := NewPicker(even{n, 1}, rnd)
	p.SetHave(0)
	counts := make([]int, n)
	for range 9 {
		has := NewBitfield(n)
		for i := range n {
			if rnd.IntN(3) > 0 {
				has.Set(i)
				counts[i]++
			}
		}
		p.AddPeer(has)
	}
	for round := range 200 {
		has := NewBitfield(n)
		for range 1 + rnd.IntN(30) {
			has.Set(rnd.IntN(n))
		}
		slow := round%2 == 1
		best := -1
		for i := range n {
			if has.Has(i) && p.Needs(i) && (best < 0 || !slow && counts[i] < counts[best] || slow && counts[i] > counts[best]) {
				best = i
			}
		}
		got := p.Next(&Asker{ID: PeerID(round), Has: has, Slow: slow}, 1, nil)
		require.Equal(t, best >= 0, len(got) == 1)
		if best >= 0 {
			require.Equal(t, counts[best], counts[got[0].Piece])
			fetch(p, 1, got)
		}
		require.NoError(t, p.check())
	}
	require.Empty(t, p.Next(&Asker{ID: 1, Has: NewBitfield(n)}, 1, nil))
	require.Empty(t, p.Next(&Asker{ID: 1, Has: setOf(n, 0)}, 1, nil))

	seen := map[uint32]int{}
	for seed := range uint64(200) {
		p := NewPicker(even{n, 1}, newRand(seed))
		p.SetHave(0)
		p.AddPeer(setOf(n, 1000, 2000))
		seen[p.Next(&Asker{ID: 1, Has: setOf(n, 1000, 2000)}, 1, nil)[0].Piece]++
		// Asked of one not counted among the peers: found all the same.
		require.Contains(t, []uint32{5, 6}, p.Next(&Asker{ID: 2, Has: setOf(n, 5, 6)}, 1, nil)[0].Piece)
	}
	require.InDelta(t, 100, seen[1000], 40)
	require.InDelta(t, 100, seen[2000], 40)
}

func TestWholePiecesInRuns(t *testing.T) {
	p := NewPicker(even{10, 100*BlockSize + 1}, newRand(1))
	got := p.Next(&Asker{ID: 1}, 303, nil)
	require.Len(t, got, 303)
	for k, b := range got {
		require.Equal(t, got[k/101*101].Piece, b.Piece)
		require.EqualValues(t, k%101*BlockSize, b.Begin)
		want := BlockSize
		if k%101 == 100 {
			want = 1
		}
		require.EqualValues(t, want, b.Length)
	}
	require.Equal(t, 3, p.Partials())
}

// Several askers at one piece: it is finished before another is begun, and
// each of them gets runs although they take a block at a time.
func TestPartialsFirstInRuns(t *testing.T) {
	p := NewPicker(even{10, 64 * BlockSize}, newRand(1))
	last := map[PeerID]Block{}
	breaks := 0
	for k := range 64 {
		id := PeerID(k % 3)
		b := p.Next(&Asker{ID: id}, 1, nil)[0]
		if prev, ok := last[id]; ok && b.Begin != prev.Begin+BlockSize {
			breaks++
		}
		last[id] = b
		require.Equal(t, 1, p.Partials())
	}
	require.LessOrEqual(t, breaks, 6)
	p.Next(&Asker{ID: 0}, 1, nil)
	require.Equal(t, 2, p.Partials())
}

func TestFewestMissingFirst(t *testing.T) {
	p := NewPicker(even{4, 8 * BlockSize}, newRand(1))
	a, b := setOf(4, 0), setOf(4, 1)
	fetch(p, 1, p.Next(&Asker{ID: 1, Has: a}, 2, nil))
	fetch(p, 2, p.Next(&Asker{ID: 2, Has: b}, 5, nil))
	both := setOf(4, 0, 1)
	require.EqualValues(t, 1, p.Next(&Asker{ID: 3, Has: both}, 1, nil)[0].Piece)
	require.EqualValues(t, 0, p.Next(&Asker{ID: 1, Has: both}, 1, nil)[0].Piece, "the own one before others")
}

// W3: what a choke freed goes to others first.
func TestReleasedBlocksGoFirst(t *testing.T) {
	p := NewPicker(even{50, 8 * BlockSize}, newRand(1))
	asked := p.Next(&Asker{ID: 1}, 8, nil)
	other := p.Next(&Asker{ID: 2}, 4, nil)
	require.NotEqual(t, asked[0].Piece, other[0].Piece)
	for _, b := range asked[2:5] {
		p.Release(1, b)
		p.Release(1, b) // twice does nothing
		p.Release(9, b)
	}
	require.Equal(t, asked[2:5], p.Next(&Asker{ID: 2}, 3, nil))
	require.Equal(t, other[0].Piece, p.Next(&Asker{ID: 2}, 1, nil)[0].Piece)
}

func TestReceive(t *testing.T) {
	p := NewPicker(sizeList{2*BlockSize + 5, BlockSize, BlockSize}, newRand(1))
	p.SetWanted(1, false)
	p.SetHave(2)
	for _, b := range []Block{
		{1, 0, BlockSize}, {2, 0, BlockSize}, {3, 0, BlockSize}, {1<<32 - 1, 0, BlockSize},
		{0, 1, BlockSize}, {0, 0, BlockSize - 1}, {0, 2 * BlockSize, BlockSize}, {0, 3 * BlockSize, 5},
		{0, 1<<32 - BlockSize, BlockSize}, {0, 2 * BlockSize, 0}, {0, 0, 2 * BlockSize},
	} {
		require.False(t, p.Receive(1, b), "%v", b)
		require.Empty(t, p.Askers(nil, b))
	}
	require.Zero(t, p.Partials())
	require.True(t, p.Receive(1, Block{0, BlockSize, BlockSize}), "unasked")
	require.False(t, p.Receive(2, Block{0, BlockSize, BlockSize}), "again")
	require.Equal(t, 1, p.Partials())
	require.True(t, p.Receive(1, Block{0, 0, BlockSize}))
	require.False(t, p.Complete(0))
	require.True(t, p.Receive(1, Block{0, 2 * BlockSize, 5}))
	require.True(t, p.Complete(0))
	require.True(t, p.Needs(0))
	require.Zero(t, p.Partials())
	require.True(t, p.Endgame())
	require.Empty(t, p.Next(&Asker{ID: 1}, 10, nil))
	require.False(t, p.Receive(2, Block{0, 0, BlockSize}), "being hashed")
	p.SetHave(0)
	require.False(t, p.Complete(0))
	require.False(t, p.Endgame())
	require.Zero(t, p.NumNeeded())
	require.NoError(t, p.check())
}

// P6: nothing waits for a snubbed peer.
func TestP6_SlowHoldsNothing(t *testing.T) {
	p := NewPicker(even{2, 4 * BlockSize}, newRand(1))
	slow := &Asker{ID: 1, Slow: true}
	got := p.Next(slow, 2, nil)
	i := got[0].Piece
	require.Equal(t, []Block{{i, 3 * BlockSize, BlockSize}, {i, 2 * BlockSize, BlockSize}}, got)
	got = p.Next(&Asker{ID: 2}, 4, nil)
	require.Equal(t, []Block{{i, 0, BlockSize}, {i, BlockSize, BlockSize}, {i, 2 * BlockSize, BlockSize}, {i, 3 * BlockSize, BlockSize}}, got)
	require.ElementsMatch(t, []PeerID{1, 2}, p.Askers(nil, got[3]))
	require.NotEqual(t, i, p.Next(&Asker{ID: 3}, 1, nil)[0].Piece, "not a third time")
	// It is slow, but the only one: it gets all.
	p = NewPicker(even{30, 4 * BlockSize}, newRand(1))
	for range 120 {
		fetch(p, 1, p.Next(slow, 1, nil))
	}
	require.True(t, p.Have().All())
}

func TestParole(t *testing.T) {
	p := NewPicker(even{1, 8 * BlockSize}, newRand(1))
	for k := range uint32(8) {
		p.Receive(PeerID(k%2), Block{0, k * BlockSize, BlockSize})
	}
	require.True(t, p.Complete(0))
	p.Fail(0, true)
	require.Zero(t, p.Partials())
	one := p.Next(&Asker{ID: 1}, 2, nil)
	require.Len(t, one, 2)
	require.Empty(t, p.Next(&Asker{ID: 2}, 8, nil))
	one = append(one, p.Next(&Asker{ID: 1}, 6, nil)...)
	require.Len(t, one, 8)
	require.True(t, p.Endgame())
	require.Empty(t, p.Next(&Asker{ID: 2}, 8, nil), "no duplicates")
	for _, b := range one {
		p.Release(1, b)
	}
	require.Len(t, p.Next(&Asker{ID: 2}, 8, nil), 8, "its turn")
	require.Empty(t, p.Next(&Asker{ID: 1}, 8, nil))
}

func TestFailKeepsOpenRequests(t *testing.T) {
	p := NewPicker(even{1, 3 * BlockSize}, newRand(1))
	got := p.Next(&Asker{ID: 1}, 2, nil)
	p.Receive(1, got[0])
	p.Fail(0, false)
	require.Empty(t, p.Askers(nil, got[0]))
	require.Equal(t, []PeerID{1}, p.Askers(nil, got[1]))
	require.Equal(t, 1, p.Partials())
	require.Len(t, p.Next(&Asker{ID: 2}, 2, nil), 2)
	require.True(t, p.Receive(1, got[0]), "missing again")
}

// BEP 6: while choked only what is allowed fast may be asked for.
func TestBEP6_OnlyAllowedFast(t *testing.T) {
	p := NewPicker(even{20, 2 * BlockSize}, newRand(1))
	p.SetHave(0)
	p.AddPeer(setOf(20, 3))
	has := setOf(20, 0, 3, 4)
	p.AddPeer(has)
	a := &Asker{ID: 1, Has: has, Only: []uint32{0, 3, 4, 5, 99, 1<<32 - 1}}
	got := p.Next(a, 10, nil)
	require.Equal(t, []Block{{4, 0, BlockSize}, {4, BlockSize, BlockSize}, {3, 0, BlockSize}, {3, BlockSize, BlockSize}}, got)
	require.Empty(t, p.Next(a, 10, nil))
	a.Only = []uint32{}
	a.ID = 2
	require.Empty(t, p.Next(a, 10, nil))
}

func TestUnwantedKeepsWhatItHas(t *testing.T) {
	p := NewPicker(even{2, 4 * BlockSize}, newRand(1))
	got := p.Next(&Asker{ID: 1}, 4, nil)
	i := int(got[0].Piece)
	p.Receive(1, got[0])
	p.SetWanted(i, false)
	require.Equal(t, 1, p.NumNeeded())
	require.False(t, p.Needs(i))
	require.Zero(t, p.Partials())
	require.False(t, p.Receive(1, got[1]))
	for _, b := range p.Next(&Asker{ID: 2}, 20, nil) {
		require.NotEqual(t, uint32(i), b.Piece)
	}
	p.SetWanted(i, true)
	require.Equal(t, got[1:2], p.Next(&Asker{ID: 3}, 1, nil))
	require.NoError(t, p.check())
}

func TestLostPieceIsNeededAgain(t *testing.T) {
	p := NewPicker(even{3, 1}, newRand(1))
	for i := range 3 {
		p.SetHave(i)
	}
	require.Zero(t, p.NumNeeded())
	require.Empty(t, p.Next(&Asker{ID: 1}, 1, nil))
	p.ClearHave(1)
	p.ClearHave(-1)
	p.ClearHave(1)
	require.Equal(t, 1, p.NumNeeded())
	require.Equal(t, []Block{{1, 0, 1}}, p.Next(&Asker{ID: 1}, 5, nil))
}

// BEP 52 puts the short last piece of every file in the middle.
func TestBEP52_AlignedSizes(t *testing.T) {
	sizes := sizeList{4 * BlockSize, 3*BlockSize + 1, 4 * BlockSize, 1, BlockSize - 1, 4 * BlockSize, 2 * BlockSize}
	p := NewPicker(sizes, newRand(3))
	got := p.Next(&Asker{ID: 1}, 1000, nil)
	sums := make([]int64, len(sizes))
	for _, b := range got {
		require.EqualValues(t, b.Begin, sums[b.Piece])
		sums[b.Piece] += int64(b.Length)
	}
	require.Equal(t, sizes, sizeList(sums))
	fetch(p, 1, got)
	require.True(t, p.Have().All())
}

func TestSmallAndLargePieces(t *testing.T) {
	p := NewPicker(even{1000, 256}, newRand(1))
	got := p.Next(&Asker{ID: 1}, 2000, nil)
	require.Len(t, got, 1000)
	require.EqualValues(t, 256, got[0].Length)
	fetch(p, 1, got)
	require.True(t, p.Have().All())

	p = NewPicker(even{2, 1 << 30}, newRand(1))
	got = p.Next(&Asker{ID: 1}, 1<<20, nil)
	require.Len(t, got, 2<<16)
	fetch(p, 1, got)
	require.True(t, p.Have().All())

	p = NewPicker(even{1, 1<<32 - 1}, newRand(1))
	got = p.Next(&Asker{ID: 1}, 1<<20, nil)
	require.Len(t, got, 1<<18)
	require.Equal(t, Block{0, 1<<32 - BlockSize, BlockSize - 1}, got[len(got)-1])

	p = NewPicker(even{0, 1}, newRand(1))
	require.Empty(t, p.Next(&Asker{ID: 1}, 1, nil))
	require.False(t, p.Endgame())
	p = NewPicker(even{3, 0}, newRand(1)) // no torrent has these
	require.Empty(t, p.Next(&Asker{ID: 1}, 9, nil))
}

func TestAvailability(t *testing.T) {
	const n = 200
	p := NewPicker(even{n, 1}, newRand(1))
	all := NewBitfield(n)
	all.fill()
	p.AddPeer(all)
	p.AddSeed()
	p.AddPeer(setOf(n, 1, 199))
	p.AddPeer(setOf(1000, 1, 999)) // nonsense beyond the end is ignored
	p.AddPeer(nil)
	require.Equal(t, 2, p.Availability(0))
	require.Equal(t, 4, p.Availability(1))
	require.Equal(t, 3, p.Availability(199))
	require.Zero(t, p.Availability(200))
	require.Zero(t, p.Availability(-1))
	p.Next(&Asker{ID: 1}, 1, nil)
	p.AddPeer(setOf(n, 5, 6)) // few: moved, not sorted
	require.False(t, p.avail.stale)
	p.AddHave(5)
	p.AddHave(-1)
	p.AddHave(n)
	p.DropHave(6)
	p.DropHave(6)
	p.DropHave(n)
	require.Equal(t, 4, p.Availability(5))
	require.Equal(t, 1, p.Availability(6), "only the seed is left")
	p.DropHave(6)
	p.RemovePeer(setOf(n, 5))
	require.NoError(t, p.check())
	p.RemovePeer(all)
	p.RemoveSeed()
	p.RemoveSeed()
	require.Zero(t, p.Availability(0))
	require.NoError(t, p.check())
}

// Equal inputs replay to equal answers.
func TestReplay(t *testing.T) {
	life := func() (all []Block) {
		p, rnd := NewPicker(even{300, 3 * BlockSize}, newRand(4)), newRand(5)
		for range 2000 {
			a := &Asker{ID: PeerID(rnd.IntN(9))}
			got := p.Next(a, 1+rnd.IntN(9), nil)
			all = append(all, got...)
			for _, b := range got {
				if rnd.IntN(3) > 0 {
					fetch(p, a.ID, []Block{b})
				}
			}
		}
		return all
	}
	require.True(t, slices.Equal(life(), life()))
}

func TestNoAllocsNext(t *testing.T) {
	for name, setUp := range map[string]func(o Order){
		"rarest":     func(Order) {},
		"priorities": func(o Order) { o.SetPriority(100, 2000, 6) },
		"order":      func(o Order) { o.SetStrategy(InOrder{}) },
		"deadlines":  func(o Order) { o.SetDeadlines([]Deadline{{4094, 0}, {4095, time.Hour}}) },
		"finish": func(o Order) {
			o.SetFinish(FinishLog, []File{{0, 4096, 32 * BlockSize, 4096 * 32 * BlockSize}})
		},
	} {
		t.Run(name, func(t *testing.T) { noAllocs(t, setUp) })
	}
}

func noAllocs(t *testing.T, setUp func(o Order)) {
	const n = 4096
	p := NewPicker(even{n, 32 * BlockSize}, newRand(1))
	setUp(p.Order())
	half := NewBitfield(n)
	for i := 0; i < n; i += 2 {
		half.Set(i)
	}
	p.AddPeer(half)
	p.SetHave(1)
	askers := []*Asker{{ID: 1}, {ID: 2, Has: half}, {ID: 3, Slow: true}, {ID: 5, Run: 64, Suggested: []uint32{1}, Rate: 1 << 20}, {ID: 4, Has: half, Only: []uint32{4, 8, 12}}}
	dst := make([]Block, 0, 64)
	ids := make([]PeerID, 0, 8)
	step := func() {
		for _, a := range askers {
			dst = p.Next(a, 40, dst[:0])
			for k, b := range dst {
				if k%9 == 0 {
					p.Release(a.ID, b)
					continue
				}
				p.Receive(a.ID, b)
				ids = p.Askers(ids[:0], b)
				if i := int(b.Piece); p.Complete(i) {
					p.SetHave(i)
				}
			}
		}
		p.AddHave(17)
		p.DropHave(17)
	}
	for range 20 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(100, step))
}
