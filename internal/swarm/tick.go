package swarm

import (
	"time"

	"github.com/seed1734be99/starling/peerwire"
)

const (
	tickTime      = time.Second
	silentTime    = 120 * time.Second // BEP 3's two minutes
	keepAliveTime = 100 * time.Second
	staleTime     = 5 * time.Second // slabs that got nothing for so long go first
)

// tick does what time alone brings about, and returns when it wants to be
// called again: zero when nothing can happen without another input.
func (s *Swarm) tick(at stamp, eff *Effects) (next stamp) {
	for _, p := range s.peers.list {
		if p != nil {
			s.tickPeer(p, at, eff)
		}
	}
	if s.layout == nil {
		s.metadataTick(at, eff)
	}
	if s.dry || s.freed {
		s.refill(at, eff)
	}
	if over := s.pool.Used() - s.soft(); over > 0 {
		s.evict(over, at, staleTime, eff)
	}
	s.chokeTick(at, eff)
	if s.peers.n == 0 {
		return 0
	}
	return at + tickTime
}

func (s *Swarm) tickPeer(p *peer, at stamp, eff *Effects) {
	if p.held == 0 && at-p.lastRead > silentTime {
		eff.drop(p.id, ErrSilent)
		return
	}
	if at-p.lastSent > keepAliveTime && !p.out.writing {
		s.sendID(p, peerwire.MsgKeepAlive, eff)
	}
	if p.out.cursor < len(s.haves) {
		s.wake(p, eff)
	}
	r := &p.req
	if r.count() > 0 && p.held == 0 {
		if at-max(r.lastBlock, r.open[r.head].at) > blockTimeout {
			s.snub(p, eff)
		}
		if r.chokedAt > 0 && at-r.chokedAt > rejectWait {
			s.releaseChoked(p)
		}
	}
	r.sample(at)
	if s.layout != nil {
		s.topUp(p, at, eff)
	}
	p.shrink()
}

// shrink gives back what a peer that does nothing does not need.
func (p *peer) shrink() {
	if p.req.count() == 0 && cap(p.req.open) > 0 {
		p.req.open, p.req.head = nil, 0
	}
	o := &p.out
	if o.writing {
		return
	}
	if o.queued() == 0 && cap(o.queue) > 0 {
		o.queue, o.head = nil, 0
	}
	if len(o.control) == 0 && cap(o.control) > keptControl {
		o.control = nil
	}
}

// hold tells that p's reader waits for memory or for a limit: its clocks
// stand still until it goes on.
func (s *Swarm) hold(p *peer, on bool, at stamp) {
	switch {
	case on && p.held == 0:
		p.held = max(at, 1)
	case !on && p.held > 0:
		d := at - p.held
		p.held = 0
		p.lastRead = at
		if p.req.lastBlock > 0 {
			p.req.lastBlock += d
		}
		for i := range p.req.open {
			p.req.open[i].at += d
		}
		if p.req.chokedAt > 0 {
			p.req.chokedAt += d
		}
		p.req.sampleAt += d
	}
}
