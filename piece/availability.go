package piece

import (
	"encoding/binary"
	"math/bits"
)

// availability counts who has what, and keeps the untouched pieces in the
// order of their rarity. Rank 0 holds the pieces that are not to be chosen;
// an untouched piece that c peers have stands in rank c+1. Seeds add the same
// to every piece, so they are counted apart and move nothing.
//
// The order is built when it is first looked at, and again after changes so
// large that sorting is cheaper than moving (stale).
type availability struct {
	n      int
	peers  int // without seeds
	seeds  int
	had    int       // pieces that we have
	counts []int32   // peers, without seeds; nil as long as nobody has a piece
	fresh  *Bitfield // the untouched pieces: needed and not begun
	rarity ranking
	stale  bool
	steps  int    // swaps since the order was built
	age    uint64 // raised when a piece becomes rarer, or untouched again

	shortlists *[shortlists]shortlist // nil until one is made; may be lost

	rule  *ruled // another order than rarest first; nil: none
	fault error  // why there is none
}

func newAvailability(n int) availability {
	v := availability{n: n, fresh: NewBitfield(n), stale: true, age: 1}
	v.fresh.fill()
	return v
}

// count is how many peers, without seeds, have piece i.
func (v *availability) count(i int) int32 {
	if v.counts == nil {
		return 0
	}
	return v.counts[i]
}

// add counts one more peer with piece i, in range.
func (v *availability) add(i int) {
	if v.counts == nil {
		v.counts = make([]int32, v.n)
	}
	v.counts[i]++
	switch {
	case v.stale:
	case v.rule != nil:
		v.rule.update(v, i)
	case v.fresh.Has(i):
		v.rarity.up(int32(i), v.counts[i])
	}
}

// sub counts one peer less with piece i, in range.
func (v *availability) sub(i int) {
	if v.count(i) == 0 {
		return
	}
	v.counts[i]--
	v.age++
	switch {
	case v.stale:
	case v.rule != nil:
		v.rule.update(v, i)
	case v.fresh.Has(i):
		v.rarity.down(int32(i), v.counts[i]+2)
	}
}

// addSeeds counts one seed more or less.
func (v *availability) addSeeds(delta int) {
	v.seeds = max(v.seeds+delta, 0)
	if v.rule != nil && v.rule.bySeeds() {
		v.stale = true
	}
}

// setHad notes that piece i is had, or lost again, and how many are had.
func (v *availability) setHad(i int, on bool, n int) {
	if r := v.rule; r != nil {
		v.stale = v.stale || v.had == 0 || n == 0
		r.finish.had(i, r.sizes, on, func(from, to int) {
			v.stale = v.stale || to-from > v.n/64
			for i := from; i < to && !v.stale; i++ {
				r.update(v, i)
			}
		})
	}
	v.had = n
}

// place is where piece i stands in the order, lower is sooner: its rarity, or
// its key without the ties.
func (v *availability) place(i int) uint64 {
	if v.rule != nil {
		return v.rule.keys[i] >> tieBits
	}
	return uint64(v.count(i))
}

// addAll counts a peer with the pieces has (delta 1) or without them (-1).
func (v *availability) addAll(has *Bitfield, delta int32) {
	if has == nil || has.count == 0 {
		return
	}
	if v.counts == nil {
		v.counts = make([]int32, v.n)
	}
	if delta < 0 {
		v.age++
	}
	// A handful of pieces is moved, more are sorted when the order is needed.
	single := !v.stale && has.count < v.n/64
	v.stale = v.stale || !single
	for k := range min(has.words(), v.fresh.words()) {
		w := has.word(k)
		if w == ^uint64(0) && !single && 64*k+64 <= v.n {
			shift64((*[64]int32)(v.counts[64*k:]), delta)
			continue
		}
		for ; w != 0; w &= w - 1 {
			i := 64*k + 63 - bits.TrailingZeros64(w)
			switch {
			case i >= v.n:
			case !single:
				v.counts[i] = max(v.counts[i]+delta, 0)
			case delta > 0:
				v.add(i)
			default:
				v.sub(i)
			}
		}
	}
}

// shift64 is the straight road through a word of pieces that are all there.
func shift64(c *[64]int32, delta int32) {
	for i := range c {
		c[i] = max(c[i]+delta, 0)
	}
}

// setFresh makes piece i, in range, one to choose from, or not.
func (v *availability) setFresh(i int, on bool) {
	if v.fresh.Has(i) == on {
		return
	}
	if v.rule != nil {
		v.setFreshRuled(i, on)
		return
	}
	rank := v.count(i) + 1
	if !v.stale {
		if v.steps += int(rank); v.steps > 4*v.n {
			v.stale = true // many changes at once: sorting is cheaper
		}
	}
	if on {
		v.age++
		v.fresh.Set(i)
		if !v.stale {
			v.rarity.move(int32(i), 0, rank)
		}
		return
	}
	v.fresh.Clear(i)
	if !v.stale {
		v.rarity.move(int32(i), rank, 0)
	}
}

// setFreshRuled is setFresh in another order.
func (v *availability) setFreshRuled(i int, on bool) {
	if on {
		v.age++
		v.fresh.Set(i)
	} else {
		v.fresh.Clear(i)
	}
	if !v.stale {
		v.rule.placed(v, i)
	}
}

// sorted brings the order up to date.
func (v *availability) sorted() *ranking {
	if !v.stale {
		return &v.rarity
	}
	v.stale, v.steps = false, 0
	if v.rule != nil {
		v.age++
		v.rule.build(v)
		return nil
	}
	if v.counts == nil {
		v.rarity.build(v.n, 1, func(i int) int32 {
			if v.fresh.Has(i) {
				return 1
			}
			return 0
		})
		return &v.rarity
	}
	top := int32(0)
	for _, c := range v.counts {
		top = max(top, c)
	}
	v.rarity.build(v.n, top+1, func(i int) int32 {
		if v.fresh.Has(i) {
			return v.counts[i] + 1
		}
		return 0
	})
	return &v.rarity
}

// forget frees the order, for a torrent that needs nothing.
func (v *availability) forget() {
	v.rarity, v.stale, v.shortlists = ranking{}, true, nil
	if v.rule != nil {
		v.rule.forget()
	}
}

// common calls yield with the untouched pieces in has (nil: all), 64 at a time
// and not where there are none, until it returns false: bit k of w stands for
// piece base+k.
func (v *availability) common(has *Bitfield, yield func(base int, w uint64) bool) {
	a, b := v.fresh.bits, v.fresh.bits
	if has != nil {
		b = has.bits
	}
	for base := 0; len(a) >= 8 && len(b) >= 8; base += 64 {
		// The order of the bytes does not matter for finding nothing.
		w := binary.NativeEndian.Uint64(a) & binary.NativeEndian.Uint64(b)
		if w != 0 {
			w = bits.Reverse64(binary.BigEndian.Uint64(a) & binary.BigEndian.Uint64(b))
			if !yield(base, w) {
				return
			}
		}
		a, b = a[8:], b[8:]
	}
}
