package choke

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// Without a word from the client, a seed serves this many peers.
	seedingSlots = 8
	// With an upload limit, it serves as many as leave each of them a rate that is worth having.
	seedingSlotRate = 32 << 10
	seedingSlotsMin = 3
	seedingSlotsMax = 20
	// A turn is lengthened for the first piece, but not beyond this.
	firstPieceTime = 5 * time.Minute
)

// NewSeeding returns the strategy for a complete torrent, in which nobody can reciprocate: the capacity goes to peers
// that can take it, and goes round slowly.
//
//   - All slots but one stay with the unchoked peers that we upload to the fastest (UpRate20), since they can spread
//     the data best. A peer that takes nothing loses its slot.
//   - The rest, at least one, goes through all interested peers, each for 30 s, new connections being favoured. When
//     its turn is over, a peer keeps a slot if it was faster than the slowest of the others. So about one peer is
//     exchanged each 30 s, instead of four new ones each round.
//   - A turn is lengthened until the peer has got one whole piece from us, so that it has something to pass on; for at
//     most five minutes, only while data flow, and only for one peer of an address at a time.
//
// Round.Slots 0 means 8 slots without an upload limit; with one, as many as leave 32 KiB/s to each, 3 to 20.
func NewSeeding() Strategy { return newSeeding() }

type seeding struct {
	rotation
	ranked []candidate
	firsts []netip.Addr // whose turns were lengthened in this round
	extend func(r *Round, p *Peer) bool
}

func newSeeding() *seeding {
	s := new(seeding)
	s.extend = s.firstPiece
	return s
}

func (s *seeding) Choose(r *Round) Decision {
	slots := r.Slots
	if slots <= 0 {
		slots = automaticSeedingSlots(r.UploadLimit)
	}
	s.begin(r)
	s.firsts = s.firsts[:0]
	s.expire(r, s.extend)
	s.rank(r)
	regular := min(len(s.ranked), max(slots-1, 0))
	for _, c := range s.ranked[:regular] {
		s.choose(r, c.index, whyFast)
	}
	s.fill(r, slots-regular)
	return Decision{Unchoke: s.out}
}

// rank lists those whose slot is theirs to keep, the fastest first: they are unchoked, take something, and are not in
// the middle of a turn. Among equals, who has been served for the shorter time.
func (s *seeding) rank(r *Round) {
	for _, t := range s.turns {
		s.chosen[s.index[t.peer]] = true
	}
	s.ranked = s.ranked[:0]
	for i := range r.Peers {
		p := &r.Peers[i]
		if !s.chosen[i] && eligible(p) && p.Unchoked && p.UpRate20 > 0 {
			s.ranked = append(s.ranked, candidate{index: i, rate: p.UpRate20, first: int64(p.UnchokedFor)})
		}
	}
	rank(s.ranked)
	for _, t := range s.turns {
		s.chosen[s.index[t.peer]] = false
	}
}

// firstPiece says that a peer is on the way to its first piece from us.
func (s *seeding) firstPiece(r *Round, p *Peer) bool {
	if p.Uploaded >= r.PieceLength || p.UpRate20 <= 0 || p.UnchokedFor >= firstPieceTime {
		return false
	}
	addr := p.Addr.Addr().Unmap()
	if slices.Contains(s.firsts, addr) {
		return false
	}
	s.firsts = append(s.firsts, addr)
	return true
}

// automaticSeedingSlots is how many peers a seed serves when nobody says.
func automaticSeedingSlots(limit int64) int {
	if limit <= 0 {
		return seedingSlots
	}
	return int(min(max(limit/seedingSlotRate, seedingSlotsMin), seedingSlotsMax))
}
