package swarm

import (
	"crypto/sha1"
	"hash"
	"math/bits"
	"net/netip"
	"slices"

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
	sought bool      // evict: blocks are asked of a peer that sends
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

// reset makes l the landing of piece i, and keeps its memory.
func (l *landing) reset(i int, size int64) {
	n := int((size + SlabSize - 1) / SlabSize)
	if cap(l.slabs) < n {
		l.slabs = make([]slab, n)
	}
	*l = landing{piece: i, size: size, slabs: l.slabs[:n], from: l.from[:0], digest: l.digest}
	clear(l.slabs)
}

func (l *landing) addSource(a netip.Addr) {
	for _, x := range l.from {
		if x == a {
			return
		}
	}
	l.from = append(l.from, a)
}

// begin returns the digest for slab k, nil for a piece of one slab.
func (l *landing) begin(k int) hash.Hash {
	switch {
	case len(l.slabs) == 1:
		return nil
	case l.digest == nil:
		l.digest = sha1.New()
	case k == 0:
		l.digest.Reset()
	}
	return l.digest
}

// busy reports whether a job for l is queued or with a worker.
func (l *landing) busy() bool {
	return slices.ContainsFunc(l.slabs, func(sl slab) bool { return sl.busy })
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

// before reports whether l is to be evicted rather than x: one that no peer
// is sending to, then the one that was filled the longest ago. Ties by index:
// the same inputs give the same victim.
func (l *landing) before(x *landing) bool {
	switch {
	case l.sought != x.sought:
		return !l.sought
	case l.filled != x.filled:
		return l.filled < x.filled
	}
	return l.piece < x.piece
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
