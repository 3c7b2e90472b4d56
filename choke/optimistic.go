package choke

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// BEP 3, choking: an optimistic unchoke is held for 30 s, time enough to upload a piece or so, for the download
	// to answer, and for the peer to reciprocate.
	turnTime = 30 * time.Second
	// Rounds come every 10 s, not to the millisecond: a turn that is nearly over counts as over.
	turnSlack = time.Second
)

// A rotation gives turns to all peers that want something, whatever they have done for us. It knows the peers of the
// last round only.
//
// Peers wait in a queue of all connections, interested or not. A turn goes to the first one in it that is eligible,
// which then moves to the end. BEP 3: a new connection is three times as likely to become the next one as to get any
// other place. (The original client has it take over from the current one at once; here the current one
// finishes its turn, since half a turn is of use to nobody.)
//
// Begun while a torrent is running, it takes those that were unchoked less than 30 s ago for peers in their turn.
type rotation struct {
	queue []PeerID
	turns []turn
	fair  bool // newcomers go to the end of the queue

	// of the current round
	table
	chosen []bool // by index: unchoked for another reason, or has a turn
	only   []bool // by index: who alone may be given a turn; nil: everybody
	out    []Choice
	slots  int
}

// A turn is one peer's time in a rotating slot.
type turn struct {
	peer  PeerID
	since time.Time
	why   string
}

// begin takes in the round: who has come and who has gone.
func (o *rotation) begin(r *Round) {
	first := o.index == nil
	o.table.begin(r)
	if first {
		o.adopt(r)
	}
	o.chosen = slices.Grow(o.chosen[:0], len(r.Peers))[:len(r.Peers)]
	clear(o.chosen)
	o.out = o.out[:0]

	kept := o.queue[:0]
	for _, id := range o.queue {
		if i, ok := o.index[id]; ok {
			kept = append(kept, id)
			o.chosen[i] = true // for the moment: it is not new
		}
	}
	o.queue = kept
	for i := range r.Peers {
		if id := r.Peers[i].ID; !o.chosen[i] && o.index[id] == i {
			at := len(o.queue)
			if !o.fair {
				at = max(r.Rand.IntN(len(o.queue)+3)-2, 0)
			}
			o.queue = slices.Insert(o.queue, at, id)
		}
	}
	clear(o.chosen)
}

// adopt takes over what was decided before this rotation was there. The rest of it is judged by its rates.
func (o *rotation) adopt(r *Round) {
	for i := range r.Peers {
		p := &r.Peers[i]
		if o.index[p.ID] == i && p.Unchoked && eligible(p) && p.UnchokedFor < turnTime-turnSlack {
			o.turns = append(o.turns, turn{peer: p.ID, since: r.Now.Add(-max(p.UnchokedFor, 0)), why: o.name()})
		}
	}
	slices.SortStableFunc(o.turns, func(a, b turn) int { return a.since.Compare(b.since) })
}

// expire ends the turns that are over, or whose peer has gone or wants nothing any more. extend may lengthen the turn
// of a peer by saying why; nil never does.
func (o *rotation) expire(r *Round, extend func(r *Round, p *Peer) string) {
	kept := o.turns[:0]
	for _, t := range o.turns {
		i, ok := o.index[t.peer]
		if !ok || !eligible(&r.Peers[i]) {
			continue
		}
		had := r.Now.Sub(t.since)
		if had >= turnTime-turnSlack || had < 0 {
			if extend == nil {
				continue
			}
			if t.why = extend(r, &r.Peers[i]); t.why == "" {
				continue
			}
		}
		kept = append(kept, t)
	}
	o.turns = kept
}

// choose unchokes a peer by its index in the round.
func (o *rotation) choose(r *Round, i int, why string) {
	o.chosen[i] = true
	o.out = append(o.out, Choice{Peer: r.Peers[i].ID, Why: why})
}

// fill gives n peers a turn: those that have one and are not chosen otherwise, then the next of the queue. When there
// are more turns than that, the oldest ones end.
func (o *rotation) fill(r *Round, n int) {
	o.settle(r, n)
	o.draw(r, n, true)
	o.draw(r, n, false)
}

// settle keeps the turns that go on.
func (o *rotation) settle(r *Round, n int) {
	o.served()
	o.turns = slices.DeleteFunc(o.turns, func(t turn) bool { return o.chosen[o.index[t.peer]] })
	if extra := len(o.turns) - max(n, 0); extra > 0 {
		o.turns = slices.Delete(o.turns, 0, extra)
	}
	for _, t := range o.turns {
		o.choose(r, o.index[t.peer], t.why)
	}
}

// served sends the peers that were chosen for what they do to the end of the queue: whoever loses such a slot waits
// as long as the others.
func (o *rotation) served() {
	waiting := o.queue[:0]
	for _, id := range o.queue {
		if !o.chosen[o.index[id]] {
			waiting = append(waiting, id)
		}
	}
	o.queue = waiting
	for _, c := range o.out {
		o.queue = append(o.queue, c.Peer)
	}
}

// draw gives turns to the next in the queue until there are n, if choked to those only that are choked now: a slot
// that is to move on does not stay where it is while somebody waits.
func (o *rotation) draw(r *Round, n int, choked bool) {
	for at := 0; at < len(o.queue) && len(o.turns) < n; {
		id := o.queue[at]
		i := o.index[id]
		if o.chosen[i] || !eligible(&r.Peers[i]) || choked && r.Peers[i].Unchoked || o.only != nil && !o.only[i] {
			at++
			continue
		}
		copy(o.queue[at:], o.queue[at+1:])
		o.queue[len(o.queue)-1] = id
		o.turns = append(o.turns, turn{peer: id, since: r.Now, why: o.name()})
		o.choose(r, i, o.name())
	}
}

// name is what a turn is called.
func (o *rotation) name() string {
	if o.fair {
		return WhyTurn
	}
	return WhyOptimistic
}

// named tells under which name a peer was unchoked; empty: it is choked.
func (o *rotation) named(id PeerID) string {
	for _, c := range o.out {
		if c.Peer == id {
			return c.Why
		}
	}
	return ""
}

// line tells a peer's place among those that wait for a turn.
func (o *rotation) line(id PeerID) string {
	place := 0
	for _, q := range o.queue {
		i := o.index[q]
		if s := &o.seen[i]; s.interested && !s.seed && !o.chosen[i] {
			place++
		}
		if q == id {
			break
		}
	}
	return fmt.Sprintf("number %d in line", place)
}

// eligible peers can make use of an unchoke. A seed can't, whatever it says.
func eligible(p *Peer) bool { return p.Interested && !p.Seed }

// A candidate is a peer of the round with what it is ranked by.
type candidate struct {
	index int
	class int // the smaller one goes first, whatever the rates
	rate  int64
	first int64 // among equals, the smaller one goes first
}

// rank sorts the fastest to the front. Equals keep an order that follows from the round alone.
func rank(c []candidate) {
	slices.SortFunc(c, func(a, b candidate) int {
		return cmp.Or(a.class-b.class, cmp.Compare(b.rate, a.rate), cmp.Compare(a.first, b.first), a.index-b.index)
	})
}
