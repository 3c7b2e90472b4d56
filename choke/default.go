package choke

// Default returns the strategy a client uses when it is told of no other: [NewTitForTat] while we want something,
// [NewSeeding] when we don't, as Round.Seeding says. A change begins with fresh state; who is unchoked and takes much
// stays so. It is an [Explainer].
func Default() Strategy { return new(byNeed) }

type byNeed struct {
	seeding bool
	current Strategy
}

func (d *byNeed) Choose(r *Round) Decision {
	if d.current == nil || d.seeding != r.Seeding {
		d.seeding = r.Seeding
		if r.Seeding {
			d.current = NewSeeding()
		} else {
			d.current = NewTitForTat()
		}
	}
	return d.current.Choose(r)
}

// Explain implements Explainer.
func (d *byNeed) Explain(id PeerID) string {
	if e, ok := d.current.(Explainer); ok {
		return e.Explain(id)
	}
	return ""
}
