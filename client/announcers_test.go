package client

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lineUp makes a queue without a clock, and torrents that wait for a tracker.
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

// take takes all that may begin at a time.
func take(q *announcers, now time.Time) (flights []*flight) {
	for {
		a, f, _ := q.next(now)
		if a == nil {
			return flights
		}
		flights = append(flights, f)
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
	for i := range 6 {
		lineUp(q, fmt.Sprint("tracker", i), 5+100*(i%2), now)
	}
	got := perHost(take(q, now))
	total := 0
	for i := range 6 {
		n := got[fmt.Sprint("tracker", i)]
		require.GreaterOrEqual(t, n, 5, "a short line is served in whole")
		require.LessOrEqual(t, n, announcesAtOne)
		total += n
	}
	require.Equal(t, 3*5+3*announcesAtOne, total)
	_, _, wake := q.next(now)
	require.Equal(t, now.Add(announceHangs), wake, "then those that hang give way")
}

func TestAnnouncersThatHangGiveWay(t *testing.T) {
	q, now := newQueue(), time.Now()
	lineUp(q, "dead", 1000, now)
	lineUp(q, "alive", 100, now)
	alive, dead := 0, 0
	for at := now; at.Before(now.Add(time.Minute)); at = at.Add(100 * time.Millisecond) {
		for _, f := range take(q, at) {
			if f.line.host == "alive" {
				alive++
				q.ended(f)
			} else {
				dead++
			}
		}
		if at.Sub(now) > time.Second {
			require.Equal(t, 100, alive, "the dead tracker holds nobody up")
		}
	}
	require.Equal(t, 4*announcesAtOne, dead, "sixteen in fifteen seconds")
	require.LessOrEqual(t, q.flying, announcesFlying)
}

func TestAnnouncersKeepAPace(t *testing.T) {
	q, now := newQueue(), time.Now()
	for i := range 50 {
		lineUp(q, fmt.Sprint("tracker", i), 100, now)
	}
	begun := 0
	at := now
	for ; len(q.turns) > 0; at = at.Add(10 * time.Millisecond) {
		flights := take(q, at)
		begun += len(flights)
		for _, f := range flights {
			q.ended(f)
		}
	}
	require.Equal(t, 5000, begun)
	require.InDelta(t, float64(5000-announceBurst)/announcesASecond, at.Sub(now).Seconds(), 1)
	require.Empty(t, q.lines, "nothing is kept of trackers that nobody waits for")
	require.Zero(t, q.flying+q.young)
}

// A torrent waits in one line at a time.
func TestAnnouncersOnce(t *testing.T) {
	q, now := newQueue(), time.Now()
	a := new(announcing)
	q.want(a, "http://one/announce", now)
	q.want(a, "http://two/announce", now)
	require.Len(t, take(q, now), 1)
	q.want(a, "http://two/announce", now)
	require.Len(t, take(q, now), 1)
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
