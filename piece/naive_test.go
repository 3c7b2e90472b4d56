package piece

import (
	"math"
	"slices"
)

// naive is the picker's dumb twin: it keeps every fact in the plainest form
// and scans everything to answer. It does not choose; it judges each block
// that the picker chose against the rules of the package comment.
type naive struct {
	sizes  Sizes
	peers  map[PeerID]*Bitfield // nil: a seed
	pieces []naivePiece
	rates  map[PeerID]int64 // as told last

	// what Order sets
	strategy Strategy
	how      Finish
	files    []File
	due      []Deadline
	best     int64
}

type naivePiece struct {
	have, wanted, begun, alone, dropped, bySeed bool
	priority                                    uint8
	owner                                       PeerID
	blocks                                      []naiveBlock
}

type naiveBlock struct {
	received, loose bool
	askers          []PeerID
}

func newNaive(sizes Sizes) *naive {
	m := &naive{sizes: sizes, peers: map[PeerID]*Bitfield{}, pieces: make([]naivePiece, sizes.NumPieces()), rates: map[PeerID]int64{}}
	for i := range m.pieces {
		m.pieces[i].wanted, m.pieces[i].priority = true, NormalPriority
		m.forget(i)
	}
	return m
}

// forget makes piece i untouched.
func (m *naive) forget(i int) {
	pc := &m.pieces[i]
	pc.begun, pc.dropped, pc.bySeed, pc.owner = false, false, false, 0
	pc.blocks = nil
	for at := int64(0); at < m.sizes.PieceSize(i); at += BlockSize {
		pc.blocks = append(pc.blocks, naiveBlock{})
	}
}

func (m *naive) block(i, k int) Block {
	at := int64(k) * BlockSize
	return Block{uint32(i), uint32(at), uint32(min(BlockSize, m.sizes.PieceSize(i)-at))}
}

func (m *naive) find(b Block) *naiveBlock {
	for i := range m.pieces {
		for k := range m.pieces[i].blocks {
			if m.block(i, k) == b {
				return &m.pieces[i].blocks[k]
			}
		}
	}
	return nil
}

func (m *naive) availability(i int) int {
	c := 0
	for _, has := range m.peers {
		if has == nil || has.Has(i) {
			c++
		}
	}
	return c
}

func (m *naive) needs(i int) bool     { return m.pieces[i].wanted && !m.pieces[i].have }
func (m *naive) untouched(i int) bool { return m.needs(i) && !m.pieces[i].begun }

func (m *naive) count(f func(i int) bool) int {
	c := 0
	for i := range m.pieces {
		if f(i) {
			c++
		}
	}
	return c
}

func (m *naive) whole(i int) bool {
	pc := &m.pieces[i]
	return pc.begun && !slices.ContainsFunc(pc.blocks, func(b naiveBlock) bool { return !b.received })
}

func (m *naive) partial(i int) bool { return m.needs(i) && m.pieces[i].begun && !m.whole(i) }

func (b *naiveBlock) free() bool { return !b.received && len(b.askers) == 0 }

func (m *naive) endgame() bool {
	return m.count(m.needs) > 0 && m.count(m.untouched) == 0 && m.count(func(i int) bool {
		return m.partial(i) && slices.ContainsFunc(m.pieces[i].blocks, func(b naiveBlock) bool { return b.free() })
	}) == 0
}

// gives tells whether partial i has something for a outside of the endgame.
func (m *naive) gives(i int, a *Asker) bool {
	pc := &m.pieces[i]
	if !m.partial(i) || !a.may(i) {
		return false
	}
	if pc.alone && pc.owner != a.ID {
		for _, b := range pc.blocks {
			if !b.received && !b.loose && !b.free() {
				return false
			}
		}
	}
	return slices.ContainsFunc(pc.blocks, func(b naiveBlock) bool {
		return b.free() || b.loose && !a.Slow && !slices.Contains(b.askers, a.ID)
	})
}

// duplicates gives how often the least asked block that a may have as a
// duplicate is asked, or MaxInt.
func (m *naive) duplicates(a *Asker) int {
	least := math.MaxInt
	for i, pc := range m.pieces {
		if !m.partial(i) || !a.may(i) || pc.alone {
			continue
		}
		for _, b := range pc.blocks {
			if !b.received && len(b.askers) > 0 && !slices.Contains(b.askers, a.ID) {
				least = min(least, len(b.askers))
			}
		}
	}
	return least
}

// settle ends the preference for a piece given up when nothing is left of it.
func (m *naive) settle(i int) {
	if uint(i) >= uint(len(m.pieces)) {
		return
	}
	pc := &m.pieces[i]
	if pc.wanted && !slices.ContainsFunc(pc.blocks, func(b naiveBlock) bool { return b.free() || b.loose }) {
		pc.dropped = false
	}
}

func (m *naive) release(id PeerID, b Block) {
	nb := m.find(b)
	if nb == nil {
		return
	}
	at := slices.Index(nb.askers, id)
	if at < 0 {
		return
	}
	nb.askers = slices.Delete(nb.askers, at, at+1)
	if nb.received {
		return
	}
	pc := &m.pieces[b.Piece]
	switch len(nb.askers) {
	case 0:
		nb.loose = false
		pc.dropped = true
	case 1:
		nb.loose = nb.loose || !pc.alone && !m.endgame()
	}
}

func (m *naive) receive(id PeerID, b Block) bool {
	nb := m.find(b)
	if nb == nil {
		return false
	}
	i := int(b.Piece)
	if at := slices.Index(nb.askers, id); at >= 0 {
		nb.askers = slices.Delete(nb.askers, at, at+1)
		nb.loose = nb.loose && len(nb.askers) > 0
	}
	if !m.needs(i) || nb.received {
		return false
	}
	m.pieces[i].begun = true
	nb.received, nb.loose = true, false
	return true
}

func (m *naive) fail(i int, alone bool) {
	pc := &m.pieces[i]
	if pc.have {
		return
	}
	pc.alone = pc.alone || alone
	asked := false
	for k := range pc.blocks {
		b := &pc.blocks[k]
		if b.received {
			*b = naiveBlock{}
		}
		asked = asked || len(b.askers) > 0
	}
	if !asked {
		m.forget(i)
	}
}

func (m *naive) setHave(i int) {
	if !m.pieces[i].have {
		m.forget(i)
		m.pieces[i].have, m.pieces[i].alone = true, false
		m.due = slices.DeleteFunc(m.due, func(d Deadline) bool { return d.Piece == i })
	}
}
