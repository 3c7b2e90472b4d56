package piece

import "math/rand/v2"

// Picker decides which blocks to ask whom for. Use [NewPicker]. Not safe for
// concurrent use.
type Picker struct {
	// constant
	sizes Sizes
	n     int
	rnd   *rand.Rand

	// what we have and want
	have   *Bitfield
	wanted *Bitfield
	needed int              // wanted and not had
	parole map[int]struct{} // pieces that one peer at a time is asked for

	// what peers have, and what is begun
	avail availability
	parts partials
	due   deadlines
}

// NewPicker returns a picker that has nothing and wants every piece. All
// randomness comes from rnd, which must not be nil: give every torrent of
// every client another seed, or all of them download in the same order.
func NewPicker(sizes Sizes, rnd *rand.Rand) *Picker {
	n := max(sizes.NumPieces(), 0)
	p := &Picker{sizes: sizes, n: n, rnd: rnd, needed: n,
		have: NewBitfield(n), wanted: NewBitfield(n), avail: newAvailability(n)}
	p.wanted.fill()
	p.parts.end.news = 1
	return p
}

// AddPeer counts a peer that came with the pieces in has. Pieces it gets
// later are told with AddHave; until then has is not looked at again.
func (p *Picker) AddPeer(has *Bitfield) {
	p.avail.peers++
	p.avail.addAll(has, 1)
	p.parts.end.changed()
}

// RemovePeer takes back AddPeer: has holds the pieces told by then, those of
// AddHave too. The peer's requests are given up with Release, one by one.
func (p *Picker) RemovePeer(has *Bitfield) {
	p.avail.peers = max(p.avail.peers-1, 0)
	p.avail.addAll(has, -1)
}

// AddSeed counts a peer that has everything, in constant time.
func (p *Picker) AddSeed() { p.avail.addSeeds(1); p.parts.end.changed() }

// RemoveSeed takes back AddSeed.
func (p *Picker) RemoveSeed() { p.avail.addSeeds(-1) }

// AddHave notes that a peer, not one counted as a seed, got piece i. Tell each
// piece once a peer.
func (p *Picker) AddHave(i int) {
	if p.have.inRange(i) {
		p.avail.add(i)
		p.parts.end.changed()
	}
}

// DropHave notes that a peer, not a seed, has piece i no longer (BEP 54).
func (p *Picker) DropHave(i int) {
	if p.have.inRange(i) {
		p.avail.sub(i)
	}
}

// Availability is how many peers have piece i, seeds among them.
func (p *Picker) Availability(i int) int {
	if !p.have.inRange(i) {
		return 0
	}
	return p.avail.seeds + int(p.avail.count(i))
}

// Have is the set of pieces we have: read only, and always the current state.
func (p *Picker) Have() *Bitfield { return p.have }

// NumHave is the number of pieces we have.
func (p *Picker) NumHave() int { return p.have.count }

// SetHave notes that piece i is verified and written: after a check of the
// files, or as the end of a piece received. All requests for it are forgotten.
func (p *Picker) SetHave(i int) {
	if !p.have.inRange(i) || p.have.Has(i) {
		return
	}
	p.have.Set(i)
	p.avail.setHad(i, true, p.have.count)
	p.due.had(i)
	delete(p.parole, i)
	if pt := p.parts.begun[int32(i)]; pt != nil {
		if pt.missing > 0 {
			p.parts.end.rebuilt()
		}
		p.parts.remove(pt)
	}
	p.avail.setFresh(i, false)
	if p.wanted.Has(i) {
		p.need(-1)
	}
}

// ClearHave notes that piece i is lost again (a disk fault, a recheck).
func (p *Picker) ClearHave(i int) {
	if !p.have.Has(i) {
		return
	}
	p.have.Clear(i)
	p.avail.setHad(i, false, p.have.count)
	if p.wanted.Has(i) {
		p.need(1)
		p.avail.setFresh(i, true)
	}
	p.parts.end.changed()
}

// SetWanted tells whether piece i is to be downloaded; at first all are. A
// piece begun and no longer wanted keeps what it has: it goes on from there
// when it is wanted again. A caller that drops the data calls Fail.
func (p *Picker) SetWanted(i int, wanted bool) {
	if !p.have.inRange(i) || p.wanted.Has(i) == wanted {
		return
	}
	delta := 1
	if wanted {
		p.wanted.Set(i)
	} else {
		p.wanted.Clear(i)
		delta = -1
	}
	pt := p.parts.begun[int32(i)]
	if pt != nil {
		pt.wanted = wanted
		p.parts.place(pt)
	}
	if !p.have.Has(i) {
		p.avail.setFresh(i, wanted && pt == nil)
		p.need(delta)
	}
	p.parts.end.rebuilt()
}

// Wanted tells whether piece i is to be downloaded, or was.
func (p *Picker) Wanted(i int) bool { return p.wanted.Has(i) }

// Needs tells whether piece i is wanted and not had. A peer with such a piece
// is interesting. Pieces being hashed are needed until SetHave.
func (p *Picker) Needs(i int) bool { return p.wanted.Has(i) && !p.have.Has(i) }

// NumNeeded is the number of pieces wanted and not had.
func (p *Picker) NumNeeded() int { return p.needed }

// Parole tells whether piece i has failed, so that one peer at a time is asked
// for it.
func (p *Picker) Parole(i int) bool {
	_, alone := p.parole[i]
	return alone
}

// Partials is the number of wanted pieces begun and not whole.
func (p *Picker) Partials() int { return p.parts.open() + len(p.parts.in[full]) }

// need changes the number of pieces needed, and gives memory back when there
// is nothing to choose any more.
func (p *Picker) need(delta int) {
	if p.needed += delta; p.needed == 0 {
		p.avail.forget()
		p.parts.forget()
	}
}

// Release gives up id's request for b: it was choked, rejected, timed out,
// cancelled, or the peer left. The block is free again unless it is received
// or asked of others too. Without such a request nothing happens.
func (p *Picker) Release(id PeerID, b Block) {
	pt, k := p.parts.find(b)
	if pt == nil || !p.parts.unask(pt, k, id) || pt.state[k].received {
		return
	}
	// BEP 3 says nothing; after a choke the blocks of a piece begun go first.
	switch st := &pt.state[k]; {
	case st.asked == 0:
		pt.dropped = true
	case st.asked == 1 && !pt.alone && !p.Endgame():
		pt.loose.add(k) // the other may be a slow one
	}
	p.parts.place(pt)
	p.parts.end.changed()
}

// Receive notes that block b arrived from id, asked for or not, and closes
// id's request. It returns true for the first arrival of a block that is
// missing, which counts as received from now on. It returns false for a
// duplicate, and for what is not needed: the piece is had, being hashed or not
// wanted, or the torrent has no such block.
//
// An unasked block of an untouched piece begins it. A caller that fears being
// flooded so drops what it did not ask for.
func (p *Picker) Receive(id PeerID, b Block) (first bool) {
	pt, k := p.parts.find(b)
	if pt == nil {
		if !p.avail.fresh.Has(int(b.Piece)) {
			return false
		}
		var ok bool
		if k, ok = blockIndex(b, p.size(int(b.Piece))); !ok {
			return false
		}
		pt = p.begin(int(b.Piece))
	} else {
		p.parts.unask(pt, k, id)
	}
	st := &pt.state[k]
	if first = pt.wanted && !st.received; first {
		p.parts.end.asked(pt, k, st.asked, 0)
		st.received = true
		pt.missing--
		pt.free.remove(k)
		pt.loose.remove(k)
	}
	p.parts.place(pt)
	return first
}

// Complete tells whether every block of piece i is received and the outcome,
// SetHave or Fail, still to come.
func (p *Picker) Complete(i int) bool {
	if !p.have.inRange(i) {
		return false
	}
	pt := p.parts.begun[int32(i)]
	return pt != nil && pt.missing == 0
}

// Fail notes that what was received of piece i is lost: its hash was wrong, or
// writing it failed. All its blocks are missing again. Requests for blocks
// that were not received stay open, those for blocks received are forgotten,
// as their cancels are on the way.
//
// alone puts the piece on parole: until it is had it is asked of one peer at a
// time, so that a second failure names the liar.
func (p *Picker) Fail(i int, alone bool) {
	if !p.have.inRange(i) || p.have.Has(i) {
		return
	}
	if alone {
		if p.parole == nil {
			p.parole = make(map[int]struct{})
		}
		p.parole[i] = struct{}{}
	}
	p.parts.end.rebuilt()
	pt := p.parts.begun[int32(i)]
	if pt == nil {
		return
	}
	asked := false
	for k := range pt.state {
		st := &pt.state[k]
		if st.received {
			st.received = false
			p.parts.askers.clear(st)
			pt.free.add(int32(k))
		}
		asked = asked || st.asked > 0
	}
	if !asked {
		p.parts.remove(pt)
		p.avail.setFresh(i, p.wanted.Has(i))
		return
	}
	pt.missing, pt.frontier = int32(len(pt.state)), 0
	pt.alone = pt.alone || alone
	p.parts.place(pt)
}

// size is the length of piece i, within what requests can name.
func (p *Picker) size(i int) int64 { return min(max(p.sizes.PieceSize(i), 0), 1<<32-1) }

// begin makes the untouched piece i a partial.
func (p *Picker) begin(i int) *partial {
	p.avail.setFresh(i, false)
	p.parts.end.rebuilt()
	_, alone := p.parole[i]
	return p.parts.add(int32(i), p.size(i), alone)
}
