package sim

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/rate"
)

// The clock of the model Flow goes in steps. Whatever happens within one is worked off at its end, so a step stands
// for the time that a message takes as well.
const (
	stepTime  = 100 * time.Millisecond
	tickSteps = 10 // a peer's own affairs are looked after once a second, as the library does
)

// epoch is the time at which all simulations begin.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// flow is a swarm of the model Flow.
type flow struct {
	s     *Scenario
	rng   *rand.Rand
	rec   *recorder
	crowd []member
	track *tracker
	err   error

	now   time.Duration
	steps int
	words int // of a set of pieces
	peers []flowPeer
	addrs []netip.AddrPort // of the peers
	links []link
	known [][]uint64 // by link: what its peer has, as far as the owner was told

	share     maxmin
	waiting   []int32 // links that begin to flow later
	asked     []int32 // peers that want a choking round
	scratch   []int32
	departure []departure
	judged    []judgement // in the order of time
	round     choke.Round
	named     uint32 // counts rounds: link.named says who was named in this one
}

// A departure is a peer that leaves at a time.
type departure struct {
	peer int
	at   time.Duration
}

// A judgement is the round 15 s after a peer has unchoked the owner of a link, when its rate can be judged.
type judgement struct {
	link int32
	at   time.Duration
}

// A flowPeer is one peer of the model Flow.
type flowPeer struct {
	class    *Class
	strategy choke.Strategy
	present  bool
	complete bool
	freed    bool    // something became free to be asked of others
	links    []int32 // its half of each connection

	have     []uint64
	begun    []uint64 // had or begun
	avail    []uint16 // how many neighbours have a piece
	log      []int32  // its pieces in the order it got them
	told     int      // of the log, by the last tick
	openers  []int32  // links whose peers let it download
	untaken  int      // pieces neither had nor begun
	partials []partial
	begins   uint32 // counts partials

	next, eager, again time.Duration // choking rounds: the next one, none out of turn before, the strategy's wish
	why                choke.Reason
	started, asking    bool
	up                 rate.Meter
}

// A link is one peer's half of a connection: what the owner knows of the other, and what flows from it.
type link struct {
	// looked at in every choking round: kept together
	owner, peer, twin int32
	want              int32 // pieces of the peer that the owner needs
	count             int32 // pieces of the peer
	cursor            int32 // of the owner's log, up to which the peer was told
	named             uint32
	state             linkState
	unchoked          bool // the owner lets the peer download
	offered           bool // the peer was told of a piece that it did not have
	unchokedAt        time.Duration
	wantAt            time.Duration // since when the owner is interested
	lastByte          time.Duration // 0: none came yet
	made              time.Duration

	dead      bool
	place     int32   // in the owner's links
	maxRate   float64 // bytes per second that the owner lets the peer have; 0: no limit
	*download         // apart, so that what all rounds look at fits into the processor's cache
}

// A download is what flows over a link from the peer to the owner.
type download struct {
	startAt   time.Duration
	steady    bool  // its rate is known
	piece     int32 // -1: none
	helps     int32 // endgame: the link whose share it works on as well; -1: none
	helpers   int32
	inAt, out int32   // places in the lists of what is to be shared; inAt -1: nothing flows
	left      float64 // bytes of its share of the piece
	carry     float64 // a fraction of a byte
	down      rate.Meter
}

type linkState uint8

const (
	idle linkState = iota
	starting
	flowing
)

// runFlow simulates a complete scenario.
func runFlow(ctx context.Context, s *Scenario) (*Report, error) {
	rng := rand.New(rand.NewPCG(s.Seed, 0x5eed))
	crowd := s.crowd(rng)
	f := &flow{s: s, rng: rng, crowd: crowd, rec: newRecorder(s, crowd), words: (s.Pieces + 63) / 64, peers: make([]flowPeer, len(crowd))}
	f.track = newTracker(s, len(crowd), rng, func(a, b int) bool { return f.peers[a].complete && f.peers[b].complete })
	f.share.init(len(crowd))
	for i := range crowd {
		f.addrs = append(f.addrs, addressOf(i))
	}
	f.round.Rand = rng
	next := 0
	for ; next < len(crowd) && crowd[next].arrives == 0; next++ {
		f.enter(next)
	}
	f.track.all(f.dial)
	sample := time.Duration(0)
	for f.rec.waiting > 0 && f.now < s.Limit && f.err == nil {
		if f.now >= sample {
			f.rec.sample(f.now, func(i int) int { return len(f.peers[i].log) }, func(i int) int { return len(f.peers[i].partials) })
			sample += s.Sample
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
		f.steps++
		f.now = time.Duration(f.steps) * stepTime
		for ; next < len(crowd) && crowd[next].arrives <= f.now; next++ {
			f.enter(next)
			f.track.more(next, s.Connections, f.dial)
		}
		f.leave()
		f.begin()
		f.tick()
		f.judge()
		f.rounds()
		f.share.solve(f)
		f.advance()
	}
	if f.err != nil {
		return nil, f.err
	}
	f.rec.sample(f.now, func(i int) int { return len(f.peers[i].log) }, func(i int) int { return len(f.peers[i].partials) })
	return f.rec.report(f.now), nil
}

// enter lets a peer in, without connections.
func (f *flow) enter(i int) {
	p := &f.peers[i]
	c := &f.s.Classes[f.crowd[i].class]
	n := f.s.Pieces
	*p = flowPeer{class: c, present: true, have: make([]uint64, f.words), begun: make([]uint64, f.words), avail: make([]uint16, n), untaken: n}
	if !c.FreeRider {
		p.strategy = c.Strategy()
	}
	if c.Seed {
		p.complete, p.untaken = true, 0
		for k := range n {
			set(p.have, k)
			set(p.begun, k)
			p.log = append(p.log, int32(k))
		}
	}
	p.next = f.now + time.Duration(f.rng.Int64N(int64(roundTime)))
	f.share.enter(i, float64(c.Up), float64(c.Down))
	f.track.enter(i)
	f.rec.arrived(i)
}

// dial makes a connection: each side tells what it has.
func (f *flow) dial(a, b int) {
	n := int32(len(f.links))
	half := func(owner, peer int, twin int32) {
		p := &f.peers[owner]
		f.links = append(f.links, link{owner: int32(owner), peer: int32(peer), twin: twin, place: int32(len(p.links)),
			made: f.now, cursor: int32(len(p.log)), offered: len(p.log) > 0, download: &download{piece: -1, helps: -1, inAt: -1}})
		f.known = append(f.known, make([]uint64, f.words))
		f.links[len(f.links)-1].down.Start(f.now)
		p.links = append(p.links, int32(len(f.links)-1))
	}
	half(a, b, n+1)
	half(b, a, n)
	f.learn(n)
	f.learn(n + 1)
}

// learn tells the owner of a new link what its peer has.
func (f *flow) learn(h int32) {
	l := &f.links[h]
	p, q := &f.peers[l.owner], &f.peers[l.peer]
	copy(f.known[h], q.have)
	l.count = int32(len(q.log))
	for w, x := range q.have {
		l.want += int32(bits.OnesCount64(x &^ p.have[w]))
	}
	for _, k := range q.log {
		p.avail[k]++
	}
	if l.want > 0 {
		f.interest(h, true)
	}
}

// hangUp ends a connection, seen from one of its halves.
func (f *flow) hangUp(h int32) {
	t := f.links[h].twin
	if f.links[h].dead {
		return
	}
	f.track.unlink(int(f.links[h].owner), int(f.links[h].peer))
	for _, x := range [2]int32{h, t} {
		l := &f.links[x]
		f.stop(x)
		p := &f.peers[l.owner]
		last := p.links[len(p.links)-1]
		p.links[l.place], f.links[last].place = last, l.place
		p.links = p.links[:len(p.links)-1]
		l.dead = true
		for w, bitsOf := range f.known[x] {
			for ; bitsOf != 0; bitsOf &= bitsOf - 1 {
				p.avail[64*w+bits.TrailingZeros64(bitsOf)]--
			}
		}
		f.known[x] = nil
		if l.unchoked {
			if f.links[l.twin].want > 0 {
				f.ask(l.owner, choke.SlotFree)
			}
			f.peers[l.peer].closed(l.twin)
		}
		p.freed = true
	}
}

// leave lets those go whose time has come.
func (f *flow) leave() {
	kept := f.departure[:0]
	for _, d := range f.departure {
		if d.at > f.now {
			kept = append(kept, d)
			continue
		}
		p := &f.peers[d.peer]
		for len(p.links) > 0 {
			f.hangUp(p.links[len(p.links)-1])
		}
		p.present = false
		*p = flowPeer{class: p.class, complete: true, log: p.log[:0:0]}
		f.track.leave(d.peer)
		f.rec.gone(d.peer)
	}
	f.departure = kept
}

// judge asks for the rounds that are due because somebody was unchoked.
func (f *flow) judge() {
	for len(f.judged) > 0 && f.judged[0].at <= f.now {
		j := f.judged[0]
		f.judged = f.judged[1:]
		if t := &f.links[f.links[j.link].twin]; !t.dead && t.unchoked && j.at == t.unchokedAt+reciprocateTime {
			f.ask(f.links[j.link].owner, choke.Reciprocate)
		}
	}
}

// tick looks after those peers whose turn it is: each once a second.
func (f *flow) tick() {
	for i := f.steps % tickSteps; i < len(f.peers); i += tickSteps {
		p := &f.peers[i]
		if !p.present {
			continue
		}
		if p.told < len(p.log) {
			p.told = len(p.log)
			for k := len(p.links) - 1; k >= 0; k-- { // a link that is hung up makes room for one that was looked at
				f.tell(p.links[k])
			}
		}
		for _, h := range p.openers {
			f.request(h)
		}
		switch {
		case p.again > 0 && f.now >= p.again:
			f.ask(int32(i), choke.Asked)
		case f.now >= p.next:
			f.ask(int32(i), choke.Tick)
		}
		if f.steps/tickSteps%int(announceTime/time.Second) == i%int(announceTime/time.Second) {
			f.track.refill(i, f.dial)
		}
	}
}

// tell sends the haves that the peer of a link was not told of.
func (f *flow) tell(h int32) {
	l := &f.links[h]
	p := &f.peers[l.owner]
	for int(l.cursor) < len(p.log) && !l.dead {
		k := int(p.log[l.cursor])
		l.cursor++
		f.hear(l.twin, k)
		l = &f.links[h]
	}
}

// hear is a have that comes to the owner of a link.
func (f *flow) hear(h int32, k int) {
	l := &f.links[h]
	p := &f.peers[l.owner]
	set(f.known[h], k)
	l.count++
	p.avail[k]++
	if !has(p.have, k) {
		f.links[l.twin].offered = true
		if l.want++; l.want == 1 {
			f.interest(h, true)
		}
		f.request(h)
	} else if p.complete && int(l.count) == f.s.Pieces {
		f.hangUp(h) // both are complete
	}
}

// interest tells the peer of a link whether its owner wants something.
func (f *flow) interest(h int32, yes bool) {
	l := &f.links[h]
	if yes {
		l.wantAt = f.now
	}
	if f.links[l.twin].unchoked != yes {
		f.ask(l.peer, choke.SlotFree)
	}
}

// got is the moment when a peer has a piece.
func (f *flow) got(i int32, k int) {
	p := &f.peers[i]
	set(p.have, k)
	p.log = append(p.log, int32(k))
	f.rec.got(k)
	for _, h := range p.links {
		if l := &f.links[h]; has(f.known[h], k) {
			if l.want--; l.want == 0 {
				f.interest(h, false)
			}
		}
	}
	if len(p.log) == f.s.Pieces {
		f.completed(i)
	}
	// Haves ride with whatever is sent; a peer that has nothing to want yet is told at once, the others by the tick.
	for n := len(p.links) - 1; n >= 0; n-- {
		h := p.links[n]
		l := &f.links[h]
		if l.state == flowing || f.links[l.twin].state == flowing || !l.offered {
			f.tell(h)
		}
	}
}

func (f *flow) completed(i int32) {
	p := &f.peers[i]
	p.complete = true
	f.rec.done(int(i), f.now)
	f.ask(i, choke.Tick)
	for n := len(p.links) - 1; n >= 0; n-- {
		if h := p.links[n]; int(f.links[h].count) == f.s.Pieces {
			f.tell(h)
			if !f.links[h].dead {
				f.hangUp(h)
			}
		}
	}
	switch t := p.class.SeedTime; {
	case t < 0:
		f.departure = append(f.departure, departure{int(i), f.now})
	case t > 0:
		f.departure = append(f.departure, departure{int(i), f.now + t})
	}
}

// closed notes that the peer of a link no longer lets this one download.
func (p *flowPeer) closed(h int32) {
	if k := slices.Index(p.openers, h); k >= 0 {
		p.openers = slices.Delete(p.openers, k, k+1)
	}
}

func has(s []uint64, k int) bool { return s[k/64]&(1<<(k%64)) != 0 }
func set(s []uint64, k int)      { s[k/64] |= 1 << (k % 64) }
