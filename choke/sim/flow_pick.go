package sim

import (
	"math/bits"
	"time"

	"github.com/seed1734be99/starling/piece"
)

// A partial is a piece that was begun. Several links may work on one, each on a share of its own.
type partial struct {
	piece   int32
	links   int32   // that have a share
	seq     uint32  // its age
	dropped bool    // somebody gave a share up
	seeded  bool    // a seed had a share: the rest is better left to seeds
	free    float64 // bytes that are nobody's share
	missing float64 // bytes that have not come
}

const (
	blockSize  = 16 << 10
	firstShare = 16 * blockSize // what the library asks for at first, before it knows a rate
	leastShare = 4 * blockSize
	shareTime  = 1.1 // seconds of the rate that are asked for then
)

// request lets a link begin to flow a round trip later, if its peer lets it.
func (f *flow) request(h int32) {
	l := &f.links[h]
	if l.state != idle || l.want == 0 || !f.links[l.twin].unchoked || !f.peers[l.owner].needs(f.known[h]) {
		return
	}
	l.state = starting
	l.startAt = f.now + l.roundTrip(f.peers)
	f.waiting = append(f.waiting, h)
}

// roundTrip is the time from a request to the first byte of the answer.
func (l *link) roundTrip(peers []flowPeer) time.Duration {
	return peers[l.owner].class.Delay + peers[l.peer].class.Delay
}

// begin starts the links whose time has come.
func (f *flow) begin() {
	kept := f.waiting[:0]
	for _, h := range f.waiting {
		l := &f.links[h]
		switch {
		case l.dead || l.state != starting: // stopped meanwhile; it may be in the list twice
		case l.startAt > f.now:
			kept = append(kept, h)
		case !f.pick(h):
			l.state = idle
		default:
			l.state = flowing
			f.share.add(f, h)
		}
	}
	f.waiting = kept
}

// needs reports whether there is something to ask for among these pieces: a cheap look without taking it.
func (p *flowPeer) needs(known []uint64) bool {
	if p.untaken > 0 {
		for w, x := range known {
			if x&^p.begun[w] != 0 {
				return true
			}
		}
	}
	for i := range p.partials {
		if t := &p.partials[i]; has(known, int(t.piece)) && (t.free > 0 || p.untaken == 0) {
			return true
		}
	}
	return false
}

// pick gives a link its next share: of a partial, of a new piece, or in the endgame of another link's share.
func (f *flow) pick(h int32) bool {
	l := &f.links[h]
	p := &f.peers[l.owner]
	best := p.best(f.known[h], int(l.count) == f.s.Pieces, l.piece)
	if best == nil && p.untaken > 0 {
		if k := f.choose(p, h); k >= 0 {
			set(p.begun, k)
			p.untaken--
			p.begins++
			p.partials = append(p.partials, partial{piece: int32(k), seq: p.begins, free: float64(f.s.PieceLength), missing: float64(f.s.PieceLength)})
			best = &p.partials[len(p.partials)-1]
			if p.untaken == 0 {
				f.rec.endgame(len(p.partials))
			}
		}
	}
	if best == nil {
		return p.untaken == 0 && f.help(p, h)
	}
	n := float64(firstShare)
	if l.steady {
		n = max(f.share.rate(f, h)*shareTime, leastShare)
	}
	l.steady = true
	if best.free-n < blockSize {
		n = best.free
	}
	best.free -= n
	best.links++
	best.seeded = best.seeded || int(l.count) == f.s.Pieces
	if best.free == 0 {
		best.dropped = false
	}
	l.piece, l.left, l.helps = best.piece, n, -1
	return true
}

// best is the partial to go on with, nil for none: what was given up goes first, then the one that the link is at
// (last), those that a seed has worked on, the one with the least missing, the oldest. Seeds work on no others: what
// only they have is worth more (P3).
func (p *flowPeer) best(known []uint64, seed bool, last int32) (best *partial) {
	for i := range p.partials {
		t := &p.partials[i]
		if t.free <= 0 || !has(known, int(t.piece)) || seed && !t.seeded && p.untaken > 0 {
			continue
		}
		if best == nil || before(t, best, last) {
			best = t
		}
	}
	return best
}

func before(x, y *partial, last int32) bool {
	switch {
	case x.dropped != y.dropped:
		return x.dropped
	case x.piece == last || y.piece == last:
		return x.piece == last
	case x.seeded != y.seeded:
		return x.seeded
	case x.missing != y.missing:
		return x.missing < y.missing
	}
	return x.seq < y.seq
}

// choose is the piece to begin, -1 for none: any for the first, else one of the rarest, or what the class's order says.
func (f *flow) choose(p *flowPeer, h int32) int {
	random := p.class.Order == nil && len(p.log) == 0
	best, ties, least := -1, uint32(0), int32(0)
	var view piece.View
	if p.class.Order != nil {
		view = f.view(p)
	}
	for w, x := range f.known[h] {
		for x &^= p.begun[w]; x != 0; x &= x - 1 {
			k := 64*w + bits.TrailingZeros64(x)
			rank := int32(0)
			if p.class.Order != nil {
				view.Peers = int(p.avail[k])
				rank = max(p.class.Order.Rank(k, view), 0)
			} else if !random {
				rank = int32(p.avail[k])
			}
			switch {
			case best < 0 || rank < least:
				best, ties, least = k, 1, rank
			case rank == least:
				if ties++; f.rng.Uint32N(ties) == 0 {
					best = k
				}
			}
		}
	}
	return best
}

// view is what an order of one's own is told about all pieces alike.
func (f *flow) view(p *flowPeer) piece.View {
	seeds := 0
	for _, h := range p.links {
		if int(f.links[h].count) == f.s.Pieces {
			seeds++
		}
	}
	return piece.View{Seeds: seeds, Had: len(p.log), Pieces: f.s.Pieces, Size: f.s.PieceLength}
}

// help lets a link work on the share of another that has the most left to do for each at it: the endgame.
func (f *flow) help(p *flowPeer, h int32) bool {
	known := f.known[h]
	best, most := int32(-1), 0.0
	for _, o := range f.share.in[f.links[h].owner] {
		x := &f.links[o]
		if o == h || x.helps >= 0 || x.piece < 0 || !has(known, int(x.piece)) {
			continue
		}
		if n := x.left / float64(x.helpers+1); n > most {
			best, most = o, n
		}
	}
	if best < 0 {
		return false
	}
	f.links[best].helpers++
	l := &f.links[h]
	l.helps, l.piece, l.left = best, f.links[best].piece, 0
	return true
}

// stop ends what flows over a link; its share is free again.
func (f *flow) stop(h int32) {
	l := &f.links[h]
	if l.state == flowing {
		f.share.remove(f, h)
		f.giveUp(h)
	}
	l.state, l.piece, l.steady = idle, -1, false
}

// giveUp frees the share of a link.
func (f *flow) giveUp(h int32) {
	l := &f.links[h]
	p := &f.peers[l.owner]
	if l.helps >= 0 {
		f.links[l.helps].helpers--
		l.helps = -1
		return
	}
	if t := p.partial(l.piece); t != nil {
		t.free += l.left
		t.links--
		t.dropped = true
		p.freed = true
	}
	l.left = 0
	if l.helpers > 0 {
		f.dismiss(h)
	}
}

// dismiss lets the helpers of a link look for something else. What they were sent in vain until the cancel reached
// their peer is estimated: half a block, and a round trip of the rate.
func (f *flow) dismiss(h int32) {
	l := &f.links[h]
	p := &f.peers[l.owner]
	p.freed = true
	for _, o := range f.share.in[l.owner] {
		x := &f.links[o]
		if x.helps != h {
			continue
		}
		x.helps, x.piece = -1, -1
		f.rec.wasted += blockSize/2 + int64(f.share.rate(f, o)*x.roundTrip(f.peers).Seconds())
	}
	l.helpers = 0
}

func (p *flowPeer) partial(k int32) *partial {
	for i := range p.partials {
		if p.partials[i].piece == k {
			return &p.partials[i]
		}
	}
	return nil
}

// advance lets everything flow for a step.
func (f *flow) advance() {
	for i := range f.peers {
		if len(f.share.in[i]) > 0 {
			f.scratch = append(f.scratch[:0], f.share.in[i]...)
			for _, h := range f.scratch {
				f.pour(h, f.share.rate(f, h)*stepTime.Seconds())
			}
		}
		if p := &f.peers[i]; p.freed {
			p.freed = false
			for _, h := range p.openers {
				f.request(h)
			}
		}
	}
}

// pour lets n bytes come over a link, from share to share.
func (f *flow) pour(h int32, n float64) {
	l := &f.links[h]
	if l.state != flowing {
		return // it was stopped within this step
	}
	poured := 0.0
	for n > 0 {
		if l.piece < 0 && !f.pick(h) {
			break
		}
		src := h
		if l.helps >= 0 {
			src = l.helps
		}
		x := &f.links[src]
		t := f.peers[l.owner].partial(x.piece)
		part := min(n, x.left)
		x.left -= part
		t.missing -= part
		n -= part
		poured += part
		if x.left > 0 {
			break
		}
		x.piece = -1
		l.piece = -1
		t.links--
		if x.helpers > 0 {
			f.dismiss(src)
		}
		if t.missing < 0.5 && t.free == 0 && t.links == 0 {
			f.finish(l.owner, t)
			if l = &f.links[h]; l.state != flowing {
				break
			}
		}
	}
	f.count(h, poured)
	if l.state == flowing && l.piece < 0 {
		f.share.remove(f, h)
		l.state = idle
	}
}

// finish takes a partial out that is whole.
func (f *flow) finish(i int32, t *partial) {
	p := &f.peers[i]
	k := int(t.piece)
	*t = p.partials[len(p.partials)-1]
	p.partials = p.partials[:len(p.partials)-1]
	f.got(i, k)
}

// count notes that bytes came over a link.
func (f *flow) count(h int32, poured float64) {
	l := &f.links[h]
	if poured <= 0 {
		return
	}
	l.carry += poured
	n := int64(l.carry)
	l.carry -= float64(n)
	l.lastByte = f.now
	l.down.Add(f.now, n)
	f.peers[l.peer].up.Add(f.now, n)
	f.rec.moved(int(l.peer), int(l.owner), n)
}
