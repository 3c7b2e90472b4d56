package choke

import (
	"fmt"
	"time"
)

const (
	// Without a word from the client, a seed serves this many peers.
	seedingSlots = 8
	// With an upload limit, it serves as many as leave each of them a rate that is worth having.
	seedingSlotRate = 32 << 10
	seedingSlotsMin = 3
	seedingSlotsMax = 20
	// What a connection swallows at once when we begin to send is the kernel's buffer filling up, not its rate. After
	// this long it has left the rolling average.
	settleTime = 20 * time.Second
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
//     most five minutes, only while data flow, and only for one peer of an address at a time. Who has got it and
//     connects again within an hour has had it. An address is one of IPv4, or a network of 64 bits of IPv6.
//   - The rate of a peer is not judged before its turn is over; and of one that has been unchoked for less than 20 s for
//     another reason, only in that proportion: at first it is the kernel's buffer that takes the data.
//
// Round.Slots 0 means 8 slots without an upload limit; with one, as many as leave 32 KiB/s to each, 3 to 20.
// It is an [Explainer].
func NewSeeding() Strategy { return newSeeding() }

type seeding struct {
	rotation
	firsts firstPieces
	ranked []candidate
	extend func(r *Round, p *Peer) string
}

func newSeeding() *seeding {
	s := new(seeding)
	s.extend = s.lengthen
	return s
}

func (s *seeding) Choose(r *Round) Decision {
	s.begin(r)
	s.slots = seedingSlotsOf(r)
	s.firsts.begin(r)
	s.expire(r, s.extend)
	s.rank(r)
	regular := min(len(s.ranked), max(s.slots-1, 0))
	for _, c := range s.ranked[:regular] {
		s.choose(r, c.index, WhyFast)
	}
	s.fill(r, s.slots-regular)
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
		rate := settled(p)
		s.seen[i].rate = rate
		if !s.chosen[i] && eligible(p) && p.Unchoked && rate > 0 && s.index[p.ID] == i {
			s.ranked = append(s.ranked, candidate{index: i, rate: rate, first: int64(p.UnchokedFor)})
		}
	}
	rank(s.ranked)
	for _, t := range s.turns {
		s.chosen[s.index[t.peer]] = false
	}
}

// settled is the rate at which a peer takes our data, without what the kernel swallowed at the begin.
func settled(p *Peer) int64 {
	if p.UnchokedFor >= settleTime {
		return p.UpRate20
	}
	return int64(float64(p.UpRate20) * max(p.UnchokedFor, 0).Seconds() / settleTime.Seconds())
}

func (s *seeding) lengthen(r *Round, p *Peer) string {
	if s.firsts.lengthen(r, p) {
		return WhyFirstPiece
	}
	return ""
}

// seedingSlotsOf is how many peers a seed serves.
func seedingSlotsOf(r *Round) int {
	switch {
	case r.Slots > 0:
		return r.Slots
	case r.UploadLimit <= 0:
		return seedingSlots
	}
	return int(min(max(r.UploadLimit/seedingSlotRate, seedingSlotsMin), seedingSlotsMax))
}

// Explain implements Explainer.
func (s *seeding) Explain(id PeerID) string {
	if text, ok := s.plain(id); ok {
		return text
	}
	if why := s.named(id); why != "" {
		return withRate(why, "takes", s.seen[s.index[id]].rate)
	}
	return fmt.Sprintf("slots full (%d): %s", s.slots, s.line(id))
}
