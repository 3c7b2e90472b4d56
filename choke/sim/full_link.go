package sim

import (
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

// A pipe is one direction of a connection: a TCP stream with a window.
type pipe struct {
	from, to int32
	at       swarm.PeerID // the receiver, as the sender's swarm calls it
	back     swarm.PeerID // the sender, as the receiver's swarm calls it
	delay    time.Duration
	window   int64
	twin     *pipe
	closed   bool
	writing  bool          // it has a writer: the swarm has something to send
	listed   bool          // it is in line for the uplink
	flying   int64         // bytes sent and not acknowledged
	pace     time.Duration // no block goes before: the strategy's limit
	paced    bool          // an event will give it a writer then
}

// The window of a stream grows with rate and delay, as it does in practice.
const (
	leastWindow = 256 << 10
	mostWindow  = 16 << 20
	blockHeader = 13
)

// A packet is what one turn at the uplink sends: control messages, then at most one block.
type packet struct {
	out   swarm.Out
	bytes int64
}

// ready gives a pipe a writer.
func (f *full) ready(p *pipe) {
	if !p.writing && !p.closed {
		p.writing = true
		f.line(p, true)
	}
}

// line puts a pipe in line for the uplink.
func (f *full) line(p *pipe, first bool) {
	if p.listed || p.closed || p.flying >= p.window {
		return
	}
	n := &f.nodes[p.from]
	p.listed = true
	if first {
		n.fresh = append(n.fresh, p)
	} else {
		n.old = append(n.old, p)
	}
	if !n.busy {
		f.send(n)
	}
}

// send lets the uplink send for the next pipe in line that has something.
func (f *full) send(n *node) {
	for {
		p := n.nextPipe()
		if p == nil {
			return
		}
		p.listed = false
		if p.closed {
			continue
		}
		k := f.packet()
		if !f.fill(n, p, k) {
			f.free = append(f.free, k)
			continue
		}
		k.bytes = int64(len(k.out.Control)) + int64(k.out.Bytes) + int64(len(k.out.Run))*blockHeader
		p.flying += k.bytes
		n.busy = true
		took := time.Duration(float64(k.bytes) / n.up * float64(time.Second))
		f.events.push(event{at: f.now + took, kind: atSent, pipe: p, pack: k})
		return
	}
}

// fill takes from the swarm what a pipe is to send next, and reports whether there is anything for now.
func (f *full) fill(n *node, p *pipe, k *packet) bool {
	most := 1
	if p.pace > f.now {
		most = 0 // control does not wait
	}
	if !n.g.Fill(p.at, f.clock(), most, &k.out) {
		p.writing = false
		if most == 0 && !p.paced {
			p.paced = true
			f.events.push(event{at: p.pace, kind: atPaced, pipe: p})
		}
		return false
	}
	if x := k.out.MaxRate; x > 0 && k.out.Bytes > 0 {
		p.pace = f.now + time.Duration(float64(k.out.Bytes)/float64(x)*float64(time.Second))
	}
	return true
}

func (n *node) nextPipe() *pipe {
	for _, l := range [2]*[]*pipe{&n.fresh, &n.old} {
		if len(*l) > 0 {
			p := (*l)[0]
			copy(*l, (*l)[1:])
			*l = (*l)[:len(*l)-1]
			return p
		}
	}
	return nil
}

func (f *full) packet() *packet {
	if n := len(f.free); n > 0 {
		k := f.free[n-1]
		f.free = f.free[:n-1]
		return k
	}
	return new(packet)
}

// sent is the moment when a packet has left the uplink.
func (f *full) sent(p *pipe, k *packet) {
	n := &f.nodes[p.from]
	n.busy = false
	if k.out.Bytes > 0 && !p.closed {
		n.g.Sent(p.at, f.clock(), int64(k.out.Bytes))
	}
	f.events.push(event{at: f.now + p.delay, kind: atEntered, pipe: p, pack: k})
	f.line(p, false)
	if !n.busy {
		f.send(n)
	}
}

// entered is the moment when a packet stands in line for the receiver's downlink.
func (f *full) entered(p *pipe, k *packet) {
	n := &f.nodes[p.to]
	took := time.Duration(float64(k.bytes) / n.down * float64(time.Second))
	n.downFree = max(n.downFree, f.now) + took
	f.events.push(event{at: n.downFree, kind: atArrived, pipe: p, pack: k})
}

// arrived is the moment when a packet has been received. Its acknowledgement opens the window at once: that it takes
// a moment is in the window's size.
func (f *full) arrived(p *pipe, k *packet) {
	full := p.flying >= p.window
	p.flying -= k.bytes
	if !p.closed {
		f.read(p, k)
	}
	f.free = append(f.free, k)
	if full && p.writing && !p.closed {
		f.line(p, false)
	}
}

// read hands the messages of a packet to the receiver.
func (f *full) read(p *pipe, k *packet) {
	limits := peerwire.Limits{Pieces: f.s.Pieces}
	f.msgs = f.msgs[:0]
	for b := k.out.Control; len(b) > 0; {
		var m peerwire.Message
		n, err := limits.Next(b, &m)
		if err != nil || n == 0 {
			f.err = err
			return
		}
		b = b[n:]
		if m.ID != peerwire.MsgAllowedFast || !f.s.NoAllowedFast {
			f.msgs = append(f.msgs, m)
		}
	}
	for _, u := range k.out.Run {
		f.msgs = append(f.msgs, peerwire.Message{ID: peerwire.MsgPiece, Index: u.Piece, Begin: u.Begin, Length: u.Length, Data: f.zeros[:u.Length]})
		f.rec.moved(int(p.from), int(p.to), int64(u.Length))
	}
	n := &f.nodes[p.to]
	f.step.Reset()
	done, err := n.g.Batch(p.back, f.clock(), f.msgs, &f.step)
	if err == nil && done < len(f.msgs) {
		err = errMemory
	}
	if err != nil {
		f.err = err
		return
	}
	if len(f.step.Claims) > 0 {
		n.g.Landed(f.step.Claims, f.clock(), &f.step.Effects)
	}
	eff := f.borrow()
	*eff, f.step.Effects = f.step.Effects, *eff
	f.carry(p.to, eff)
	f.ending(n)
}
