package client

import (
	"net/url"
	"strings"
	"sync"
	"time"
)

// How announces of all torrents together are spread: ten thousand torrents that
// are added at once are announced over some fifty seconds, the first hundred at
// once.
const (
	announcesAtOnce  = 64  // to all trackers, not counting those that hang
	announcesAtOne   = 16  // to one tracker, likewise
	announcesFlying  = 512 // with those that hang
	announcesASecond = 200
	announceBurst    = 100
	announceHangs    = 15 * time.Second // an announce this old hangs: others may begin
)

// announcers lets the announces of all torrents begin: few at a time, none of
// them held up by trackers that do not answer. Torrents wait in a line for each
// tracker; the lines take turns. It makes no announce itself.
type announcers struct {
	clock *scheduler
	alarm wakeup

	mu      sync.Mutex
	lines   map[string]*line // by the tracker's host
	turns   []*line          // those in which somebody waits
	running []*flight        // the eldest first
	young   int              // of running
	flying  int
	tokens  float64
	filled  time.Time // when tokens was right
}

// line is who waits for one tracker.
type line struct {
	host    string
	waiting []*announcing
	young   int
}

// flight is one announce under way.
type flight struct {
	line  *line
	began time.Time
	old   bool // it hangs, or it has ended
}

func (q *announcers) init(clock *scheduler) {
	q.clock = clock
	q.lines = make(map[string]*line)
	q.tokens = announceBurst
	q.alarm.run = q.pump
}

// hostOf is what a tracker's torrents share: its host and port.
func hostOf(announceURL string) string {
	if u, err := url.Parse(announceURL); err == nil {
		return strings.ToLower(u.Host)
	}
	return ""
}

// want puts a torrent that has something to announce in line. It is there once.
func (q *announcers) want(a *announcing, announceURL string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a.inLine {
		return
	}
	a.inLine = true
	host := hostOf(announceURL)
	l := q.lines[host]
	if l == nil {
		l = &line{host: host}
		q.lines[host] = l
	}
	if l.waiting = append(l.waiting, a); len(l.waiting) == 1 {
		q.turns = append(q.turns, l)
	}
	q.clock.at(&q.alarm, now)
}

// pump lets begin who may. The scheduler alone calls it.
func (q *announcers) pump(now time.Time) {
	for {
		a, f, wake := q.next(now)
		if a == nil {
			q.clock.at(&q.alarm, wake)
			return
		}
		if !a.begin(now, f) { // nothing is due any more
			q.ended(f)
			a.t.poke()
		}
	}
}

// next takes the torrent whose turn it is out of its line; or says when to look
// again, zero for when something ends.
func (q *announcers) next(now time.Time) (*announcing, *flight, time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.age(now)
	for range q.turns {
		l := q.turns[0]
		if q.young >= announcesAtOnce || q.flying >= announcesFlying {
			break
		}
		q.turns = q.turns[1:]
		if l.young >= announcesAtOne {
			q.turns = append(q.turns, l)
			continue
		}
		if wait := q.pay(now); wait > 0 {
			q.turns = append(q.turns, l)
			return nil, nil, now.Add(wait)
		}
		a := l.waiting[0]
		a.inLine = false
		l.waiting[0] = nil
		if l.waiting = l.waiting[1:]; len(l.waiting) > 0 {
			q.turns = append(q.turns, l)
		}
		return a, q.begun(l, now), time.Time{}
	}
	if len(q.turns) > 0 && len(q.running) > 0 {
		return nil, nil, q.running[0].began.Add(announceHangs)
	}
	return nil, nil, time.Time{}
}

// begun counts an announce; q.mu is held.
func (q *announcers) begun(l *line, now time.Time) *flight {
	f := &flight{line: l, began: now}
	q.running = append(q.running, f)
	q.young++
	q.flying++
	l.young++
	return f
}

// another counts an announce that begins beside one that has its turn: a
// tracker is told over each address family at once.
func (q *announcers) another(f *flight, now time.Time) *flight {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begun(f.line, now)
}

// ended counts an announce out.
func (q *announcers) ended(f *flight) {
	q.mu.Lock()
	q.flying--
	q.aged(f)
	waiting := len(q.turns) > 0
	q.mu.Unlock()
	if waiting {
		q.clock.at(&q.alarm, time.Now())
	}
}

// age stops counting the announces that hang; q.mu is held.
func (q *announcers) age(now time.Time) {
	for len(q.running) > 0 && (q.running[0].old || now.Sub(q.running[0].began) >= announceHangs) {
		q.aged(q.running[0])
		q.running[0] = nil
		q.running = q.running[1:]
	}
}

// aged counts one no longer among the young; q.mu is held.
func (q *announcers) aged(f *flight) {
	if f.old {
		return
	}
	f.old = true
	q.young--
	f.line.young--
	if f.line.young == 0 && len(f.line.waiting) == 0 {
		delete(q.lines, f.line.host)
	}
}

// pay takes a token, or says how long until there is one; q.mu is held.
func (q *announcers) pay(now time.Time) time.Duration {
	if !q.filled.IsZero() {
		q.tokens = min(announceBurst, q.tokens+now.Sub(q.filled).Seconds()*announcesASecond)
	}
	q.filled = now
	if q.tokens < 1 {
		return time.Duration((1 - q.tokens) / announcesASecond * float64(time.Second))
	}
	q.tokens--
	return 0
}
