package swarm

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/internal/rate"
	"github.com/seed1734be99/starling/piece"
)

// receiving is the blocks that arrive, from the claim of a place to the
// verdict on their piece. It owns every slab that is lent by the pool: one
// belongs to exactly one landing, in landings or dead, until Put.
type receiving struct {
	s        *Swarm
	landings map[int]*landing // alive
	idle     []*landing       // nobody uses these: to be used again
	reserve  int64            // bytes of the pool that slabs leave to read buffers
	rate     rate.Meter       // of payload
}

// SlabRoom is what a reader waits for before it takes in more: the room for
// one slab, beside what slabs leave to read buffers.
func SlabRoom(p *block.Pool) (n, headroom int64) {
	return min(SlabSize, p.Limit()/2), min(p.Limit()/8, 2<<20)
}

// maxIdle bounds the landings kept to be used again.
const maxIdle = 64

// sorted returns the landings by piece, for what is done to all of them: the
// same inputs give the same jobs in the same order.
func (r *receiving) sorted() []*landing {
	all := make([]*landing, 0, len(r.landings))
	for _, i := range slices.Sorted(maps.Keys(r.landings)) {
		all = append(all, r.landings[i])
	}
	return all
}

func (r *receiving) open(i int) *landing {
	var l *landing
	if n := len(r.idle); n > 0 {
		l = r.idle[n-1]
		r.idle = r.idle[:n-1]
	} else {
		l = new(landing)
	}
	l.reset(i, r.s.layout.PieceSize(i))
	r.landings[i] = l
	return l
}

// claim finds the place of a block that is needed. The first claimant wins.
// starved: it is needed, but there is no memory.
func (r *receiving) claim(p *peer, b piece.Block, data []byte, st *Step) (wanted, starved bool) {
	s := r.s
	if s.mode != Running || s.fault != nil || !s.picker.Needs(int(b.Piece)) {
		return false, false
	}
	l := r.landings[int(b.Piece)]
	if l == nil {
		l = r.open(int(b.Piece))
	}
	k, off := int(b.Begin/SlabSize), int(b.Begin%SlabSize)
	n := uint(off / piece.BlockSize)
	sl := &l.slabs[k]
	if sl.taken&(1<<n) != 0 {
		return false, false
	}
	if sl.buf == nil {
		if sl.buf = s.pool.Get(l.slabSize(k), r.reserve); sl.buf == nil {
			return false, true
		}
	}
	sl.taken |= 1 << n
	sl.pins++
	l.addSource(p.Addr.Addr())
	st.Claims = append(st.Claims, Claim{Dst: sl.buf[off : off+int(b.Length)], Src: data, land: l, slab: k, block: n})
	return true, false
}

// landed takes the claims back when their bytes are in place.
func (r *receiving) landed(claims []Claim, at stamp, eff *Effects) {
	for i := range claims {
		c := &claims[i]
		l := c.land
		sl := &l.slabs[c.slab]
		sl.pins--
		if l.dead {
			r.reap(l)
			continue
		}
		sl.mem |= 1 << c.block
		l.filled = at
		if sl.complete(l.fullMask(c.slab)) {
			r.verifyNext(l, eff)
		}
		if r.s.mode == Paused {
			r.queueEvict(l, c.slab, eff)
		}
	}
}

// verifyNext queues the hashing of the next slab in order, when it is complete.
func (r *receiving) verifyNext(l *landing, eff *Effects) {
	if l.next >= len(l.slabs) {
		return
	}
	sl := &l.slabs[l.next]
	if sl.busy || !sl.complete(l.fullMask(l.next)) {
		return
	}
	sl.busy = true
	r.s.jobs.push(queued{kind: JobVerify, land: l, slab: l.next})
	eff.Jobs++
}

// verified takes the result of a JobVerify.
func (r *receiving) verified(j *Job, res Result, at stamp, eff *Effects) {
	s, l, sl := r.s, j.land, &j.land.slabs[j.slab]
	sl.busy = false
	switch {
	case l.dead:
		r.reap(l)
	case res.Err != nil:
		r.lose(l, false)
		s.setFault(res.Err, eff)
	case !res.OK:
		r.hashFailed(l, eff)
	case j.Last:
		s.total.Verified += l.size
		r.kill(l)
		s.having.got(j.Piece, at, eff)
	default:
		s.pool.Put(sl.buf)
		sl.buf, sl.mem, sl.disk = nil, 0, l.fullMask(j.slab)
		l.next++
		r.verifyNext(l, eff)
	}
}

// hashFailed is what follows a piece that does not match: all of it is
// missing again. A single source is a liar; among several none is blamed, but
// the piece is fetched again from one at a time.
func (r *receiving) hashFailed(l *landing, eff *Effects) {
	s := r.s
	s.total.HashFails++
	s.total.Failed += l.size
	size, liar := l.size, netip.Addr{}
	if len(l.from) == 1 {
		liar = l.from[0]
	}
	eff.event(Event{Kind: PieceFailed, Piece: l.piece})
	r.lose(l, true)
	if liar.IsValid() {
		s.members.ban(liar, size, eff)
	}
}

// lose sends a piece back to missing.
func (r *receiving) lose(l *landing, alone bool) {
	i := l.piece
	if l.busy() { // a worker may still write old blocks to where new ones will go
		r.s.jobs.barrier()
	}
	r.kill(l)
	r.s.picker.Fail(i, alone)
	r.s.asking.freed = true
}

// loseAll sends everything that is being received back to missing.
func (r *receiving) loseAll() {
	for _, l := range r.sorted() {
		r.lose(l, false)
	}
}

// killAll gives everything up for good.
func (r *receiving) killAll() {
	for _, l := range r.sorted() {
		r.kill(l)
	}
}

// kill gives a landing up. Its memory goes back as soon as no reader and no
// worker uses it.
func (r *receiving) kill(l *landing) {
	delete(r.landings, l.piece)
	l.dead = true
	r.reap(l)
}

// reap returns the memory of a dead landing as far as nobody uses it. It is
// called when the landing dies and after each use of it has ended; with the
// last one, the landing itself is free.
func (r *receiving) reap(l *landing) {
	inUse := false
	for k := range l.slabs {
		sl := &l.slabs[k]
		switch {
		case sl.pins > 0 || sl.busy:
			inUse = true
		case sl.buf != nil:
			r.s.pool.Put(sl.buf)
			sl.buf = nil
		}
	}
	if !inUse && len(r.idle) < maxIdle {
		r.idle = append(r.idle, l)
	}
}

// queueEvict queues the writing of what slab k holds, to get its memory back.
func (r *receiving) queueEvict(l *landing, k int, eff *Effects) {
	sl := &l.slabs[k]
	if sl.busy || sl.pins > 0 || sl.buf == nil {
		return
	}
	if sl.mem == 0 { // borrowed, and nothing landed
		r.s.pool.Put(sl.buf)
		sl.buf = nil
		return
	}
	sl.busy = true
	r.s.jobs.push(queued{kind: JobEvict, land: l, slab: k})
	eff.Jobs++
}

// evicted takes the result of a JobEvict. What can't be written is missing
// again: a disk that fails must not hold on to memory that others wait for.
func (r *receiving) evicted(j *Job, res Result, eff *Effects) {
	s, l, sl := r.s, j.land, &j.land.slabs[j.slab]
	sl.busy = false
	switch {
	case l.dead:
		r.reap(l)
		return
	case res.Err != nil:
		r.lose(l, false)
		s.setFault(res.Err, eff)
		return
	}
	sl.disk |= j.Mem
	sl.mem &^= j.Mem
	if sl.mem == 0 && sl.pins == 0 {
		s.pool.Put(sl.buf)
		sl.buf = nil
	}
	r.verifyNext(l, eff)
	if s.mode == Paused {
		r.queueEvict(l, j.slab, eff) // what landed while the job was under way
	}
}

// evictAll queues the eviction of every slab that nobody uses; the others
// follow in landed and evicted. A paused torrent holds no memory.
func (r *receiving) evictAll(eff *Effects) {
	for _, l := range r.sorted() {
		for k := range l.slabs {
			r.queueEvict(l, k, eff)
		}
	}
}

// resume goes on with what is complete.
func (r *receiving) resume(eff *Effects) {
	for _, l := range r.sorted() {
		r.verifyNext(l, eff)
	}
}

// evict queues the eviction of slabs that hold at least need bytes: first
// those of pieces that are asked of snubbed peers only or of nobody, then
// those that were filled the longest ago. idle bounds it to those that got
// nothing for so long.
func (r *receiving) evict(need int64, at, idle stamp, eff *Effects) {
	for _, l := range r.landings {
		for k := range l.slabs {
			if sl := &l.slabs[k]; sl.busy && sl.buf != nil { // comes back anyway
				need -= int64(l.slabSize(k))
			}
		}
	}
	if need > 0 {
		r.markSought()
	}
	for need > 0 {
		var best *landing
		bestSlab := -1
		for _, l := range r.landings {
			if at-l.filled < idle || best != nil && !l.before(best) {
				continue
			}
			if k := l.evictable(); k >= 0 {
				best, bestSlab = l, k
			}
		}
		if best == nil {
			return
		}
		r.queueEvict(best, bestSlab, eff)
		need -= int64(best.slabSize(bestSlab))
	}
}

// markSought finds out which landings blocks are under way to. Requests come
// in runs of one piece, so that there are few look-ups.
func (r *receiving) markSought() {
	for _, l := range r.landings {
		l.sought = false
	}
	for p := range r.s.members.all {
		if p.req.snubbed {
			continue
		}
		last := -1
		for _, q := range p.req.open[p.req.head:] {
			if i := int(q.b.Piece); i != last {
				last = i
				if l := r.landings[i]; l != nil {
					l.sought = true
				}
			}
		}
	}
}
