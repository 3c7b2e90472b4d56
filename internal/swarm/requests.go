package swarm

import (
	"time"

	"github.com/seed1734be99/starling/piece"
)

const (
	startDepth   = 16                     // requests open at once before a rate is known
	minDepth     = 4                      // and the least afterwards
	queueTime    = time.Second            // requests open cover this much of the rate, beside the delay
	endgameTime  = 100 * time.Millisecond // the same in the endgame, where each may be for nothing
	sampleTime   = 500 * time.Millisecond // between two measurements
	blockTimeout = 22 * time.Second       // P6: 16 kB at 0.75 kB/s
	rejectWait   = 30 * time.Second       // W3: for rejects behind a choke
	rejectPause  = time.Second            // no new requests behind a reject
	flapTime     = time.Second            // the same, behind a choke so soon after an unchoke
	tolerated    = 256                    // blocks that nobody asked for
)

// request is one that we sent.
type request struct {
	b  piece.Block
	at stamp
}

// requests is the pipeline to one peer. Its depth doubles with each round
// trip (one more for each block that comes) until the rate no longer grows.
// Then it covers the peer's delay, the least that was seen, and a second more
// of its rate. Blocks are counted, not bytes: they may be much smaller than
// BlockSize (W14).
type requests struct {
	open      []request // open[head:]
	head      int
	limit     int // the most that the peer queues (reqq), or we want
	depth     int
	steady    bool // the rate has stopped growing
	snubbed   bool
	taken     int   // taken back, but may still be answered
	passed    int   // blocks that came while the oldest open request was the oldest
	lastBlock stamp // a block came
	chokedAt  stamp // BEP 6: rejects are awaited since; 0: not
	notBefore stamp
	sampleAt  stamp
	blocks    int64 // since sampleAt
	rate      int64 // blocks a minute, at the last sample
	delay     stamp // the shortest time from a request to its block; 0: not known
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
func (r *requests) remove(b piece.Block) (q request, ok bool) {
	for i := r.head; i < len(r.open); i++ {
		if r.open[i].b != b {
			continue
		}
		if i == r.head {
			r.passed = 0
		}
		q = r.open[i]
		copy(r.open[r.head+1:i+1], r.open[r.head:i])
		r.head++
		if r.head == len(r.open) {
			r.open, r.head = r.open[:0], 0
		}
		return q, true
	}
	return q, false
}

// has reports whether b is open. As for remove, it is mostly the oldest.
func (r *requests) has(b piece.Block) bool {
	for i := r.head; i < len(r.open); i++ {
		if r.open[i].b == b {
			return true
		}
	}
	return false
}

// landed takes notice of a block that came, delay after it was asked for.
func (r *requests) landed(at, delay stamp) {
	r.lastBlock = at
	r.blocks++
	r.passed++
	if delay > 0 && (r.delay == 0 || delay < r.delay) {
		r.delay = delay
	}
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
	rate := r.blocks * int64(time.Minute) / int64(d)
	if !r.steady && r.rate > 0 && rate < r.rate+r.rate/10 {
		r.steady = true
	}
	if r.steady {
		r.depth = min(max(covers(rate, r.delay+queueTime), (r.depth+1)/2, minDepth), r.limit)
	}
	r.sampleAt, r.blocks, r.rate = at, 0, rate
}

// covers returns the blocks that come in d at a rate of blocks a minute.
func covers(rate int64, d stamp) int {
	return int(rate * int64(d/time.Microsecond) / int64(time.Minute/time.Microsecond))
}

// room returns how many requests to send now, when there may be most open:
// none until a quarter of the pipeline is free, so that they go out in batches.
func (r *requests) room(most int) int {
	depth := min(r.depth, r.limit, most)
	if r.snubbed {
		depth = 1
	}
	if n := r.count(); n <= depth-(depth+3)/4 {
		return depth - n
	}
	return 0
}

// duplicates returns how many blocks that are asked of others too may be asked
// for now: enough to keep the peer busy, but no more, since most will be for
// nothing. Negative: none.
func (r *requests) duplicates() int {
	if n := max(covers(r.rate, r.delay+endgameTime), minDepth) - r.count(); n > 0 {
		return n
	}
	return -1
}

// shift lets d of time not have passed, up to now.
func (r *requests) shift(d, now stamp) {
	if r.lastBlock > 0 {
		r.lastBlock = min(r.lastBlock+d, now)
	}
	if r.chokedAt > 0 {
		r.chokedAt = min(r.chokedAt+d, now)
	}
	r.sampleAt = min(r.sampleAt+d, now)
	for i := range r.open {
		r.open[i].at = min(r.open[i].at+d, now)
	}
}

// overdue reports whether nothing came for too long (P6).
func (r *requests) overdue(at stamp) bool {
	return r.count() > 0 && at-max(r.lastBlock, r.open[r.head].at) > blockTimeout
}

// lost reports whether the oldest request will not be answered any more,
// although others are: so many came in the meantime that even a peer that
// answers in random order would have got to it.
func (r *requests) lost(at stamp) bool {
	return r.count() > 0 && at-r.open[r.head].at > blockTimeout && r.passed > 8*max(r.depth, startDepth)
}
