package tracker

import (
	"errors"
	"time"
)

// Status is what is known of one tracker: a snapshot to show to a user.
type Status struct {
	URL         string
	Tier        int       // 0 is the first
	Announcing  bool      // an announce is under way
	Started     bool      // it knows us: it answered this session's Started
	Completed   bool      // it was told of this session's completion, and answered
	Retired     bool      // it is not asked any more: it said so, or its URL is of no use to us
	Last        time.Time // when the last announce ended; zero: none yet
	Next        time.Time // when it will be asked again as far as is known; zero: when its turn comes
	Fails       int       // in a row
	Err         string    // why the last announce failed; empty: it did not
	Warning     string    // from the last answer
	Peers       int       // in the last answer
	Seeders     int       // known to the tracker; -1: not told
	Leechers    int       // likewise
	Downloaded  int       // how often it was completed, ever; -1: not told
	Interval    time.Duration
	MinInterval time.Duration
}

// Status returns what is known of each tracker, in the order in which they are
// tried.
func (s *Schedule) Status() []Status {
	list := make([]Status, 0, s.tiers.n)
	for tier, e := range s.tiers.all() {
		st := Status{
			URL: e.url, Tier: tier,
			Announcing: e.flying > 0, Started: e.started, Completed: e.toldCompleted, Retired: e.retired,
			Last: e.last, Fails: e.fails, Err: e.err,
			Warning: e.resp.Warning, Peers: e.peers,
			Seeders: e.resp.Complete, Leechers: e.resp.Incomplete, Downloaded: e.resp.Downloaded,
			Interval: e.resp.Interval, MinInterval: e.resp.MinInterval,
		}
		switch {
		case !s.running || e.retired || e.flying > 0:
		case e.retryAt.After(e.last):
			st.Next = e.retryAt
		case e == s.current:
			st.Next = s.nextWalk
		}
		list = append(list, st)
	}
	return list
}

// entry is one tracker in a Schedule.
type entry struct {
	url       string
	trackerID string // BEP 3 practice: kept when a later answer omits it
	retired   bool
	flying    int  // announces under way
	leaving   bool // one of them is Stopped

	// Of this session.
	tried         bool // Started was sent
	started       bool // and answered
	owesCompleted bool // Completed is to be sent and has not been answered
	toldCompleted bool
	owesStopped   bool
	walk          int // the last walk that tried it

	// Of the last announces.
	last      time.Time
	notBefore time.Time // the minimum interval after the last answer
	retryAt   time.Time // the back-off after the last failure
	fails     int
	err       string
	resp      Response // the last answer, without its peers
	peers     int
}

func newEntry(u string) *entry {
	e := &entry{url: u, resp: Response{Complete: -1, Incomplete: -1, Downloaded: -1}}
	if _, err := parseURL(u); err != nil {
		// Shown, never tried, and no reason to fail the torrent.
		e.retired = true
		e.err = printable(err.Error())
	}
	return e
}

func (e *entry) startSession() {
	e.tried, e.started, e.owesCompleted, e.toldCompleted, e.owesStopped = false, false, false, false, false
	e.notBefore, e.retryAt, e.fails = time.Time{}, time.Time{}, 0
	if !e.retired {
		e.err = ""
	}
}

// answered takes in a successful answer.
func (e *entry) answered(now time.Time, resp *Response) {
	e.fails, e.err, e.retryAt = 0, "", time.Time{}
	e.peers = len(resp.Peers)
	e.resp = *resp
	e.resp.Peers = nil
	if e.resp.Interval <= 0 {
		e.resp.Interval = defaultInterval
	}
	if resp.TrackerID != "" {
		e.trackerID = resp.TrackerID
	}
	e.notBefore = now.Add(max(e.resp.MinInterval, 0))
}

// interval is how long the tracker's last answer lasts.
func (e *entry) interval() time.Duration { return max(e.resp.Interval, e.resp.MinInterval) }

// failed takes in a failure that puts the tracker off for at least delay.
func (e *entry) failed(now time.Time, err error, delay time.Duration) {
	e.err = printable(err.Error())
	e.fails++
	if refusal := (*FailureError)(nil); errors.As(err, &refusal) {
		if refusal.RetryIn == Never {
			e.retired = true
		}
		delay = max(delay, min(refusal.RetryIn, MaxInterval))
	}
	e.retryAt = now.Add(delay)
}
