package tracker

// pick is an announce that would be made now.
type pick struct {
	entry *entry
	index int // of the endpoint
	event Event
	walk  uint32 // of which walk it is a step; 0: of none
}

// next finds what is due, or when something is; zero: not by time alone.
func (s *Schedule) next(at instant) (p pick, ok bool, wake instant) {
	if p, ok = s.tiers.farewell(); ok || !s.running {
		return p, ok, 0
	}
	if s.complete {
		if p, ok, wake = s.tiers.completed(at); ok {
			return p, true, 0
		}
	}
	var other instant
	switch {
	case s.toAll():
		p, ok, other = s.tiers.regular(at)
	case s.walking:
		p, ok, other = s.step(at)
	default:
		p, ok, other = s.rest(at)
	}
	if ok {
		return p, true, 0
	}
	return pick{}, false, earliest(wake, other)
}

// rest is the time between two walks. Unless the current tracker has failed, it
// has announces of its own: of endpoints that fail while another works, and, of
// a private torrent, all of them.
func (s *Schedule) rest(at instant) (p pick, ok bool, wake instant) {
	if s.current != nil && !s.current.alive(at) {
		s.current = nil
	}
	var walk instant
	if s.current == nil {
		walk = s.tiers.firstReady(at)
	} else {
		p, ok, walk, wake = s.nextOfCurrent(at)
		if ok {
			return p, true, 0
		}
	}
	if walk == 0 || walk > at {
		return pick{}, false, earliest(walk, wake)
	}
	s.walking, s.trying = true, nil
	s.walk++
	return s.step(at)
}

// nextOfCurrent finds an announce to the current tracker that is not part of a
// walk, or when the next walk is to begin.
func (s *Schedule) nextOfCurrent(at instant) (p pick, ok bool, walk, wake instant) {
	e := s.current
	for i := range e.ends {
		ep := &e.ends[i]
		switch {
		case ep.flight != 0:
			if t := ep.doubtful(); t > at && ep.alive(at) {
				wake = earliest(wake, t)
			}
		case !ep.free():
		case ep.started && ep.works && ep.fails == 0 && !s.private:
			walk = earliest(walk, ep.readyAt(true))
		default:
			t := ep.readyAt(true)
			if t <= at {
				return e.regular(i, 0), true, 0, 0
			}
			wake = earliest(wake, t)
			if ep.alive(at) {
				wake = earliest(wake, ep.nextAt)
			}
		}
	}
	return pick{}, false, walk, wake
}

// step goes on with the walk through the tiers (BEP 12). If nobody is left to
// be tried it ends the walk, and the next one begins when somebody can be.
func (s *Schedule) step(at instant) (p pick, ok bool, wake instant) {
	for {
		if e := s.trying; e != nil {
			if p, ok, wake = s.try(e, at); ok || wake != 0 {
				return p, ok, wake
			}
			if s.holds(e, at) {
				s.settle(e)
				return s.rest(at)
			}
		}
		if s.trying = s.nextToTry(at); s.trying == nil {
			s.walking, s.current = false, nil
			return s.rest(at)
		}
	}
}

// try announces to the endpoints of a tracker that this walk has not tried yet.
// If there is none now, wait is when to look again: as long as one is under way
// that may be waited for; otherwise zero.
func (s *Schedule) try(e *entry, at instant) (p pick, ok bool, wait instant) {
	blocked := false
	for i := range e.endpoints() {
		ep := &e.ends[i]
		switch {
		case ep.blocks(at):
			blocked = true
			wait = earliest(wait, ep.hangs())
		case ep.walk == s.walk || !ep.free():
		case ep.readyAt(e == s.current) <= at:
			return e.regular(i, s.walk), true, 0
		default:
			wait = earliest(wait, ep.readyAt(e == s.current))
		}
	}
	if !blocked {
		return pick{}, false, 0
	}
	return pick{}, false, wait
}

// nextToTry finds the first tracker that the walk has not been at: one to be
// asked, one that is busy, such as with a farewell that Started must not
// overtake, or one that answered not long ago.
func (s *Schedule) nextToTry(at instant) *entry {
	for _, e := range s.tiers.list {
		if s.holds(e, at) {
			return e
		}
		for i := range e.endpoints() {
			if ep := &e.ends[i]; ep.walk != s.walk && (ep.ready(at, e == s.current) || ep.blocks(at)) {
				return e
			}
		}
	}
	return nil
}

// holds reports whether the walk can end at a tracker without asking it. A
// private torrent comes back to none but its own in this way.
func (s *Schedule) holds(e *entry, at instant) bool {
	return e.holds(at) && (!s.private || e == s.home)
}

// arrived says what an answer means, and whether it may be used. The first
// answer ends a walk; behind it comes one of a tracker that had been given up.
func (s *Schedule) arrived(e *entry, ep *endpoint, due Due) (o Outcome) {
	if s.toAll() {
		return Outcome{Use: true}
	}
	if s.current == nil || s.walking && due.walk == s.walk {
		s.tiers.promote(e)
		o.Switched = s.settle(e)
	}
	if s.private && e != s.current {
		ep.owesStopped = true
		return Outcome{}
	}
	o.Use = true
	return o
}

// settle ends the walk with a tracker that is the current one from now on. It
// reports whether a private torrent has changed its tracker by that; then the
// others have to hear that we left.
func (s *Schedule) settle(e *entry) (switched bool) {
	switched = s.private && s.home != nil && s.home != e
	s.current, s.home = e, e
	s.walking, s.trying = false, nil
	if !s.private {
		return false
	}
	for _, other := range s.tiers.list {
		for i := range other.ends {
			ep := &other.ends[i]
			ep.owesStopped = ep.there && other != e
		}
	}
	return switched
}

// regular is the announce that is not made for an event, or the first one.
func (e *entry) regular(i int, walk uint32) pick {
	if e.ends[i].started {
		return pick{e, i, None, walk}
	}
	return pick{e, i, Started, walk}
}

// hand hands out an announce.
func (s *Schedule) hand(p pick, at instant) Due {
	e, ep := p.entry, &p.entry.ends[p.index]
	switch p.event {
	case Started:
		ep.tried = true
	case Completed:
		if ep.owesStopped {
			ep.owesCompleted = false // it has had its last chance
		}
	case Stopped:
		ep.owesStopped, ep.there, ep.started, ep.works = false, false, false, false
	}
	if p.walk != 0 {
		ep.walk = p.walk
	}
	if s.serial++; s.serial == 0 {
		s.serial++
	}
	ep.flight, ep.event, ep.began = s.serial, p.event, at
	return Due{
		URL: e.url, Event: p.event, Family: ep.family, TrackerID: ep.trackerID, Failing: ep.fails > 0,
		entry: e, index: p.index, session: s.session, serial: s.serial, walk: p.walk,
	}
}
