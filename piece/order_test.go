package piece

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPriorities(t *testing.T) {
	const n = 100
	p := NewPicker(even{n, BlockSize}, newRand(1))
	o := p.Order()
	o.SetPriority(0, 10, NotWanted)
	o.SetPriority(20, 30, TopPriority)
	o.SetPriority(30, 40, 200)
	o.SetPriority(40, 50, LowestPriority)
	o.SetPriority(90, 1000, 6)
	o.SetPriority(-5, 0, NotWanted)
	for i, want := range map[int]uint8{-1: 0, 5: 0, 15: 4, 25: 7, 35: 7, 45: 1, 95: 6, n: 0} {
		require.Equal(t, want, o.Priority(i), "piece %d", i)
	}
	require.Equal(t, 90, p.NumNeeded())
	for i := range n {
		if i != 33 && i != 44 {
			p.AddHave(i)
		}
	}
	p.AddPeer(setOf(n, 99, 15, 45))
	level := uint8(7)
	got := p.Next(&Asker{ID: 1, Has: setOf(n, 99, 15, 45)}, 3, nil)
	require.Equal(t, []Block{{99, 0, BlockSize}, {15, 0, BlockSize}, {45, 0, BlockSize}}, got)
	fetch(p, 1, got[:1])
	got = p.Next(&Asker{ID: 2, Duplicates: -1}, n, nil)
	require.Len(t, got, 87)
	require.EqualValues(t, 33, got[0].Piece, "the rarest of the top")
	for _, b := range got {
		now := o.Priority(int(b.Piece))
		require.LessOrEqual(t, now, level)
		level = now
	}
	require.EqualValues(t, 44, got[len(got)-9].Piece, "the rarest of the lowest")
	require.NoError(t, p.check())

	// All normal again: the quick path.
	o.SetPriority(0, n, NormalPriority)
	require.Nil(t, p.avail.rule)
	require.Equal(t, n-1, p.NumNeeded())
}

// A piece of a higher priority is begun although others are, and a partial's
// priority counts too.
func TestPrioritiesBeforePartials(t *testing.T) {
	p := NewPicker(even{10, 4 * BlockSize}, newRand(1))
	first := next(p, &Asker{ID: 1})
	other := (first + 1) % 10
	p.Order().SetPriority(other, other+1, 5)
	require.Equal(t, other, next(p, &Asker{ID: 1}))
	p.Order().SetPriority(first, first+1, 6)
	require.Equal(t, first, next(p, &Asker{ID: 1}))
	p.Order().SetPriority(first, first+1, NotWanted)
	require.Equal(t, other, next(p, &Asker{ID: 1}))
	p.SetWanted(first, true)
	require.EqualValues(t, 6, p.Order().Priority(first))
}

func TestInOrder(t *testing.T) {
	const n, peers = 200, 10
	p := NewPicker(even{n, 4 * BlockSize}, newRand(1))
	p.Order().SetStrategy(InOrder{})
	for range peers {
		p.AddSeed()
	}
	rnd := newRand(2)
	queues := make([][]Block, peers)
	for last := -1; !p.Have().All(); {
		k := rnd.IntN(peers)
		was := len(queues[k])
		queues[k] = p.Next(&Asker{ID: PeerID(k), Duplicates: -1, Open: was}, 8-was, queues[k])
		for _, b := range queues[k][was:] {
			require.GreaterOrEqual(t, int(b.Piece), last, "nothing is skipped")
			last = int(b.Piece)
		}
		if len(queues[k]) > 0 {
			fetch(p, PeerID(k), queues[k][:1])
			queues[k] = queues[k][1:]
		}
		require.LessOrEqual(t, p.Partials(), peers*8/4+peers, "as far as requests go")
	}
	// What was given up is what comes next.
	p = NewPicker(even{n, 4 * BlockSize}, newRand(1))
	p.Order().SetStrategy(InOrder{})
	got := p.Next(&Asker{ID: 1}, 20, nil)
	p.Release(1, got[6])
	require.Equal(t, got[6:7], p.Next(&Asker{ID: 2}, 1, nil))
	require.Equal(t, 5, next(p, &Asker{ID: 2}))
}

func TestStrategies(t *testing.T) {
	const n = 300
	orders := map[string][]Block{}
	for name, s := range map[string]Strategy{"random": RandomOrder{}, "order": InOrder{}, "odd": StrategyFunc(func(i int, v View) int32 {
		return int32(i%2)*1000 + int32(v.Peers) - 5
	})} {
		for range 2 {
			p := NewPicker(even{n, BlockSize}, newRand(1))
			p.AddPeer(setOf(n, 7))
			p.Order().SetStrategy(s)
			got := p.Next(&Asker{ID: 1}, n, nil)
			require.Len(t, got, n)
			if orders[name] != nil {
				require.Equal(t, orders[name], got, "replayed")
			}
			orders[name] = got
			require.NoError(t, p.Order().Fault())
		}
	}
	for k, b := range orders["odd"] {
		require.Equal(t, k >= n/2, b.Piece%2 == 1)
	}
	inPlace := 0
	for k, b := range orders["random"] {
		if int(b.Piece) == k {
			inPlace++
		}
	}
	require.Less(t, inPlace, 10)

	// It is asked again when something changes, or when it says so.
	least := int32(0)
	p := NewPicker(even{n, BlockSize}, newRand(1))
	p.Order().SetStrategy(StrategyFunc(func(i int, v View) int32 { return max(10-int32(v.Peers), 0) + least*int32(i) }))
	p.AddPeer(setOf(n, 50))
	require.Equal(t, 50, next(p, &Asker{ID: 1}))
	p.AddHave(60)
	require.Equal(t, 60, next(p, &Asker{ID: 1}))
	least = 1
	p.Order().Refresh()
	require.Equal(t, 0, next(p, &Asker{ID: 1}))
	p.Order().SetStrategy(RarestFirst{})
	require.Nil(t, p.avail.rule)
	require.NoError(t, p.check())
}

// A strategy that panics is put aside, and the download goes on.
func TestStrategyThatPanics(t *testing.T) {
	for name, s := range map[string]Strategy{
		"at once": StrategyFunc(func(i int, v View) int32 { panic("no") }),
		"later": StrategyFunc(func(i int, v View) int32 {
			if v.Peers > 0 {
				panic("no")
			}
			return 0
		}),
		"strict": badStrict{},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPicker(even{50, BlockSize}, newRand(1))
			p.Order().SetStrategy(s)
			fetch(p, 1, p.Next(&Asker{ID: 1}, 1, nil))
			p.AddHave(7)
			p.AddHave(8)
			fetch(p, 1, p.Next(&Asker{ID: 1}, 50, nil))
			require.ErrorContains(t, p.Order().Fault(), "panicked: no")
			require.True(t, p.Have().All())
			p.Order().SetStrategy(nil)
			require.NoError(t, p.Order().Fault())
		})
	}
}

type badStrict struct{ RandomOrder }

func (badStrict) Strict() bool { panic("no") }

// An asker that has few pieces gets the best of them from any order.
func TestRuledOfFew(t *testing.T) {
	const n = 3000
	rnd := newRand(5)
	p := NewPicker(even{n, 1}, rnd)
	p.SetHave(0)
	p.Order().SetPriority(1000, 2000, 5)
	place := func(i int) int { return int(p.Order().Priority(i))*-100 + p.Availability(i) }
	for round := range 400 {
		if round%20 == 0 {
			has := NewBitfield(n)
			for i := range n {
				if rnd.IntN(3) > 0 {
					has.Set(i)
				}
			}
			p.AddPeer(has)
		}
		has := NewBitfield(n)
		for range 1 + rnd.IntN(60) {
			has.Set(rnd.IntN(n))
		}
		best := -1
		for i := range n {
			if has.Has(i) && p.Needs(i) && (best < 0 || place(i) < place(best)) {
				best = i
			}
		}
		got := p.Next(&Asker{ID: PeerID(round), Has: has}, 1, nil)
		require.Equal(t, best >= 0, len(got) == 1)
		if best >= 0 {
			require.Equal(t, place(best), place(int(got[0].Piece)))
			fetch(p, 1, got)
		}
		p.AddHave(rnd.IntN(n))
	}
	require.NoError(t, p.check())
}

// The same, asked again and again while pieces move in the order: forwards in
// that of one's own, backwards in the other.
func TestRuledOfFewThatMove(t *testing.T) {
	const n = 6000
	for name, sign := range map[string]int{"rarest": 1, "most common": -1} {
		t.Run(name, func(t *testing.T) {
			rnd := newRand(7)
			p := NewPicker(even{n, 1}, rnd)
			p.SetHave(0)
			p.Order().SetStrategy(StrategyFunc(func(_ int, v View) int32 { return int32(1000 + sign*v.Peers) }))
			has := NewBitfield(n)
			for range 400 {
				has.Set(1 + rnd.IntN(n-1))
			}
			var own []int
			for i := range n {
				times := 100 - 50*sign // what others have is better
				if has.Has(i) {
					own, times = append(own, i), 100+rnd.IntN(3)
				}
				for range times {
					p.AddHave(i)
				}
			}
			for !p.have.All() {
				best := -1
				for i := range n {
					if has.Has(i) && p.Needs(i) && (best < 0 || sign*p.Availability(i) < sign*p.Availability(best)) {
						best = i
					}
				}
				got := p.Next(&Asker{ID: 1, Has: has}, 1, nil)
				if best < 0 {
					require.Empty(t, got)
					break
				}
				require.Equal(t, p.Availability(best), p.Availability(int(got[0].Piece)))
				fetch(p, 1, got)
				for range 3 {
					p.AddHave(own[rnd.IntN(len(own))])
				}
			}
		})
	}
}

// BEP 6: what a peer suggests comes first among equals.
func TestBEP6_Suggested(t *testing.T) {
	const n = 50
	p := NewPicker(even{n, BlockSize}, newRand(1))
	require.Equal(t, 13, next(p, &Asker{ID: 1, Suggested: []uint32{99, 13}}))
	p.SetHave(13)
	p.AddPeer(setOf(n, 20))
	require.Equal(t, 21, next(p, &Asker{ID: 1, Suggested: []uint32{13, 20, 21}}), "20 is more common")
	require.NotEqual(t, 30, next(p, &Asker{ID: 1, Has: setOf(n, 31, 32), Suggested: []uint32{30}}), "it does not have it")
	// The one passed over is not forgotten.
	for _, n := range []int{n, 5000} {
		p := NewPicker(even{n, BlockSize}, newRand(1))
		p.SetHave(0)
		has, others := setOf(n, 40, 41), NewBitfield(n)
		others.fill()
		others.Clear(40)
		others.Clear(41)
		p.AddPeer(has)
		p.AddPeer(others)
		for id := range PeerID(8) {
			got := []int{next(p, &Asker{ID: id, Has: has, Suggested: []uint32{41}}), next(p, &Asker{ID: id, Has: has, Suggested: []uint32{41}})}
			require.Equal(t, []int{41, 40}, got)
			p.Release(id, Block{40, 0, BlockSize})
			p.Release(id, Block{41, 0, BlockSize})
			p.Fail(40, false)
			p.Fail(41, false)
		}
	}
}

// BEP 19 and the like: a source of long runs gets pieces one behind the other,
// and leaves partials to others.
func TestLongRuns(t *testing.T) {
	const n = 100
	p := NewPicker(even{n, 4 * BlockSize}, newRand(1))
	p.SetHave(0)
	p.AddPeer(setOf(n, 50))
	touch(t, p, 7, 50, false)
	a := &Asker{ID: 1, Run: 40}
	got := p.Next(a, 40, nil)
	require.Len(t, got, 40)
	breaks := 0
	for k, b := range got[1:] {
		if before := got[k]; b.Begin != (before.Begin+BlockSize)%(4*BlockSize) || b.Begin == 0 && b.Piece != before.Piece+1 {
			breaks++
		}
		require.NotEqualValues(t, 50, b.Piece)
	}
	require.LessOrEqual(t, breaks, 1, "but where it met something begun or the end")
	// Other priorities are not run into.
	p.Order().SetPriority(60, 61, 7)
	p.Order().SetPriority(61, n, 1)
	b := NewBitfield(n)
	b.Set(60)
	b.Set(61)
	b.Set(62)
	require.Equal(t, 60, next(p, &Asker{ID: 2, Has: b, Run: 40}))
	require.EqualValues(t, 60, p.Next(&Asker{ID: 2, Has: b, Run: 40}, 3, nil)[2].Piece)
	// At last it helps with partials too.
	for {
		got := p.Next(a, 8, nil)
		if len(got) == 0 {
			break
		}
		fetch(p, 1, got)
	}
	require.True(t, p.Endgame() || p.NumNeeded() == 0)
}
