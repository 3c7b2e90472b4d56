package choke

// NewUnchokeEveryone returns the strategy that chokes nobody: every peer that is not a seed may download, as fast as
// the connection and the client's limits let it. Round.Slots means nothing to it.
//
// It is here for comparison. Without a choke there is nothing to be had in return for sending, so a swarm of it feeds
// free-riders as well as anybody, and many uploads at once serve TCP badly (BEP 3). Among few peers that trust each
// other it is all one needs.
// It is an [Explainer].
func NewUnchokeEveryone() Strategy { return new(everyone) }

type everyone struct {
	table table
	out   []Choice
}

func (e *everyone) Choose(r *Round) Decision {
	e.table.begin(r)
	e.out = e.out[:0]
	for i := range r.Peers {
		p := &r.Peers[i]
		if p.Seed || e.table.index[p.ID] != i {
			continue
		}
		e.out = append(e.out, Choice{Peer: p.ID, Why: WhyEveryone})
	}
	return Decision{Unchoke: e.out}
}

// Explain implements Explainer.
func (e *everyone) Explain(id PeerID) string {
	text, _ := e.table.plain(id)
	if _, there := e.table.index[id]; !there || text == isSeed {
		return text
	}
	return WhyEveryone
}
