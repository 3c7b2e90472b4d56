package swarm

import (
	"github.com/seed1734be99/starling/peerwire"
)

// Upload is a block asked of us.
type Upload struct {
	Piece, Begin, Length uint32
}

// outbox is what waits to be sent to a peer: encoded control bytes, and
// requests of theirs. Never data.
type outbox struct {
	control []byte
	queue   []Upload // queue[head:] waits
	head    int
	cursor  int  // of the log of haves
	writing bool // a writer is there and will call Fill again
}

// Out is what a writer is to send: Control first, then the blocks of Run,
// which are adjacent in the torrent's address space beginning at Addr.
// The caller owns it and hands it in again.
type Out struct {
	Control []byte
	Run     []Upload
	Addr    int64
	Bytes   int // of Run's blocks
}

const (
	keptControl = 512     // a silent peer's outbox keeps no more than this
	fillHaves   = 4096    // haves encoded by one Fill
	maxControl  = 1 << 20 // more than this unsent: the peer does not read
	maxRunBytes = 1 << 20
)

func (o *outbox) queued() int { return len(o.queue) - o.head }

func (o *outbox) clear() {
	o.queue = o.queue[:0]
	o.head = 0
}

// pop takes the run of adjacent requests at the head, of at most max blocks.
func (s *Swarm) popRun(o *outbox, out *Out, max int) {
	for o.head < len(o.queue) && len(out.Run) < max {
		u := o.queue[o.head]
		addr := s.layout.Offset(int(u.Piece), int64(u.Begin))
		if len(out.Run) == 0 {
			out.Addr = addr
		} else if addr != out.Addr+int64(out.Bytes) || out.Bytes+int(u.Length) > maxRunBytes {
			break
		}
		out.Run = append(out.Run, u)
		out.Bytes += int(u.Length)
		o.head++
	}
	if o.head == len(o.queue) {
		o.clear()
	} else if o.head > 256 && o.head > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.head:])
		o.queue, o.head = o.queue[:n], 0
	}
}

// wake asks for a writer unless one is there.
func (s *Swarm) wake(p *peer, eff *Effects) {
	if !p.out.writing {
		p.out.writing = true
		eff.Wake = append(eff.Wake, p.id)
	}
}

// send queues a control message.
func (s *Swarm) send(p *peer, m *peerwire.Message, eff *Effects) {
	p.out.control = m.Append(p.out.control)
	if len(p.out.control) > maxControl {
		eff.drop(p.id, ErrNotReading)
	}
	s.wake(p, eff)
}

func (s *Swarm) sendID(p *peer, id peerwire.ID, eff *Effects) {
	m := peerwire.Message{ID: id}
	s.send(p, &m, eff)
}

// fill hands the writer what is to be sent, and reports whether there is
// anything. When there is not, the writer ends: the next wake starts another.
func (s *Swarm) fill(p *peer, at stamp, maxRun int, out *Out) bool {
	out.Run, out.Bytes = out.Run[:0], 0
	s.appendHaves(p)
	out.Control, p.out.control = p.out.control, out.Control[:0]
	if s.layout != nil {
		s.popRun(&p.out, out, maxRun)
	}
	if len(out.Control) == 0 && len(out.Run) == 0 {
		p.out.writing = false
		if cap(p.out.control) > keptControl {
			p.out.control = nil
		}
		return false
	}
	p.lastSent = at
	return true
}

// appendHaves encodes the haves that the peer has not been told of, leaving
// out what it has itself.
func (s *Swarm) appendHaves(p *peer) {
	o := &p.out
	for n := 0; o.cursor < len(s.haves) && n < fillHaves; o.cursor++ {
		if i := s.haves[o.cursor]; !p.has.has(int(i)) {
			o.control = peerwire.AppendHave(o.control, i)
			n++
		}
	}
}
