package swarm

import (
	"hash"
	"math/bits"
	"net/netip"

	"github.com/seed1734be99/starling/piece"
)

const (
	// SlabSize is the largest contiguous buffer of one piece, in bytes.
	SlabSize   = 1 << 20
	slabBlocks = SlabSize / piece.BlockSize // 64: the bits of one word
)

// slab is a stretch of a piece being received.
type slab struct {
	buf   []byte // nil: nothing of it is in memory
	taken uint64 // blocks claimed, landed or on disk
	mem   uint64 // blocks landed in buf
	disk  uint64 // blocks written to their place, not verified
	pins  int    // claims being copied to buf
	busy  bool   // a job for it is queued or with a worker
}

func (sl *slab) complete(full uint64) bool {
	return sl.pins == 0 && sl.mem|sl.disk == full
}

// landing is a piece being received.
type landing struct {
	piece  int
	size   int64
	slabs  []slab
	digest hash.Hash // of the slabs before next, in pieces of several slabs
	next   int       // the slab to be hashed next
	dead   bool      // given up: only memory is still to be returned
	filled stamp     // when a block landed last
	from   []netip.Addr
}

// Claim is the place of one block: copy Src to Dst, outside of the lock, then
// hand the claim to Landed. Dst stays valid until then, whatever happens.
type Claim struct {
	Dst, Src []byte
	land     *landing
	slab     int
	block    uint
}

// Step is what a batch of messages brought: claims and effects. The reader
// owns it and reuses it.
type Step struct {
	Claims []Claim
	Open   bool // blocks are asked of the peer
	Pieces int  // in the torrent; 0: not known yet
	Effects
}

// Reset empties st and keeps its memory.
func (st *Step) Reset() {
	clear(st.Claims) // no buffer is kept alive by it
	st.Claims = st.Claims[:0]
	st.Effects.Reset()
}

func (l *landing) slabSize(k int) int {
	return int(min(SlabSize, l.size-int64(k)*SlabSize))
}

// fullMask has a bit for each block of slab k.
func (l *landing) fullMask(k int) uint64 {
	n := (l.slabSize(k) + piece.BlockSize - 1) / piece.BlockSize
	return ^uint64(0) >> (slabBlocks - n)
}

func (s *Swarm) newLanding(i int) *landing {
	var l *landing
	if n := len(s.idle); n > 0 {
		l = s.idle[n-1]
		s.idle = s.idle[:n-1]
	} else {
		l = new(landing)
	}
	size := s.layout.PieceSize(i)
	n := int((size + SlabSize - 1) / SlabSize)
	if cap(l.slabs) < n {
		l.slabs = make([]slab, n)
	}
	*l = landing{piece: i, size: size, slabs: l.slabs[:n], from: l.from[:0]}
	clear(l.slabs)
	s.landings[i] = l
	return l
}

// claim finds the place of a block that is needed. A nil claim without
// starved means that it is not.
func (s *Swarm) claim(p *peer, b piece.Block, data []byte, st *Step) (wanted, starved bool) {
	if !s.picker.Needs(int(b.Piece)) {
		return false, false
	}
	l := s.landings[int(b.Piece)]
	if l == nil {
		l = s.newLanding(int(b.Piece))
	}
	k, off := int(b.Begin/SlabSize), int(b.Begin%SlabSize)
	n := uint(off / piece.BlockSize)
	sl := &l.slabs[k]
	if sl.taken&(1<<n) != 0 {
		return false, false
	}
	if sl.buf == nil {
		if sl.buf = s.pool.Get(l.slabSize(k), s.reserve); sl.buf == nil {
			return false, true
		}
	}
	sl.taken |= 1 << n
	sl.pins++
	l.addSource(p.Addr.Addr())
	st.Claims = append(st.Claims, Claim{Dst: sl.buf[off : off+int(b.Length)], Src: data, land: l, slab: k, block: n})
	return true, false
}

func (l *landing) addSource(a netip.Addr) {
	for _, x := range l.from {
		if x == a {
			return
		}
	}
	l.from = append(l.from, a)
}

// landed takes the claims back when their bytes are in place.
func (s *Swarm) landed(claims []Claim, at stamp, eff *Effects) {
	for i := range claims {
		c := &claims[i]
		l := c.land
		sl := &l.slabs[c.slab]
		sl.pins--
		if l.dead {
			s.reap(l)
			continue
		}
		sl.mem |= 1 << c.block
		l.filled = at
		if sl.complete(l.fullMask(c.slab)) {
			s.verifyNext(l, eff)
		} else if s.mode == Paused && sl.pins == 0 {
			s.queueEvict(l, c.slab, eff)
		}
	}
}

// verifyNext queues the hashing of the next slab in order, when it is complete.
func (s *Swarm) verifyNext(l *landing, eff *Effects) {
	if l.next >= len(l.slabs) {
		return
	}
	sl := &l.slabs[l.next]
	if sl.busy || !sl.complete(l.fullMask(l.next)) {
		return
	}
	sl.busy = true
	s.jobs.push(queued{kind: JobVerify, land: l, slab: l.next})
	eff.Jobs++
}

// queueEvict queues the writing of what slab k holds, to get its memory back.
func (s *Swarm) queueEvict(l *landing, k int, eff *Effects) bool {
	sl := &l.slabs[k]
	if sl.busy || sl.pins > 0 || sl.buf == nil {
		return false
	}
	if sl.mem == 0 { // borrowed, and nothing landed
		s.pool.Put(sl.buf)
		sl.buf = nil
		return false
	}
	sl.busy = true
	s.jobs.push(queued{kind: JobEvict, land: l, slab: k})
	eff.Jobs++
	return true
}

// evict queues the eviction of slabs that hold at least need bytes, those
// that were filled the longest ago first; idle bounds it to those that got
// nothing for so long. Slabs of pieces whose askers are all snubbed are
// among them, since nothing fills those.
func (s *Swarm) evict(need int64, at, idle stamp, eff *Effects) {
	for _, l := range s.landings {
		for k := range l.slabs {
			if l.slabs[k].busy { // comes back anyway
				need -= int64(l.slabSize(k))
			}
		}
	}
	for need > 0 {
		var best *landing
		bestSlab := -1
		for _, l := range s.landings {
			if best != nil && (l.filled > best.filled || l.filled == best.filled && l.piece > best.piece) {
				continue // ties by index: the same inputs give the same victim
			}
			if at-l.filled < idle {
				continue
			}
			if k := l.evictable(); k >= 0 {
				best, bestSlab = l, k
			}
		}
		if best == nil {
			return
		}
		s.queueEvict(best, bestSlab, eff)
		need -= int64(best.slabSize(bestSlab))
	}
}

// evictable returns a slab whose memory can be had, or -1: rather a later
// one, since the next one is about to be hashed.
func (l *landing) evictable() int {
	for k := len(l.slabs) - 1; k >= 0; k-- {
		if sl := &l.slabs[k]; sl.buf != nil && !sl.busy && sl.pins == 0 {
			return k
		}
	}
	return -1
}

// kill gives a landing up. Its memory goes back as soon as no reader and no
// worker uses it.
func (s *Swarm) kill(l *landing) {
	if s.landings[l.piece] == l {
		delete(s.landings, l.piece)
	}
	l.dead = true
	s.reap(l)
}

func (s *Swarm) reap(l *landing) {
	inUse := false
	for k := range l.slabs {
		sl := &l.slabs[k]
		switch {
		case sl.pins > 0 || sl.busy:
			inUse = true
		case sl.buf != nil:
			s.pool.Put(sl.buf)
			sl.buf = nil
		}
	}
	if !inUse && len(s.idle) < 64 {
		s.idle = append(s.idle, l)
	}
}

// unverified returns the bytes of l that have arrived.
func (l *landing) unverified() int64 {
	var n int64
	for k := range l.slabs {
		sl := &l.slabs[k]
		got := sl.mem | sl.disk
		n += int64(bits.OnesCount64(got)) * piece.BlockSize
		if got != 0 && got&^(l.fullMask(k)>>1) != 0 { // the last block may be short
			n -= int64(bits.OnesCount64(l.fullMask(k)))*piece.BlockSize - int64(l.slabSize(k))
		}
	}
	return n
}
