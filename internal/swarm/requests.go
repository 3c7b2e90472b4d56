package swarm

import (
	"time"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

const (
	startDepth   = 16                     // requests open at once before a rate is known
	minDepth     = 4                      // and the least afterwards
	queueTime    = 2 * time.Second        // requests open cover this much of the measured rate
	sampleTime   = 500 * time.Millisecond // between two measurements
	blockTimeout = 22 * time.Second       // P6: 16 kB at 0.75 kB/s
	rejectWait   = 30 * time.Second       // W3: for rejects behind a choke
	rejectPause  = time.Second            // no new requests behind a reject
	tolerated    = 256                    // blocks that nobody asked for
)

// request is one that we sent.
type request struct {
	b  piece.Block
	at stamp
}

// requests is the pipeline to one peer. Its depth doubles with each round
// trip (one more for each block that comes) until the rate no longer grows,
// and then follows the measured rate.
type requests struct {
	open      []request // open[head:]
	head      int
	limit     int // the most that the peer queues (reqq), or we want
	depth     int
	steady    bool // the rate has stopped growing
	snubbed   bool
	taken     int   // taken back, but may still be answered
	lastBlock stamp // a block came
	chokedAt  stamp // BEP 6: rejects are awaited since; 0: not
	notBefore stamp
	sampleAt  stamp
	bytes     int64 // since sampleAt
	lastRate  int64
}

func (r *requests) count() int { return len(r.open) - r.head }

func (r *requests) push(b piece.Block, at stamp) {
	if r.head > 0 && len(r.open) == cap(r.open) {
		n := copy(r.open, r.open[r.head:])
		r.open, r.head = r.open[:n], 0
	}
	r.open = append(r.open, request{b, at})
}

// remove takes b out and reports whether it was open. Blocks mostly come in
// the order they were asked for, so the search starts at the oldest.
func (r *requests) remove(b piece.Block) bool {
	for i := r.head; i < len(r.open); i++ {
		if r.open[i].b != b {
			continue
		}
		copy(r.open[r.head+1:i+1], r.open[r.head:i])
		r.head++
		if r.head == len(r.open) {
			r.open, r.head = r.open[:0], 0
		}
		return true
	}
	return false
}

// landed takes notice of a block that came.
func (r *requests) landed(at stamp, n int64) {
	r.lastBlock = at
	r.bytes += n
	if !r.steady && r.depth < r.limit {
		r.depth++
	}
	if r.snubbed {
		r.snubbed = false
		r.depth = max(r.depth, minDepth)
	}
	r.sample(at)
}

func (r *requests) sample(at stamp) {
	d := at - r.sampleAt
	if d < sampleTime {
		return
	}
	rate := r.bytes * int64(time.Second) / int64(d)
	if !r.steady && r.lastRate > 0 && rate < r.lastRate+r.lastRate/10 {
		r.steady = true
	}
	if r.steady {
		want := int(rate * int64(queueTime/time.Second) / piece.BlockSize)
		r.depth = min(max(want, (r.depth+1)/2, minDepth), r.limit)
	}
	r.sampleAt, r.bytes, r.lastRate = at, 0, rate
}

// room returns how many requests to send now: none until a quarter of the
// pipeline is free, so that they go out in batches.
func (r *requests) room() int {
	depth := min(r.depth, r.limit)
	if r.snubbed {
		depth = 1
	}
	if n := r.count(); n <= depth-(depth+3)/4 {
		return depth - n
	}
	return 0
}

// canAsk reports whether p may be asked for anything at all now.
func (s *Swarm) canAsk(p *peer, at stamp) bool {
	return s.mode == Running && s.fault == nil && p.want > 0 && p.wire.interested &&
		(!p.wire.choked || len(p.fast.allowedToUs) > 0) && at >= p.req.notBefore
}

// topUp fills p's pipeline.
func (s *Swarm) topUp(p *peer, at stamp, eff *Effects) {
	if !s.canAsk(p, at) {
		return
	}
	n := p.req.room()
	if n == 0 {
		return
	}
	if s.pool.Used() > s.soft() {
		s.dry = true
		return
	}
	a := piece.Asker{ID: p.id, Has: p.has.bits, Slow: p.req.snubbed}
	if p.wire.choked {
		a.Only = p.fast.allowedToUs
	}
	s.blocks = s.picker.Next(&a, n, s.blocks[:0])
	if len(s.blocks) == 0 {
		return
	}
	if p.req.count() == 0 {
		p.req.sampleAt, p.req.bytes = at, 0
	}
	for _, b := range s.blocks {
		p.req.push(b, at)
		p.out.control = peerwire.AppendRequest(p.out.control, b.Piece, b.Begin, b.Length)
	}
	s.wake(p, eff)
}

// refill tops up every peer with room, after blocks became free or memory did.
func (s *Swarm) refill(at stamp, eff *Effects) {
	s.dry, s.freed = false, false
	for _, p := range s.peers.list {
		if p != nil {
			s.topUp(p, at, eff)
		}
	}
}

// release gives back all that is asked of p, except what keep says. The
// blocks may still come when the peer was not told.
func (s *Swarm) release(p *peer, keep func(piece.Block) bool) {
	r := &p.req
	kept := r.open[:0]
	for _, q := range r.open[r.head:] {
		if keep != nil && keep(q.b) {
			kept = append(kept, q)
			continue
		}
		s.picker.Release(p.id, q.b)
		r.taken++
		s.freed = true
	}
	r.open, r.head = kept, 0
}

// snub is what happens to a peer that owes us blocks for too long: they are
// asked of others, and it is asked for one at a time (P6).
func (s *Swarm) snub(p *peer, eff *Effects) {
	for _, q := range p.req.open[p.req.head:] {
		s.sendCancel(p, q.b, eff)
	}
	s.release(p, nil)
	p.req.snubbed = true
	p.req.steady = true
	p.req.depth = minDepth
}

func (s *Swarm) sendCancel(p *peer, b piece.Block, eff *Effects) {
	m := peerwire.Message{ID: peerwire.MsgCancel, Index: b.Piece, Begin: b.Begin, Length: b.Length}
	s.send(p, &m, eff)
}
