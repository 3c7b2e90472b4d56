package piece

// run is how many consecutive blocks of a partial are set aside for an asker
// at a time: 256 KiB. Several askers can be at one piece, each still sends a
// run that its disk reads at once, and the piece fills nearly in order.
const run = 16

// blockState is one block of a partial. Up to 65,535 peers can be asked.
type blockState struct {
	first    PeerID // asked, when asked > 0
	more     int32  // the others asked: a list in askers, 0 for none
	asked    uint16 // open requests
	received bool
}

// list names the lists that partials are kept in.
type list uint8

const (
	seeded  list = iota // as open; a seeder was asked for some of it (P3)
	open                // has blocks to ask for without being in the endgame
	full                // every block is asked of somebody or received
	whole               // every block is received: being hashed and written
	shelved             // begun, but not wanted
	lists
)

// partial is a piece that was begun.
//
// free marks blocks neither asked for nor received. loose marks blocks asked
// of slow peers only: they may be asked of one other peer as if they were
// free, so that nothing ever waits for a slow peer.
type partial struct {
	piece   int32
	seq     uint64 // age: lower began earlier
	size    int64
	state   []blockState
	free    blockSet
	loose   blockSet
	missing int32 // blocks not received

	frontier int32  // blocks from here on were not set aside for anybody yet
	dropped  bool   // somebody gave up blocks of it: these go first
	alone    bool   // on parole: one peer at a time
	owner    PeerID // on parole: that peer
	wanted   bool
	bySeed   bool // a seeder was asked for some of it

	in   list
	at   int32 // place in that list
	mark list  // counted in partials.dropped[mark-1]; 0: not
	base int32 // place of block 0 in endgame.of, -1 for none
}

// blocks is the number of blocks in a piece of size bytes.
func blocks(size int64) int32 { return int32((size + BlockSize - 1) / BlockSize) }

// blockIndex gives b's number in a piece of size bytes, and whether the piece
// has such a block at all.
func blockIndex(b Block, size int64) (k int32, ok bool) {
	left := size - int64(b.Begin)
	if b.Begin%BlockSize != 0 || left <= 0 || int64(b.Length) != min(left, BlockSize) {
		return 0, false
	}
	return int32(b.Begin / BlockSize), true
}

// block is the k-th block as requests name it.
func (pt *partial) block(k int32) Block {
	begin := int64(k) * BlockSize
	return Block{Piece: uint32(pt.piece), Begin: uint32(begin), Length: uint32(min(pt.size-begin, BlockSize))}
}

// gives tells whether a may be asked for something of pt outside the endgame.
func (pt *partial) gives(a *Asker, as *askers) bool {
	if !a.has(int(pt.piece)) || !pt.open(a.ID) {
		return false
	}
	return pt.free.n > 0 || !a.Slow && pt.nextLoose(a.ID, as) >= 0
}

// open tells whether id may be asked at all: always, unless pt is on parole
// and somebody else is at it.
func (pt *partial) open(id PeerID) bool {
	return !pt.alone || pt.owner == id || pt.missing == pt.free.n+pt.loose.n
}

// nextLoose is the first loose block not asked of id already, or -1.
func (pt *partial) nextLoose(id PeerID, as *askers) int32 {
	if pt.loose.n == 0 {
		return -1
	}
	k := pt.loose.next(0)
	for k >= 0 && as.has(&pt.state[k], id) {
		k = pt.loose.next(k + 1)
	}
	return k
}

// nextRun gives the blocks [from, to) that an asker shall take next, as far as
// they are free; from is free. pt has a free block.
func (pt *partial) nextRun() (from, to int32) {
	if !pt.dropped {
		if k := pt.free.next(pt.frontier); k >= 0 {
			pt.frontier = min(k+run, int32(len(pt.state)))
			return k, pt.frontier
		}
	}
	// What was given up, or what others have set aside but not asked for.
	k := pt.free.next(0)
	end := k + 1
	for end < k+run && end < int32(len(pt.state)) && pt.free.has(end) {
		end++
	}
	if !pt.dropped && k > 0 && pt.state[k-1].asked > 0 && !pt.state[k-1].received {
		k += (end - k) / 2 // somebody is coming along here: meet in the middle
	}
	return k, end
}

// partials are the pieces begun, in lists, so that choosing never looks at one
// that has nothing to give.
type partials struct {
	begun   map[int32]*partial
	in      [lists][]*partial
	dropped [open + 1]int // partials that somebody gave up blocks of, in each of the first lists
	seq     uint64
	opened  uint64 // partials that came to have something to ask for, so far
	askers  askers
	pool    []*partial
	end     endgame
	cursors *[cursors]cursor // nil until something is picked; may be lost
}

// add begins piece i, with all blocks free.
func (ps *partials) add(i int32, size int64, alone bool) *partial {
	var pt *partial
	if k := len(ps.pool) - 1; k >= 0 {
		pt, ps.pool[k] = ps.pool[k], nil
		ps.pool = ps.pool[:k]
	} else {
		pt = new(partial)
	}
	n := blocks(size)
	state := pt.state
	if cap(state) < int(n) {
		state = make([]blockState, n)
	}
	ps.seq++
	*pt = partial{piece: i, seq: ps.seq, size: size, state: state[:n], free: pt.free, loose: pt.loose,
		missing: n, alone: alone, wanted: true, in: open, base: -1}
	clear(pt.state)
	pt.free.reset(n)
	pt.free.fill(n)
	pt.loose.reset(n)
	if ps.begun == nil {
		ps.begun = make(map[int32]*partial)
	}
	ps.begun[i] = pt
	pt.at = int32(len(ps.in[open]))
	ps.in[open] = append(ps.in[open], pt)
	ps.opened++
	return pt
}

// pooled limits what the pool keeps: so many partials, none of more blocks
// than pooledBlocks.
const (
	pooled       = 64
	pooledBlocks = 2048
)

// remove forgets pt and every request for it.
func (ps *partials) remove(pt *partial) {
	for k := range pt.state {
		if st := &pt.state[k]; st.more != 0 {
			ps.askers.clear(st)
		}
	}
	pt.dropped = false
	ps.count(pt)
	ps.unlist(pt)
	delete(ps.begun, pt.piece)
	pt.piece = -1
	if len(ps.pool) < pooled && cap(pt.state) <= pooledBlocks {
		ps.pool = append(ps.pool, pt)
	}
}

func (ps *partials) unlist(pt *partial) {
	l := ps.in[pt.in]
	last := l[len(l)-1]
	l[pt.at], last.at = last, pt.at
	l[len(l)-1] = nil
	ps.in[pt.in] = l[:len(l)-1]
}

// place puts pt into the list it belongs to, after any change of its blocks.
func (ps *partials) place(pt *partial) {
	to := full
	switch {
	case !pt.wanted:
		to = shelved
		pt.base = -1
	case pt.missing == 0:
		to = whole
	case pt.free.n+pt.loose.n > 0 && pt.bySeed:
		to = seeded
	case pt.free.n+pt.loose.n > 0:
		to = open
	}
	if to != pt.in {
		ps.unlist(pt)
		pt.in, pt.at = to, int32(len(ps.in[to]))
		ps.in[to] = append(ps.in[to], pt)
		if to <= open {
			ps.opened++
		}
	}
	if to == full || to == whole {
		pt.dropped = false
	}
	ps.count(pt)
}

// count keeps the counters of dropped partials.
func (ps *partials) count(pt *partial) {
	is := list(0)
	if pt.dropped && pt.in <= open {
		is = pt.in + 1
	}
	if is == pt.mark {
		return
	}
	if pt.mark > 0 {
		ps.dropped[pt.mark-1]--
	}
	if is > 0 {
		ps.dropped[is-1]++
	}
	pt.mark = is
}

// open is the number of partials that something may be asked of.
func (ps *partials) open() int { return len(ps.in[seeded]) + len(ps.in[open]) }

// forget frees what is only needed while something is to be chosen.
func (ps *partials) forget() {
	ps.pool, ps.cursors = nil, nil
	ps.end.forget()
}

// find gives the partial b belongs to and its number there; nil when the piece
// is not begun or has no such block.
func (ps *partials) find(b Block) (*partial, int32) {
	pt := ps.begun[int32(b.Piece)]
	if pt == nil {
		return nil, 0
	}
	k, ok := blockIndex(b, pt.size)
	if !ok {
		return nil, 0
	}
	return pt, k
}

// ask notes a request of a for block k of pt, which it has none for yet. The
// caller places pt.
func (ps *partials) ask(pt *partial, k int32, a *Asker) {
	st := &pt.state[k]
	ps.askers.add(st, a.ID)
	ps.end.asked(pt, k, st.asked-1, st.asked)
	pt.free.remove(k)
	pt.bySeed = pt.bySeed || a.seed()
}

// unask takes id's request for block k of pt out; false: it has none. The
// caller places pt.
func (ps *partials) unask(pt *partial, k int32, id PeerID) bool {
	st := &pt.state[k]
	if !ps.askers.remove(st, id) {
		return false
	}
	if st.received {
		return true
	}
	ps.end.asked(pt, k, st.asked+1, st.asked)
	if st.asked == 0 {
		pt.loose.remove(k)
		pt.free.add(k)
	}
	return true
}

// best is the partial a is to go on with, nil for none.
func (ps *partials) best(a *Asker, c *cursor, v *availability) (best *partial) {
	if ps.open() == 0 {
		return nil
	}
	last := c.at(a.ID)
	quick := last != nil && v.rule == nil && !a.Slow && last.in <= open && last.gives(a, &ps.askers)
	for l := seeded; l <= open; l++ {
		if quick && last.in == l && ps.dropped[l] == 0 && (l == seeded || !a.seed()) {
			return last
		}
		for _, pt := range ps.in[l] {
			if (best == nil || ps.before(pt, best, a, last, v)) && pt.gives(a, &ps.askers) {
				best = pt
			}
		}
		if best != nil && v.rule == nil && !a.Slow {
			return best
		}
	}
	return best
}

// before tells whether a should rather go on with x than with y.
func (ps *partials) before(x, y *partial, a *Asker, last *partial, v *availability) bool {
	if v.rule != nil {
		i, j := v.place(int(x.piece)), v.place(int(y.piece))
		if !v.rule.strict {
			i, j = class(i), class(j)
		}
		if i != j {
			return i < j
		}
	}
	switch {
	case a.Slow: // where it is in nobody's way
		return x.missing > y.missing || x.missing == y.missing && x.seq > y.seq
	case x.in != y.in: // P3: those that a seeder touched
		return x.in == seeded
	}
	if x.in == open && v.had > 0 && a.seed() { // P3: for a seeder the others come by rarity
		if i, j := v.place(int(x.piece)), v.place(int(y.piece)); i != j {
			return i < j
		}
	}
	switch {
	case x.dropped != y.dropped:
		return x.dropped
	case x == last || y == last:
		return x == last
	case x.missing != y.missing:
		return x.missing < y.missing
	}
	return x.seq < y.seq
}
