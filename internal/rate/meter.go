package rate

import "time"

// Buckets of five seconds: short enough for a window of 20 s to follow a peer that changes its pace, and few enough
// that a thousand peers with a meter each way stay within the processor's cache.
const (
	bucketTime = 5 * time.Second
	buckets    = 12
)

// The windows that choking looks at. Any other window is rounded to whole buckets, at least one and at most Long.
const (
	Short = 20 * time.Second
	Long  = buckets * bucketTime
)

// A Meter counts bytes and tells their rate over the last seconds. The zero value is an empty meter; copies are
// independent. Not safe for concurrent use.
type Meter struct {
	total   int64
	first   time.Duration // when counting began
	ring    [buckets]int64
	current int32 // number of the newest bucket since the base; 5 s each, so enough for 340 years
	begun   bool
}

// Start marks the moment from which on bytes could have come, such as the begin of a connection. Without it a meter
// begins with its first Add, and a burst after a long silence looks faster than it was. Later calls do nothing.
func (m *Meter) Start(now time.Duration) {
	if m.begun {
		return
	}
	m.begun = true
	m.first = now
	m.current = bucketOf(now)
}

// Add counts n bytes at time now. Nothing is counted when n is zero or less. A now before an earlier one is taken
// for the earlier one's bucket.
func (m *Meter) Add(now time.Duration, n int64) {
	if n <= 0 {
		return
	}
	m.Start(now)
	m.advance(bucketOf(now))
	m.ring[ringIndex(m.current)] += n
	m.total += n
}

// Rate returns the bytes per second over the window that ends now. What is divided by is the time that the buckets
// of the window cover (window less up to five seconds, since the newest bucket is still filling), or the age of the
// meter where that is less, but at least one second. Rate changes nothing.
func (m *Meter) Rate(now time.Duration, window time.Duration) int64 {
	if !m.begun {
		return 0
	}
	newest := bucketOf(now)
	if newest < m.current { // the clock went back
		newest = m.current
		now = time.Duration(newest) * bucketTime
	}
	n := max(int32((min(window, Long)+bucketTime/2)/bucketTime), 1)
	var sum int64
	for b := max(newest-n+1, m.current-buckets+1); b <= m.current; b++ {
		sum += m.ring[ringIndex(b)]
	}
	covered := now - time.Duration(newest-n+1)*bucketTime
	covered = max(min(covered, now-m.first), time.Second)
	return perSecond(sum, covered)
}

// Total returns all bytes ever added.
func (m *Meter) Total() int64 { return m.total }

// advance makes bucket b the newest and empties those that come into use again.
func (m *Meter) advance(b int32) {
	if b <= m.current {
		return
	}
	if b-m.current >= buckets {
		m.ring = [buckets]int64{}
	} else {
		for i := m.current + 1; i <= b; i++ {
			m.ring[ringIndex(i)] = 0
		}
	}
	m.current = b
}

// perSecond divides without overflowing for any sum that a link can bring.
func perSecond(sum int64, d time.Duration) int64 {
	ms := d.Milliseconds()
	if sum > 1<<53 {
		return sum / ms * 1000
	}
	return sum * 1000 / ms
}

// bucketOf is a floored division, so that times before the base work as well.
func bucketOf(t time.Duration) int32 {
	b := t / bucketTime
	if t%bucketTime < 0 {
		b--
	}
	return int32(b)
}

// ringIndex is where the bucket lies in the ring, for negative numbers too.
func ringIndex(b int32) int32 {
	return (b%buckets + buckets) % buckets
}
