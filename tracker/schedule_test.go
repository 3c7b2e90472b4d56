package tracker

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what happens into testdata/schedule; read the difference")

// story plays a Schedule against scripted trackers in fake time and writes down
// what is announced. Its commands:
//
//	tiers a,b c        a schedule for the tiers [a b] [c], not shuffled
//	tracker a WORDS    how a answers from now on: ok (at first), fail, refuse,
//	                   and interval=S min=S id=X retry=MIN|never takes=S
//	run S              let S seconds pass
//	start, start complete, complete, stop, force, add a,b c
//	status
type story struct {
	s        *Schedule
	now      time.Time
	start    time.Time
	trackers map[string]script
	flying   []flight
	log      strings.Builder
}

type script struct {
	ok, refuse    bool
	retry         time.Duration
	interval, min time.Duration
	takes         time.Duration
	id            string
}

type flight struct {
	due  Due
	ends time.Time
}

func newStory() *story {
	start := time.Unix(1_000_000, 0)
	return &story{now: start, start: start, trackers: map[string]script{}}
}

func splitTiers(args []string) (tiers [][]string) {
	for _, tier := range args {
		var urls []string
		for name := range strings.SplitSeq(tier, ",") {
			if !strings.Contains(name, ":") {
				name = "http://" + name
			}
			urls = append(urls, name)
		}
		tiers = append(tiers, urls)
	}
	return tiers
}

func (y *story) logf(format string, args ...any) {
	fmt.Fprintf(&y.log, "> %6d  ", int(y.now.Sub(y.start).Seconds()))
	fmt.Fprintf(&y.log, format+"\n", args...)
}

func (y *story) do(t *testing.T, line string) {
	f := strings.Fields(line)
	switch args := f[1:]; f[0] {
	case "tiers":
		y.s = NewSchedule(splitTiers(args), nil)
	case "tracker":
		y.trackers[args[0]] = parseScript(t, args[1:])
	case "start":
		y.s.Start(y.now, len(args) > 0)
	case "complete":
		y.s.Complete(y.now)
	case "stop":
		y.s.Stop(y.now)
	case "force":
		y.s.Force(y.now)
	case "add":
		y.s.AddTrackers(y.now, splitTiers(args))
	case "run":
		n, err := strconv.Atoi(args[0])
		require.NoError(t, err)
		y.run(t, y.now.Add(time.Duration(n)*time.Second))
	case "status":
		y.status()
	default:
		t.Fatalf("unknown command %q", line)
	}
}

func parseScript(t *testing.T, words []string) script {
	sc := script{ok: true, interval: 30 * time.Minute, min: time.Minute}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		d := time.Duration(n) * time.Second
		switch key {
		case "ok":
		case "fail":
			sc.ok = false
		case "refuse":
			sc.ok, sc.refuse = false, true
		case "retry":
			if sc.retry = d * 60; value == "never" {
				sc.retry = Never
			}
		case "interval":
			sc.interval = d
		case "min":
			sc.min = d
		case "takes":
			sc.takes = d
		case "id":
			sc.id = value
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	return sc
}

func (y *story) run(t *testing.T, until time.Time) {
	for steps := 0; ; steps++ {
		require.Less(t, steps, 10_000, "it never comes to rest")
		if i := slices.IndexFunc(y.flying, func(f flight) bool { return !f.ends.After(y.now) }); i >= 0 {
			f := y.flying[i]
			y.flying = slices.Delete(y.flying, i, i+1)
			y.land(f.due)
			continue
		}
		due, ok, wake := y.s.Next(y.now)
		if ok {
			name := strings.TrimPrefix(due.URL, "http://")
			word := due.Event.String()
			if word == "" {
				word = "-"
			}
			if due.TrackerID != "" {
				word += " id=" + due.TrackerID
			}
			y.logf("%s %s", name, word)
			for _, f := range y.flying {
				require.NotEqual(t, due.URL, f.due.URL, "two announces to one tracker at once")
				require.True(t, !y.s.running || f.due.Event == Stopped, "two announces at once")
			}
			y.flying = append(y.flying, flight{due, y.now.Add(y.script(name).takes)})
			continue
		}
		require.True(t, wake.IsZero() || wake.After(y.now), "wake at once, with nothing to do")
		for _, f := range y.flying {
			wake = earliest(wake, f.ends)
		}
		if wake.IsZero() || wake.After(until) {
			y.now = until
			return
		}
		y.now = wake
	}
}

func (y *story) script(name string) script {
	if sc, ok := y.trackers[name]; ok {
		return sc
	}
	return script{ok: true, interval: 30 * time.Minute, min: time.Minute}
}

func (y *story) land(due Due) {
	name := strings.TrimPrefix(due.URL, "http://")
	sc := y.script(name)
	switch {
	case sc.ok:
		y.s.Done(due, y.now, &Response{Interval: sc.interval, MinInterval: sc.min, TrackerID: sc.id, Complete: 1, Incomplete: 2}, nil)
		if sc.takes > 0 {
			y.logf("    %s answers", name)
		}
	case sc.refuse:
		y.s.Done(due, y.now, nil, &FailureError{Reason: "refused", RetryIn: sc.retry})
		y.logf("    %s refuses", name)
	default:
		y.s.Done(due, y.now, nil, errors.New("broken"))
		y.logf("    %s fails", name)
	}
}

func (y *story) status() {
	rel := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return fmt.Sprint(int(t.Sub(y.start).Seconds()))
	}
	for _, st := range y.s.Status() {
		fmt.Fprintf(&y.log, "> %s tier=%d last=%s next=%s fails=%d", strings.TrimPrefix(st.URL, "http://"), st.Tier, rel(st.Last), rel(st.Next), st.Fails)
		if st.Started {
			y.log.WriteString(" started")
		}
		if st.Completed {
			y.log.WriteString(" completed")
		}
		if st.Announcing {
			y.log.WriteString(" announcing")
		}
		if st.Retired {
			y.log.WriteString(" retired")
		}
		if st.Err != "" {
			fmt.Fprintf(&y.log, " err=%q", st.Err)
		}
		y.log.WriteString("\n")
	}
}

// The stories in testdata/schedule, each one or more of the rules. Lines with >
// are what is expected.
func TestScheduleStories(t *testing.T) {
	files, err := filepath.Glob("testdata/schedule/*.txt")
	require.NoError(t, err)
	require.Greater(t, len(files), 5)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			want := strings.ReplaceAll(string(raw), "\r\n", "\n")
			y := newStory()
			for line := range strings.Lines(want) {
				if strings.HasPrefix(line, ">") {
					continue
				}
				y.log.WriteString(line)
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					y.do(t, line)
				}
			}
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(y.log.String()), 0o644))
				return
			}
			require.Equal(t, want, y.log.String())
		})
	}
}

// Whatever happens in whatever order: one announce at a time, Started first,
// Completed once, Stopped last and only to those that know us, and never stuck.
func TestScheduleAnyHistory(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := NewSchedule([][]string{{"http://a", "udp://b:1", "wss://x"}, {"http://c"}}, rnd)
		now := time.Unix(1_000_000, 0)
		type told struct{ started, asked, completed, done bool }
		know := make(map[string]*told)
		var flying []Due
		running, complete, late := false, false, false
		for step := range 400 {
			if len(flying) > 0 && rnd.IntN(3) > 0 {
				i := rnd.IntN(len(flying))
				due := flying[i]
				flying = slices.Delete(flying, i, i+1)
				k := know[due.URL]
				switch rnd.IntN(4) {
				case 0:
					s.Done(due, now, nil, errors.New("no"))
				case 1:
					s.Done(due, now, nil, &FailureError{RetryIn: time.Minute})
				default:
					s.Done(due, now, &Response{Interval: time.Duration(rnd.IntN(100)) * time.Minute}, nil)
					k.started = k.started || due.Event == Started
					k.done = k.done || due.Event == Completed
				}
			}
			switch rnd.IntN(30) {
			case 0:
				if !running {
					running, complete = true, rnd.IntN(3) == 0
					for url, k := range know {
						if k.asked && late && complete {
							know[url] = &told{completed: true}
						} else {
							delete(know, url)
						}
					}
					late = false
					// What was under way belongs to the past.
					for _, due := range flying {
						s.Done(due, now, nil, errors.New("cut off"))
					}
					flying = nil
					s.Start(now, complete)
				}
			case 1:
				late = late || !running && !complete
				if running && !complete {
					for _, k := range know {
						k.completed = k.asked
					}
				}
				complete = true
				s.Complete(now)
			case 2:
				if rnd.IntN(3) == 0 {
					running = false
					s.Stop(now)
				}
			case 3:
				s.Force(now)
			case 4:
				s.AddTrackers(now, [][]string{{fmt.Sprintf("http://t%d", step)}})
			}
			due, ok, wake := s.Next(now)
			if !ok {
				busy := slices.ContainsFunc(flying, func(d Due) bool { return d.Event != Stopped })
				require.True(t, busy || !running || wake.After(now), "seed %d: stuck", seed)
				if !wake.IsZero() && len(flying) == 0 {
					now = wake
				}
				continue
			}
			k := know[due.URL]
			if k == nil {
				k = new(told)
				know[due.URL] = k
			}
			switch due.Event {
			case Started:
				require.False(t, k.started, "seed %d", seed)
				k.asked = true
			case None:
				require.True(t, k.started, "seed %d", seed)
			case Completed:
				require.True(t, k.started && k.completed && !k.done, "seed %d", seed)
			case Stopped:
				require.True(t, k.started && !running, "seed %d", seed)
				k.started = false
			}
			for _, other := range flying {
				require.True(t, !running && other.URL != due.URL || running && other.Event == Stopped, "seed %d: two at once", seed)
			}
			flying = append(flying, due)
		}
	}
}

// RT16: the back-off grows to an hour and no further, each wait a quarter more
// or less.
// The last piece is written when the session is over already: the next one tells
// of the completion, once, to who was told of the download.
func TestCompletedBehindStop(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := NewSchedule([][]string{{"http://a/"}}, nil)
	tell := func(want Event) {
		t.Helper()
		due, ok, _ := s.Next(now)
		require.True(t, ok, "want %v", want)
		require.Equal(t, want, due.Event)
		s.Done(due, now, &Response{}, nil)
	}
	nothing := func() {
		t.Helper()
		due, ok, _ := s.Next(now)
		require.False(t, ok, "%v", due.Event)
	}
	s.Start(now, false)
	tell(Started)
	s.Stop(now)
	s.Complete(now)
	tell(Stopped)
	s.Start(now, true)
	tell(Started)
	tell(Completed)
	s.Stop(now)
	tell(Stopped)
	s.Start(now, true)
	tell(Started)
	nothing()
}

// Started waits for the farewell of the session before.
func TestStartedBehindStopped(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := NewSchedule([][]string{{"http://a/"}}, nil)
	s.Start(now, false)
	due, _, _ := s.Next(now)
	s.Done(due, now, &Response{}, nil)
	s.Stop(now)
	farewell, ok, _ := s.Next(now)
	require.True(t, ok)
	s.Start(now, false)
	_, ok, wake := s.Next(now)
	require.False(t, ok, "two announces to one tracker at once")
	require.Zero(t, wake, "until the farewell has ended")
	s.Done(farewell, now, &Response{}, nil)
	due, ok, _ = s.Next(now)
	require.True(t, ok)
	require.Equal(t, Started, due.Event)
}

func TestBackoff(t *testing.T) {
	s := NewSchedule(nil, nil)
	for fails, want := range map[int]time.Duration{
		0: 30 * time.Second, 1: time.Minute, 6: 32 * time.Minute, 7: time.Hour, 8: time.Hour, 1 << 30: time.Hour,
	} {
		require.Equal(t, want, s.backoff(fails))
	}
	s.rnd = rand.New(rand.NewPCG(1, 2))
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := s.backoff(1)
		low, high = min(low, d), max(high, d)
	}
	require.GreaterOrEqual(t, low, 45*time.Second)
	require.Less(t, low, 46*time.Second)
	require.LessOrEqual(t, high, 75*time.Second)
	require.Greater(t, high, 74*time.Second)
}

// RT2: a simulated day with a tracker that asks for the least there is.
func TestAnnouncesInADay(t *testing.T) {
	y := newStory()
	y.do(t, "tiers a")
	y.do(t, "tracker a interval=60 min=60")
	y.do(t, "start")
	y.do(t, "run 86399")
	require.Equal(t, 24*60, strings.Count(y.log.String(), " a "))
}

func TestScheduleMisuse(t *testing.T) {
	now := time.Unix(1, 0)
	s := NewSchedule([][]string{{"http://a"}}, nil)
	s.Complete(now)
	s.Stop(now)
	s.Force(now)
	s.Done(Due{}, now, nil, nil)
	_, ok, wake := s.Next(now)
	require.False(t, ok)
	require.True(t, wake.IsZero())
	s.Start(now, false)
	s.Start(now, true)
	due, ok, _ := s.Next(now)
	require.True(t, ok)
	s.Done(due, now, nil, nil) // neither an answer nor an error
	s.Done(due, now, &Response{}, nil)
	require.Equal(t, 1, s.Status()[0].Fails)
	require.False(t, s.Status()[0].Started)
}
