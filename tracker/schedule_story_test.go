package tracker

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what happens into testdata/schedule; read the difference")

// story plays a Schedule against scripted trackers in fake time and writes down
// what is announced. Its commands:
//
//	with WORDS         of the schedule to come: private, all, dual (both families)
//	tiers a,b c        a schedule for the tiers [a b] [c], not shuffled
//	tracker a WORDS    how a answers from now on: ok (at first), fail, refuse,
//	                   noaddress, noroute and interval=S min=S id=X
//	                   retry=MIN|never takes=S; a/4 and a/6 are its endpoints
//	run S              let S seconds pass
//	start, start complete, complete, stop, force, add a,b c, private
//	scraped a SEEDS LEECHES TIMES
//	status
type story struct {
	cfg      ScheduleConfig
	s        *Schedule
	now      time.Time
	start    time.Time
	trackers map[string]script
	flying   []flight
	log      strings.Builder
}

type script struct {
	err           error // nil: it answers
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
			if !strings.Contains(name, "://") {
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
	case "with":
		y.cfg = ScheduleConfig{}
		for _, word := range args {
			switch word {
			case "private":
				y.cfg.Private = true
			case "all":
				y.cfg.All = true
			case "dual":
				y.cfg.Families = []Family{IPv4, IPv6}
			default:
				t.Fatalf("unknown word %q", word)
			}
		}
	case "tiers":
		y.cfg.Trackers = splitTiers(args)
		y.s = NewSchedule(y.cfg)
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
	case "private":
		y.s.SetPrivate(y.now)
	case "add":
		y.s.AddTrackers(y.now, splitTiers(args))
	case "scraped":
		y.s.Scraped(splitTiers(args[:1])[0][0], atoi(args[1]), atoi(args[2]), atoi(args[3]))
	case "run":
		y.run(t, y.now.Add(time.Duration(atoi(args[0]))*time.Second))
	case "status":
		y.status()
	default:
		t.Fatalf("unknown command %q", line)
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func parseScript(t *testing.T, words []string) script {
	sc := script{interval: 30 * time.Minute, min: time.Minute}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		d := time.Duration(n) * time.Second
		switch key {
		case "ok":
		case "fail":
			sc.err = errors.New("broken")
		case "noaddress":
			sc.err = fmt.Errorf("announce: %w", ErrNoAddress)
		case "noroute":
			sc.err = fmt.Errorf("dial: %w", syscall.ENETUNREACH)
		case "refuse":
			sc.err = &FailureError{Reason: "refused"}
		case "retry":
			retry := d * 60
			if value == "never" {
				retry = Never
			}
			sc.err = &FailureError{Reason: "refused", RetryIn: retry}
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

// endpointName is how a story calls an endpoint: a, or a/4 and a/6.
func endpointName(url string, f Family) string {
	name := strings.TrimPrefix(url, "http://")
	if f != AnyFamily {
		name += "/" + f.String()[3:]
	}
	return name
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
		url, would, when := y.s.Peek(y.now)
		due, ok, wake := y.s.Next(y.now)
		require.Equal(t, ok, would)
		require.Equal(t, due.URL, url)
		require.Equal(t, wake, when)
		if ok {
			y.fly(t, due)
			continue
		}
		require.True(t, wake.IsZero() || wake.After(y.now), "wake at once, with nothing to do")
		for _, f := range y.flying {
			if wake.IsZero() || f.ends.Before(wake) {
				wake = f.ends
			}
		}
		if wake.IsZero() || wake.After(until) {
			y.now = until
			return
		}
		y.now = wake
	}
}

func (y *story) fly(t *testing.T, due Due) {
	name := endpointName(due.URL, due.Family)
	word := due.Event.String()
	if word == "" {
		word = "-"
	}
	if due.TrackerID != "" {
		word += " id=" + due.TrackerID
	}
	if due.Failing && due.Event == Stopped {
		word += " (fails)"
	}
	y.logf("%s %s", name, word)
	for _, f := range y.flying {
		require.NotEqual(t, name, endpointName(f.due.URL, f.due.Family), "two announces to one endpoint at once")
	}
	y.flying = append(y.flying, flight{due, y.now.Add(y.script(due).takes)})
}

func (y *story) script(due Due) script {
	name := endpointName(due.URL, due.Family)
	if sc, ok := y.trackers[name]; ok {
		return sc
	}
	name, _, _ = strings.Cut(name, "/")
	if sc, ok := y.trackers[name]; ok {
		return sc
	}
	return script{interval: 30 * time.Minute, min: time.Minute}
}

func (y *story) land(due Due) {
	name, sc := endpointName(due.URL, due.Family), y.script(due)
	if sc.err != nil {
		y.s.Done(due, y.now, nil, sc.err)
		verb := "fails"
		if errors.As(sc.err, new(*FailureError)) {
			verb = "refuses"
		}
		y.logf("    %s %s", name, verb)
		return
	}
	o := y.s.Done(due, y.now, &Response{
		Interval: sc.interval, MinInterval: sc.min, TrackerID: sc.id,
		Complete: 1, Incomplete: 2, Downloaded: -1, Peers: make([]Peer, 3),
	}, nil)
	var notes string
	if o.Switched {
		notes += ", a switch"
	}
	if !o.Use && due.Event != Stopped {
		notes += ", not used"
	}
	if sc.takes > 0 || notes != "" {
		y.logf("    %s answers%s", name, notes)
	}
}

func (y *story) status() {
	for _, st := range y.s.Status() {
		fmt.Fprintf(&y.log, "> %s tier=%d", strings.TrimPrefix(st.URL, "http://"), st.Tier)
		if st.Current {
			y.log.WriteString(" current")
		}
		y.facts(EndpointStatus{
			Announcing: st.Announcing, Started: st.Started, Completed: st.Completed,
			Retired: st.Retired, Unsupported: st.Unsupported, Last: st.Last, Next: st.Next,
			Fails: st.Fails, Err: st.Err, Peers: st.Peers, Seeders: st.Seeders,
		})
		if len(st.Endpoints) > 1 || st.Endpoints[0].Family != AnyFamily {
			for _, ep := range st.Endpoints {
				fmt.Fprintf(&y.log, ">   %s", ep.Family)
				y.facts(ep)
			}
		}
	}
}

func (y *story) facts(st EndpointStatus) {
	rel := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return fmt.Sprint(int(t.Sub(y.start).Seconds()))
	}
	fmt.Fprintf(&y.log, " last=%s next=%s fails=%d", rel(st.Last), rel(st.Next), st.Fails)
	if st.Seeders != -1 {
		fmt.Fprintf(&y.log, " seeders=%d peers=%d", st.Seeders, st.Peers)
	}
	words := []string{"started", "completed", "announcing", "retired", "unsupported"}
	for i, is := range []bool{st.Started, st.Completed, st.Announcing, st.Retired, st.Unsupported} {
		if is {
			y.log.WriteString(" " + words[i])
		}
	}
	if st.Err != "" {
		fmt.Fprintf(&y.log, " err=%q", st.Err)
	}
	y.log.WriteString("\n")
}

// tellStory plays one file and holds its record against what the file says.
func tellStory(t *testing.T, file string) {
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
}

// stories plays all files of a row: its name, or its name and more behind a dash.
func stories(t *testing.T, pattern string, atLeast int) {
	t.Helper()
	files, err := filepath.Glob("testdata/schedule/" + pattern + ".txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), atLeast)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { tellStory(t, file) })
	}
}
