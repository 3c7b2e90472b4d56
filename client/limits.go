package client

import (
	"time"

	"golang.org/x/time/rate"
)

// burst is what may pass at once after a pause: at least the largest piece
// that a connection asks for at a time.
const burst = 1 << 20

// limit is a rate that can be changed while it is used. It implements
// conn.Limiter.
type limit struct{ r *rate.Limiter }

func newLimit(bytesPerSecond int64) limit {
	l := limit{rate.NewLimiter(rate.Inf, burst)}
	l.set(bytesPerSecond)
	return l
}

func (l limit) set(bytesPerSecond int64) {
	if bytesPerSecond <= 0 {
		l.r.SetLimit(rate.Inf)
		return
	}
	l.r.SetLimit(rate.Limit(bytesPerSecond))
	// A quarter of a second at once, so that a low rate does not come in gusts.
	l.r.SetBurst(int(min(max(bytesPerSecond/4, 16<<10), burst)))
}

// Reserve takes n bytes, now or in the future, and says how long to wait.
// More than a burst is taken in steps: rate.Limiter refuses it at once.
func (l limit) Reserve(n int) time.Duration {
	if l.r.Limit() == rate.Inf {
		return 0
	}
	now := time.Now()
	var wait time.Duration
	for n > 0 {
		step := min(n, l.r.Burst())
		wait = l.r.ReserveN(now, step).DelayFrom(now)
		n -= step
	}
	return wait
}

// limits are the rates of a whole client.
type limits struct{ up, down limit }

func newLimits(l Limits) *limits {
	return &limits{newLimit(l.Upload), newLimit(l.Download)}
}

func (l *limits) set(n Limits) {
	l.up.set(n.Upload)
	l.down.set(n.Download)
}

// both takes from several limits, and waits for the slowest.
type both []limit

// Reserve implements conn.Limiter.
func (b both) Reserve(n int) time.Duration {
	var wait time.Duration
	for _, l := range b {
		wait = max(wait, l.Reserve(n))
	}
	return wait
}
