package client

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed1734be99/starling/tracker"
)

// How announces of all torrents together are spread: ten thousand torrents that
// are added at once are announced over some fifty seconds, the first hundred at
// once.
const (
	announcesAtOnce  = 128  // to all trackers, not counting those that hang
	announcesFlying  = 1024 // with those that hang
	announcesAtOne   = 16   // to one tracker that answers
	announcesUnheard = 2    // to one that has not answered yet
	announcesSilent  = 4    // to one that does not answer, to see whether it does again
	announcesASecond = 200
	announceBurst    = 100
	announceHangs    = 15 * time.Second // an announce this old hangs: others may begin
	hangsInARow      = 8                // make a tracker that used to answer a silent one
	maxLines         = 4096             // trackers that are remembered while nobody waits for them
)

// errSilent is the outcome of an announce that is not made, since the tracker
// does not answer those of other torrents.
var errSilent = errors.New("not asked: the tracker does not answer for other torrents either")

// announcers lets the announces of all torrents begin: few at a time, and none
// of them held up by trackers that do not answer. Torrents wait in a line for
// each tracker; the lines take turns. A tracker that falls silent is asked for a
// few torrents only: for the others the announce fails at once, so that they go
// on to their next tracker. It makes no announce itself.
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

// line is one tracker, and who waits for it.
type line struct {
	host    string
	waiting []place
	young   int
	flying  int
	heard   hearing
	hung    int // announces since the last answer
}

// hearing is what is known of a tracker.
type hearing uint8

const (
	unheard hearing = iota
	answers
	silent
)

// place is a torrent's in a line; it has left it if its number is another now.
type place struct {
	a  *announcing
	no int
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

// want puts a torrent that has something to announce in the line of that
// tracker. If it stands in another one, it leaves that.
func (q *announcers) want(a *announcing, announceURL string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.line(hostOf(announceURL))
	if a.in == l {
		return
	}
	a.in = l
	a.place++
	if l.waiting = append(l.waiting, place{a, a.place}); len(l.waiting) == 1 {
		q.turns = append(q.turns, l)
	}
	q.clock.at(&q.alarm, now)
}

// line returns the line of a tracker; q.mu is held.
func (q *announcers) line(host string) *line {
	l := q.lines[host]
	if l == nil {
		l = &line{host: host}
		q.lines[host] = l
	}
	return l
}

// pump lets begin who may. The scheduler alone calls it.
func (q *announcers) pump(now time.Time) {
	for {
		a, wake := q.next(now)
		if a == nil {
			q.clock.at(&q.alarm, wake)
			return
		}
		if !a.begin(now) { // nothing is due any more
			a.t.poke()
		}
	}
}

// next takes the torrent whose turn it is out of its line; or says when to look
// again, zero for when something ends.
func (q *announcers) next(now time.Time) (*announcing, time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.age(now)
	var wait time.Duration
	for range len(q.turns) {
		l := q.turns[0]
		q.turns = q.turns[1:]
		for len(l.waiting) > 0 && l.waiting[0].no != l.waiting[0].a.place {
			l.pop() // it has left
		}
		if len(l.waiting) == 0 {
			q.forget(l)
			continue
		}
		if !l.full() {
			free := q.young < announcesAtOnce && q.flying < announcesFlying && l.young < l.most()
			if free {
				wait = q.pay(now)
			}
			if !free || wait > 0 {
				q.turns = append(q.turns, l)
				if wait > 0 {
					return nil, now.Add(wait)
				}
				continue
			}
		}
		a := l.pop()
		a.in = nil
		if len(l.waiting) > 0 {
			q.turns = append(q.turns, l)
		}
		return a, time.Time{}
	}
	if len(q.turns) > 0 && len(q.running) > 0 {
		return nil, q.running[0].began.Add(announceHangs)
	}
	return nil, time.Time{}
}

func (l *line) pop() *announcing {
	a := l.waiting[0].a
	l.waiting[0] = place{}
	l.waiting = l.waiting[1:]
	return a
}

// most is how many may be under way, not counting those that hang.
func (l *line) most() int {
	if l.heard == unheard {
		return announcesUnheard
	}
	return announcesAtOne
}

// full reports whether the tracker is silent, and asked often enough.
func (l *line) full() bool { return l.heard == silent && l.flying >= announcesSilent }

// admit counts an announce that begins; not ok: it is not to be made.
func (q *announcers) admit(announceURL string, now time.Time) (f *flight, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.line(hostOf(announceURL))
	if l.full() {
		return nil, false
	}
	f = &flight{line: l, began: now, old: l.heard == silent}
	l.flying++
	q.flying++
	if !f.old {
		q.running = append(q.running, f)
		q.young++
		l.young++
	}
	return f, true
}

// ended counts an announce out. Heard says that the tracker gave an answer,
// whatever it was.
func (q *announcers) ended(f *flight, heard bool) {
	q.mu.Lock()
	q.flying--
	f.line.flying--
	if heard {
		f.line.heard, f.line.hung = answers, 0
	}
	q.aged(f)
	q.forget(f.line)
	waiting := len(q.turns) > 0
	q.mu.Unlock()
	if waiting {
		q.clock.at(&q.alarm, time.Now())
	}
}

// age stops counting the announces that hang; q.mu is held.
func (q *announcers) age(now time.Time) {
	for len(q.running) > 0 && (q.running[0].old || now.Sub(q.running[0].began) >= announceHangs) {
		f := q.running[0]
		q.running[0] = nil
		q.running = q.running[1:]
		if f.old {
			continue
		}
		l := f.line
		if l.hung++; l.heard == unheard || l.hung >= hangsInARow {
			l.heard = silent
		}
		q.aged(f)
	}
}

// aged counts one no longer among the young; q.mu is held.
func (q *announcers) aged(f *flight) {
	if !f.old {
		f.old = true
		q.young--
		f.line.young--
	}
}

// forget drops a line that nobody needs, and that tells nothing; q.mu is held.
func (q *announcers) forget(l *line) {
	if len(l.waiting) == 0 && l.flying == 0 && (l.heard == unheard || len(q.lines) > maxLines) {
		delete(q.lines, l.host)
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

// answered reports whether the outcome of an announce is one that the tracker
// itself brought about.
func answered(err error) bool {
	return err == nil || errors.As(err, new(*tracker.FailureError)) || errors.As(err, new(*tracker.StatusError)) ||
		errors.Is(err, tracker.ErrMalformed) || errors.Is(err, tracker.ErrTooLarge)
}
