package swarm

import (
	"time"
)

const (
	tickTime      = time.Second
	silentTime    = 120 * time.Second // BEP 3's two minutes
	keepAliveTime = 100 * time.Second
	staleTime     = 5 * time.Second        // slabs that got nothing for so long go first
	quietTime     = 250 * time.Millisecond // the same, while requests are held back for memory
	idleTime      = 5 * time.Second        // a peer that was sent nothing for so long keeps little
)

// tick does what time alone brings about, and returns when it wants to be
// called again: zero when nothing can happen without another input.
func (s *Swarm) tick(at stamp, eff *Effects) (next stamp) {
	active, held := 0, false
	for p := range s.members.inTurn {
		if p.req.count() > 0 {
			active++
		}
		held = held || p.held > 0
		s.tickPeer(p, at, eff)
	}
	s.asking.active = active
	if s.layout == nil {
		s.metadata.tick(at, eff)
	}
	s.hurry(at, eff)
	if over := s.pool.Slabs() - s.asking.soft(); over > 0 {
		idle := staleTime
		if s.asking.dry { // nothing is asked for until memory comes back
			idle, over = quietTime, over+s.asking.soft()/2
		}
		s.receiving.evict(over, at, idle, eff)
	}
	s.choking.tick(at, eff)
	if s.members.n == 0 {
		s.receiving.evictAll(eff) // this was the last tick: others may wait for the memory
		return 0
	}
	if held && s.pool.Lacks(SlabRoom(s.pool)) > 0 {
		eff.Starved = true // readers wait for memory that nobody is about to give back
		return at + quietTime
	}
	if s.asking.dry {
		return at + quietTime
	}
	return at + tickTime
}

func (s *Swarm) tickPeer(p *peer, at stamp, eff *Effects) {
	if p.held == 0 && at-p.lastRead > silentTime {
		eff.drop(p.id, ErrSilent)
		return
	}
	s.showing.admit(p, eff)
	s.sending.tick(p, at, eff)
	s.asking.tick(p, at, eff)
	p.shrink(at)
}
