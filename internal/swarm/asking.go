package swarm

import (
	"slices"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// asking is what is asked of whom: it keeps the peers' pipelines filled, and
// the picker and the pipelines of one mind. For every request in a pipeline
// there is one in the picker, and the other way round.
type asking struct {
	s      *Swarm
	active int           // peers that blocks were asked of at the last tick
	dry    bool          // requests were held back for memory
	freed  bool          // blocks became free to be asked of others
	blocks []piece.Block // scratch
	ids    []PeerID      // scratch
}

// soft is the mark of memory in slabs above which nothing more is requested.
func (a *asking) soft() int64 { return a.s.pool.Limit() / 2 }

// share is the most requests that may be open to one peer, so that all that
// is asked for fits into memory if it comes at once.
func (a *asking) share() int {
	return max(int(a.s.pool.Limit()/piece.BlockSize)/max(a.active, 1), minDepth)
}

// canAsk reports whether p may be asked for anything at all now.
func (a *asking) canAsk(p *peer, at stamp) bool {
	return a.s.mode == Running && a.s.fault == nil && p.want > 0 && p.wire.interested &&
		(!p.wire.choked || a.startsFast(p)) && at >= p.req.notBefore
}

// topUp fills p's pipeline.
func (a *asking) topUp(p *peer, at stamp, eff *Effects) {
	if !a.canAsk(p, at) {
		return
	}
	n := p.req.room(a.share())
	if n == 0 || len(p.out.control) > mostControl { // it does not even read what it was asked before
		return
	}
	s := a.s
	if s.pool.Slabs() > a.soft() {
		a.dry = true
		return
	}
	rate := p.req.rate * piece.BlockSize / 60
	who := piece.Asker{
		ID: p.id, Has: p.has.bits, Slow: p.req.snubbed || rate > 0 && rate < piece.IdleRate,
		Duplicates: p.req.duplicates(), Open: p.req.count(), Rate: rate, Delay: p.req.delay, Now: at,
		Suggested: p.fast.suggested, Along: s.pool.Slabs() > a.soft()/4,
	}
	if p.wire.choked {
		who.Only = p.fast.allowedToUs
	}
	a.blocks = s.picker.Next(&who, n, a.blocks[:0])
	if len(a.blocks) == 0 {
		return
	}
	if p.req.count() == 0 {
		p.req.sampleAt, p.req.blocks = at, 0
	}
	for _, b := range a.blocks {
		p.req.push(b, at)
		p.out.control = peerwire.AppendRequest(p.out.control, b.Piece, b.Begin, b.Length)
	}
	s.sending.wake(p, eff)
}

// refill tops up every peer with room, after blocks became free or memory did.
func (a *asking) refill(at stamp, eff *Effects) {
	a.dry, a.freed = false, false
	for p := range a.s.members.inTurn {
		a.topUp(p, at, eff)
	}
}

// tick takes back what p owes us for too long, and asks for more.
func (a *asking) tick(p *peer, at stamp, eff *Effects) {
	if r := &p.req; p.held == 0 {
		switch {
		case r.overdue(at):
			a.snub(p, eff)
		case r.lost(at):
			a.giveUp(p, r.open[r.head].b, eff)
		}
		if r.count() > 0 && r.chokedAt > 0 && at-r.chokedAt > rejectWait {
			a.releaseChoked(p)
		}
		r.sample(at)
	}
	a.topUp(p, at, eff)
}

// release gives back all that is asked of p, except what keep says. The
// blocks may still come when the peer was not told.
func (a *asking) release(p *peer, keep func(piece.Block) bool) {
	r := &p.req
	kept := r.open[:0]
	for _, q := range r.open[r.head:] {
		if keep != nil && keep(q.b) {
			kept = append(kept, q)
			continue
		}
		a.s.picker.Release(p.id, q.b)
		r.taken++
		a.freed = true
	}
	r.open, r.head, r.passed = kept, 0, 0
}

// takeBack cancels all that is asked of p.
func (a *asking) takeBack(p *peer, eff *Effects) {
	for _, q := range p.req.open[p.req.head:] {
		a.sendCancel(p, q.b, eff)
	}
	a.release(p, nil)
}

// giveUp cancels one request.
func (a *asking) giveUp(p *peer, b piece.Block, eff *Effects) {
	p.req.remove(b)
	p.req.taken++
	a.sendCancel(p, b, eff)
	a.s.picker.Release(p.id, b)
	a.freed = true
}

// snub is what happens to a peer that owes us blocks for too long: they are
// asked of others, and it is asked for one at a time (P6).
func (a *asking) snub(p *peer, eff *Effects) {
	a.takeBack(p, eff)
	p.req.snubbed = true
	p.req.steady = true
	p.req.depth = minDepth
}

// arrived takes block b of p out of the pipelines. wanted: it has a place, so
// nobody else has to send it (P4). It reports whether p was asked for it.
func (a *asking) arrived(p *peer, b piece.Block, wanted bool, at stamp, eff *Effects) (asked bool) {
	q, asked := p.req.remove(b)
	if asked {
		p.req.landed(at, at-q.at)
	} else if wanted {
		p.req.landed(at, 0)
	}
	switch {
	case wanted:
		a.s.picker.Receive(p.id, b)
		a.cancelOthers(b, eff)
	case asked:
		a.s.picker.Release(p.id, b)
	}
	return asked
}

// cancelOthers takes the requests for b back that other peers have (P4).
func (a *asking) cancelOthers(b piece.Block, eff *Effects) {
	a.ids = a.s.picker.Askers(a.ids[:0], b)
	for _, id := range a.ids {
		a.s.picker.Release(id, b)
		o := a.s.members.get(id)
		if o == nil {
			continue
		}
		if _, ok := o.req.remove(b); ok {
			o.req.taken++
			a.sendCancel(o, b, eff)
			a.freed = true
		}
	}
}

func (a *asking) sendCancel(p *peer, b piece.Block, eff *Effects) {
	m := peerwire.Message{ID: peerwire.MsgCancel, Index: b.Piece, Begin: b.Begin, Length: b.Length}
	a.s.sending.send(p, &m, eff)
}

// onChoke (W3): without BEP 6 all requests are forgotten; with it the peer
// rejects each, and that is waited for.
func (a *asking) onChoke(p *peer, at stamp) {
	if p.wire.choked {
		return
	}
	p.wire.choked = true
	p.wire.reciprocateDone = false
	if at-p.wire.theyUnchokedAt < flapTime { // RW17: no request storm
		p.req.notBefore = max(p.req.notBefore, at+flapTime)
	}
	if !p.Fast {
		a.release(p, nil)
	} else if p.req.count() > 0 {
		p.req.chokedAt = max(at, 1)
	}
}

func (a *asking) onUnchoke(p *peer, at stamp) {
	if p.wire.choked {
		p.wire.choked = false
		p.wire.theyUnchokedAt = at
		p.req.chokedAt = 0
	}
}

// onReject (BEP 6): what was asked for will not come. A reject of what was
// never asked closes the connection, unless it was just taken back (RX10).
func (a *asking) onReject(p *peer, m *peerwire.Message, at stamp) error {
	b := piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length}
	if _, asked := p.req.remove(b); !asked {
		if p.req.taken == 0 {
			return protocolError(m.ID, "of a block that was not asked for")
		}
		p.req.taken--
		return nil
	}
	a.s.picker.Release(p.id, b)
	a.freed = true
	if p.wire.choked {
		p.fast.revoke(b.Piece)
	} else { // RW23: no loop of requests and rejects
		p.req.notBefore = at + rejectPause
		p.req.steady, p.req.depth = true, max(p.req.depth/2, 1)
	}
	if p.req.count() == 0 {
		p.req.chokedAt = 0
	}
	return nil
}

// releaseChoked gives back what a choking peer will not send: all but the
// pieces of its allowed-fast set.
func (a *asking) releaseChoked(p *peer) {
	a.release(p, func(b piece.Block) bool { return slices.Contains(p.fast.allowedToUs, b.Piece) })
	p.req.chokedAt = 0
}
