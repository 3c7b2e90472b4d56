package swarm

import (
	"slices"

	"github.com/seed1734be99/starling/peerwire"
)

// maxAllowedFast bounds the set that a peer may grant us.
const maxAllowedFast = 64

// fastState is the allowed-fast sets of BEP 6, both ways.
type fastState struct {
	allowedToUs   []uint32
	allowedToThem []uint32
}

func (f *fastState) granted(i uint32) bool { return slices.Contains(f.allowedToThem, i) }

// allowed reports whether the peer serves piece i while it chokes us.
func (f *fastState) allowed(i uint32) bool { return slices.Contains(f.allowedToUs, i) }

// allow notes that the peer serves piece i while it chokes us.
func (f *fastState) allow(i uint32) {
	if len(f.allowedToUs) < maxAllowedFast && !f.allowed(i) {
		f.allowedToUs = append(f.allowedToUs, i)
	}
}

// revoke forgets a grant that was rejected after all.
func (f *fastState) revoke(i uint32) {
	f.allowedToUs = slices.DeleteFunc(f.allowedToUs, func(x uint32) bool { return x == i })
}

// grantFast lets a newcomer with few pieces download some of ours while it
// is choked (BEP 6).
func (m *members) grantFast(p *peer, eff *Effects) {
	s := m.s
	if !p.Fast || s.layout == nil || s.picker.NumHave() == 0 || s.layout.NumPieces() <= peerwire.DefaultAllowedFast {
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

func (a *asking) onAllowedFast(p *peer, m *peerwire.Message) error {
	s := a.s
	if s.layout == nil || s.picker.Have().Has(int(m.Index)) {
		return nil
	}
	if err := s.checkIndex(m); err != nil {
		return err
	}
	p.fast.allow(m.Index)
	return nil
}
