package swarm

import (
	"slices"

	"github.com/seed1734be99/starling/peerwire"
)

const (
	maxAllowedFast = 64 // pieces that a peer may grant us
	maxSuggested   = 16 // pieces that a peer may suggest: the latest count
)

// fastState is the allowed-fast sets of BEP 6, both ways.
type fastState struct {
	allowedToUs   []uint32
	allowedToThem []uint32
	suggested     []uint32 // to us
}

// serves reports whether p may download piece i although we choke it: BEP 6
// means it for those that have little to trade with.
func (p *peer) serves(i uint32) bool {
	return p.has.count < peerwire.DefaultAllowedFast && slices.Contains(p.fast.allowedToThem, i)
}

// startsFast reports whether we may ask p for something although it chokes us.
// What is granted is for those that have little to trade with; who went on with
// it would take of a seed what it has sent to others already (P7).
func (a *asking) startsFast(p *peer) bool {
	return len(p.fast.allowedToUs) > 0 && a.s.picker.NumHave() < peerwire.DefaultAllowedFast
}

// allowed reports whether the peer serves piece i while it chokes us.
func (f *fastState) allowed(i uint32) bool { return slices.Contains(f.allowedToUs, i) }

// allow notes that the peer serves piece i while it chokes us.
func (f *fastState) allow(i uint32) {
	if len(f.allowedToUs) < maxAllowedFast && !f.allowed(i) {
		f.allowedToUs = append(f.allowedToUs, i)
	}
}

// origin reports whether nobody connected has some piece.
func (s *Swarm) origin() bool {
	for i := range s.layout.NumPieces() {
		if s.picker.Availability(i) == 0 {
			return true
		}
	}
	return false
}

// suggest notes that the peer would like to send piece i.
func (f *fastState) suggest(i uint32) {
	if slices.Contains(f.suggested, i) {
		return
	}
	if len(f.suggested) == maxSuggested {
		f.suggested = slices.Delete(f.suggested, 0, 1)
	}
	f.suggested = append(f.suggested, i)
}

// revoke forgets a grant that was rejected after all.
func (f *fastState) revoke(i uint32) {
	f.allowedToUs = slices.DeleteFunc(f.allowedToUs, func(x uint32) bool { return x == i })
}

// grantFast lets a newcomer with few pieces download some of ours while it
// is choked (BEP 6). A seed does not as long as it is the only one to have some
// piece: each newcomer's set is another, and would be sent again and again.
func (m *members) grantFast(p *peer, eff *Effects) {
	s := m.s
	if s.layout != nil && s.picker.Have().All() && s.origin() {
		return
	}
	if !p.Fast || s.layout == nil || s.picker.NumHave() == 0 || s.layout.NumPieces() <= peerwire.DefaultAllowedFast || p.shown != shownAll {
		return
	}
	set := peerwire.AppendAllowedFast(nil, p.Addr.Addr(), s.hashes.Wire(), s.layout.NumPieces(), peerwire.DefaultAllowedFast)
	for _, i := range set {
		if s.picker.Have().Has(int(i)) {
			p.fast.allowedToThem = append(p.fast.allowedToThem, i)
			msg := peerwire.Message{ID: peerwire.MsgAllowedFast, Index: i}
			s.sending.send(p, &msg, eff)
		}
	}
}

func (a *asking) onSuggest(p *peer, m *peerwire.Message) error {
	if a.s.layout == nil || a.s.picker.Have().Has(int(m.Index)) {
		return nil
	}
	if err := a.s.checkIndex(m); err != nil {
		return err
	}
	p.fast.suggest(m.Index)
	return nil
}

func (a *asking) onAllowedFast(p *peer, m *peerwire.Message) error {
	s := a.s
	if s.layout != nil && s.picker.Have().Has(int(m.Index)) {
		return nil
	}
	if err := s.checkIndex(m); err != nil { // not known before the metadata: what the torrent does not have is never asked for
		return err
	}
	p.fast.allow(m.Index)
	return nil
}
