package piece

import "math/rand/v2"

// A key is a piece's place in an order that is more than rarest first: four
// bits of class (the priority, doubled, and whether a file is nearly done),
// then the rank, then bits drawn for each piece that break ties. Lower is
// sooner.
const (
	tieBits  = 22
	rankBits = 38
	maxRank  = 1<<rankBits - 1
)

// class is the class of a place, which is a key without its ties, the rest
// cut off: places below it are in a better class.
func class(place uint64) uint64 { return place >> rankBits << rankBits }

// ruled keeps the untouched pieces in the order of their keys, as a tournament
// of which every round's winner is kept: a key changes in O(log n), the best
// piece is there at once, and the best one of those that an asker has is found
// by looking where better ones may be.
type ruled struct {
	sizes    Sizes
	strategy Strategy // nil: rarest first
	strict   bool
	fault    error
	priority []uint8 // nil: all are normal
	odd      int     // priorities that are not normal
	finish   finishing
	salt     uint64
	keys     []uint64 // of all pieces
	tree     []int32  // tree[1] is the winner, -1 for none; tree[k]'s are 2k and 2k+1
	width    int      // leaves of the tree; leaf i is node width+i
}

// plain tells whether the order is rarest first and nothing else.
func (r *ruled) plain() bool { return r.strategy == nil && r.odd == 0 && r.finish.how == FinishNone }

// setStrategy makes s the strategy; nil is rarest first.
func (r *ruled) setStrategy(s Strategy) {
	if _, is := s.(RarestFirst); is {
		s = nil
	}
	r.strategy, r.strict, r.fault = s, false, nil
	if st, can := s.(Strict); can {
		defer r.recover()
		r.strict = st.Strict()
	}
}

// recover puts rarest first in the place of a strategy that panicked.
func (r *ruled) recover() {
	if cause := recover(); cause != nil {
		r.fault = strategyError(r.strategy, cause)
		r.strategy, r.strict = nil, false
	}
}

// bySeeds tells whether the order depends on how many seeds there are.
func (r *ruled) bySeeds() bool { return r.strategy != nil || r.finish.how > FinishRoot }

// tie is a piece's part of the key that decides among equals.
func (r *ruled) tie(i int) uint64 {
	x := (uint64(i) + r.salt) * 0x9e3779b97f4a7c15
	x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	return (x ^ x>>32) & (1<<tieBits - 1)
}

// key computes piece i's key.
func (r *ruled) key(v *availability, i int) uint64 {
	c, rank := 2*uint64(r.level(i)), uint64(v.count(i))
	switch {
	case r.strategy != nil:
		rank = uint64(max(r.strategy.Rank(i, View{Peers: v.seeds + int(v.count(i)), Seeds: v.seeds, Had: v.had,
			Pieces: v.n, Size: r.sizes.PieceSize(i)}), 0))
	case v.had == 0:
		rank = 0 // P2: any
	}
	if !r.strict && r.finish.how != FinishNone {
		weight, near := r.finish.weigh(i)
		if r.strategy == nil && v.had > 0 && r.bySeeds() {
			rank += uint64(v.seeds)
		}
		rank *= weight
		if near {
			c++
		}
	}
	return (15-c)<<(rankBits+tieBits) | min(rank, maxRank)<<tieBits | r.tie(i)
}

// level is the priority of piece i, 1 to 7, even while it is not wanted.
func (r *ruled) level(i int) uint8 {
	if r.priority == nil {
		return NormalPriority
	}
	return r.priority[i]
}

// build computes everything anew.
func (r *ruled) build(v *availability) {
	if len(r.keys) != v.n {
		r.keys = make([]uint64, v.n)
		r.width = 2
		for r.width < v.n {
			r.width *= 2
		}
		r.tree = make([]int32, r.width)
	}
	for !r.computed(v) { // once more, without the strategy
	}
	for k := r.width - 1; k >= 1; k-- {
		r.tree[k] = r.winner(v, k)
	}
}

// computed computes all keys; false: the strategy panicked.
func (r *ruled) computed(v *availability) (ok bool) {
	defer r.recover()
	for i := range r.keys {
		r.keys[i] = r.key(v, i)
	}
	return true
}

// winner is the better one of node k's two.
func (r *ruled) winner(v *availability, k int) int32 {
	a, b := r.node(v, 2*k), r.node(v, 2*k+1)
	if b < 0 || a >= 0 && r.keys[a] <= r.keys[b] {
		return a
	}
	return b
}

// node is the winner of node k, or the piece at leaf k; -1 for none.
func (r *ruled) node(v *availability, k int) int32 {
	if k < r.width {
		return r.tree[k]
	}
	if i := k - r.width; v.fresh.Has(i) {
		return int32(i)
	}
	return -1
}

// placed brings the tree up to date after piece i became untouched, or was
// begun, or has another key.
func (r *ruled) placed(v *availability, i int) {
	for k := (r.width + i) / 2; k >= 1; k /= 2 {
		w := r.winner(v, k)
		if w == r.tree[k] && w != int32(i) {
			return
		}
		r.tree[k] = w
	}
}

// update computes piece i's key anew.
func (r *ruled) update(v *availability, i int) {
	was := r.keys[i]
	key, ok := r.tried(v, i)
	if !ok {
		v.stale = true
		return
	}
	if r.keys[i] = key; key != was && v.fresh.Has(i) {
		if key < was {
			v.age++
		}
		r.placed(v, i)
	}
}

// tried is key; not ok: the strategy panicked.
func (r *ruled) tried(v *availability, i int) (key uint64, ok bool) {
	if r.strategy != nil {
		defer r.recover()
	}
	return r.key(v, i), true
}

// choose is the best untouched piece that a has if its place is below the one
// given, or -1.
func (r *ruled) choose(v *availability, a *Asker, below uint64, rnd *rand.Rand) int {
	if a.Slow && !r.strict {
		var few shortlist // nobody will ask for it again
		few.fill(v, a, rnd)
		if few.n == 0 || r.keys[few.best[few.n-1].piece]>>tieBits >= below {
			return -1
		}
		return int(few.best[few.n-1].piece)
	}
	best := r.tree[1]
	if best < 0 || r.keys[best]>>tieBits >= below {
		return -1
	}
	if a.has(int(best)) {
		return int(best)
	}
	few := v.shortlist(a.ID)
	if i, known := few.next(a, v, below); known {
		return i
	}
	if i, known := r.search(v, a, below); known {
		return i
	}
	few.fill(v, a, rnd)
	i, _ := few.next(a, v, below)
	return i
}

// searched bounds how many nodes of the tree a search looks at before all that
// the asker has is compared instead.
const searched = 256

// search looks for the best piece that a has from the top, leaving out what
// can't be better than what was found. known: it came to an end.
func (r *ruled) search(v *availability, a *Asker, below uint64) (best int, known bool) {
	var stack [66]int
	limit := ^uint64(0)
	if below < 1<<(64-tieBits) {
		limit = below << tieBits
	}
	best, stack[0] = -1, 1
	for n, left := 1, searched; n > 0; left-- {
		if left == 0 {
			return -1, false
		}
		n--
		k := stack[n]
		i := r.node(v, k)
		switch {
		case i < 0 || r.keys[i] >= limit:
		case a.has(int(i)):
			best, limit = int(i), r.keys[i]
		case k < r.width:
			// The winner's side is looked at first.
			x, y := 2*k, 2*k+1
			if r.node(v, x) != i {
				x, y = y, x
			}
			stack[n], stack[n+1] = y, x
			n += 2
		}
	}
	return best, true
}

// memory of the tree is given back when nothing is needed any more.
func (r *ruled) forget() { r.keys, r.tree, r.width = nil, nil, 0 }
