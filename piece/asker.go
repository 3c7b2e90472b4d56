package piece

import (
	"slices"
	"time"
)

// Asker is the peer that blocks are chosen for. The zero value of every field
// but ID is right for a peer of which no more is known. A peer that has
// everything is a seeder; Next treats it so whether Has is nil or full.
type Asker struct {
	ID PeerID
	// Has is what the peer has, as AddPeer and AddHave told it, always under
	// the same ID; nil: everything. It is read during the call only.
	Has *Bitfield
	// Only, when it is not nil, limits the choice to these pieces: those
	// allowed fast, while the peer chokes us (BEP 6). It should be short.
	Only []uint32
	// Suggested are pieces that the peer would like to send (BEP 6, "suggest
	// piece"): they are preferred among equally good ones. It should be short.
	Suggested []uint32
	// Slow marks a peer that is snubbing us. It is given blocks that nobody
	// else is asked for, from the end of the piece with most to do or of the
	// most common piece, and they may be asked of one other peer at any time.
	Slow bool
	// Duplicates bounds the blocks of one call that others are asked for too
	// (the endgame, deadlines). 0: as many as are asked for; negative: none.
	Duplicates int
	// Open is how many requests are open to the peer. Without any it is idle:
	// a piece is begun for it beyond the limit of partials, and it is asked
	// for what much slower peers owe us before the endgame.
	Open int
	// Run, for a source that likes long runs (BEP 19), is how many blocks on
	// end it should be given: it gets whole untouched pieces one behind the
	// other, and other peers' partials last. 0: runs of 256 KiB do.
	Run int
	// Along makes the endgame's blocks follow each other in a piece, instead of
	// the least often asked first: for when memory is short, and a block here and
	// one there would each take a buffer.
	Along bool
	// Rate is what the peer sends, in bytes a second, as measured; 0: not
	// known. Delay is the time from a request to its block when nothing else
	// is asked for. Both serve to tell what it can send before a deadline.
	Rate  int64
	Delay time.Duration
	// Now is the time on the clock of the deadlines (see [Deadline]). It is
	// not used without deadlines.
	Now time.Duration
}

// has tells whether the peer has piece i.
func (a *Asker) has(i int) bool { return a.Has == nil || a.Has.Has(i) }

// seed tells whether the peer has everything.
func (a *Asker) seed() bool { return a.Has == nil || a.Has.All() }

// may tells whether the peer may be asked for piece i.
func (a *Asker) may(i int) bool {
	return a.has(i) && (a.Only == nil || slices.Contains(a.Only, uint32(i)))
}

// cursors is how many askers the place they stopped at is remembered of. Who
// is forgotten only begins another run.
const cursors = 256

// cursor is where an asker stopped.
type cursor struct {
	id        PeerID
	pt        *partial // may be another piece by now
	piece     int32
	next, end int32  // the rest of its run
	left      int32  // blocks of its long run still to come
	barren    uint64 // nothing to choose in the endgame at this count of news
	rate      int64  // what it said last
}

// cursor is the place for id's cursor; another's may be in it.
func (ps *partials) cursor(id PeerID) *cursor {
	if ps.cursors == nil {
		ps.cursors = new([cursors]cursor)
	}
	return &ps.cursors[hash(id)>>56]
}

// meet is a's cursor, made anew if it was lost, and up to date.
func (ps *partials) meet(a *Asker) *cursor {
	c := ps.cursor(a.ID)
	if c.id != a.ID {
		*c = cursor{id: a.ID}
	}
	c.rate = a.Rate
	return c
}

// hash spreads ids over tables, by the high bits.
func hash(id PeerID) uint64 { return uint64(id) * 0x9e3779b97f4a7c15 }

// at is the partial id stopped at, nil when that is not known or over.
func (c *cursor) at(id PeerID) *partial {
	if c.id == id && c.pt != nil && c.pt.piece == c.piece {
		return c.pt
	}
	return nil
}

// stop makes c begin a run at pt.
func (c *cursor) stop(pt *partial) {
	c.pt, c.piece, c.next, c.end = pt, pt.piece, 0, 0
}

// IdleRate is the rate in bytes a second below which a peer that was asked for
// blocks counts as idle: 0.75 kB/s, 16 kB in 22 s (the original client's
// measure). What such a peer owes us is asked of anybody who is idle.
const IdleRate = 768

// slower tells whether id is known to send so much slower than a that it is
// worth while to ask a for what id was asked for: a quarter of its rate, or so
// little that it counts as idle.
func (ps *partials) slower(id PeerID, a *Asker, by int64) bool {
	c := ps.cursor(id)
	if c.id != id || c.rate == 0 || id == a.ID {
		return false
	}
	return c.rate < IdleRate && a.Rate >= c.rate || a.Rate/by >= c.rate
}
