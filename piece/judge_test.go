package piece

import (
	"fmt"
	"math"
	"slices"
	"time"
)

func (m *naive) had() int { return m.count(func(i int) bool { return m.pieces[i].have }) }

func (m *naive) strict() bool {
	st, can := m.strategy.(Strict)
	return can && st.Strict()
}

// remaining is what is missing of a file, counted byte by byte if need be.
func (m *naive) remaining(f File) int64 {
	left, at := int64(0), int64(0)
	for i := f.From; i < f.To; i++ {
		n := m.sizes.PieceSize(i)
		if i == f.From {
			n = f.Head
		}
		n = min(n, f.Length-at)
		if at += n; !m.pieces[i].have {
			left += n
		}
	}
	return left
}

// place is piece i's place: its class and its rank.
func (m *naive) place(i int) (class int, rank int) {
	seeds := 0
	for _, has := range m.peers {
		if has == nil {
			seeds++
		}
	}
	switch {
	case m.strategy != nil:
		rank = int(max(m.strategy.Rank(i, View{Peers: m.availability(i), Seeds: seeds, Had: m.had(),
			Pieces: len(m.pieces), Size: m.sizes.PieceSize(i)}), 0))
	case m.had() > 0:
		rank = m.availability(i) - seeds
	}
	class = -2 * int(m.pieces[i].priority)
	if m.how == FinishNone || m.strict() {
		return class, rank
	}
	weight := 64
	for _, f := range m.files {
		if i < f.From || i >= f.To {
			continue
		}
		left := m.remaining(f)
		switch {
		case left == 0:
		case m.how == FinishRoot:
			weight = 1
			if float64(left) <= math.Sqrt(float64(f.Length)) {
				class = -2*int(m.pieces[i].priority) - 1
			}
		case m.how == FinishLog:
			weight = min(weight, max(int(math.Ceil(math.Log2(float64(left)))), 1))
		case left <= f.Length/max(int64(math.Ceil(math.Log2(float64(f.Length)))), 1):
			weight = 1
		default:
			weight = min(weight, 2)
		}
	}
	if weight == 64 && m.how != FinishLog {
		weight = map[Finish]int{FinishRoot: 1, FinishHalf: 2}[m.how]
	}
	if m.strategy == nil && m.had() > 0 && m.how > FinishRoot {
		rank += seeds
	}
	return class, rank * weight
}

// compare is the order of two places, as far as by says: "class" or "rank".
func (m *naive) better(i, j int, byRank bool) bool {
	ci, ri := m.place(i)
	cj, rj := m.place(j)
	return ci < cj || ci == cj && byRank && ri < rj
}

func (m *naive) crowded() bool {
	open := m.count(func(i int) bool {
		return m.partial(i) && slices.ContainsFunc(m.pieces[i].blocks, func(b naiveBlock) bool { return b.free() || b.loose })
	})
	return open >= 4+len(m.peers)/2
}

// call is what is known of the call that a block was chosen in.
type call struct {
	*Asker
	chosen []Block // before this one
}

func (c *call) idle() bool { return c.Open == 0 && len(c.chosen) == 0 }

func (m *naive) fits(a *call, d Deadline) bool {
	if a.Slow {
		return false
	}
	eta := math.Inf(1)
	if a.Rate > 0 {
		eta = (a.Now + a.Delay).Seconds() + float64(a.Open+len(a.chosen)+1)*BlockSize/float64(a.Rate)
	}
	return a.Rate >= m.best/2 || eta <= d.At.Seconds()
}

func (m *naive) slower(id PeerID, a *call, by int64) bool {
	r := m.rates[id]
	return r > 0 && (r < 768 && a.Rate >= r || a.Rate/by >= r)
}

// took judges block b, chosen for a, and notes it.
func (m *naive) took(a *call, b Block) error {
	i := int(b.Piece)
	nb := m.find(b)
	if nb == nil || !m.needs(i) || !a.may(i) || nb.received || slices.Contains(nb.askers, a.ID) {
		return fmt.Errorf("%v may not be asked of %d", b, a.ID)
	}
	pc, wasLoose := &m.pieces[i], nb.loose
	var err error
	switch takes := m.untouched(i) || m.gives(i, a.Asker) && (nb.free() || nb.loose && !a.Slow); {
	case takes:
		err = m.judge(a, i)
		nb.loose = a.Slow
		pc.begun = true
	case pc.alone:
		err = fmt.Errorf("%v is on parole", b)
	default:
		err = m.judgeDuplicate(a, b, nb)
		nb.loose = false
	}
	duplicate := len(nb.askers) > 0 && !nb.loose && !wasLoose
	nb.askers = append(nb.askers, a.ID)
	pc.bySeed = pc.bySeed || a.seed()
	if !a.Slow && !duplicate {
		pc.owner = a.ID
	}
	a.chosen = append(a.chosen, b)
	return err
}

func (m *naive) judgeDuplicate(a *call, b Block, nb *naiveBlock) error {
	if a.Duplicates < 0 {
		return fmt.Errorf("%v is a duplicate, and none are wanted", b)
	}
	slower := func(by int64) bool { return len(nb.askers) == 1 && m.slower(nb.askers[0], a, by) }
	urgent := slices.ContainsFunc(m.due, func(d Deadline) bool { return d.Piece == int(b.Piece) && d.At-a.Now <= 2*time.Second })
	if urgent && slower(2) {
		return nil
	}
	for i := range m.pieces {
		if m.gives(i, a.Asker) || m.untouched(i) && a.may(i) && !m.crowded() {
			return fmt.Errorf("%v is a duplicate though piece %d has blocks", b, i)
		}
	}
	if m.endgame() {
		if least := m.duplicates(a.Asker); least != len(nb.askers) {
			return fmt.Errorf("%v is asked of %d, there is one asked of %d", b, len(nb.askers), least)
		}
		return nil
	}
	if a.Open > 0 || len(a.chosen) >= 4 || !slower(4) {
		return fmt.Errorf("%v is a duplicate outside of the endgame", b)
	}
	return nil
}

// judge judges that blocks are taken of piece i, begun or not.
func (m *naive) judge(a *call, i int) error {
	if len(a.chosen) > 0 && int(a.chosen[len(a.chosen)-1].Piece) == i {
		return nil // what is left of it
	}
	var due []Deadline
	for _, d := range m.due {
		if a.may(d.Piece) && (m.untouched(d.Piece) || m.gives(d.Piece, a.Asker)) {
			due = append(due, d)
		}
	}
	if len(due) > 0 {
		k := slices.IndexFunc(due, func(d Deadline) bool { return m.fits(a, d) })
		if want := due[max(k, 0)].Piece; want != i {
			return fmt.Errorf("%d before %d, which is due: %v of %v, best %d", i, want, due, m.due, m.best)
		}
		return nil
	}
	if a.Run > 0 && a.Only == nil {
		return m.judgeRun(a, i)
	}
	for j := range m.pieces {
		switch {
		case i == j || !a.may(j):
		case m.gives(j, a.Asker):
			if m.precedes(a, j, i) {
				return fmt.Errorf("%d before %d, which is begun", i, j)
			}
		case m.untouched(j):
			if m.precedes(a, j, i) && (a.Only != nil || !m.crowded() || a.idle() || m.count(func(i int) bool { return m.gives(i, a.Asker) }) > 0) {
				return fmt.Errorf("%d before %d, which is better", i, j)
			}
		}
	}
	if m.untouched(i) && a.Only == nil && !a.idle() && m.crowded() && m.count(func(i int) bool { return m.gives(i, a.Asker) }) == 0 {
		return fmt.Errorf("%d is begun beyond the limit", i)
	}
	return m.judgeSuggested(a, i)
}

// judgeSuggested: of equally good ones that which the peer suggests.
func (m *naive) judgeSuggested(a *call, i int) error {
	if !m.untouched(i) || a.Only != nil || slices.Contains(a.Suggested, uint32(i)) {
		return nil
	}
	for _, u := range a.Suggested {
		j := int(u)
		if j < len(m.pieces) && m.untouched(j) && a.may(j) && !m.better(i, j, m.had() > 0 || m.strategy != nil) && !m.better(j, i, true) {
			return fmt.Errorf("%d before %d, which was suggested", i, j)
		}
	}
	return nil
}

func (m *naive) judgeRun(a *call, i int) error {
	for j := range m.pieces {
		if m.untouched(j) && a.may(j) && m.untouched(i) && m.better(j, i, false) {
			return fmt.Errorf("%d before %d, which is better", i, j)
		}
	}
	return nil
}

// precedes tells whether a must be given blocks of piece j rather than of i.
func (m *naive) precedes(a *call, j, i int) bool {
	seed := a.seed() && m.had() > 0 && !a.Slow
	byRank := m.strict()
	if m.better(j, i, byRank) {
		return true
	}
	if m.better(i, j, byRank) {
		return false
	}
	x, y := &m.pieces[j], &m.pieces[i]
	switch {
	case !x.begun && !y.begun:
		if m.strategy == nil && m.had() == 0 && a.Only == nil {
			return false
		}
		if a.Slow && !byRank && a.Only == nil {
			return m.better(i, j, true)
		}
		return m.better(j, i, true)
	case x.begun && y.begun:
		if a.Slow {
			return false
		}
		if x.bySeed != y.bySeed {
			return x.bySeed
		}
		if seed && !x.bySeed && (m.better(j, i, true) || m.better(i, j, true)) {
			return m.better(j, i, true)
		}
		return x.dropped && !y.dropped
	case x.begun: // j is begun and i is not
		return !(seed && !x.bySeed && !m.crowded() && m.better(i, j, true))
	}
	return seed && !y.bySeed && !m.crowded() && m.better(j, i, true)
}

// nothing judges that there was no more for a.
func (m *naive) nothing(a *call) error {
	for i := range m.pieces {
		if m.gives(i, a.Asker) || m.untouched(i) && a.may(i) && (a.Only != nil || !m.crowded() || a.idle()) {
			return fmt.Errorf("piece %d was not given to %d", i, a.ID)
		}
	}
	if m.endgame() && a.Duplicates == 0 && m.duplicates(a.Asker) < math.MaxInt {
		return fmt.Errorf("no duplicate was given to %d", a.ID)
	}
	return nil
}
