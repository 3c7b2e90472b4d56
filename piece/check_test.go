package piece

import "fmt"

// check recounts everything that the picker keeps count of.
func (p *Picker) check() error {
	needed, fresh := 0, 0
	for i := range p.n {
		if p.Needs(i) {
			needed++
		}
		pt := p.parts.begun[int32(i)]
		if p.have.Has(i) && pt != nil {
			return fmt.Errorf("piece %d is had and begun", i)
		}
		if is := p.Needs(i) && pt == nil; is != p.avail.fresh.Has(i) {
			return fmt.Errorf("piece %d untouched: %v", i, is)
		} else if is {
			fresh++
		}
	}
	if needed != p.needed || fresh != p.avail.fresh.count {
		return fmt.Errorf("needed %d, counted %d; untouched %d, counted %d", p.needed, needed, p.avail.fresh.count, fresh)
	}
	if err := p.avail.check(); err != nil {
		return err
	}
	if err := p.parts.check(p); err != nil {
		return err
	}
	return p.parts.end.check()
}

func (r *ranking) check(rank func(i int) int32) error {
	for k, i := range r.order {
		if r.pos[i] != int32(k) {
			return fmt.Errorf("item %d is not at %d", i, k)
		}
		if c := rank(int(i)); k < int(r.start[c]) || k >= int(r.start[c+1]) {
			return fmt.Errorf("item %d of rank %d is at %d, starts %v", i, c, k, r.start)
		}
	}
	return nil
}

func (v *availability) check() error {
	if v.stale {
		return nil
	}
	if v.rule != nil {
		return v.rule.check(v)
	}
	return v.rarity.check(func(i int) int32 {
		if v.fresh.Has(i) {
			return v.count(i) + 1
		}
		return 0
	})
}

func (r *ruled) check(v *availability) error {
	for i, key := range r.keys {
		if want := r.key(v, i); r.strategy == nil && key != want {
			return fmt.Errorf("key of piece %d: %x, kept %x", i, want, key)
		}
	}
	for k := r.width - 1; k >= 1; k-- {
		if w := r.winner(v, k); w != r.tree[k] {
			return fmt.Errorf("winner at %d: %d, kept %d", k, w, r.tree[k])
		}
	}
	return nil
}

func (ps *partials) check(p *Picker) error {
	listed, dropped, extra := 0, [open + 1]int{}, 0
	for l, in := range ps.in {
		listed += len(in)
		for at, pt := range in {
			if ps.begun[pt.piece] != pt || pt.in != list(l) || int(pt.at) != at || pt.wanted != p.wanted.Has(int(pt.piece)) {
				return fmt.Errorf("partial %d is lost", pt.piece)
			}
			if pt.dropped && pt.in <= open {
				dropped[l]++
			}
			var missing, free, loose int32
			for k := range pt.state {
				st := &pt.state[k]
				asked := 0
				for i := st.more; i != 0; i = ps.askers.nodes[i].next {
					extra++
					asked++
				}
				if st.asked > 0 {
					asked++
				}
				isFree := !st.received && st.asked == 0
				if int(st.asked) != asked || pt.free.has(int32(k)) != isFree {
					return fmt.Errorf("block %v: asked %d, counted %d, free %v", pt.block(int32(k)), st.asked, asked, isFree)
				}
				if !st.received {
					missing++
				}
				if isFree {
					free++
				}
				if pt.loose.has(int32(k)) {
					loose++
					if st.received || isFree {
						return fmt.Errorf("block %v is loose", pt.block(int32(k)))
					}
				}
			}
			want := full
			switch {
			case !pt.wanted:
				want = shelved
			case missing == 0:
				want = whole
			case free+loose > 0 && pt.bySeed:
				want = seeded
			case free+loose > 0:
				want = open
			}
			if missing != pt.missing || free != pt.free.n || loose != pt.loose.n || want != pt.in {
				return fmt.Errorf("partial %d: missing %d %d, free %d %d, loose %d %d, list %d %d",
					pt.piece, missing, pt.missing, free, pt.free.n, loose, pt.loose.n, want, pt.in)
			}
		}
	}
	if listed != len(ps.begun) || dropped != ps.dropped {
		return fmt.Errorf("%d listed, %d begun; %d dropped, counted %d", listed, len(ps.begun), ps.dropped, dropped)
	}
	for k := ps.askers.free; k != 0; k = ps.askers.nodes[k].next {
		extra++
	}
	if extra != max(len(ps.askers.nodes)-1, 0) {
		return fmt.Errorf("%d of %d askers", extra, len(ps.askers.nodes)-1)
	}
	return nil
}

func (e *endgame) check() error {
	if !e.valid {
		return nil
	}
	return e.order.check(func(i int) int32 {
		pt := e.of[i]
		if pt.base < 0 || pt.piece < 0 { // shelved, or had: all received
			return 0
		}
		if st := pt.state[i-int(pt.base)]; !st.received {
			return int32(st.asked)
		}
		return 0
	})
}
