package piece

import "slices"

// Asker is the peer that blocks are chosen for.
type Asker struct {
	ID PeerID
	// Has is what the peer has, as AddPeer and AddHave told it, always under
	// the same ID; nil: everything. It is read during the call only.
	Has *Bitfield
	// Only, when it is not nil, limits the choice to these pieces: those
	// allowed fast, while the peer chokes us (BEP 6). It should be short.
	Only []uint32
	// Slow marks a peer that is snubbing us. It is given blocks that nobody
	// else is asked for, from the end of the piece with most to do or of the
	// most common piece, and they may be asked of one other peer at any time.
	Slow bool
	// Duplicates bounds the blocks of one call that others are asked for too
	// (the endgame). 0: as many as are asked for; negative: none.
	Duplicates int
}

// has tells whether the peer has piece i.
func (a *Asker) has(i int) bool { return a.Has == nil || a.Has.Has(i) }

// may tells whether the peer may be asked for piece i.
func (a *Asker) may(i int) bool {
	return a.has(i) && (a.Only == nil || slices.Contains(a.Only, uint32(i)))
}

// cursors is how many askers the place they stopped at is remembered of. Who
// is forgotten only begins another run.
const cursors = 256

// cursor is where an asker stopped.
type cursor struct {
	id        PeerID
	pt        *partial // may be another piece by now
	piece     int32
	next, end int32  // the rest of its run
	barren    uint64 // nothing to choose in the endgame at this count of news
}

// cursor is the place for id's cursor; another's may be in it.
func (ps *partials) cursor(id PeerID) *cursor {
	if ps.cursors == nil {
		ps.cursors = new([cursors]cursor)
	}
	return &ps.cursors[hash(id)>>56]
}

// hash spreads ids over tables, by the high bits.
func hash(id PeerID) uint64 { return uint64(id) * 0x9e3779b97f4a7c15 }

// at is the partial id stopped at, nil when that is not known or over.
func (c *cursor) at(id PeerID) *partial {
	if c.id == id && c.pt != nil && c.pt.piece == c.piece {
		return c.pt
	}
	return nil
}

// Next chooses up to n blocks to ask a for, appends them to dst and notes the
// requests. It allocates nothing, given room in dst, but for the growth of
// tables that are used again. A block is never given twice to one asker, as
// long as its request is open. Fewer than n: there is no more for a now.
//
// The order of choice is told in the package comment. Blocks of one piece come
// in runs, and an asker with a large n gets whole pieces.
func (p *Picker) Next(a *Asker, n int, dst []Block) []Block {
	if n <= 0 || p.needed == 0 {
		return dst
	}
	want := len(dst) + n
	for len(dst) < want {
		pt := p.partial(a)
		if pt == nil {
			break
		}
		before := len(dst)
		if dst = p.take(pt, a, want, dst); len(dst) == before {
			break
		}
	}
	if a.Duplicates != 0 {
		want = min(want, len(dst)+a.Duplicates)
	}
	if len(dst) < want && p.Endgame() {
		dst = p.parts.duplicates(a, want, dst, p.rnd)
	}
	return dst
}

// partial is the piece to take blocks from: one begun, or a new one.
func (p *Picker) partial(a *Asker) *partial {
	if a.Only != nil {
		return p.fromOnly(a)
	}
	if pt := p.parts.best(a); pt != nil {
		return pt
	}
	if i := p.avail.choose(a, p.have.count == 0, p.rnd); i >= 0 {
		return p.begin(i)
	}
	return nil
}

// fromOnly is partial for an asker that may be asked for a few pieces only.
func (p *Picker) fromOnly(a *Asker) *partial {
	var begun *partial
	rarest, count := -1, int32(0)
	for _, u := range a.Only {
		if !a.has(int(u)) {
			continue
		}
		i := int(u)
		if pt := p.parts.begun[int32(u)]; pt != nil {
			if pt.in == open && pt.gives(a, &p.parts.askers) && (begun == nil || p.parts.before(pt, begun, a, nil)) {
				begun = pt
			}
		} else if p.avail.fresh.Has(i) && (rarest < 0 || p.avail.count(i) < count) {
			rarest, count = i, p.avail.count(i)
		}
	}
	if begun == nil && rarest >= 0 {
		return p.begin(rarest)
	}
	return begun
}

// take appends blocks of pt, which has some for a, until dst holds want.
func (p *Picker) take(pt *partial, a *Asker, want int, dst []Block) []Block {
	if a.Slow {
		for len(dst) < want && pt.free.n > 0 {
			k := pt.free.last()
			p.parts.ask(pt, k, a.ID)
			pt.loose.add(k)
			dst = append(dst, pt.block(k))
		}
		p.parts.place(pt)
		return dst
	}
	c := p.parts.cursor(a.ID)
	if c.at(a.ID) != pt {
		*c = cursor{id: a.ID, pt: pt, piece: pt.piece}
	}
	for len(dst) < want && pt.free.n > 0 {
		if c.next >= c.end || !pt.free.has(c.next) {
			c.next, c.end = pt.nextRun()
		}
		p.parts.ask(pt, c.next, a.ID)
		dst = append(dst, pt.block(c.next))
		c.next++
	}
	for len(dst) < want {
		k := pt.nextLoose(a.ID, &p.parts.askers)
		if k < 0 {
			break
		}
		p.parts.ask(pt, k, a.ID)
		pt.loose.remove(k)
		dst = append(dst, pt.block(k))
	}
	pt.owner = a.ID
	p.parts.place(pt)
	return dst
}
