package piece

import (
	"math/bits"
	"math/rand/v2"
)

// probes is how many pieces are looked at in order of rarity before all that
// the asker has are compared instead, 64 at a time: about as long a work.
func (v *availability) probes() int { return 16 + v.fresh.words()/32 }

// choose is an untouched piece for a, or -1: any for our first, else one of the
// rarest, or of the most common for a slow asker.
func (v *availability) choose(a *Asker, first bool, rnd *rand.Rand) int {
	if v.fresh.count == 0 || a.Has != nil && a.Has.count == 0 {
		return -1
	}
	order := v.sorted()
	if first {
		return v.chooseAny(a, order, rnd)
	}
	few := v.shortlist(a.ID)
	if a.Has != nil && !a.Slow {
		if i, known := few.next(a, v); known {
			return i
		}
	}
	r, last, step := 1, order.top(), 1
	if a.Slow {
		r, last, step = last, r, -1
	} else if a.Has != nil {
		r = 2 // what no peer but seeds has, this one has neither
	}
	for left := v.probes(); left > 0 && (last-r)*step >= 0; r += step {
		start := order.start[r]
		for at := order.start[r+1] - 1; at >= start && left > 0; at, left = at-1, left-1 {
			if i := int(order.draw(start, at, rnd)); a.has(i) {
				return i
			}
		}
	}
	if a.Has == nil || a.Slow { // a list that nobody will ask for again
		few = new(shortlist)
	}
	few.fill(v, a, rnd)
	if few.n == 0 {
		return -1
	}
	few.n--
	return int(few.best[few.n].piece)
}

// chooseAny is any untouched piece that a has, each as likely: until we have a
// piece to give, a common one is as good as a rare one, and comes sooner.
func (v *availability) chooseAny(a *Asker, order *ranking, rnd *rand.Rand) int {
	first := order.start[1]
	for range 16 {
		if i := int(order.order[first+rnd.Int32N(int32(v.fresh.count))]); a.has(i) {
			return i
		}
	}
	n := 0
	v.common(a.Has, func(_ int, w uint64) bool { n += bits.OnesCount64(w); return true })
	if n == 0 {
		return -1
	}
	chosen, skip := -1, rnd.IntN(n)
	v.common(a.Has, func(base int, w uint64) bool {
		if c := bits.OnesCount64(w); skip >= c {
			skip -= c
			return true
		}
		for ; skip > 0; skip-- {
			w &= w - 1
		}
		chosen = base + bits.TrailingZeros64(w)
		return false
	})
	return chosen
}
