package piece

import "slices"

// askers keeps who else was asked for a block, beyond the first: short lists
// that are there in the endgame only, in one array with a free list.
type askers struct {
	nodes []asker // nodes[0] is not used
	free  int32
}

type asker struct {
	id   PeerID
	next int32
}

// has tells whether id has an open request for the block.
func (as *askers) has(st *blockState, id PeerID) bool {
	if st.asked == 0 {
		return false
	}
	if st.first == id {
		return true
	}
	for k := st.more; k != 0; k = as.nodes[k].next {
		if as.nodes[k].id == id {
			return true
		}
	}
	return false
}

// add notes a request of id, which has none yet.
func (as *askers) add(st *blockState, id PeerID) {
	st.asked++
	if st.asked == 1 {
		st.first = id
		return
	}
	k := as.free
	if k == 0 {
		if len(as.nodes) == 0 {
			as.nodes = append(as.nodes, asker{})
		}
		k = int32(len(as.nodes))
		as.nodes = append(as.nodes, asker{})
	} else {
		as.free = as.nodes[k].next
	}
	as.nodes[k] = asker{id: id, next: st.more}
	st.more = k
}

// remove takes id's request out; false: it has none.
func (as *askers) remove(st *blockState, id PeerID) bool {
	if st.asked == 0 {
		return false
	}
	if st.first == id {
		st.asked--
		if k := st.more; k != 0 {
			st.first, st.more = as.nodes[k].id, as.nodes[k].next
			as.release(k)
		}
		return true
	}
	for at := &st.more; *at != 0; at = &as.nodes[*at].next {
		if k := *at; as.nodes[k].id == id {
			*at = as.nodes[k].next
			as.release(k)
			st.asked--
			return true
		}
	}
	return false
}

// clear takes every request out.
func (as *askers) clear(st *blockState) {
	for st.more != 0 {
		k := st.more
		st.more = as.nodes[k].next
		as.release(k)
	}
	st.asked = 0
}

func (as *askers) release(k int32) {
	as.nodes[k] = asker{next: as.free}
	as.free = k
}

// endgame ranks the blocks of all wanted partials by how many peers they are
// asked of. Rank 0 holds what is received or free. It is built when it is
// needed first, and again when partials came or went (valid).
type endgame struct {
	valid bool
	of    []*partial // whose block it is; its number is the index less of[k].base
	order ranking
	news  uint64 // raised by whatever may give an asker something to choose
}

// changed notes that an asker who found nothing should look again.
func (e *endgame) changed() { e.news++ }

// rebuilt notes that the blocks ranked are no longer the right ones.
func (e *endgame) rebuilt() {
	e.valid = false
	e.news++
}

// asked follows a change of the number of requests for block k of pt.
func (e *endgame) asked(pt *partial, k int32, from, to uint16) {
	if e.valid && pt.base >= 0 {
		e.order.move(pt.base+k, int32(from), int32(to))
	}
}

// build ranks the blocks of all partials in the lists.
func (e *endgame) build(in ...[]*partial) {
	clear(e.of)
	e.of = e.of[:0]
	top := uint16(1)
	for _, l := range in {
		for _, pt := range l {
			pt.base = int32(len(e.of))
			for k := range pt.state {
				e.of = append(e.of, pt)
				top = max(top, pt.state[k].asked)
			}
		}
	}
	e.order.build(len(e.of), int32(top), func(i int) int32 {
		pt := e.of[i]
		if st := &pt.state[int32(i)-pt.base]; !st.received {
			return int32(st.asked)
		}
		return 0
	})
	e.valid = true
}

// forget frees all memory.
func (e *endgame) forget() { *e = endgame{news: e.news + 1} }

// maxAskers is of how many peers one block is asked at most.
const maxAskers = 1<<16 - 1

// duplicates appends blocks asked of others until dst holds want: the least
// often asked first, among these a random one.
// BEP 3 says no more than that requests go to all peers; that each peer gets
// them in another order is the original client's practice.
func (c choice) duplicates(a *Asker, want int, dst []Block) []Block {
	ps, cur := &c.p.parts, c.cur
	if a.Only == nil && cur.barren == ps.end.news {
		return dst
	}
	e := &ps.end
	if !e.valid {
		e.build(ps.in[seeded], ps.in[open], ps.in[full])
	}
	if pt := cur.at(a.ID); a.Along && pt != nil {
		dst = c.along(pt, cur.next, a, want, dst)
	}
	top := min(e.order.top(), maxAskers-1)
	for r := 1; r <= top; r++ {
		start := e.order.start[r]
		for at := e.order.start[r+1] - 1; at >= start; at = min(at, e.order.start[r+1]) - 1 { // along moves others of the rank
			if len(dst) == want {
				return dst
			}
			item := e.order.draw(start, at, c.p.rnd)
			pt := e.of[item]
			k := item - pt.base
			if pt.alone || !a.may(int(pt.piece)) || ps.askers.has(&pt.state[k], a.ID) {
				continue
			}
			dst = c.again(pt, k, a, dst)
			if a.Along {
				dst = c.along(pt, k+1, a, want, dst)
			}
			ps.place(pt)
		}
	}
	if a.Only == nil && len(dst) < want {
		cur.pt, cur.barren = nil, e.news
	}
	return dst
}

// along appends the blocks of pt from k on, however often they are asked for:
// an asker with Along goes on where it is.
func (c choice) along(pt *partial, k int32, a *Asker, want int, dst []Block) []Block {
	if pt.alone || pt.in != full || !a.may(int(pt.piece)) {
		return dst
	}
	for ; len(dst) < want && int(k) < len(pt.state); k++ {
		if st := &pt.state[k]; !st.received && st.asked < maxAskers && !c.p.parts.askers.has(st, a.ID) {
			dst = c.again(pt, k, a, dst)
		}
	}
	c.cur.stop(pt)
	c.cur.next = k
	return dst
}

const (
	takenOver = 4  // blocks of one call that much slower peers were asked for
	lookedAt  = 64 // partials that are searched for them, or 1024 blocks
)

// takeOver appends a few blocks that much slower peers were asked for: before
// the endgame, while others still have something new to send, a would be idle,
// and what it has would wait for the slow ones (P4, P6).
func (c choice) takeOver(a *Asker, want int, dst []Block) []Block {
	all := c.p.parts.in[full]
	if len(all) == 0 || a.Rate == 0 {
		return dst
	}
	want = min(want, len(dst)+takenOver)
	at := c.p.rnd.IntN(len(all))
	for k, left := 0, lookedAt; k < len(all) && left > 0; k++ {
		pt := all[(at+k)%len(all)]
		if left--; a.may(int(pt.piece)) {
			left -= len(pt.state) / 16
			if dst = c.overtake(pt, a, 4, want, dst); len(dst) == want {
				break
			}
		}
	}
	return dst
}

// Endgame tells whether all that is missing is asked for (BEP 3, "endgame
// mode"), so that Next may give blocks asked of others. A block asked of a
// slow peer counts as asked for.
func (p *Picker) Endgame() bool {
	if p.needed == 0 || p.avail.fresh.count > 0 {
		return false
	}
	for l := seeded; l <= open; l++ {
		for _, pt := range p.parts.in[l] {
			if pt.free.n > 0 {
				return false
			}
		}
	}
	return true
}

// Askers appends who has an open request for b to dst, in no order. After
// [Picker.Receive] these are the peers to send cancels to; there are none
// unless b was asked of more than one, and then the call costs a look-up.
func (p *Picker) Askers(dst []PeerID, b Block) []PeerID {
	pt, k := p.parts.find(b)
	if pt == nil || pt.state[k].asked == 0 {
		return dst
	}
	st := &pt.state[k]
	dst = slices.Grow(dst, int(st.asked))
	dst = append(dst, st.first)
	for n := st.more; n != 0; n = p.parts.askers.nodes[n].next {
		dst = append(dst, p.parts.askers.nodes[n].id)
	}
	return dst
}
