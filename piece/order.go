package piece

// Priorities of pieces. Higher ones come first, the order of a [Strategy]
// counts within one.
const (
	NotWanted      uint8 = 0
	LowestPriority uint8 = 1
	NormalPriority uint8 = 4
	TopPriority    uint8 = 7
)

// Order is the order in which a [Picker] begins pieces: see [Picker.Order].
// What is set holds until it is set again, and may be changed at any time. As
// long as all of it is the default, or is so again, choosing takes the quickest
// path.
type Order struct{ p *Picker }

// Order is what the order of pieces is set with.
func (p *Picker) Order() Order { return Order{p} }

// rule is the rule that is in force, or one that is like the default.
func (o Order) rule() *ruled {
	p := o.p
	if p.avail.rule == nil {
		p.avail.rule = &ruled{sizes: p.sizes, salt: p.rnd.Uint64()}
	}
	return p.avail.rule
}

// changed puts the order in force. It is computed when it is needed next.
func (o Order) changed() {
	v := &o.p.avail
	if v.rule.plain() {
		fault := v.rule.fault
		v.rule, v.fault = nil, fault
	} else {
		v.rarity, v.fault = ranking{}, nil
	}
	v.stale = true
	v.age++
	o.p.parts.end.changed()
}

// SetStrategy exchanges the rule by which pieces are begun; nil is
// [RarestFirst]. Partials stay what they are.
func (o Order) SetStrategy(s Strategy) {
	o.rule().setStrategy(s)
	o.changed()
}

// Refresh asks the strategy for all ranks anew, when it has changed its mind.
func (o Order) Refresh() {
	o.rule()
	o.changed()
}

// Fault is why rarest first took the strategy's place; nil if it did not.
func (o Order) Fault() error {
	if r := o.p.avail.rule; r != nil {
		return r.fault
	}
	return o.p.avail.fault
}

// SetPriority gives the pieces from from up to, but not with, to a priority:
// that of the highest file that they have bytes of. 0, [NotWanted], is what
// SetWanted(i, false) does, all others make a piece wanted; more than
// [TopPriority] counts as that. A torrent's files are best set in one go, as
// the order is computed anew when it is needed next: that takes 1 to 2 ms for
// 100,000 pieces. For what changes all the time there are deadlines.
func (o Order) SetPriority(from, to int, priority uint8) {
	p := o.p
	from, to, priority = max(from, 0), min(to, p.n), min(priority, TopPriority)
	if priority != NotWanted && (p.avail.rule != nil || priority != NormalPriority) {
		o.rule().setPriority(p.n, from, to, priority)
		o.changed()
	}
	for i := from; i < to; i++ {
		p.SetWanted(i, priority != NotWanted)
	}
}

// setPriority notes priorities, and how many are not normal.
func (r *ruled) setPriority(n, from, to int, priority uint8) {
	if r.priority == nil {
		r.priority = make([]uint8, n)
		for i := range r.priority {
			r.priority[i] = NormalPriority
		}
	}
	for i := from; i < to; i++ {
		if r.priority[i] != NormalPriority {
			r.odd--
		}
		if r.priority[i] = priority; priority != NormalPriority {
			r.odd++
		}
	}
}

// Priority is the priority of piece i; NotWanted for one that is not wanted,
// or that the torrent does not have.
func (o Order) Priority(i int) uint8 {
	switch r := o.p.avail.rule; {
	case !o.p.wanted.Has(i):
		return NotWanted
	case r != nil:
		return r.level(i)
	}
	return NormalPriority
}

// SetFinish prefers files that are near completion (P5). Files without bytes,
// or with more than they can have, are left out.
func (o Order) SetFinish(how Finish, files []File) {
	o.rule().finish.set(how, files, o.p.sizes, o.p.have)
	o.changed()
}

// SetDeadlines replaces all deadlines: those of all who read. The earliest 256
// count, and of several for a piece the earliest one. list is not kept.
func (o Order) SetDeadlines(list []Deadline) {
	o.p.due.set(list, o.p.n)
	o.p.parts.end.changed()
}

// Partials is the number of partials that something may be asked of, and the
// limit beyond which a piece is begun for idle peers only.
func (o Order) Partials() (open, limit int) { return o.p.parts.open(), o.p.limit() }
