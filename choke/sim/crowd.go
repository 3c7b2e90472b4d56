package sim

import (
	"math/rand/v2"
	"time"
)

// A member is one peer of the crowd to come.
type member struct {
	class   int
	arrives time.Duration
}

// crowd lists all peers in the order of their arrival, the seeds first.
func (s *Scenario) crowd(rng *rand.Rand) []member {
	var seeds, others []member
	for i := range s.Classes {
		for range s.Classes[i].Count {
			if s.Classes[i].Seed {
				seeds = append(seeds, member{class: i})
			} else {
				others = append(others, member{class: i})
			}
		}
	}
	rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	if s.ArrivalRate > 0 {
		var at float64
		for i := range others {
			at += rng.ExpFloat64() / s.ArrivalRate
			others[i].arrives = time.Duration(at * float64(time.Second))
		}
	}
	return append(seeds, others...)
}

// A tracker knows who is there and who is connected to whom, and brings peers together at random: a newcomer asks for
// as many as it wants to be connected to, and so does a peer that has lost half of them. Whoever has twice as many
// takes no more.
type tracker struct {
	rng       *rand.Rand
	want      int
	present   []int
	at        []int // place in present; -1: not there
	neighbour [][]int
	useless   func(a, b int) bool // both are complete
}

func newTracker(s *Scenario, n int, rng *rand.Rand, useless func(a, b int) bool) *tracker {
	t := &tracker{rng: rng, want: s.Connections, at: make([]int, n), neighbour: make([][]int, n), useless: useless}
	for i := range t.at {
		t.at[i] = -1
	}
	return t
}

func (t *tracker) connected(a, b int) bool {
	if len(t.neighbour[a]) > len(t.neighbour[b]) {
		a, b = b, a
	}
	for _, x := range t.neighbour[a] {
		if x == b {
			return true
		}
	}
	return false
}

func (t *tracker) link(a, b int) {
	t.neighbour[a] = append(t.neighbour[a], b)
	t.neighbour[b] = append(t.neighbour[b], a)
}

// unlink ends a connection.
func (t *tracker) unlink(a, b int) {
	remove := func(a, b int) {
		l := t.neighbour[a]
		for i, x := range l {
			if x == b {
				l[i] = l[len(l)-1]
				t.neighbour[a] = l[:len(l)-1]
				return
			}
		}
	}
	remove(a, b)
	remove(b, a)
}

func (t *tracker) enter(i int) {
	t.at[i] = len(t.present)
	t.present = append(t.present, i)
}

func (t *tracker) leave(i int) {
	last := t.present[len(t.present)-1]
	t.present[t.at[i]], t.at[last] = last, t.at[i]
	t.present = t.present[:len(t.present)-1]
	t.at[i] = -1
}

// all connects everybody who is there at random, each to as many as it wants, and calls dial for each connection.
func (t *tracker) all(dial func(a, b int)) {
	want := min(t.want, len(t.present)-1)
	ends := make([]int, 0, want*len(t.present))
	for _, i := range t.present {
		for range want {
			ends = append(ends, i)
		}
	}
	t.rng.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
	for range 50 {
		rest := ends[:0]
		for k := 0; k+1 < len(ends); k += 2 {
			if a, b := ends[k], ends[k+1]; a != b && !t.connected(a, b) && !t.useless(a, b) {
				t.link(a, b)
				dial(a, b)
			} else {
				rest = append(rest, a, b)
			}
		}
		if ends = rest; len(ends) == 0 {
			return
		}
		t.rng.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
	}
	for _, i := range t.present { // whoever is left over asks like a newcomer
		t.more(i, want-len(t.neighbour[i]), dial)
	}
}

// more connects i to up to n others at random.
func (t *tracker) more(i, n int, dial func(a, b int)) {
	for tries := 4 * n; tries > 0 && n > 0; tries-- {
		o := t.present[t.rng.IntN(len(t.present))]
		if o == i || len(t.neighbour[o]) >= 2*t.want || t.useless(i, o) || t.connected(i, o) {
			continue
		}
		t.link(i, o)
		dial(i, o)
		n--
	}
}

// announceTime is how often a peer that has lost connections asks for more.
const announceTime = 30 * time.Second

// refill connects a peer that has lost half of its connections to others.
func (t *tracker) refill(i int, dial func(a, b int)) {
	if n := len(t.neighbour[i]); n < t.want/2 {
		t.more(i, t.want-n, dial)
	}
}
