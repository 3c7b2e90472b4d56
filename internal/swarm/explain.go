package swarm

import (
	"math/bits"

	"github.com/seed1734be99/starling/piece"
)

// PieceStats is a snapshot of one piece, and of the peers that could give it.
type PieceStats struct {
	Have, Wanted bool
	Blocks       int  // of the piece
	Received     int  // blocks that are here, not verified
	Parole       bool // it failed its hash: one peer at a time is asked
	Sources      int  // peers that have it
	Choking      int  // of these: they choke us, and grant no exception
	Snubbing     int  // of these: they let us download, and send nothing
	Asked        int  // of these: asked for blocks of it
}

func (s *Swarm) pieceStats(i int) (st PieceStats) {
	if s.layout == nil || i < 0 || i >= s.layout.NumPieces() {
		return st
	}
	st.Have, st.Wanted, st.Parole = s.picker.Have().Has(i), s.picker.Wanted(i), s.picker.Parole(i)
	st.Blocks = int((s.layout.PieceSize(i) + piece.BlockSize - 1) / piece.BlockSize)
	if l := s.receiving.landings[i]; l != nil {
		for k := range l.slabs {
			st.Received += bits.OnesCount64(l.slabs[k].mem | l.slabs[k].disk)
		}
	}
	for p := range s.members.all {
		if !p.has.has(i) {
			continue
		}
		st.Sources++
		switch {
		case p.wire.choked && !p.fast.allowed(uint32(i)):
			st.Choking++
		case p.req.snubbed:
			st.Snubbing++
		}
		for _, q := range p.req.open[p.req.head:] {
			if int(q.b.Piece) == i {
				st.Asked++
				break
			}
		}
	}
	return st
}

// missing counts the pieces that are needed, and of these the ones that no
// connected peer has.
func (s *Swarm) missing() (needed, nowhere int) {
	if s.layout == nil {
		return 0, 0
	}
	needed = s.picker.NumNeeded()
	for i := 0; needed > 0 && i < s.layout.NumPieces(); i++ {
		if s.picker.Needs(i) && s.picker.Availability(i) == 0 {
			nowhere++
		}
	}
	return needed, nowhere
}

// Piece returns a snapshot of piece i; the zero value if there is none.
func (g *Guarded) Piece(i int) PieceStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s.pieceStats(i)
}

// Missing returns how many pieces are needed, and how many of these no
// connected peer has. It looks at every piece.
func (g *Guarded) Missing() (needed, nowhere int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s.missing()
}
