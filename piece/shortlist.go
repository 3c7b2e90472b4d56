package piece

import (
	"math/bits"
	"math/rand/v2"
)

// shortlist holds the best untouched pieces for one asker, so that a peer with
// few of the pieces that are left does not cost a look at all it has each time
// a piece is begun, and one with none of them costs nothing.
//
// It stays right as long as nothing moves ahead of what it holds: pieces that
// become more common or are begun only leave it. What may move ahead is
// counted in availability.age, and the asker's own haves show in their count.
type shortlist struct {
	id    PeerID
	has   int    // of how many pieces it was made
	age   uint64 // when; 0: never
	whole bool   // there were no more pieces than these
	n     int32
	best  [shortlistLen]ranked // best[:n], the best one last
}

// ranked is a piece at its number of peers. key orders pieces: the better one
// is lower, and equally rare ones are ordered at random.
type ranked struct {
	key          uint64
	piece, count int32
}

const (
	shortlists   = 64 // how many askers have one at a time
	shortlistLen = 8
)

// shortlist is the place for id's shortlist; another's may be in it.
func (v *availability) shortlist(id PeerID) *shortlist {
	if v.shortlists == nil {
		v.shortlists = new([shortlists]shortlist)
	}
	return &v.shortlists[hash(id)>>58]
}

// next takes the best piece off, if its place is below the one given. known: the
// list was right and could tell, even if it is that there is none (-1).
func (s *shortlist) next(a *Asker, v *availability, below uint64) (i int, known bool) {
	if s.age != v.age || s.id != a.ID || s.has != a.Has.count {
		return -1, false
	}
	for s.n > 0 {
		r := s.best[s.n-1]
		if v.fresh.Has(int(r.piece)) && a.has(int(r.piece)) {
			if v.stands(r) {
				if v.place(int(r.piece)) >= below {
					return -1, true
				}
				s.n--
				return int(r.piece), true
			}
			s.whole = false // more common by now, still there
		}
		s.n--
	}
	return -1, s.whole
}

// stands tells whether r is still where it was in the order.
func (v *availability) stands(r ranked) bool {
	if v.rule != nil {
		return v.rule.keys[r.piece] == r.key
	}
	return v.count(int(r.piece)) == r.count
}

// fill looks at all untouched pieces that a has and keeps the best: the rarest,
// or for a slow asker the most common.
func (s *shortlist) fill(v *availability, a *Asker, rnd *rand.Rand) {
	*s = shortlist{id: a.ID, age: v.age, whole: true}
	if a.Has != nil {
		s.has = a.Has.count
	}
	if v.rule != nil {
		s.fillRuled(v, a)
		return
	}
	limit := ^uint64(0)
	v.common(a.Has, func(base int, w uint64) bool {
		for ; w != 0; w &= w - 1 {
			i := base + bits.TrailingZeros64(w)
			count := v.count(i)
			key := uint64(uint32(count))
			if a.Slow {
				key = ^uint64(0)>>32 - key
			}
			if key > limit>>32 {
				s.whole = false
				continue
			}
			s.insert(ranked{key<<32 | uint64(rnd.Uint32()), int32(i), count})
			if s.n == shortlistLen {
				limit = s.best[0].key
			}
		}
		return true
	})
}

// fillRuled is fill in another order than that of rarity.
func (s *shortlist) fillRuled(v *availability, a *Asker) {
	flip := uint64(0)
	if a.Slow && !v.rule.strict {
		flip = 1<<(rankBits+tieBits) - 1 // the other way round, but within a class
	}
	v.common(a.Has, func(base int, w uint64) bool {
		for ; w != 0; w &= w - 1 {
			i := base + bits.TrailingZeros64(w)
			s.insert(ranked{v.rule.keys[i] ^ flip, int32(i), 0})
		}
		return true
	})
}

// insert keeps r if it is better than the worst, or there is room.
func (s *shortlist) insert(r ranked) {
	k := s.n
	if k == shortlistLen {
		s.whole = false
		if r.key >= s.best[0].key {
			return
		}
		k--
		copy(s.best[:k], s.best[1:])
	} else {
		s.n++
	}
	for ; k > 0 && s.best[k-1].key < r.key; k-- {
		s.best[k] = s.best[k-1]
	}
	s.best[k] = r
}
