package tracker

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// Back-off of a tracker that fails: 30 s, 1 min, 2 min ... 1 h, each a
	// quarter more or less.
	firstRetry = 30 * time.Second
	lastRetry  = time.Hour
	// patience is how long a walk waits for an announce that is under way.
	patience = 15 * time.Second
)

// Schedule decides which of a torrent's trackers is told what, and when
// (BEP 3, 7, 12, 27, 31). It is a decider: it does nothing but answer.
//
// Whoever carries it out asks [Schedule.Next] until that has nothing more,
// makes the announces it names side by side, and reports each with
// [Schedule.Done]. A method that is told of something new (Start, Complete,
// Stop, Force, AddTrackers, SetPrivate, Done) may change what Next says.
//
// The rules:
//
//   - A tracker has an endpoint for each family of ours that it can have an
//     address of. Each endpoint is a tracker of its own in what it is told, in
//     its intervals and its back-off, and has one announce under way at most.
//   - A session runs from Start to Stop. In a session each endpoint is told
//     Started before anything else, as often as it takes to be answered.
//   - One tracker at a time: every regular announce begins with the first
//     tracker of the first tier, over all its endpoints at once, and goes on to
//     the next one if all of those fail, or have not answered within 15 s. The
//     one that answers moves to the front of its tier (BEP 12) and is the
//     current one. Its endpoints follow their own intervals; one that fails
//     while another works is tried again on its own.
//   - An announce that hangs stays under way; if it is answered after all, its
//     tracker knows us like others.
//   - Private torrents (BEP 27) stay with the current tracker until it fails. A
//     tracker that was left is told Stopped, once.
//   - A public torrent can be announced to all trackers side by side instead.
//   - Completed goes to each endpoint that was told Started before the download
//     was complete, until it answers, and never a second time. After Stop it is
//     tried once.
//   - Stopped goes once to each endpoint that answered a Started, and is the last.
//     If the next session has begun before it was sent, it goes out at the end of
//     that, whether the endpoint was announced to again or not.
//   - Regular announces come after the interval the tracker asked for. Force
//     brings them forward, and so does a current tracker that fails, but never
//     before the minimum interval. Events need not wait.
//   - An endpoint that failed is left alone for a time that grows, or for as
//     long as it asked for (BEP 31).
//
// It is not safe for concurrent use.
type Schedule struct {
	tiers    tiers
	rnd      *rand.Rand
	epoch    epoch
	families families

	running  bool
	complete bool
	late     bool // the download has finished since the session ended
	all      bool // to all trackers side by side
	private  bool
	session  uint32 // counts starts
	serial   uint32 // counts announces
	walk     uint32 // counts walks through the tiers

	walking bool
	trying  *entry // where the walk is
	current *entry // who answered the last walk; nil: nobody, or it failed since
	home    *entry // the last current one

	quiet bool    // nothing is due before wake, unless something happens
	wake  instant // zero: never
}

// ScheduleConfig says what a [Schedule] is for.
type ScheduleConfig struct {
	// Trackers is tiers of announce URLs (BEP 12).
	Trackers [][]string
	// Families is what we listen on: each is announced by itself. nil, or with
	// AnyFamily among them: one announce over whatever there is.
	Families []Family
	// All announces to all trackers side by side, instead of one at a time. It
	// is ignored for private torrents.
	All bool
	// Private obeys BEP 27.
	Private bool
	// Rand shuffles each tier and spreads retries. nil: neither is done.
	Rand *rand.Rand
}

// Due is an announce to be made.
type Due struct {
	URL       string
	Event     Event
	Family    Family // to be announced over
	TrackerID string // to be sent back to this tracker
	// Failing says that the last announce to it failed: whoever wants to close
	// does not wait long for its answer.
	Failing bool

	entry   *entry
	index   int // of the endpoint
	session uint32
	serial  uint32
	walk    uint32 // of which walk it is a step; 0: of none
}

// Outcome is what to do with an answer.
type Outcome struct {
	// Use says that the answer's peers may be used. Those of a farewell, and of
	// a private tracker that is not the current one, may not.
	Use bool
	// Switched says that a private torrent has changed its tracker: all peers
	// from before are to be dropped first, connections too (BEP 27).
	Switched bool
}

// NewSchedule returns a schedule. It keeps cfg.Rand and the URLs, but none of
// the slices. Nothing is due before Start.
func NewSchedule(cfg ScheduleConfig) *Schedule {
	s := &Schedule{rnd: cfg.Rand, families: newFamilies(cfg.Families), all: cfg.All, private: cfg.Private}
	s.tiers.add(cfg.Trackers, s.families, s.rnd)
	return s
}

// Start begins a session: the torrent is being downloaded, or seeded if it is
// complete already, in which case Completed is never sent. Failures of earlier
// sessions are forgotten. Nothing happens if it runs already.
func (s *Schedule) Start(now time.Time, complete bool) {
	if s.running {
		return
	}
	s.news(now)
	s.running, s.complete = true, complete
	s.session++
	s.walking, s.trying, s.current, s.home = false, nil, nil, nil
	late := s.late && complete
	s.late = false
	for _, e := range s.tiers.list {
		for i := range e.ends {
			ep := &e.ends[i]
			owes := late && ep.tried
			ep.startSession()
			ep.owesCompleted = owes
		}
	}
}

// Complete says that the download has finished. That it did behind Stop, as when
// the last piece was being written, is told in the next session.
func (s *Schedule) Complete(now time.Time) {
	if s.complete {
		return
	}
	s.news(now)
	s.complete = true
	if !s.running {
		s.late = true
		return
	}
	for _, e := range s.tiers.list {
		for i := range e.ends {
			e.ends[i].owesCompleted = e.ends[i].tried
		}
	}
}

// Stop ends the session. Call it before the announces under way are cut off:
// what fails after Stop, and has not been under way for 15 s, says nothing of the
// tracker; what fails before it is a failure like others, which puts the tracker
// off and makes its Stopped one that nobody waits long for (Due.Failing). Then
// cut them off, or let them end, and report each with Done: an endpoint whose
// announce is under way is told Stopped after that, if it has answered a Started
// by then.
func (s *Schedule) Stop(now time.Time) {
	if !s.running {
		return
	}
	s.news(now)
	s.running, s.walking, s.trying, s.current = false, false, nil, nil
	for _, e := range s.tiers.list {
		for i := range e.ends {
			e.ends[i].owesStopped = e.ends[i].there
		}
	}
}

// Force asks for an announce now, whatever the interval and the back-off. A
// tracker that answered keeps its minimum interval, one that asked never to be
// asked again is left alone, and so is one whose announce is under way.
func (s *Schedule) Force(now time.Time) {
	if !s.running {
		return
	}
	at := s.news(now)
	for _, e := range s.tiers.list {
		for i := range e.ends {
			ep := &e.ends[i]
			if !s.walking || ep.walk != s.walk { // else this very walk has just tried it
				ep.retryAt = 0
			}
			if s.toAll() || e == s.current && !s.walking {
				ep.forced(at)
			}
		}
	}
}

// AddTrackers adds tiers below the present ones. URLs known already are
// dropped, and so is what is beyond 512 trackers.
func (s *Schedule) AddTrackers(now time.Time, tiers [][]string) {
	if s.tiers.add(tiers, s.families, s.rnd) > 0 {
		s.news(now)
	}
}

// SetPrivate says that the torrent has turned out to be private (BEP 27), as
// that of a magnet link can. The current tracker stays; others that know of us
// are told Stopped at once. Peers that have come from anywhere else are for the
// caller to drop. There is no way back.
func (s *Schedule) SetPrivate(now time.Time) {
	if s.private {
		return
	}
	at := s.news(now)
	s.private = true
	if !s.running {
		return
	}
	if s.current == nil && s.all {
		for _, e := range s.tiers.list {
			if e.alive(at) {
				s.current = e
				break
			}
		}
	}
	if s.current != nil && !s.current.alive(at) {
		s.current = nil
	}
	if s.current != nil {
		s.settle(s.current)
	}
}

// Scraped records the counts of a scrape of one of the trackers; -1: not told.
func (s *Schedule) Scraped(url string, complete, incomplete, downloaded int) {
	for _, e := range s.tiers.list {
		if e.url == url {
			e.scraped, e.newer = newCounts(complete, incomplete, downloaded), true
			return
		}
	}
}

// Next says what to announce now; several may be handed out before the first is
// done. If ok is false there is nothing: ask again at wake, or, if wake is zero,
// after something was reported or changed. It costs next to nothing then.
func (s *Schedule) Next(now time.Time) (due Due, ok bool, wake time.Time) {
	p, ok, wake := s.look(now)
	if !ok {
		return Due{}, false, wake
	}
	return s.hand(p, s.news(now)), true, time.Time{}
}

// Peek is Next without the consequences: it says which tracker would be
// announced to now, for callers that announce to so many at a time only.
func (s *Schedule) Peek(now time.Time) (url string, ok bool, wake time.Time) {
	p, ok, wake := s.look(now)
	if !ok {
		return "", false, wake
	}
	return p.entry.url, true, time.Time{}
}

func (s *Schedule) look(now time.Time) (p pick, ok bool, wake time.Time) {
	at := s.epoch.at(now)
	if !s.quiet || s.wake != 0 && s.wake <= at {
		p, ok, s.wake = s.next(at)
		s.quiet = !ok
	}
	return p, ok, s.epoch.when(s.wake)
}

// Done reports the outcome of a Due: resp if err is nil. Each Due is to be
// reported once.
func (s *Schedule) Done(due Due, now time.Time, resp *Response, err error) Outcome {
	e := due.entry
	if e == nil || e.ends[due.index].flight != due.serial {
		return Outcome{}
	}
	at := s.news(now)
	ep := &e.ends[due.index]
	hung := ep.hung(at)
	ep.flight, ep.last = 0, at
	if err == nil && resp == nil {
		err = ErrMalformed
	}
	mine := due.session == s.session
	if err == nil && due.Event != Stopped {
		ep.there = true
	}
	switch {
	case err != nil:
		// That it was cut off at Stop says nothing of the tracker.
		if mine && (s.running || due.Event == Stopped || hung) {
			s.failed(e, ep, due.Event, at, err)
		}
		return Outcome{}
	case due.Event == Stopped:
		if mine {
			ep.recovered(resp)
		}
		return Outcome{}
	case !mine:
		// The present session's Started follows when its turn comes. Where it has
		// no turn any more, Stopped does.
		ep.owesStopped = !s.running || s.private && s.current != nil && s.current != e
		return Outcome{}
	}
	ep.answered(at, resp)
	e.newer = false
	switch due.Event {
	case Started:
		ep.started = true
		ep.owesStopped = !s.running
	case Completed:
		ep.owesCompleted = false
		ep.toldCompleted = true
	}
	if !s.running {
		return Outcome{}
	}
	return s.arrived(e, ep, due)
}

// failed takes in a failure. A Completed that is lost is repeated; the tracker
// has failed only if a regular announce was due besides.
func (s *Schedule) failed(e *entry, ep *endpoint, event Event, at instant, err error) {
	if event != Completed || ep.nextAt <= at {
		ep.works = false
	}
	delay := s.backoff(ep.fails)
	// That a family has no way to the tracker will not change soon, unless it is
	// the whole machine that has none.
	if ep.family != AnyFamily && (errors.Is(err, ErrNoAddress) || hasNoRoute(err) && e.alive(at)) {
		delay = s.spread(lastRetry)
	}
	ep.failed(at, err, delay)
}

// backoff is how long to leave an endpoint alone after it has failed a number of
// times in a row before.
func (s *Schedule) backoff(fails int32) time.Duration {
	return s.spread(min(firstRetry<<min(fails, 20), lastRetry))
}

// spread makes a delay up to a quarter longer or shorter.
func (s *Schedule) spread(delay time.Duration) time.Duration {
	if s.rnd != nil {
		delay += time.Duration((s.rnd.Float64() - 0.5) / 2 * float64(delay))
	}
	return delay
}

// toAll reports whether all trackers are announced to side by side.
func (s *Schedule) toAll() bool { return s.all && !s.private }

// news is at for what may change the answer of Next.
func (s *Schedule) news(now time.Time) instant {
	s.quiet = false
	return s.epoch.at(now)
}
