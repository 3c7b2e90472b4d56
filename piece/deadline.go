package piece

import (
	"cmp"
	"slices"
	"time"
)

// Deadline is when somebody who reads will want a piece. At is on any clock,
// as long as [Asker.Now] is on the same one. Pieces that are not wanted are
// passed over; a deadline is over when its piece is had.
type Deadline struct {
	Piece int
	At    time.Duration
}

const (
	// maxDeadlines is how many count: 64 MiB of pieces of 256 KiB.
	maxDeadlines = 256
	// hurry is how long before its deadline a block that a slower peer was
	// asked for is asked of a quicker one too.
	hurry = 2 * time.Second
	// hurried bounds the blocks of one call that are asked twice for that.
	hurried = 4
)

// deadlines are the pieces that somebody waits for, the earliest first.
type deadlines struct {
	list  []Deadline
	best  int64  // about the highest rate of those who asked lately
	spent uint64 // all of it was asked for when this was the count of openings
}

func (d *deadlines) set(list []Deadline, n int) {
	d.list = d.list[:0]
	for _, x := range list {
		if x.Piece >= 0 && x.Piece < n {
			d.list = append(d.list, x)
		}
	}
	slices.SortFunc(d.list, func(x, y Deadline) int {
		return cmp.Or(cmp.Compare(x.Piece, y.Piece), cmp.Compare(x.At, y.At))
	})
	d.list = slices.CompactFunc(d.list, func(x, y Deadline) bool { return x.Piece == y.Piece })
	slices.SortFunc(d.list, func(x, y Deadline) int {
		return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.Piece, y.Piece))
	})
	d.list, d.spent = d.list[:min(len(d.list), maxDeadlines)], 0
	if len(d.list) == 0 {
		*d = deadlines{}
	}
}

// had takes a piece off.
func (d *deadlines) had(i int) {
	if len(d.list) > 0 {
		d.list = slices.DeleteFunc(d.list, func(x Deadline) bool { return x.Piece == i })
	}
}

// fits tells whether a is somebody to ask for what is due at t: it is about as
// quick as anybody, or quick enough, given what it was asked for before.
func (d *deadlines) fits(a *Asker, t time.Duration, before int) bool {
	if a.Slow {
		return false
	}
	if a.Rate >= d.best/2 {
		return true
	}
	todo := min(int64(a.Open)+int64(before)+1, 1<<20) * BlockSize
	return a.Rate > 0 && a.Now+a.Delay+time.Duration(float64(todo)/float64(a.Rate)*float64(time.Second)) <= t
}

// urgent appends blocks of pieces with deadlines. First those that the peer
// can send in time, the most urgent first, and with them blocks that slower
// peers were asked for and that are wanted very soon; then whatever of these
// pieces nobody was asked for yet: that it will be late is no reason to let
// the peer do something else, as a quicker one may still be asked too. It
// returns also how many are asked of others too.
func (c choice) urgent(a *Asker, want int, dst []Block) (_ []Block, again int) {
	d, p, had := &c.p.due, c.p, len(dst)
	d.best = max(d.best-d.best>>8, a.Rate)
	spent, twice := d.spent == p.parts.opened+p.avail.age, hurried
	if a.Duplicates != 0 {
		twice = min(twice, a.Duplicates)
	}
	for _, x := range d.list {
		if len(dst) >= want {
			return dst, again
		}
		if spent && x.At-a.Now > hurry {
			return dst, again // and so are those behind it
		}
		if !a.may(x.Piece) || !p.Needs(x.Piece) {
			continue
		}
		if d.fits(a, x.At, len(dst)-had) {
			dst = c.from(x.Piece, a, want, dst)
		}
		if pt := p.parts.begun[int32(x.Piece)]; pt != nil && !a.Slow && x.At-a.Now <= hurry && again < twice {
			before := len(dst)
			dst = c.overtake(pt, a, 2, min(want, before+twice-again), dst)
			again += len(dst) - before
		}
	}
	spent = true
	for _, x := range d.list {
		if len(dst) >= want {
			return dst, again
		}
		if a.may(x.Piece) {
			dst = c.from(x.Piece, a, want, dst)
		}
		pt := p.parts.begun[int32(x.Piece)]
		spent = spent && (pt != nil && pt.in > open || pt == nil && !p.avail.fresh.Has(x.Piece))
	}
	if spent {
		d.spent = p.parts.opened + p.avail.age
	}
	return dst, again
}

// from appends what is to be had of piece i, which may be begun for that.
func (c choice) from(i int, a *Asker, want int, dst []Block) []Block {
	p := c.p
	pt := p.parts.begun[int32(i)]
	if pt == nil && p.avail.fresh.Has(i) {
		pt = p.begin(i)
	}
	if pt != nil && pt.in <= open && pt.gives(a, &p.parts.askers) {
		return c.take(pt, a, want, dst)
	}
	return dst
}

// overtaken bounds how many blocks of a piece are looked at to be overtaken.
const overtaken = 1024

// overtake appends blocks of pt that one peer was asked for that is at least
// by times slower, beginning anywhere.
func (c choice) overtake(pt *partial, a *Asker, by int64, want int, dst []Block) []Block {
	if pt.alone || pt.in >= whole || len(pt.state) == 0 {
		return dst
	}
	n := len(pt.state)
	for k, left := c.p.rnd.IntN(n), min(n, overtaken); left > 0 && len(dst) < want; k, left = (k+1)%n, left-1 {
		st := &pt.state[k]
		if !st.received && st.asked == 1 && !pt.loose.has(int32(k)) && c.p.parts.slower(st.first, a, by) {
			dst = c.again(pt, int32(k), a, dst)
		}
	}
	c.p.parts.place(pt)
	return dst
}
