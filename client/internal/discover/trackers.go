package discover

import (
	"math/rand/v2"
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

// NewTrackers returns the schedule of these tiers; nothing is due before Start.
func NewTrackers(tiers [][]string, rnd *rand.Rand) *Trackers {
	return &Trackers{s: tracker.NewSchedule(tiers, rnd)}
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

// Next returns an announce to be made, or when there may be one.
func (t *Trackers) Next(now time.Time) (tracker.Due, bool, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Next(now)
}

// Done reports how an announce ended.
func (t *Trackers) Done(d tracker.Due, now time.Time, r *tracker.Response, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Done(d, now, r, err)
}

// Status returns a snapshot of each tracker.
func (t *Trackers) Status() []tracker.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Status()
}
