package swarm

import (
	"github.com/seed1734be99/starling/internal/rate"
	"github.com/seed1734be99/starling/peerwire"
)

const (
	fillHaves   = 4096    // haves encoded by one Fill
	maxControl  = 1 << 20 // more than this unsent: the peer does not read
	maxRunBytes = 1 << 20
)

// sending is what goes out: it puts messages into the peers' outboxes, wakes
// their writers, and hands them what to write.
type sending struct {
	s    *Swarm
	rate rate.Meter // of payload
}

// wake asks for a writer unless one is there.
func (o *sending) wake(p *peer, eff *Effects) {
	if !p.out.writing {
		p.out.writing = true
		eff.Wake = append(eff.Wake, p.id)
	}
}

// send queues a control message.
func (o *sending) send(p *peer, m *peerwire.Message, eff *Effects) {
	p.out.control = m.Append(p.out.control)
	if len(p.out.control) > maxControl {
		eff.drop(p.id, ErrNotReading)
	}
	o.wake(p, eff)
}

func (o *sending) sendID(p *peer, id peerwire.ID, eff *Effects) {
	m := peerwire.Message{ID: id}
	o.send(p, &m, eff)
}

// fill hands the writer what is to be sent, and reports whether there is
// anything. When there is not, the writer ends: the next wake starts another.
func (o *sending) fill(p *peer, at stamp, maxRun int, out *Out) bool {
	out.Run, out.Bytes = out.Run[:0], 0
	o.appendHaves(p)
	p.out.swap(out)
	out.MaxRate = p.out.maxRate
	if o.s.layout != nil {
		o.popRun(&p.out, out, maxRun)
	}
	if len(out.Control) == 0 && len(out.Run) == 0 {
		p.out.writing = false
		if c := cap(p.out.control); c > mostControl || c > keptControl && p.req.count() == 0 {
			p.out.control = nil
		}
		return false
	}
	p.lastSent = at
	return true
}

// popRun takes the run of adjacent requests at the head, of at most max blocks.
func (o *sending) popRun(b *outbox, out *Out, max int) {
	for b.head < len(b.queue) && len(out.Run) < max {
		u := b.queue[b.head]
		addr := o.s.layout.Offset(int(u.Piece), int64(u.Begin))
		if len(out.Run) == 0 {
			out.Addr = addr
		} else if addr != out.Addr+int64(out.Bytes) || out.Bytes+int(u.Length) > maxRunBytes {
			break
		}
		out.Run = append(out.Run, u)
		out.Bytes += int(u.Length)
		b.head++
	}
	b.advance()
}

// appendHaves encodes the haves that the peer has not been told of: also of what
// it has itself. One that super-seeds waits for these (BEP 16), and a seed sees
// by them whom its pieces have reached.
func (o *sending) appendHaves(p *peer) {
	b, log := &p.out, o.s.having.log
	for n := 0; b.cursor < len(log) && n < fillHaves; b.cursor++ {
		b.control = peerwire.AppendHave(b.control, log[b.cursor])
		b.offered = true
		n++
	}
}

// sent counts the payload of blocks wholly written; p is nil when it has left.
func (o *sending) sent(p *peer, at stamp, n int64) {
	o.s.total.Uploaded += n
	o.rate.Add(at, n)
	if p != nil {
		p.up.Add(at, n)
	}
}

// tick keeps the connection alive, and tells what the peer was not woken for.
func (o *sending) tick(p *peer, at stamp, eff *Effects) {
	if at-p.lastSent > keepAliveTime && !p.out.writing {
		o.sendID(p, peerwire.MsgKeepAlive, eff)
	}
	if p.out.cursor < len(o.s.having.log) {
		o.wake(p, eff)
	}
}

// onRequest queues a block for a peer, or rejects it (BEP 6), or is silent.
func (o *sending) onRequest(p *peer, m *peerwire.Message, eff *Effects) error {
	s := o.s
	if s.layout == nil {
		return protocolError(m.ID, "before the metadata")
	}
	if err := s.checkIndex(m); err != nil {
		return err
	}
	size := s.layout.PieceSize(int(m.Index))
	if m.Length == 0 || m.Length > maxRequestLen || int64(m.Begin)+int64(m.Length) > size {
		return protocolError(m.ID, "piece %d, begin %d, length %d: outside of the piece or too long", m.Index, m.Begin, m.Length)
	}
	served := s.mode != Paused && s.picker.Have().Has(int(m.Index)) && s.showing.knows(p, int(m.Index)) && p.out.queued() < s.limits.QueueLimit &&
		(!p.wire.choking || p.serves(m.Index))
	u := Upload{m.Index, m.Begin, m.Length}
	if !served {
		o.reject(p, u, eff)
		return nil
	}
	p.out.queue = append(p.out.queue, u)
	o.wake(p, eff)
	return nil
}

// onCancel takes a queued request out. BEP 6: it is answered by a reject.
func (o *sending) onCancel(p *peer, m *peerwire.Message, eff *Effects) {
	u := Upload{m.Index, m.Begin, m.Length}
	if p.out.cancel(u) {
		o.reject(p, u, eff)
	}
}

func (o *sending) reject(p *peer, u Upload, eff *Effects) {
	if p.Fast {
		m := peerwire.Message{ID: peerwire.MsgReject, Index: u.Piece, Begin: u.Begin, Length: u.Length}
		o.send(p, &m, eff)
	}
}

// rejectQueued rejects what p has queued with us; with spare all but the
// pieces that it may download while it is choked (BEP 6).
func (o *sending) rejectQueued(p *peer, spare bool, eff *Effects) {
	kept := p.out.queue[:0]
	for _, u := range p.out.queue[p.out.head:] {
		if spare && p.Fast && p.serves(u.Piece) {
			kept = append(kept, u)
		} else {
			o.reject(p, u, eff)
		}
	}
	p.out.queue, p.out.head = kept, 0
}
