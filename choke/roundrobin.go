package choke

import "fmt"

// NewRoundRobin returns a strategy under which the slots go round evenly: whoever waits longest is next, whatever it
// does or did for us, and how fast it is.
//
//   - A turn lasts 30 s, and is lengthened until the peer has one whole piece from us, as [NewSeeding] has it.
//   - A newcomer goes to the end of the queue, so coming back does not pay.
//   - No more than a third of the slots (rounded up) are passed on in one round, since an upload that begins is slow,
//     and a seed whose slots all begin at once sends little.
//   - While nobody waits, everybody stays in his slot.
//
// It is meant for a complete torrent, as the even-handed sibling of NewSeeding, and counts the same number of slots
// where Round.Slots is 0. It works for downloading too, but gives nothing in return for what peers send. It is an
// [Explainer].
func NewRoundRobin() Strategy {
	s := new(roundRobin)
	s.fair = true
	s.extend = s.lengthen
	return s
}

type roundRobin struct {
	rotation
	firsts firstPieces
	over   int // turns that may still end in this round
	extend func(r *Round, p *Peer) string
}

func (s *roundRobin) Choose(r *Round) Decision {
	s.begin(r)
	s.slots = seedingSlotsOf(r)
	s.firsts.begin(r)
	s.over = (s.slots-1)/3 + 1
	s.expire(r, s.extend)
	s.fill(r, s.slots)
	return Decision{Unchoke: s.out}
}

// lengthen keeps a peer in its slot for its first piece, or because enough others leave theirs. Turns stand in the
// order in which they began, so it is the oldest ones that end.
func (s *roundRobin) lengthen(r *Round, p *Peer) string {
	switch {
	case s.firsts.lengthen(r, p):
		return WhyFirstPiece
	case s.over == 0:
		return WhyTurn
	}
	s.over--
	return ""
}

// Explain implements Explainer.
func (s *roundRobin) Explain(id PeerID) string {
	if text, ok := s.plain(id); ok {
		return text
	}
	if why := s.named(id); why != "" {
		return why
	}
	return fmt.Sprintf("slots full (%d): %s", s.slots, s.line(id))
}
