package sim

import "github.com/seed1734be99/starling/choke"

// A Named is a strategy with the name that figures are published under.
type Named struct {
	Name string
	New  func() choke.Strategy
}

// Bundled lists the strategies of package choke, each for whole swarms of peers that download first and seed then.
func Bundled() []Named {
	balance := func() choke.Strategy { return choke.NewByteBalance(choke.ByteBalance{}) }
	return []Named{
		{"default", choke.Default},
		{"default+roundrobin", Phases(choke.NewTitForTat, choke.NewRoundRobin)},
		{"roundrobin", choke.NewRoundRobin},
		{"bytebalance", balance},
		{"everyone", choke.NewUnchokeEveryone},
	}
}

// Phases makes a strategy of two: one for downloading and one for seeding.
func Phases(downloading, seeding func() choke.Strategy) func() choke.Strategy {
	return func() choke.Strategy { return &phases{make: [2]func() choke.Strategy{downloading, seeding}} }
}

type phases struct {
	make    [2]func() choke.Strategy
	seeding bool
	current choke.Strategy
}

// Choose implements choke.Strategy.
func (p *phases) Choose(r *choke.Round) choke.Decision {
	if p.current == nil || p.seeding != r.Seeding {
		p.seeding = r.Seeding
		p.current = p.make[0]()
		if r.Seeding {
			p.current = p.make[1]()
		}
	}
	return p.current.Choose(r)
}
