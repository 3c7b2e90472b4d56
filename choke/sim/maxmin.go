package sim

import (
	"math"
	"slices"
)

// maxmin shares the capacities of the peers among the links that flow, max-min fairly: no link could get more without
// another, that has no more than it, getting less. Every peer has two water levels, one for what it sends and one for
// what it receives, and a link's rate is the lower one of its sender's and its receiver's (or its own limit). A level
// is worked out anew only when something around it has changed, and passed on only when it moved by more than
// precision; so the cost follows the changes and not the size of the swarm.
//
// A link is named by its receiving half.
type maxmin struct {
	up, down         []float64 // capacities
	upLevel, inLevel []float64 // +Inf: this is not what holds its links back
	in, out          [][]int32 // links that flow, by receiver and by sender
	queue            []int32   // peers to be looked at: twice the number, and one for what it sends
	queued           []bool
	bounds           []float64 // scratch
}

// precision is the change of a level, in parts of it, that is not worth passing on.
const precision = 0.002

func (m *maxmin) init(n int) {
	m.up, m.down = make([]float64, n), make([]float64, n)
	m.upLevel, m.inLevel = make([]float64, n), make([]float64, n)
	m.in, m.out = make([][]int32, n), make([][]int32, n)
	m.queued = make([]bool, 2*n)
}

func (m *maxmin) enter(i int, up, down float64) {
	m.up[i], m.down[i] = up, down
	m.upLevel[i], m.inLevel[i] = math.Inf(1), math.Inf(1)
}

func (m *maxmin) push(i int32) {
	if !m.queued[i] {
		m.queued[i] = true
		m.queue = append(m.queue, i)
	}
}

func (m *maxmin) add(f *flow, h int32) {
	l := &f.links[h]
	l.inAt, l.out = int32(len(m.in[l.owner])), int32(len(m.out[l.peer]))
	m.in[l.owner] = append(m.in[l.owner], h)
	m.out[l.peer] = append(m.out[l.peer], h)
	m.changed(f, h)
}

func (m *maxmin) remove(f *flow, h int32) {
	l := &f.links[h]
	in, out := m.in[l.owner], m.out[l.peer]
	last := in[len(in)-1]
	in[l.inAt], f.links[last].inAt = last, l.inAt
	m.in[l.owner] = in[:len(in)-1]
	last = out[len(out)-1]
	out[l.out], f.links[last].out = last, l.out
	m.out[l.peer] = out[:len(out)-1]
	l.inAt = -1
	m.push(2 * l.owner)
	m.push(2*l.peer + 1)
}

// changed notes that a link has begun to flow or has another limit.
func (m *maxmin) changed(f *flow, h int32) {
	if l := &f.links[h]; l.inAt >= 0 {
		m.push(2 * l.owner)
		m.push(2*l.peer + 1)
	}
}

// rate is what flows over a link, in bytes per second.
func (m *maxmin) rate(f *flow, h int32) float64 {
	l := &f.links[h]
	r := min(m.upLevel[l.peer], m.inLevel[l.owner])
	if x := f.links[l.twin].maxRate; x > 0 && x < r {
		r = x
	}
	if math.IsInf(r, 1) {
		return 0 // its first level is still to come
	}
	return r
}

// solve brings the levels up to date. The work of one call is bounded; what is left over is done by the next.
func (m *maxmin) solve(f *flow) {
	budget := 20*len(m.queue) + 1000
	for n := 0; n < len(m.queue); n++ {
		if n == budget {
			m.queue = slices.Delete(m.queue, 0, n)
			return
		}
		x := m.queue[n]
		m.queued[x] = false
		i := x / 2
		if x%2 == 1 {
			m.sender(f, i)
		} else {
			m.receiver(f, i)
		}
	}
	m.queue = m.queue[:0]
}

func (m *maxmin) sender(f *flow, i int32) {
	m.bounds = m.bounds[:0]
	for _, h := range m.out[i] {
		l := &f.links[h]
		b := m.inLevel[l.owner]
		if x := f.links[l.twin].maxRate; x > 0 && x < b {
			b = x
		}
		m.bounds = append(m.bounds, b)
	}
	level := waterLevel(m.up[i], m.bounds)
	if near(level, m.upLevel[i]) {
		return
	}
	m.upLevel[i] = level
	for _, h := range m.out[i] {
		m.push(2 * f.links[h].owner)
	}
}

func (m *maxmin) receiver(f *flow, i int32) {
	m.bounds = m.bounds[:0]
	for _, h := range m.in[i] {
		l := &f.links[h]
		b := m.upLevel[l.peer]
		if x := f.links[l.twin].maxRate; x > 0 && x < b {
			b = x
		}
		m.bounds = append(m.bounds, b)
	}
	level := waterLevel(m.down[i], m.bounds)
	if near(level, m.inLevel[i]) {
		return
	}
	m.inLevel[i] = level
	for _, h := range m.in[i] {
		m.push(2*f.links[h].peer + 1)
	}
}

func near(a, b float64) bool {
	if math.IsInf(a, 1) || math.IsInf(b, 1) {
		return a == b
	}
	return math.Abs(a-b) <= precision*b
}

// waterLevel is the level at which the bounds, each cut off at it, sum up to the capacity; +Inf when they don't reach
// it. It sorts the bounds.
func waterLevel(capacity float64, bounds []float64) float64 {
	sum := 0.0
	for _, b := range bounds {
		sum += b
	}
	if sum <= capacity {
		return math.Inf(1)
	}
	slices.Sort(bounds)
	n := float64(len(bounds))
	for _, b := range bounds {
		if level := capacity / n; b >= level {
			return level
		}
		capacity -= b
		n--
	}
	return math.Inf(1)
}
