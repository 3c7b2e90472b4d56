package client

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lineUp lets torrents wait for a tracker.
func lineUp(q *announcers, host string, n int, now time.Time) {
	for range n {
		q.want(new(announcing), "http://"+host+"/announce", now)
	}
}

func newQueue() *announcers {
	q := new(announcers)
	q.init(newScheduler(context.Background()))
	return q
}

// outcome is what became of the torrents whose turn came.
type outcome struct {
	flights []*flight
	refused map[string]int // by host
}

// take takes all that may begin at a time.
func take(q *announcers, now time.Time) (o outcome) {
	o.refused = make(map[string]int)
	for {
		before := make(map[*line]int)
		for _, l := range q.lines {
			before[l] = len(l.waiting)
		}
		if a, _ := q.next(now); a == nil {
			return o
		}
		for _, l := range q.lines { // as begin does, who knows by itself whom to tell
			if len(l.waiting) == before[l]-1 {
				if f, ok := q.admit("http://"+l.host, now); ok {
					o.flights = append(o.flights, f)
				} else {
					o.refused[l.host]++
				}
			}
		}
	}
}

func perHost(flights []*flight) map[string]int {
	n := make(map[string]int)
	for _, f := range flights {
		n[f.line.host]++
	}
	return n
}

func TestAnnouncersTakeTurns(t *testing.T) {
	q, now := newQueue(), time.Now()
	for i := range 3 {
		lineUp(q, fmt.Sprint("tracker", i), 5+100*i, now)
	}
	first := take(q, now)
	require.Equal(t, map[string]int{"tracker0": 2, "tracker1": 2, "tracker2": 2}, perHost(first.flights), "they have not answered yet")
	_, wake := q.next(now)
	require.Equal(t, now.Add(announceHangs), wake, "then those that hang give way")
	for _, f := range first.flights {
		q.ended(f, true)
	}
	got := take(q, now)
	require.Equal(t, map[string]int{"tracker0": 3, "tracker1": announcesAtOne, "tracker2": announcesAtOne}, perHost(got.flights))
}

// However many trackers are dead, and however many torrents wait for them, those
// that wait for another one are served in seconds, and those that wait for the
// dead ones are told so, so that they go on to their next tracker.
func TestRT20_DeadTrackersHoldNobodyUp(t *testing.T) {
	for _, dead := range []int{0, 1, 4, 10, 40} {
		q, now := newQueue(), time.Now()
		for i := range dead {
			lineUp(q, fmt.Sprint("dead", i), 300, now)
		}
		lineUp(q, "alive", 2000, now)
		alive, refused := 0, 0
		var done time.Duration
		at := now
		for ; len(q.turns) > 0 && at.Before(now.Add(10*time.Minute)); at = at.Add(50 * time.Millisecond) {
			o := take(q, at)
			for _, f := range o.flights {
				if f.line.host == "alive" {
					alive++
					q.ended(f, true)
				}
			}
			for _, n := range o.refused {
				refused += n
			}
			if alive == 2000 && done == 0 {
				done = at.Sub(now)
			}
		}
		t.Logf("%d dead: the living one has all after %v, all are served after %v", dead, done, at.Sub(now))
		require.Equal(t, 2000, alive)
		require.Less(t, done, 15*time.Second, "%d dead", dead)
		require.Less(t, at.Sub(now), time.Minute, "%d dead", dead)
		require.LessOrEqual(t, q.flying, dead*(announcesUnheard+announcesSilent))
		require.Equal(t, dead*300, refused+q.flying)
	}
}

// A tracker that was silent and answers again is asked for everybody again.
func TestAnnouncersHearAgain(t *testing.T) {
	q, now := newQueue(), time.Now()
	lineUp(q, "tracker", 100, now)
	hung := take(q, now).flights
	require.Len(t, hung, announcesUnheard)
	now = now.Add(announceHangs)
	o := take(q, now)
	require.Len(t, o.flights, announcesSilent-announcesUnheard)
	require.Equal(t, map[string]int{"tracker": 100 - announcesSilent}, o.refused)

	q.ended(hung[0], true)
	lineUp(q, "tracker", 100, now)
	o = take(q, now)
	require.Len(t, o.flights, announcesAtOne)
	require.Empty(t, o.refused)
	for _, f := range o.flights[:hangsInARow-1] { // a few that hang make no silent tracker
		f.began = now.Add(-announceHangs)
	}
	require.NotEmpty(t, take(q, now).flights)
}

func TestAnnouncersKeepAPace(t *testing.T) {
	q, now := newQueue(), time.Now()
	for i := range 50 {
		lineUp(q, fmt.Sprint("tracker", i), 100, now)
	}
	begun := 0
	at := now
	for ; len(q.turns) > 0; at = at.Add(10 * time.Millisecond) {
		flights := take(q, at).flights
		begun += len(flights)
		for _, f := range flights {
			q.ended(f, false)
		}
	}
	require.Equal(t, 5000, begun)
	require.InDelta(t, float64(5000-announceBurst)/announcesASecond, at.Sub(now).Seconds(), 1)
	require.Empty(t, q.lines, "nothing is kept of trackers that nobody waits for, and that have said nothing")
	require.Zero(t, q.flying+q.young)
}

// A torrent waits in one line at a time: for the tracker that it named last.
func TestAnnouncersOnce(t *testing.T) {
	q, now := newQueue(), time.Now()
	a := new(announcing)
	q.want(a, "http://one/announce", now)
	q.want(a, "http://two/announce", now)
	q.want(a, "http://two/announce", now)
	require.Equal(t, map[string]int{"two": 1}, perHost(take(q, now).flights))
	require.NotContains(t, q.lines, "one")
	q.want(a, "http://two/announce", now)
	require.Equal(t, map[string]int{"two": 1}, perHost(take(q, now).flights))
}

func TestHostOf(t *testing.T) {
	for u, host := range map[string]string{
		"http://Tracker.Example:80/key/announce": "tracker.example:80",
		"udp://[2001:db8::1]:6969":               "[2001:db8::1]:6969",
		"://":                                    "",
	} {
		require.Equal(t, host, hostOf(u))
	}
}
