package conn

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// share is what everyone in line gets in turn: a block.
	share = blockSize
	// aloneShare is what somebody waits for at most when nobody else does: fewer
	// and longer waits at high rates.
	aloneShare = 64 << 10
	// mostBurst bounds what may pass at once after a pause, whatever the rate is.
	mostBurst = 4 << 20
)

// forever is the wait of who is not at the head of a line: until it is called.
const forever time.Duration = -1

// A Gate is a limit in bytes per second that any number of connections pass.
// The zero value lets everything through. Who finds too little waits in line:
// the first in it sleeps until there is a share for it, all others until they
// are called. So everybody in line gets the same, whatever it asks for, and
// nobody is passed over. Gates are safe for concurrent use, and must not be
// copied.
type Gate struct {
	limit atomic.Int64 // bytes a second; 0: none. Written under mu

	mu    sync.Mutex
	lim   *rate.Limiter // nil: no limit
	spare int           // bytes that were taken and given back
	line  []*pass       // who waits, in the order they came
}

// Set changes the limit, in bytes per second; 0 or less is none. It takes effect
// at once, on those that wait too.
func (g *Gate) Set(bytesPerSecond int64) {
	r := max(bytesPerSecond, 0)
	g.mu.Lock()
	defer g.mu.Unlock()
	if r == g.limit.Load() {
		return
	}
	g.limit.Store(r)
	switch {
	case r == 0:
		g.lim, g.spare = nil, 0
	case g.lim == nil:
		g.lim = rate.NewLimiter(rate.Limit(r), burst(r))
	default:
		now := time.Now()
		g.lim.SetLimitAt(now, rate.Limit(r))
		g.lim.SetBurstAt(now, burst(r))
		g.spare = min(g.spare, burst(r))
	}
	g.call()
}

// Limit returns the limit; rate.Inf: none.
func (g *Gate) Limit() rate.Limit {
	if r := g.limit.Load(); r > 0 {
		return rate.Limit(r)
	}
	return rate.Inf
}

// burst is what may pass at once after a pause: a quarter of a second's worth,
// so that a low rate does not come in gusts, but a block at least.
func burst(r int64) int { return int(min(max(r/4, share), mostBurst)) }

// ask takes at most want bytes, or none: then p is in line, and wait is how long
// to wait before asking again, unless p is called earlier. At least a share
// comes at once, or all of want when that is less.
func (g *Gate) ask(p *pass, want int) (n int, wait time.Duration) {
	if !p.queued && g.limit.Load() == 0 {
		return want, 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lim == nil {
		g.drop(p)
		return want, 0
	}
	if len(g.line) > 0 && g.line[0] != p {
		g.queue(p)
		return 0, forever
	}
	r, now := g.limit.Load(), time.Now()
	alone := len(g.line) == 0 || len(g.line) == 1 && p.queued
	least := min(want, share)
	if alone {
		least = min(want, max(share, int(min(r/64, aloneShare))))
	}
	have := g.spare + int(math.Floor(g.lim.TokensAt(now)))
	if have < least {
		g.queue(p)
		return 0, time.Duration(float64(least-have)/float64(r)*float64(time.Second)) + 1
	}
	n = least
	if alone {
		n = min(want, have)
	}
	g.take(n, now)
	g.drop(p)
	return n, 0
}

// take lowers what is there by n, below zero if need be.
func (g *Gate) take(n int, now time.Time) {
	k := min(n, g.spare)
	g.spare -= k
	for n -= k; n > 0; n -= k {
		k = min(n, g.lim.Burst()) // more at once is refused
		g.lim.ReserveN(now, k)
	}
}

// settle takes n bytes back that were not needed; with n below zero it notes
// bytes that passed without being asked for.
func (g *Gate) settle(n int) {
	if n == 0 || g.limit.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.lim == nil:
	case n > 0:
		g.spare = min(g.spare+n, g.lim.Burst())
		g.call()
	default:
		g.take(-n, time.Now())
	}
}

// leave takes p out of the line.
func (g *Gate) leave(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(p)
}

// queue puts p at the end of the line, unless it is in it. The caller has mu.
func (g *Gate) queue(p *pass) {
	if !p.queued {
		p.queued = true
		g.line = append(g.line, p)
	}
}

// drop is leave for callers that have mu.
func (g *Gate) drop(p *pass) {
	if !p.queued {
		return
	}
	p.queued = false
	i := slices.Index(g.line, p)
	if g.line = slices.Delete(g.line, i, i+1); len(g.line) == 0 {
		g.line = nil
	} else if i == 0 {
		g.call()
	}
}

// call wakes the head of the line. The caller has mu.
func (g *Gate) call() {
	if len(g.line) == 0 {
		return
	}
	select {
	case g.line[0].called <- struct{}{}:
	default:
	}
}
