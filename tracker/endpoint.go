package tracker

import (
	"errors"
	"math"
	"syscall"
	"time"
)

// endpoint is one tracker as reached over one family (BEP 7): what it was told
// in this session, and how its last announces went.
type endpoint struct {
	family  Family
	retired bool // it is not asked any more (BEP 31)

	// The announce under way. There is never a second one.
	flight uint32 // its number; 0: none
	event  Event  // its event
	began  instant

	// there says that the tracker counts us among its peers, as far as we know:
	// it answered an announce, of whatever session, and was sent no Stopped since.
	there bool

	// Of this session.
	tried         bool // Started was sent
	started       bool // and answered
	works         bool // and the announces since; a lost Completed alone does not count
	owesCompleted bool // Completed is to be sent and has not been answered
	toldCompleted bool
	owesStopped   bool
	walk          uint32 // the last walk that tried it

	// Of the last announces.
	last      instant // when the last one ended
	nextAt    instant // when the last answer is to be renewed
	notBefore instant // the minimum interval after the last answer
	retryAt   instant // the back-off after the last failure
	fails     int32
	counts    counts
	peers     int32
	interval  time.Duration
	minimum   time.Duration
	trackerID string // BEP 3 practice: kept when a later answer omits it
	err       string
	warning   string
}

// counts is what a tracker knows of the swarm; -1: not told.
type counts struct{ seeders, leechers, downloaded int32 }

var unknown = counts{-1, -1, -1}

func newCounts(seeders, leechers, downloaded int) counts {
	fit := func(n int) int32 { return int32(min(max(n, -1), math.MaxInt32)) }
	return counts{fit(seeders), fit(leechers), fit(downloaded)}
}

// most takes the larger of each count.
func (c counts) most(d counts) counts {
	return counts{max(c.seeders, d.seeders), max(c.leechers, d.leechers), max(c.downloaded, d.downloaded)}
}

// or fills in what is not told with what another source told.
func (c counts) or(d counts) counts {
	fill := func(n, other int32) int32 {
		if n < 0 {
			return other
		}
		return n
	}
	return counts{fill(c.seeders, d.seeders), fill(c.leechers, d.leechers), fill(c.downloaded, d.downloaded)}
}

// startSession forgets the session before, but not what is still under way, nor
// that the tracker counts us if it was not sent Stopped in time: after the new
// session's end at the latest it will be.
func (ep *endpoint) startSession() {
	ep.tried, ep.started, ep.works = false, false, false
	ep.owesCompleted, ep.toldCompleted, ep.owesStopped = false, false, false
	ep.walk, ep.nextAt, ep.notBefore, ep.retryAt, ep.fails = 0, 0, 0, 0, 0
	if !ep.retired {
		ep.err = ""
	}
}

// hung reports whether the announce under way has had its time.
func (ep *endpoint) hung(at instant) bool { return ep.flight != 0 && at >= ep.hangs() }

// hangs is when the announce under way no longer holds up the walk.
func (ep *endpoint) hangs() instant { return ep.began + instant(patience) }

// blocks reports whether an announce is under way that may be waited for.
func (ep *endpoint) blocks(at instant) bool { return ep.flight != 0 && !ep.hung(at) }

// alive reports whether the tracker knows us and answers, as far as is known. A
// Completed that is lost or hangs says nothing of that before a regular announce
// is due besides.
func (ep *endpoint) alive(at instant) bool {
	if !ep.started || !ep.works || ep.retired {
		return false
	}
	if ep.nextAt <= at && ep.fails > 0 {
		return false
	}
	return !ep.hung(at) || ep.event == Completed && ep.nextAt > at
}

// doubtful is when an endpoint that is alive, with an announce under way, will
// not seem to be any more.
func (ep *endpoint) doubtful() instant {
	switch {
	case ep.event != Completed:
		return ep.hangs()
	case ep.fails > 0:
		return ep.nextAt
	}
	return max(ep.hangs(), ep.nextAt)
}

// readyAt is when it may be announced to, if nothing is under way. In step says
// that its own interval is to be followed.
func (ep *endpoint) readyAt(inStep bool) instant {
	t := ep.retryAt
	if ep.started {
		t = max(t, ep.notBefore)
		if inStep && ep.works {
			t = max(t, ep.nextAt)
		}
	}
	return t
}

// free reports whether it can be announced to, sooner or later.
func (ep *endpoint) free() bool { return ep.flight == 0 && !ep.retired && !ep.owesStopped }

func (ep *endpoint) ready(at instant, inStep bool) bool {
	return ep.free() && ep.readyAt(inStep) <= at
}

// forced brings its next regular announce forward as far as it may be.
func (ep *endpoint) forced(at instant) {
	ep.nextAt = min(ep.nextAt, max(at, ep.notBefore))
}

// recovered takes in that the tracker answered at all.
func (ep *endpoint) recovered(resp *Response) {
	ep.fails, ep.err, ep.retryAt = 0, "", 0
	if resp.TrackerID != "" {
		ep.trackerID = resp.TrackerID
	}
}

// answered takes in an answer of this session.
func (ep *endpoint) answered(at instant, resp *Response) {
	ep.recovered(resp)
	ep.works = true
	ep.warning = resp.Warning
	ep.peers = int32(min(len(resp.Peers), math.MaxInt32))
	ep.counts = newCounts(resp.Complete, resp.Incomplete, resp.Downloaded)
	ep.interval = min(resp.Interval, MaxInterval)
	if ep.interval <= 0 {
		ep.interval = defaultInterval
	}
	ep.minimum = min(max(resp.MinInterval, 0), MaxInterval)
	ep.notBefore = at + instant(ep.minimum)
	ep.nextAt = at + instant(max(ep.interval, ep.minimum))
}

// failed takes in a failure that puts it off for at least delay.
func (ep *endpoint) failed(at instant, err error, delay time.Duration) {
	ep.err = printable(err.Error())
	if ep.fails < math.MaxInt32 {
		ep.fails++
	}
	if refusal := (*FailureError)(nil); errors.As(err, &refusal) {
		if refusal.RetryIn == Never {
			ep.retired = true
		}
		delay = max(delay, min(refusal.RetryIn, MaxInterval))
	}
	ep.retryAt = at + instant(delay)
}

// noRoute lists what systems say of addresses that they have no way to; the
// numbers are those of Windows.
var noRoute = []error{
	syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT,
	syscall.Errno(10047), syscall.Errno(10049), syscall.Errno(10051), syscall.Errno(10065),
}

func hasNoRoute(err error) bool {
	for _, e := range noRoute {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
