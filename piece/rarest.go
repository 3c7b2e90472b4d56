package piece

import (
	"math/bits"
	"math/rand/v2"
)

// probes is how many pieces are looked at in order of rarity before all that
// the asker has are compared instead, 64 at a time: about as long a work.
func (v *availability) probes() int { return 16 + v.fresh.words()/32 }

// choose is the best untouched piece for a if its place is below the one given,
// else -1. As long as nothing else is set, that is any for our first, then one
// of the rarest, or of the most common for a slow asker.
func (v *availability) choose(a *Asker, below uint64, rnd *rand.Rand) int {
	if v.fresh.count == 0 || a.Has != nil && a.Has.count == 0 {
		return -1
	}
	order := v.sorted()
	if v.rule != nil {
		return v.rule.choose(v, a, below, rnd)
	}
	if v.had == 0 {
		return v.chooseAny(a, order, rnd)
	}
	few := v.shortlist(a.ID)
	if a.Has != nil && !a.Slow {
		if i, known := few.next(a, v, below); known {
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
		if !a.Slow && uint64(r) > below {
			return -1
		}
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
	if few.n == 0 || !a.Slow && few.best[few.n-1].key>>32 >= below {
		return -1
	}
	few.n--
	return int(few.best[few.n].piece)
}

// suggested is a piece as good as i, the best one, that a would like to send
// (BEP 6), or i.
func (v *availability) suggested(a *Asker, i int) int {
	place := v.place(i)
	for _, u := range a.Suggested {
		if v.fresh.Has(int(u)) && a.has(int(u)) && (v.place(int(u)) == place || v.rule == nil && v.had == 0) {
			if few := v.shortlist(a.ID); few.id == a.ID {
				few.age = 0 // i may have been taken off it
			}
			return int(u)
		}
	}
	return i
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
