package piece

// Next chooses up to n blocks to ask a for, appends them to dst and notes the
// requests. It allocates nothing, given room in dst, but for the growth of
// tables that are used again. A block is never given twice to one asker, as
// long as its request is open. Fewer than n: there is no more for a now.
//
// The order of choice is told in the package comment. Blocks of one piece come
// in runs, and an asker with a large n gets whole pieces.
func (p *Picker) Next(a *Asker, n int, dst []Block) []Block {
	if n <= 0 || p.needed == 0 {
		return dst
	}
	if p.avail.rule != nil {
		p.avail.sorted()
	}
	c := choice{p: p, cur: p.parts.meet(a)}
	had, want, again := len(dst), len(dst)+n, 0
	if len(p.due.list) > 0 {
		dst, again = c.urgent(a, want, dst)
	}
	for len(dst) < want {
		pt := c.partial(a, a.Open == 0 && len(dst) == had)
		if pt == nil {
			break
		}
		before := len(dst)
		if dst = c.take(pt, a, want, dst); len(dst) == before {
			break
		}
	}
	if a.Duplicates != 0 {
		want = min(want, len(dst)+max(a.Duplicates-again, 0))
	}
	if len(dst) == want {
		return dst
	}
	switch {
	case p.Endgame():
		dst = c.duplicates(a, want, dst)
	case a.Open == 0 && len(dst) == had && !a.Slow:
		dst = c.takeOver(a, want, dst)
	}
	return dst
}

// choice is one call of Next. The asker is not in it, so that it need not be
// on the heap.
type choice struct {
	p   *Picker
	cur *cursor
}

// anyPlace is above the place of every piece.
const anyPlace uint64 = 1 << 63

// partial is the piece to take blocks from: one begun, or a new one. idle tells
// that a would have nothing to do without it.
func (c choice) partial(a *Asker, idle bool) *partial {
	p := c.p
	if a.Only != nil {
		return c.fromOnly(a)
	}
	if a.Run > 0 {
		if pt := c.onwards(a); pt != nil {
			return pt
		}
	}
	v := &p.avail
	pt := p.parts.best(a, c.cur, v)
	if pt != nil && v.rule == nil && pt.in == seeded {
		return pt
	}
	below := anyPlace
	if pt != nil {
		below = c.rival(pt, a)
	} else if !idle && p.crowded() {
		return nil
	}
	if below == 0 {
		return pt
	}
	if i := v.choose(a, below, p.rnd); i >= 0 {
		if len(a.Suggested) > 0 {
			i = v.suggested(a, i)
		}
		return p.begin(i)
	}
	return pt
}

// rival is the place below which an untouched piece is better than pt, the
// best partial.
func (c choice) rival(pt *partial, a *Asker) uint64 {
	v := &c.p.avail
	place := v.place(int(pt.piece))
	switch {
	case v.rule != nil && v.rule.strict:
		return place
	case pt.in == open && a.seed() && !a.Slow && v.had > 0 && !c.p.crowded():
		return place // P3: for a seeder it is a tie-break only
	}
	return class(place)
}

// limit is the number of partials, of those that something may be asked of,
// beyond which no piece is begun but for idle peers. Together with the pieces
// that all is asked of, of which each active peer has about one, that makes
// about one and a half for each peer.
func (p *Picker) limit() int { return 4 + (p.avail.peers+p.avail.seeds)/2 }

// crowded tells whether the limit of partials is reached.
func (p *Picker) crowded() bool { return p.parts.open() >= p.limit() }

// onwards is the piece that a long run goes on with: the one it is at, the one
// behind it, or a new one; nil if there is none of these.
func (c choice) onwards(a *Asker) *partial {
	p, v := c.p, &c.p.avail
	if last := c.cur.at(a.ID); last != nil {
		if last.in <= open && last.gives(a, &p.parts.askers) {
			return last
		}
		if i := int(last.piece) + 1; c.cur.left > 0 && v.fresh.Has(i) && a.has(i) {
			if best := v.choose(a, anyPlace, p.rnd); best >= 0 && class(v.place(best)) == class(v.place(i)) {
				return p.begin(i)
			}
		}
	}
	if i := v.choose(a, anyPlace, p.rnd); i >= 0 {
		c.cur.left = int32(min(a.Run, 1<<30))
		return p.begin(i)
	}
	return nil
}

// fromOnly is partial for an asker that may be asked for a few pieces only.
func (c choice) fromOnly(a *Asker) *partial {
	p, v := c.p, &c.p.avail
	var begun *partial
	best, place := -1, anyPlace
	for _, u := range a.Only {
		if !a.has(int(u)) {
			continue
		}
		i := int(u)
		if pt := p.parts.begun[int32(u)]; pt != nil {
			if pt.in <= open && pt.gives(a, &p.parts.askers) && (begun == nil || p.parts.before(pt, begun, a, nil, v)) {
				begun = pt
			}
		} else if v.fresh.Has(i) && v.place(i) < place {
			best, place = i, v.place(i)
		}
	}
	if best >= 0 && (begun == nil || place < c.rival(begun, a)) {
		return p.begin(best)
	}
	return begun
}

// take appends blocks of pt, which has some for a, until dst holds want.
func (c choice) take(pt *partial, a *Asker, want int, dst []Block) []Block {
	ps, cur := &c.p.parts, c.cur
	if a.Slow {
		for len(dst) < want && pt.free.n > 0 {
			k := pt.free.last()
			ps.ask(pt, k, a)
			pt.loose.add(k)
			dst = append(dst, pt.block(k))
		}
		ps.place(pt)
		return dst
	}
	if cur.at(a.ID) != pt {
		cur.stop(pt)
	}
	for len(dst) < want && pt.free.n > 0 {
		if cur.next >= cur.end || !pt.free.has(cur.next) {
			cur.next, cur.end = pt.nextRun()
		}
		ps.ask(pt, cur.next, a)
		dst = append(dst, pt.block(cur.next))
		cur.next++
		cur.left--
	}
	for len(dst) < want {
		k := pt.nextLoose(a.ID, &ps.askers)
		if k < 0 {
			break
		}
		dst = c.again(pt, k, a, dst)
	}
	pt.owner = a.ID
	ps.place(pt)
	return dst
}

// again appends block k of pt, which others are asked for too.
func (c choice) again(pt *partial, k int32, a *Asker, dst []Block) []Block {
	c.p.parts.ask(pt, k, a)
	pt.loose.remove(k)
	return append(dst, pt.block(k))
}
