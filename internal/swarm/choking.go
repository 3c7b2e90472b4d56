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

// choking is whom we let download: when the next round is due, and what the
// last one said. There is one round at a time.
type choking struct {
	s       *Swarm
	round   uint64 // counts snapshots: a late decision is for an older one
	pending bool   // a round is asked for, and Apply has not answered
	next    stamp
	eager   stamp             // no round out of turn before
	again   stamp             // the strategy's own wish; 0: none
	why     map[PeerID]string // of those that are unchoked
}

// ask asks for a round out of turn, for a newcomer or a free slot. While
// another is under way, or just was, it comes a little later.
func (c *choking) ask(why choke.Reason, at stamp, eff *Effects) {
	if c.s.mode != Running && c.s.mode != Checking {
		return
	}
	if at >= c.eager && !c.pending {
		c.begin(why, at, eff)
		return
	}
	c.next = min(c.next, max(c.eager, at))
	eff.Again = eagerTime
}

func (c *choking) begin(why choke.Reason, at stamp, eff *Effects) {
	if c.round == 0 {
		why = choke.Started
	}
	c.pending = true
	c.next, c.eager = at+roundTime, at+eagerTime
	c.again = 0
	eff.Rechoke, eff.Why = true, why
}

// tick asks for the rounds that are due by time.
func (c *choking) tick(at stamp, eff *Effects) {
	if c.s.mode == Paused || c.pending || c.s.members.n == 0 {
		return
	}
	switch {
	case c.again > 0 && at >= c.again:
		c.begin(choke.Asked, at, eff)
	case at >= c.next:
		c.begin(choke.Tick, at, eff)
	default:
		for p := range c.s.members.all {
			if !p.wire.choked && !p.wire.reciprocateDone && at-p.wire.theyUnchokedAt >= reciprocateTime {
				p.wire.reciprocateDone = true
				if !c.pending {
					c.begin(choke.Reciprocate, at, eff)
				}
			}
		}
	}
}

func (c *choking) onInterested(p *peer, at stamp, yes bool, eff *Effects) {
	if p.wire.theyInterested == yes {
		return
	}
	p.wire.theyInterested = yes
	if yes {
		p.wire.theyInterestAt = at
	}
	if yes || !p.wire.choking { // a newcomer, one that was unchoked for its rate alone, or a slot that falls free
		c.ask(choke.SlotFree, at, eff)
	}
}

// snapshot fills in a round. Its Peers slice is reused.
func (c *choking) snapshot(r *choke.Round, at stamp) uint64 {
	s := c.s
	c.round++
	r.Slots = s.settings.Slots
	r.UploadRate = s.sending.rate.Rate(at, shortRate)
	r.Seeding = s.picker != nil && s.picker.NumNeeded() == 0
	if s.layout != nil {
		r.PieceLength = s.layout.PieceLength()
	}
	r.Peers = r.Peers[:0]
	for p := range s.members.all {
		r.Peers = append(r.Peers, p.snapshot(at))
	}
	return c.round
}

func age(on bool, since, at stamp) time.Duration {
	if !on {
		return 0
	}
	return max(at-since, 1)
}

func (p *peer) snapshot(at stamp) choke.Peer {
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
func (c *choking) apply(round uint64, d choke.Decision, at stamp, eff *Effects) {
	if round != c.round {
		return
	}
	c.pending = false
	if !d.Again.IsZero() {
		c.again = max(c.s.at(d.Again), at+1)
	}
	if c.why == nil {
		c.why = make(map[PeerID]string)
	}
	clear(c.why)
	for _, x := range d.Unchoke {
		if p := c.s.members.get(PeerID(x.Peer)); p != nil {
			if rate := max(x.MaxRate, 0); rate != p.out.maxRate {
				p.out.maxRate = rate
				if p.out.queued() > 0 {
					c.s.sending.wake(p, eff) // its writer may wait for what was allowed before
				}
			}
			c.why[p.id] = x.Why
		}
	}
	for p := range c.s.members.all {
		if _, on := c.why[p.id]; on == p.wire.choking {
			c.set(p, !on, at, eff)
		}
	}
	if c.next <= at {
		eff.Again = eagerTime // asked for while this one was under way
	}
}

// set chokes or unchokes a peer. Choke: the message, then a reject for each
// request that is queued (BEP 6); without BEP 6 it is implied.
func (c *choking) set(p *peer, on bool, at stamp, eff *Effects) {
	p.wire.choking = on
	if !on {
		p.wire.unchokedAt = at
		c.s.sending.sendID(p, peerwire.MsgUnchoke, eff)
		return
	}
	c.s.sending.sendID(p, peerwire.MsgChoke, eff)
	c.s.sending.rejectQueued(p, true, eff)
}
