package swarm

import (
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// showing is super-seeding (BEP 16): which of our pieces newcomers are told of
// is piece.SuperSeed's to say. Peers that came when it was off know all that we
// have, and stay as they are.
type showing struct {
	s     *Swarm
	super *piece.SuperSeed // nil: nobody is shown one piece at a time
	ids   []PeerID         // scratch
}

// shown is what a peer was told of our pieces.
type shown uint8

const (
	shownAll  shown = iota
	shownNone       // as long as it has not said what it has
	shownSome       // what SuperSeed revealed
)

// on reports whether newcomers are to see one piece at a time.
func (w *showing) on() bool {
	return w.s.settings.SuperSeed && w.s.picker != nil && w.s.picker.Have().All() && (w.super == nil || w.super.Left() > 0)
}

// admit begins to show pieces to p, which has said what it has, if anything.
func (w *showing) admit(p *peer, eff *Effects) {
	if p.shown != shownNone {
		return
	}
	if w.super == nil {
		w.super = piece.NewSuperSeed(w.s.layout.NumPieces(), w.s.rand)
	}
	p.shown = shownSome
	w.super.Join(p.id, w.pieces(p))
	w.revealAll(eff) // a peer that was alone is not any more
	w.checkEnd(eff)
}

// pieces is what p has.
func (w *showing) pieces(p *peer) *piece.Bitfield {
	if p.has.bits != nil {
		return p.has.bits
	}
	b := piece.NewBitfield(w.s.layout.NumPieces())
	for i := 0; p.has.all && i < b.Len(); i++ {
		b.Set(i)
	}
	return b
}

// knows reports whether p was told that we have piece i.
func (w *showing) knows(p *peer, i int) bool {
	return p.shown == shownAll || p.shown == shownSome && w.super.Revealed(p.id, i)
}

// reveal tells p of another piece, if it is to know of one.
func (w *showing) reveal(p *peer, eff *Effects) {
	if i, ok := w.super.Reveal(p.id, w.pieces(p)); ok {
		p.out.control = peerwire.AppendHave(p.out.control, uint32(i))
		p.out.offered = true
		w.s.sending.wake(p, eff)
	}
}

func (w *showing) revealAll(eff *Effects) {
	for p := range w.s.members.all {
		if p.shown == shownSome {
			w.reveal(p, eff)
		}
	}
}

// got is told when p says that it has piece i.
func (w *showing) got(p *peer, i int, eff *Effects) {
	if p.shown != shownSome {
		return
	}
	w.ids = w.super.Seen(w.ids[:0], p.id, i)
	for _, id := range w.ids {
		if q := w.s.members.get(id); q != nil {
			w.reveal(q, eff)
		}
	}
	w.checkEnd(eff)
}

// learned is told when p says what it has all at once: after it was shown a
// piece, if a tick came before its bitfield.
func (w *showing) learned(p *peer, eff *Effects) {
	for i := 0; p.shown == shownSome && i < w.s.layout.NumPieces(); i++ {
		if p.has.has(i) {
			w.got(p, i, eff)
		}
	}
}

// leave forgets a peer.
func (w *showing) leave(p *peer, eff *Effects) {
	if p.shown == shownSome {
		w.super.Leave(p.id, w.pieces(p))
		p.shown = shownAll
		w.revealAll(eff)
	}
}

// checkEnd ends it when every piece is outside.
func (w *showing) checkEnd(eff *Effects) {
	if w.super.Left() == 0 {
		w.end(eff)
	}
}

// end tells everybody of all that we have.
func (w *showing) end(eff *Effects) {
	for p := range w.s.members.all {
		if p.shown != shownAll {
			p.shown, p.out.cursor = shownAll, 0
			w.s.sending.wake(p, eff)
		}
	}
}
