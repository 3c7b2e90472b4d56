package choke

import (
	"net/netip"
	"slices"
	"time"
)

// A turn is lengthened for the first piece, but not beyond this.
const firstPieceTime = 5 * time.Minute

// firstPieces gives every newcomer one whole piece before it is choked, so that it has something to pass on. Whoever
// comes back from the same address is no newcomer, and of several connections of an address one at a time is.
type firstPieces struct {
	memory
	now []netip.Addr // whose turns were lengthened in this round
}

func (f *firstPieces) begin(r *Round) {
	f.keep = memoryTime
	f.note(r)
	f.now = f.now[:0]
}

// lengthen says whether a peer whose turn is over is on the way to its first piece from us.
func (f *firstPieces) lengthen(r *Round, p *Peer) bool {
	if f.of(p.ID).up >= r.PieceLength || p.UpRate20 <= 0 || p.UnchokedFor >= firstPieceTime {
		return false
	}
	host := f.conns[p.ID].host
	if !host.IsValid() {
		return true
	}
	if slices.Contains(f.now, host) {
		return false
	}
	f.now = append(f.now, host)
	return true
}
