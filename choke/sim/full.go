package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// full is a swarm of the model Full: every peer is a swarm.Guarded, as in a client, and what a client's shell does
// around it (readers, writers, disk workers, choking rounds) happens here at the moment it is asked for. Hashes are
// right without being looked at, and blocks have no bytes.
type full struct {
	s     *Scenario
	rng   *rand.Rand
	rec   *recorder
	crowd []member
	track *tracker
	err   error

	now    time.Duration
	events eventQueue
	nodes  []node
	layout *metainfo.Layout
	zeros  []byte // the payload of every block
	free   []*packet
	msgs   []peerwire.Message
	step   swarm.Step
	spare  []*swarm.Effects
}

// A node is one peer of the model Full.
type node struct {
	class    *Class
	g        *swarm.Guarded
	strategy choke.Strategy
	round    choke.Round
	present  bool
	complete bool
	ended    bool // it was in the endgame
	have     int
	pipes    map[swarm.PeerID]*pipe // what goes to each of its peers
	ticking  time.Duration          // when the next tick is due
	up, down float64                // bytes per second

	// the uplink sends one packet at a time; pipes that were idle before go first, then all in turn
	busy       bool
	fresh, old []*pipe
	downFree   time.Duration // when the downlink is free
}

// runFull simulates a complete scenario.
func runFull(ctx context.Context, s *Scenario) (*Report, error) {
	rng := rand.New(rand.NewPCG(s.Seed, 0x5eed))
	crowd := s.crowd(rng)
	layout, err := metainfo.NewLayout(s.PieceLength, []metainfo.File{{Path: []string{"file"}, Length: s.size()}})
	if err != nil {
		return nil, err
	}
	f := &full{s: s, rng: rng, crowd: crowd, rec: newRecorder(s, crowd), nodes: make([]node, len(crowd)), layout: layout, zeros: make([]byte, piece.BlockSize)}
	f.track = newTracker(s, len(crowd), rng, func(a, b int) bool { return f.nodes[a].complete && f.nodes[b].complete })
	for i, m := range crowd {
		if m.arrives > 0 {
			f.events.push(event{at: m.arrives, kind: atEnter, node: int32(i)})
		} else {
			f.enter(i)
		}
	}
	f.track.all(f.dial)
	sample := time.Duration(0)
	have := func(i int) int { return f.nodes[i].have }
	partials := func(i int) int { return f.nodes[i].g.Stats(f.clock()).Partials }
	for f.rec.waiting > 0 && f.err == nil {
		e, ok := f.events.pop()
		if !ok || e.at > s.Limit {
			f.now = s.Limit
			break
		}
		for ; sample <= e.at; sample += s.Sample {
			f.rec.sample(sample, have, partials)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
		f.now = e.at
		f.happen(&e)
	}
	if f.err != nil {
		return nil, f.err
	}
	f.rec.sample(f.now, have, partials)
	return f.rec.report(f.now), nil
}

// clock is the time as the swarms see it.
func (f *full) clock() time.Time { return epoch.Add(f.now) }

func (f *full) happen(e *event) {
	switch e.kind {
	case atTick:
		f.tick(e.node)
	case atSent:
		f.sent(e.pipe, e.pack)
	case atEntered:
		f.entered(e.pipe, e.pack)
	case atArrived:
		f.arrived(e.pipe, e.pack)
	case atPaced:
		e.pipe.paced = false
		f.ready(e.pipe)
	case atRefill:
		f.refill(e.node)
	case atLeave:
		f.leave(int(e.node))
	case atEnter:
		f.enter(int(e.node))
		f.track.more(int(e.node), f.s.Connections, f.dial)
	}
}

// memory is each node's budget. So much is never asked for: nothing is ever evicted or waits.
const memory = 1 << 30

func idOf(i int) (id [20]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(i)+1)
	return id
}

func (f *full) enter(i int) {
	n := &f.nodes[i]
	c := &f.s.Classes[f.crowd[i].class]
	*n = node{class: c, present: true, up: float64(c.Up), down: float64(c.Down), pipes: make(map[swarm.PeerID]*pipe), ticking: -1}
	if !c.FreeRider {
		n.strategy = c.Strategy()
	}
	n.round.Rand = f.rng
	n.g = swarm.Guard(swarm.Config{
		Hashes: metainfo.Hashes{V1: metainfo.Hash{1}}, ID: idOf(i), Rand: rand.New(rand.NewPCG(f.rng.Uint64(), uint64(i))),
		Pool: block.NewPool(memory), Now: f.clock(), Order: c.Order,
		Settings: swarm.Settings{Slots: c.Slots, SuperSeed: c.SuperSeed},
	})
	eff := f.borrow()
	n.g.SetContent(swarm.Content{Layout: f.layout, Sums: make([]byte, 20*f.s.Pieces)}, f.clock(), eff)
	if c.Seed {
		all := piece.NewBitfield(f.s.Pieces)
		for k := range f.s.Pieces {
			all.Set(k)
		}
		n.complete, n.have = true, f.s.Pieces
		n.g.Check(nil, all, f.clock(), eff)
	}
	n.g.Start(f.clock(), eff)
	eff.Events = eff.Events[:0] // pieces that a seed has from the start are no news
	f.carry(int32(i), eff)
	f.track.enter(i)
	f.rec.arrived(i)
	// Clients don't start within the same instant.
	f.soon(int32(i), f.now+time.Duration(f.rng.Int64N(int64(time.Second))))
	f.events.push(event{at: f.now + time.Duration(f.rng.Int64N(int64(announceTime))), kind: atRefill, node: int32(i)})
}

// soon sees to it that a node is ticked at that time or before.
func (f *full) soon(i int32, at time.Duration) {
	n := &f.nodes[i]
	if n.ticking < 0 || at < n.ticking {
		n.ticking = at
		f.events.push(event{at: at, kind: atTick, node: i})
	}
}

func (f *full) tick(i int32) {
	n := &f.nodes[i]
	if !n.present || n.ticking != f.now { // an earlier one took its place
		return
	}
	n.ticking = -1
	eff := f.borrow()
	next := n.g.Tick(f.clock(), eff)
	if next.IsZero() {
		next = f.clock().Add(time.Second)
	}
	f.soon(i, max(next.Sub(epoch), f.now+time.Millisecond))
	f.carry(i, eff)
}

func (f *full) refill(i int32) {
	if !f.nodes[i].present {
		return
	}
	f.track.refill(int(i), f.dial)
	f.events.push(event{at: f.now + announceTime, kind: atRefill, node: i})
}

// dial makes a connection, handshake included, at once.
func (f *full) dial(a, b int) {
	join := func(at, other int, outgoing bool, eff *swarm.Effects) swarm.PeerID {
		id, err := f.nodes[at].g.Join(swarm.Identity{Addr: addressOf(other), ID: idOf(other), Outgoing: outgoing, Fast: true}, nil, f.clock(), eff)
		if err != nil {
			f.err = fmt.Errorf("sim: a peer was refused: %w", err)
		}
		return id
	}
	ea, eb := f.borrow(), f.borrow()
	atA, atB := join(a, b, true, ea), join(b, a, false, eb)
	if f.err != nil {
		return
	}
	delay := (f.nodes[a].class.Delay + f.nodes[b].class.Delay) / 2
	window := int64(min(max(2*min(f.nodes[a].up, f.nodes[b].down)*(2*delay).Seconds(), leastWindow), mostWindow))
	ab := &pipe{from: int32(a), to: int32(b), at: atA, back: atB, delay: delay, window: window}
	ba := &pipe{from: int32(b), to: int32(a), at: atB, back: atA, delay: delay, window: window, twin: ab}
	ab.twin = ba
	f.nodes[a].pipes[atA], f.nodes[b].pipes[atB] = ab, ba
	f.carry(int32(a), ea)
	f.carry(int32(b), eb)
}

// hangUp closes a connection at both ends; what is on the way is lost.
func (f *full) hangUp(p *pipe) {
	if p.closed {
		return
	}
	p.closed, p.twin.closed = true, true
	f.track.unlink(int(p.from), int(p.to))
	for _, x := range [2]*pipe{p, p.twin} {
		n := &f.nodes[x.from]
		delete(n.pipes, x.at)
		eff := f.borrow()
		n.g.Leave(x.at, f.clock(), eff)
		f.carry(x.from, eff)
	}
}

func (f *full) leave(i int) {
	n := &f.nodes[i]
	for len(f.track.neighbour[i]) > 0 {
		o := f.track.neighbour[i][len(f.track.neighbour[i])-1]
		for _, p := range f.nodes[o].pipes { // there is one to i; the order does not matter
			if int(p.to) == i {
				f.hangUp(p)
				break
			}
		}
	}
	n.present, n.g, n.pipes = false, nil, nil
	f.track.leave(i)
	f.rec.gone(i)
}

// borrow lends out an empty list of effects. carry takes it back.
func (f *full) borrow() *swarm.Effects {
	if n := len(f.spare); n > 0 {
		e := f.spare[n-1]
		f.spare = f.spare[:n-1]
		e.Reset()
		return e
	}
	return new(swarm.Effects)
}

// carry does what a door of a swarm wants done, as a client's shell would.
func (f *full) carry(i int32, eff *swarm.Effects) {
	n := &f.nodes[i]
	for _, ev := range eff.Events {
		f.happened(i, &ev)
	}
	for _, id := range eff.Wake {
		if p := n.pipes[id]; p != nil {
			f.ready(p)
		}
	}
	for _, d := range eff.Drop {
		if p := n.pipes[d.Peer]; p != nil {
			if d.Reason != swarm.ErrBothSeeds && f.err == nil {
				f.err = fmt.Errorf("sim: a connection broke at %v: %w", f.now, d.Reason)
			}
			f.hangUp(p)
		}
	}
	if eff.Again > 0 {
		f.soon(i, f.now+eff.Again)
	}
	if eff.Rechoke {
		f.choose(i, eff.Why)
	}
	if eff.Jobs > 0 {
		f.work(i)
	}
	f.spare = append(f.spare, eff)
}

func (f *full) happened(i int32, ev *swarm.Event) {
	n := &f.nodes[i]
	switch ev.Kind {
	case swarm.PieceDone:
		n.have++
		f.rec.got(ev.Piece)
	case swarm.Completed:
		n.complete = true
		f.rec.done(int(i), f.now)
		f.rec.wasted += n.g.Stats(f.clock()).Counters.Wasted
		switch t := n.class.SeedTime; {
		case t < 0:
			f.events.push(event{at: f.now, kind: atLeave, node: i})
		case t > 0:
			f.events.push(event{at: f.now + t, kind: atLeave, node: i})
		}
	}
}

// ending looks whether a peer has come into the endgame: nothing is left that was not begun.
func (f *full) ending(n *node) {
	if n.ended || n.complete || n.have < f.s.Pieces-100 {
		return
	}
	if st := n.g.Stats(f.clock()); st.NumHave+st.Partials == st.Pieces {
		n.ended = true
		f.rec.endgame(st.Partials)
	}
}

// work is the disk workers: every hash is right, every write takes no time.
func (f *full) work(i int32) {
	var j swarm.Job
	for f.nodes[i].g.NextJob(&j) {
		eff := f.borrow()
		f.nodes[i].g.JobDone(&j, swarm.Result{OK: true}, f.clock(), eff)
		f.carry(i, eff)
	}
}

// choose holds a choking round.
func (f *full) choose(i int32, why choke.Reason) {
	n := &f.nodes[i]
	r := &n.round
	r.Now, r.Why, r.UploadLimit = f.clock(), why, 0
	if n.class.KnownLimit {
		r.UploadLimit = n.class.Up
	}
	num := n.g.Snapshot(r, r.Now)
	var d choke.Decision
	if n.strategy != nil {
		d = n.strategy.Choose(r)
	}
	for _, c := range d.Unchoke {
		if n.pipes[swarm.PeerID(c.Peer)] == nil {
			f.err = fmt.Errorf("sim: the strategy of class %q named peer %d, which was not in the round", n.class.Name, c.Peer)
			return
		}
	}
	eff := f.borrow()
	n.g.Apply(num, d, r.Now, eff)
	f.carry(i, eff)
}
