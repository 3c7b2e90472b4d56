package swarm

import (
	"slices"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// maxAllowedFast bounds the set that a peer may grant us.
const maxAllowedFast = 64

// fastState is the allowed-fast sets of BEP 6, both ways.
type fastState struct {
	allowedToUs   []uint32
	allowedToThem []uint32
}

func (f *fastState) granted(i uint32) bool { return slices.Contains(f.allowedToThem, i) }

// grantFast lets a newcomer with few pieces download some of ours while it
// is choked (BEP 6).
func (s *Swarm) grantFast(p *peer, eff *Effects) {
	if !p.Fast || s.layout == nil || s.picker.NumHave() == 0 || s.layout.NumPieces() <= peerwire.DefaultAllowedFast {
		return
	}
	set := peerwire.AppendAllowedFast(nil, p.Addr.Addr(), s.hashes.Wire(), s.layout.NumPieces(), peerwire.DefaultAllowedFast)
	for _, i := range set {
		if s.picker.Have().Has(int(i)) {
			p.fast.allowedToThem = append(p.fast.allowedToThem, i)
			m := peerwire.Message{ID: peerwire.MsgAllowedFast, Index: i}
			s.send(p, &m, eff)
		}
	}
}

func (s *Swarm) onAllowedFast(p *peer, i uint32) error {
	if s.layout == nil || s.picker.Have().Has(int(i)) {
		return nil
	}
	m := peerwire.Message{ID: peerwire.MsgAllowedFast, Index: i}
	if err := s.checkIndex(&m); err != nil {
		return err
	}
	if len(p.fast.allowedToUs) < maxAllowedFast && !slices.Contains(p.fast.allowedToUs, i) {
		p.fast.allowedToUs = append(p.fast.allowedToUs, i)
	}
	return nil
}

// dropAllowedFast forgets a grant that was rejected after all.
func (s *Swarm) dropAllowedFast(p *peer, i uint32) {
	p.fast.allowedToUs = slices.DeleteFunc(p.fast.allowedToUs, func(x uint32) bool { return x == i })
}

// releaseChoked gives back what a choking peer will not send: all but the
// pieces of its allowed-fast set.
func (s *Swarm) releaseChoked(p *peer) {
	s.release(p, func(b piece.Block) bool { return slices.Contains(p.fast.allowedToUs, b.Piece) })
	p.req.chokedAt = 0
}
