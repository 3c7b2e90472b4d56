package discover

import (
	"sync"
	"time"

	"github.com/seed1734be99/starling/tracker"
)

// Trackers is a torrent's trackers: a schedule and a mutex around it. The
// client carries its answers out.
type Trackers struct {
	mu sync.Mutex
	s  *tracker.Schedule
}

// NewTrackers returns a schedule; nothing is due before Start.
func NewTrackers(cfg tracker.ScheduleConfig) *Trackers {
	return &Trackers{s: tracker.NewSchedule(cfg)}
}

// Start begins a session; complete: all data is there already.
func (t *Trackers) Start(now time.Time, complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Start(now, complete)
}

// Complete tells that the download is complete.
func (t *Trackers) Complete(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Complete(now)
}

// Stop ends the session: Next answers with what is to be told of it.
func (t *Trackers) Stop(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Stop(now)
}

// Force makes an announce due as soon as the trackers allow.
func (t *Trackers) Force(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Force(now)
}

// Add takes more trackers, for a torrent that was added again.
func (t *Trackers) Add(now time.Time, tiers [][]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.AddTrackers(now, tiers)
}

// SetPrivate uses one tracker at a time from now on (BEP 27).
func (t *Trackers) SetPrivate(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.SetPrivate(now)
}

// Peek returns the tracker of what Next would hand out, or when there may be
// something.
func (t *Trackers) Peek(now time.Time) (announceURL string, ok bool, wake time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Peek(now)
}

// Next returns an announce to be made, or when there may be one.
func (t *Trackers) Next(now time.Time) (tracker.Due, bool, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Next(now)
}

// Done reports how an announce ended, and says what to do with the answer.
func (t *Trackers) Done(d tracker.Due, now time.Time, r *tracker.Response, err error) tracker.Outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Done(d, now, r, err)
}

// Scraped records what a scrape of one of the trackers told.
func (t *Trackers) Scraped(announceURL string, seeders, leechers, downloaded int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Scraped(announceURL, seeders, leechers, downloaded)
}

// Status returns a snapshot of each tracker.
func (t *Trackers) Status() []tracker.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Status()
}
