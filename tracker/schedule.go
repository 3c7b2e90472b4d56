package tracker

import (
	"math/rand/v2"
	"time"
)

// Back-off of a tracker that fails: 30 s, 1 min, 2 min ... 1 h, each a quarter
// more or less.
const (
	firstRetry = 30 * time.Second
	lastRetry  = time.Hour
)

// Schedule decides which of a torrent's trackers is told what, and when
// (BEP 3, 12, 31). It is a decider: it does nothing but answer.
//
// Whoever carries it out asks [Schedule.Next], makes the announce it names, and
// reports with [Schedule.Done]. There is at most one announce under way; after
// Stop at most one to each tracker. A method that is told of something new
// (Start, Complete, Stop, Force, AddTrackers, Done) may change what Next says.
//
// The rules:
//
//   - A session runs from Start to Stop. In a session each tracker is told
//     Started before anything else, as often as it takes to be answered.
//   - One tracker at a time: every announce begins with the first tracker of
//     the first tier and goes on to the next one only if that fails. The one
//     that answers moves to the front of its tier (BEP 12).
//   - Completed goes to each tracker that was told Started before the download
//     was complete, until it answers, and never a second time. After Stop it is
//     tried once.
//   - Stopped goes once to each tracker that answered a Started, and is the last.
//   - Regular announces come after the interval the tracker asked for; Force
//     brings them forward to its minimum interval. Events, and the first
//     announce to another tracker after one failed, need not wait.
//   - A tracker that failed is left alone for a time that grows, or for as long
//     as it asked for (BEP 31).
//
// It is not safe for concurrent use.
type Schedule struct {
	tiers    tiers
	rnd      *rand.Rand
	running  bool
	complete bool
	session  int    // counts starts
	walk     int    // counts walks through the tiers
	current  *entry // who answered the last walk; nil: nobody did
	flying   *entry // whose announce, other than Stopped, is under way
	late     bool   // the download has finished since the session ended
	// walking says that a walk has begun; nextWalk is when the next one does,
	// zero for not before something happens.
	walking  bool
	nextWalk time.Time
}

// Due is an announce to be made.
type Due struct {
	URL       string
	Event     Event
	TrackerID string // to be sent back to this tracker

	entry   *entry
	session int
	walk    int // of which walk it is a step; 0: of none
}

// NewSchedule returns a schedule for tiers of announce URLs. Each tier is
// shuffled by rnd, which also spreads retries; nil: neither is done. It keeps
// rnd and copies the URLs. Nothing is due before Start.
func NewSchedule(tiers [][]string, rnd *rand.Rand) *Schedule {
	s := &Schedule{rnd: rnd}
	s.tiers.add(tiers, rnd)
	return s
}

// Start begins a session: the torrent is being downloaded, or seeded if it is
// complete already, in which case Completed is never sent. Failures of earlier
// sessions are forgotten. Nothing happens if it runs already.
func (s *Schedule) Start(now time.Time, complete bool) {
	if s.running {
		return
	}
	s.running, s.complete = true, complete
	s.session++
	s.current, s.flying = nil, nil
	s.walking, s.nextWalk = false, now
	late := s.late && complete
	s.late = false
	for _, e := range s.tiers.all() {
		owes := late && e.tried
		e.startSession()
		e.owesCompleted = owes
	}
}

// Complete says that the download has finished. That it did behind Stop, as when
// the last piece was being written, is told in the next session.
func (s *Schedule) Complete(now time.Time) {
	if s.complete {
		return
	}
	s.complete = true
	if !s.running {
		s.late = true
		return
	}
	for _, e := range s.tiers.all() {
		e.owesCompleted = e.tried
	}
}

// Stop ends the session. What was under way is best cut off and reported with
// Done; a tracker whose announce is under way is told Stopped after that.
func (s *Schedule) Stop(now time.Time) {
	if !s.running {
		return
	}
	s.running, s.walking, s.nextWalk = false, false, time.Time{}
	for _, e := range s.tiers.all() {
		e.owesStopped = e.started
	}
}

// Force asks for an announce now, whatever the interval and the back-off. A
// tracker that answered keeps its minimum interval, one that asked never to be
// asked again is left alone.
func (s *Schedule) Force(now time.Time) {
	if !s.running {
		return
	}
	for _, e := range s.tiers.all() {
		if !s.walking || e.walk != s.walk { // else this very walk has just tried it
			e.retryAt = time.Time{}
		}
	}
	if s.walking {
		return
	}
	s.nextWalk = now
	if s.current != nil && s.current.notBefore.After(now) {
		s.nextWalk = s.current.notBefore
	}
}

// AddTrackers adds tiers below the present ones. URLs known already are dropped.
func (s *Schedule) AddTrackers(now time.Time, tiers [][]string) {
	if s.tiers.add(tiers, s.rnd) > 0 && s.running && s.current == nil && !s.walking {
		s.nextWalk = now
	}
}

// Next says what to announce now. If ok is false there is nothing: ask again
// at wake, or, if wake is zero, after something was reported or changed.
func (s *Schedule) Next(now time.Time) (due Due, ok bool, wake time.Time) {
	if !s.running {
		due, ok = s.nextStopped()
		return due, ok, time.Time{}
	}
	if s.flying != nil {
		return Due{}, false, time.Time{}
	}
	if due, ok, wake = s.nextCompleted(now); ok {
		return due, ok, time.Time{}
	}
	if !s.walking {
		if s.nextWalk.IsZero() || s.nextWalk.After(now) {
			return Due{}, false, earliest(wake, s.nextWalk)
		}
		s.walking = true
		s.walk++
	}
	if due, ok = s.step(now); ok {
		return due, ok, time.Time{}
	}
	return Due{}, false, earliest(wake, s.nextWalk)
}

// nextStopped hands out the farewells. A tracker that has not heard of the
// completion is told of that first, once more.
func (s *Schedule) nextStopped() (Due, bool) {
	for _, e := range s.tiers.all() {
		switch {
		case !e.owesStopped || e.flying > 0:
		case e.owesCompleted && !e.retired:
			e.owesCompleted = false
			return s.due(e, Completed, 0), true
		default:
			e.owesStopped, e.started, e.leaving = false, false, true
			return s.due(e, Stopped, 0), true
		}
	}
	return Due{}, false
}

// nextCompleted finds a tracker that has to hear of the completion. It does not
// wait for that tracker's turn: it counts us among its leeches until it knows.
func (s *Schedule) nextCompleted(now time.Time) (due Due, ok bool, wake time.Time) {
	for _, e := range s.tiers.all() {
		if !e.owesCompleted || !e.started || e.retired {
			continue
		}
		if !e.retryAt.After(now) {
			s.flying = e
			return s.due(e, Completed, 0), true, time.Time{}
		}
		wake = earliest(wake, e.retryAt)
	}
	return Due{}, false, wake
}

// step goes on with the walk through the tiers (BEP 12). If nobody is left to
// be tried it ends the walk, and the next one begins when somebody can be.
func (s *Schedule) step(now time.Time) (Due, bool) {
	var again time.Time
	for _, e := range s.tiers.all() {
		if e.retired {
			continue
		}
		if e.walk == s.walk || e.retryAt.After(now) {
			again = earliest(again, e.retryAt)
			continue
		}
		if e.started && e.notBefore.After(now) {
			// It answered not long ago, so there is nothing to ask of it, nor
			// of those behind it.
			s.walking, s.nextWalk = false, earliest(again, e.notBefore)
			return Due{}, false
		}
		if e.leaving {
			// Started would race the farewell of the session before, and the
			// tracker could take that for the later one. It ends before long.
			s.nextWalk = time.Time{}
			return Due{}, false
		}
		e.walk = s.walk
		s.flying = e
		event := None
		if !e.started {
			event = Started
			e.tried = true
		}
		return s.due(e, event, s.walk), true
	}
	s.current, s.walking, s.nextWalk = nil, false, again
	return Due{}, false
}

func (s *Schedule) due(e *entry, event Event, walk int) Due {
	e.flying++
	return Due{URL: e.url, Event: event, TrackerID: e.trackerID, entry: e, session: s.session, walk: walk}
}

// Done reports the outcome of a Due: resp if err is nil. Each Due is to be
// reported once.
func (s *Schedule) Done(due Due, now time.Time, resp *Response, err error) {
	e := due.entry
	if e == nil || e.flying == 0 {
		return
	}
	e.flying--
	if due.Event == Stopped {
		e.leaving = false
	}
	e.last = now
	mine := due.session == s.session
	if mine && s.flying == e && due.Event != Stopped {
		s.flying = nil
	}
	if err == nil && resp == nil {
		err = ErrMalformed
	}
	if err != nil {
		if mine && (s.running || due.Event == Stopped) {
			e.failed(now, err, s.backoff(e.fails))
		}
		return
	}
	e.answered(now, resp)
	if !mine {
		return
	}
	switch due.Event {
	case Started:
		e.started = true
		e.owesStopped = !s.running
	case Completed:
		e.owesCompleted = false
		e.toldCompleted = true
	}
	if !s.running {
		return
	}
	if due.walk != 0 {
		s.current, s.walking = e, false
		s.tiers.promote(e)
	}
	if e == s.current {
		s.nextWalk = now.Add(e.interval())
	}
}

// backoff is how long to leave a tracker alone after it has failed a number of
// times in a row before.
func (s *Schedule) backoff(fails int) time.Duration {
	delay := min(firstRetry<<min(fails, 20), lastRetry)
	if s.rnd != nil {
		delay += time.Duration((s.rnd.Float64() - 0.5) / 2 * float64(delay))
	}
	return delay
}

// earliest returns the earlier time; zero stands for never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
