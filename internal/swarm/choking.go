package swarm

import (
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/peerwire"
)

const (
	roundTime       = 10 * time.Second       // C11
	reciprocateTime = 15 * time.Second       // C6
	eagerTime       = 100 * time.Millisecond // between rounds out of turn
	snubTime        = 60 * time.Second       // C3
	shortRate       = 20 * time.Second
	longRate        = 60 * time.Second
)

// chokeState is when the next round is due, and what the last one said.
type chokeState struct {
	round   uint64 // counts snapshots: a late decision is for an older one
	pending bool   // a round is asked for, and Apply has not answered
	next    stamp
	eager   stamp // no round out of turn before
	again   stamp // the strategy's own wish; 0: none
	why     map[PeerID]string
}

// askRechoke asks for a round out of turn, for a newcomer or a free slot.
func (s *Swarm) askRechoke(at stamp, eff *Effects) {
	if s.mode != Running && s.mode != Checking {
		return
	}
	if at >= s.choke.eager && !s.choke.pending {
		s.choke.eager = at + eagerTime
		s.rechoke(choke.SlotFree, at, eff)
		return
	}
	s.choke.next = min(s.choke.next, max(s.choke.eager, at))
	eff.Again = eagerTime
}

func (s *Swarm) rechoke(why choke.Reason, at stamp, eff *Effects) {
	if s.choke.round == 0 {
		why = choke.Started
	}
	s.choke.pending = true
	s.choke.next = at + roundTime
	s.choke.again = 0
	eff.Rechoke, eff.Why = true, why
}

// chokeTick asks for the rounds that are due by time.
func (s *Swarm) chokeTick(at stamp, eff *Effects) {
	if s.mode == Paused || s.choke.pending || s.peers.n == 0 {
		return
	}
	c := &s.choke
	switch {
	case c.again > 0 && at >= c.again:
		s.rechoke(choke.Asked, at, eff)
	case at >= c.next:
		s.rechoke(choke.Tick, at, eff)
	default:
		for _, p := range s.peers.list {
			if p != nil && !p.wire.choked && !p.wire.reciprocateDone && at-p.wire.theyUnchokedAt >= reciprocateTime {
				p.wire.reciprocateDone = true
				if !c.pending {
					s.rechoke(choke.Reciprocate, at, eff)
				}
			}
		}
	}
}

// snapshot fills in a round. Its Peers slice is reused.
func (s *Swarm) snapshot(r *choke.Round, at stamp) uint64 {
	s.choke.round++
	r.Slots = s.limits.Slots
	r.UploadRate = s.total.up.Rate(at, shortRate)
	r.Seeding = s.picker != nil && s.picker.NumNeeded() == 0
	if s.layout != nil {
		r.PieceLength = s.layout.PieceLength()
	}
	r.Peers = r.Peers[:0]
	for _, p := range s.peers.list {
		if p != nil {
			r.Peers = append(r.Peers, s.chokePeer(p, at))
		}
	}
	return s.choke.round
}

func age(on bool, since, at stamp) time.Duration {
	if !on {
		return 0
	}
	return max(at-since, 1)
}

func (s *Swarm) chokePeer(p *peer, at stamp) choke.Peer {
	since := stamp(-1)
	if p.req.lastBlock > 0 {
		since = at - p.req.lastBlock
	}
	w := &p.wire
	return choke.Peer{
		ID: choke.PeerID(p.id), Addr: p.Addr,
		Connected:     at - p.joined,
		InterestedFor: age(w.theyInterested, w.theyInterestAt, at),
		UnchokedFor:   age(!w.choking, w.unchokedAt, at),
		UnchokesUsFor: age(!w.choked, w.theyUnchokedAt, at),
		SinceBlock:    since,
		Interested:    w.theyInterested, Unchoked: !w.choking, UnchokesUs: !w.choked,
		DownRate20: p.down.Rate(at, shortRate), DownRate60: p.down.Rate(at, longRate),
		UpRate20: p.up.Rate(at, shortRate), UpRate60: p.up.Rate(at, longRate),
		Downloaded: p.down.Total(), Uploaded: p.up.Total(), BadBytes: p.bad,
		Pieces: max(p.has.count, 0), Seed: p.has.all, UploadOnly: p.ext.hs.UploadOnly,
		Snubbed: p.req.count() > 0 && p.held == 0 && at-max(p.req.lastBlock, p.wire.theyUnchokedAt) > snubTime,
	}
}

// apply carries a decision out: who is not named is choked. A decision for
// an older snapshot is ignored.
func (s *Swarm) apply(round uint64, d choke.Decision, at stamp, eff *Effects) {
	if round != s.choke.round {
		return
	}
	s.choke.pending = false
	if !d.Again.IsZero() {
		s.choke.again = max(s.at(d.Again), at+1)
	}
	if s.choke.why == nil {
		s.choke.why = make(map[PeerID]string)
	}
	clear(s.choke.why)
	for _, c := range d.Unchoke {
		if s.peers.get(PeerID(c.Peer)) != nil {
			s.choke.why[PeerID(c.Peer)] = c.Why
		}
	}
	for _, p := range s.peers.list {
		if p == nil {
			continue
		}
		if _, on := s.choke.why[p.id]; on == p.wire.choking {
			s.setChoking(p, !on, at, eff)
		}
	}
	if s.choke.next <= at {
		eff.Again = eagerTime // asked for while this one was under way
	}
}

// setChoking chokes or unchokes a peer. Choke: the message, then a reject
// for each request that is queued (BEP 6); without BEP 6 it is implied.
func (s *Swarm) setChoking(p *peer, on bool, at stamp, eff *Effects) {
	p.wire.choking = on
	if !on {
		p.wire.unchokedAt = at
		s.sendID(p, peerwire.MsgUnchoke, eff)
		return
	}
	s.sendID(p, peerwire.MsgChoke, eff)
	kept := p.out.queue[:0]
	for _, u := range p.out.queue[p.out.head:] {
		if p.Fast && p.fast.granted(u.Piece) {
			kept = append(kept, u)
		} else {
			s.reject(p, u, eff)
		}
	}
	p.out.queue, p.out.head = kept, 0
}
