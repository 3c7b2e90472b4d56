package client

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/seed1734be99/starling/tracker"
)

const (
	goodbyeTime   = 5 * time.Second // bounds the announces of "stopped" (T4)
	shortGoodbye  = time.Second     // for trackers that failed when they were last asked
	goodbyesAtOne = 256             // at once, to one tracker
	udpGoodbyes   = 512             // the same over UDP: as many answers as a socket holds
)

// farewell tells the trackers of some torrents that these have stopped: side by
// side, a bounded number at a time to each tracker, so that dead ones hold
// nobody up.
type farewell struct {
	c   *Client
	ctx context.Context
	wg  sync.WaitGroup

	mu    sync.Mutex
	lines map[string]*goodbyes // by the tracker's host
}

// goodbyes is what one tracker is to hear.
type goodbyes struct {
	waiting []goodbye
	tellers int
	dead    bool // it failed before and does not answer now either: the rest is not tried
}

type goodbye struct {
	a   *announcing
	due tracker.Due
}

// goodbye waits until everything due was told, or ctx has ended. The counters
// of the torrents are final, and their sessions ended.
func (c *Client) goodbye(ctx context.Context, list ...*announcing) {
	f := &farewell{c: c, ctx: ctx, lines: make(map[string]*goodbyes)}
	for _, a := range list {
		f.take(a)
	}
	f.wg.Wait()
}

// take queues what is due of a torrent. The end of one announce may make the
// next one due.
func (f *farewell) take(a *announcing) {
	for {
		due, ok, _ := a.schedule.Next(time.Now())
		if !ok {
			return
		}
		f.mu.Lock()
		host := hostOf(due.URL)
		l := f.lines[host]
		if l == nil {
			l = new(goodbyes)
			f.lines[host] = l
		}
		l.waiting = append(l.waiting, goodbye{a, due})
		most := goodbyesAtOne
		if strings.HasPrefix(due.URL, "udp:") {
			most = udpGoodbyes
		}
		if l.tellers < most {
			l.tellers++
			f.wg.Go(func() { f.tell(l) })
		}
		f.mu.Unlock()
	}
}

// tell works through one tracker's line.
func (f *farewell) tell(l *goodbyes) {
	for {
		f.mu.Lock()
		if len(l.waiting) == 0 {
			l.tellers--
			f.mu.Unlock()
			return
		}
		g, dead := l.waiting[0], l.dead
		l.waiting = l.waiting[1:]
		f.mu.Unlock()
		if err := f.say(g, dead && g.due.Failing); g.due.Failing && errors.Is(err, context.DeadlineExceeded) {
			f.mu.Lock()
			l.dead = true
			f.mu.Unlock()
		}
		f.take(g.a)
	}
}

func (f *farewell) say(g goodbye, dead bool) error {
	ctx, cancel := f.ctx, func() {}
	if dead {
		ctx, cancel = context.WithTimeout(ctx, 0)
	} else if g.due.Failing {
		ctx, cancel = context.WithTimeout(ctx, shortGoodbye)
	}
	defer cancel()
	r, err := f.c.trackers.Announce(ctx, g.due.URL, g.a.request(&g.due))
	g.a.schedule.Done(g.due, time.Now(), &r, err)
	return err
}
