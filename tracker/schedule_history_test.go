package tracker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// history plays a Schedule through a random life and holds what it does against
// the rules, which it keeps account of in the plainest way.
type history struct {
	t   *testing.T
	rnd *rand.Rand
	s   *Schedule
	now time.Time

	private           bool
	running, complete bool
	late              bool
	home              string // whose answers have been used
	farewells         int    // handed out since Stop
	knows             map[string]*knowledge
	flying            []flight
	announces         int
}

// knowledge is what an endpoint was told in this session, and whether it counts
// us, which outlives sessions.
type knowledge struct {
	url, name                       string
	there                           bool
	asked, started, owed, completed bool
	notBefore                       time.Time
}

func newHistory(t *testing.T, seed uint64) *history {
	rnd := rand.New(rand.NewPCG(seed, 1))
	h := &history{t: t, rnd: rnd, now: time.Unix(1_000_000, 0), knows: make(map[string]*knowledge)}
	cfg := ScheduleConfig{
		Trackers: [][]string{{"http://a", "udp://b:1", "wss://x"}, {"http://1.2.3.4/", "http://c"}, {"http://[::1]/"}},
		Families: [][]Family{nil, {IPv4}, {IPv4, IPv6}}[rnd.IntN(3)],
		All:      rnd.IntN(4) == 0, Private: rnd.IntN(3) == 0, Rand: rnd,
	}
	h.private = cfg.Private
	h.s = NewSchedule(cfg)
	return h
}

func (h *history) know(due Due) *knowledge {
	name := endpointName(due.URL, due.Family)
	if h.knows[name] == nil {
		h.knows[name] = &knowledge{url: due.URL, name: name}
	}
	return h.knows[name]
}

// event changes something from outside, or lets it be.
func (h *history) event() {
	switch h.rnd.IntN(24) {
	case 0:
		h.begin(h.rnd.IntN(3) == 0)
	case 1:
		if !h.complete && !h.running {
			h.late = true
		}
		if !h.complete && h.running {
			for _, k := range h.knows {
				k.owed = k.asked
			}
		}
		h.complete = true
		h.s.Complete(h.now)
	case 2:
		if h.rnd.IntN(3) == 0 {
			h.stop()
		}
	case 3:
		h.s.Force(h.now)
	case 4:
		if h.rnd.IntN(20) == 0 {
			h.s.AddTrackers(h.now, [][]string{{fmt.Sprintf("http://t%d", h.rnd.IntN(5)), "http://a"}})
		}
	case 5:
		if h.rnd.IntN(8) == 0 {
			h.private = true
			h.home = ""
			h.s.SetPrivate(h.now)
			if h.s.home != nil {
				h.home = h.s.home.url
			}
		}
	case 6: // faster than anything can be sent
		if h.rnd.IntN(6) == 0 {
			h.stop()
			h.begin(h.complete)
			if h.rnd.IntN(2) == 0 {
				h.stop()
			}
		}
	}
}

func (h *history) stop() {
	if h.running {
		h.running, h.farewells = false, 0
		h.s.Stop(h.now)
	}
}

func (h *history) begin(complete bool) {
	if h.running {
		return
	}
	h.running, h.complete, h.home = true, complete, ""
	for _, k := range h.knows {
		*k = knowledge{url: k.url, name: k.name, there: k.there, owed: h.late && complete && k.asked}
	}
	h.late = false
	h.s.Start(h.now, complete)
}

// handed checks an announce that was handed out.
func (h *history) handed(due Due) {
	t, k := h.t, h.know(due)
	name := endpointName(due.URL, due.Family)
	for _, f := range h.flying {
		require.NotEqual(t, name, endpointName(f.due.URL, f.due.Family), "two at once")
	}
	switch due.Event {
	case Started:
		require.True(t, h.running && !k.started)
		k.asked = true
	case None:
		require.True(t, h.running && k.started)
		require.False(t, h.now.Before(k.notBefore), "before the minimum interval")
	case Completed:
		require.True(t, h.complete && k.started && k.owed && !k.completed)
	case Stopped:
		require.True(t, k.there)
		require.True(t, !h.running || h.private)
		k.started, k.there = false, false
	}
	if !h.running {
		h.farewells++
		require.LessOrEqual(t, h.farewells, 2*3*(maxTrackers-500), "no end of farewells")
	}
	h.announces++
	takes := time.Duration(h.rnd.IntN(3)) * time.Second
	if h.rnd.IntN(5) == 0 {
		takes = time.Duration(h.rnd.IntN(60)) * time.Second
	}
	h.flying = append(h.flying, flight{due, h.now.Add(takes)})
}

// land ends an announce somehow.
func (h *history) land(due Due) {
	var err error
	switch h.rnd.IntN(12) {
	case 0, 1, 2:
		err = errors.New("no")
	case 3:
		err = &FailureError{RetryIn: time.Duration(h.rnd.IntN(3)) * time.Minute}
	case 4:
		err = ErrNoAddress
	case 5:
		if h.rnd.IntN(20) == 0 {
			err = &FailureError{RetryIn: Never}
		}
	}
	if err == nil {
		h.know(due).there = due.Event != Stopped
	}
	session := h.s.session
	if err != nil {
		require.Zero(h.t, h.s.Done(due, h.now, nil, err))
		return
	}
	resp := &Response{
		Interval:    time.Duration(h.rnd.IntN(100)) * time.Minute,
		MinInterval: time.Duration(h.rnd.IntN(20)) * time.Minute,
	}
	o := h.s.Done(due, h.now, resp, nil)
	require.Zero(h.t, h.s.Done(due, h.now, resp, nil), "done twice")
	if due.session != session || due.Event == Stopped {
		require.Zero(h.t, o)
		return
	}
	k := h.know(due)
	k.started = k.started || due.Event == Started
	k.completed = k.completed || due.Event == Completed
	k.notBefore = h.now.Add(resp.MinInterval)
	require.False(h.t, o.Use && !h.running)
	if h.private && o.Use {
		require.Equal(h.t, h.home != "" && h.home != due.URL, o.Switched)
		h.home = due.URL
	} else {
		require.False(h.t, o.Switched)
		require.True(h.t, o.Use || h.private || !h.running)
	}
}

// quiet checks the state in which nothing is due.
func (h *history) quiet(wake time.Time) {
	require.True(h.t, wake.IsZero() || wake.After(h.now), "a busy loop")
	c := h.s.clone()
	if wake.IsZero() {
		_, ok, _ := c.Peek(h.now.Add(48 * time.Hour))
		require.False(h.t, ok, "it sleeps for ever, with something to do")
	} else {
		_, ok, _ := c.Peek(wake.Add(-1))
		require.False(h.t, ok, "it sleeps for too long")
	}
	if !h.running {
		h.told("")
		return
	}
	var current string
	for _, st := range h.s.Status() {
		if st.Current {
			require.Empty(h.t, current, "two current trackers")
			current = st.URL
		}
	}
	if !h.private || current == "" {
		return
	}
	require.Equal(h.t, h.home, current)
	h.told(current)
	for _, st := range h.s.Status() {
		for _, ep := range st.Endpoints {
			require.True(h.t, st.URL == current || !ep.Started || ep.Announcing, "%s still counts us", st.URL)
		}
	}
}

// told checks that nobody goes on counting us but one tracker, except where an
// announce under way is in the way of Stopped.
func (h *history) told(but string) {
	for _, k := range h.knows {
		busy := slices.ContainsFunc(h.flying, func(f flight) bool { return endpointName(f.due.URL, f.due.Family) == k.name })
		require.True(h.t, !k.there || busy || k.url == but, "%s still counts us", k.name)
	}
}

// clone copies a schedule with all that belongs to it, and makes it look again.
func (s *Schedule) clone() *Schedule {
	c := *s
	c.rnd, c.quiet = nil, false
	c.tiers.list = slices.Clone(s.tiers.list)
	for i, e := range s.tiers.list {
		copied := *e
		copied.ends = slices.Clone(e.ends)
		c.tiers.list[i] = &copied
		for _, p := range []**entry{&c.current, &c.home, &c.trying} {
			if *p == e {
				*p = &copied
			}
		}
	}
	return &c
}

// step goes on to the next moment at which something happens.
func (h *history) step() {
	for i := 0; ; i++ {
		require.Less(h.t, i, 100, "no end of announces")
		_, would, _ := h.s.Peek(h.now)
		due, ok, wake := h.s.Next(h.now)
		require.Equal(h.t, would, ok)
		if ok {
			h.handed(due)
			continue
		}
		h.quiet(wake)
		next := h.now.Add(time.Duration(h.rnd.IntN(1200)) * time.Second)
		if !wake.IsZero() && wake.Before(next) {
			next = wake
		}
		for _, f := range h.flying {
			if f.ends.Before(next) {
				next = f.ends
			}
		}
		h.now = next
		break
	}
	for i := 0; i < len(h.flying); i++ {
		if f := h.flying[i]; !f.ends.After(h.now) {
			h.flying = slices.Delete(h.flying, i, i+1)
			h.land(f.due)
			i--
		}
	}
	h.event()
}

// T2, T3, T4, T7, T17, T18: whatever happens in whatever order, one announce at a
// time to an endpoint, Started first, Completed once, Stopped last and only to
// those that know us, nothing too early, one private tracker, and never stuck.
func TestScheduleAnyHistory(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			h := newHistory(t, seed)
			for range 500 {
				h.step()
			}
			require.Greater(t, h.announces, 20)
		})
	}
}
