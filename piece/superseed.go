package piece

import (
	"math/rand/v2"
	"slices"
)

// SuperSeed decides which piece a seed reveals to whom while it super-seeds
// (BEP 16): each peer is told of one piece at a time, the one that the fewest
// others have or were told of, and of the next when another peer has got it
// from there. So what the seed sends is nearly all new to the swarm. It is
// pure, as the [Picker] is; the messages and the refusal of requests for what
// was not revealed are the caller's. Not safe for concurrent use.
//
// Tell it of peers with Join, Seen and Leave; seeds need not be told. When
// Left is 0 every piece is outside, and the seed had better show that it has
// all of them. A peer that passes nothing on is told of nothing more, as the
// BEP wants it; but a peer that has nobody to pass it on to is not held up.
type SuperSeed struct {
	rnd     *rand.Rand
	n       int
	holders []int32 // by piece: peers that said they have it
	rarity  ranking // by holders and those it was revealed to, who don't have it yet
	ranks   []int32 // the ranks
	left    int     // pieces without holders
	peers   map[PeerID]*shown
	waiting map[int32][]PeerID // by piece: who gets no other before it is seen elsewhere
}

// shown is what was revealed to a peer.
type shown struct {
	pieces *Bitfield
	last   int32 // -1: nothing
}

// NewSuperSeed returns a super-seed of n pieces. rnd must not be nil.
func NewSuperSeed(n int, rnd *rand.Rand) *SuperSeed {
	n = max(n, 0)
	s := &SuperSeed{rnd: rnd, n: n, holders: make([]int32, n), ranks: make([]int32, n), left: n,
		peers: make(map[PeerID]*shown), waiting: make(map[int32][]PeerID)}
	s.rarity.build(n, 0, func(int) int32 { return 0 })
	return s
}

// Left is the number of pieces that no peer but us is known to have.
func (s *SuperSeed) Left() int { return s.left }

// Join notes a peer that has the pieces in has, which is not kept. Those who
// were freed by that, as by Seen, are found by asking Reveal for all.
func (s *SuperSeed) Join(id PeerID, has *Bitfield) {
	if s.peers[id] != nil {
		return
	}
	s.peers[id] = &shown{pieces: NewBitfield(s.n), last: -1}
	s.count(has, nil, 1)
}

// Leave takes Join back: has holds the pieces told by then, those of Seen too.
func (s *SuperSeed) Leave(id PeerID, has *Bitfield) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.unwait(id, p)
	delete(s.peers, id)
	s.count(has, p.pieces, -1)
}

// count counts the pieces of has as held, and those of told that are not among
// them as revealed.
func (s *SuperSeed) count(has, told *Bitfield, delta int32) {
	top := int32(0)
	for i := range s.n {
		held := has != nil && has.Has(i)
		if held {
			s.hold(i, delta)
		}
		if held || told != nil && told.Has(i) {
			s.ranks[i] = max(s.ranks[i]+delta, 0)
		}
		top = max(top, s.ranks[i])
	}
	s.rarity.build(s.n, top, func(i int) int32 { return s.ranks[i] })
}

func (s *SuperSeed) hold(i int, delta int32) {
	was := s.holders[i]
	s.holders[i] = max(was+delta, 0)
	switch now := s.holders[i]; {
	case was == 0 && now > 0:
		s.left--
	case was > 0 && now == 0:
		s.left++
	}
}

// Seen notes that a peer says it has piece i; tell each piece once a peer. It
// appends to dst those who may be told of another piece for that reason.
func (s *SuperSeed) Seen(dst []PeerID, id PeerID, i int) []PeerID {
	p := s.peers[id]
	if p == nil || i < 0 || i >= s.n {
		return dst
	}
	s.hold(i, 1)
	if !p.pieces.Has(i) {
		s.rarity.up(int32(i), s.ranks[i])
		s.ranks[i]++
	}
	for _, w := range s.waiting[int32(i)] {
		if w != id || s.holders[i] > 1 || len(s.peers) == 1 {
			dst = append(dst, w)
		}
	}
	return dst
}

// Reveal is the piece to tell a peer of now, where has is what it says it has;
// not ok: none. The caller sends it a have message.
func (s *SuperSeed) Reveal(id PeerID, has *Bitfield) (i int, ok bool) {
	p := s.peers[id]
	if p == nil || has == nil || has.All() {
		return 0, false
	}
	if k := int(p.last); k >= 0 {
		if !has.Has(k) || s.holders[k] < 2 && len(s.peers) > 1 {
			return 0, false // it is not done with it, or nobody else has got it
		}
	}
	for r := range s.rarity.top() + 1 {
		start := s.rarity.start[r]
		for at := s.rarity.start[r+1] - 1; at >= start; at-- {
			i := s.rarity.draw(start, at, s.rnd)
			if has.Has(int(i)) || p.pieces.Has(int(i)) {
				continue
			}
			s.unwait(id, p)
			p.pieces.Set(int(i))
			p.last = i
			s.waiting[i] = append(s.waiting[i], id)
			s.rarity.up(i, s.ranks[i])
			s.ranks[i]++
			return int(i), true
		}
	}
	return 0, false
}

// unwait ends a peer's waiting.
func (s *SuperSeed) unwait(id PeerID, p *shown) {
	if p.last < 0 {
		return
	}
	rest := slices.DeleteFunc(s.waiting[p.last], func(x PeerID) bool { return x == id })
	if len(rest) == 0 {
		delete(s.waiting, p.last)
	} else {
		s.waiting[p.last] = rest
	}
}

// Revealed tells whether a peer was told of piece i, so that it may ask for it.
func (s *SuperSeed) Revealed(id PeerID, i int) bool {
	p := s.peers[id]
	return p != nil && p.pieces.Has(i)
}
