package choketest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
)

// choose is a function as a strategy.
type choose func(r *choke.Round) choke.Decision

func (c choose) Choose(r *choke.Round) choke.Decision { return c(r) }

// plain breaks no rule: the interested peers with the smallest numbers.
func plain(r *choke.Round) choke.Decision {
	var ids []choke.PeerID
	for i := range r.Peers {
		if r.Peers[i].Interested {
			ids = append(ids, r.Peers[i].ID)
		}
	}
	slices.Sort(ids)
	if n := r.Slots; n > 0 && n < len(ids) {
		ids = ids[:n]
	}
	return choke.Peers(ids...)
}

// Each strategy is broken in one way, and that is found by one check alone.
var broken = []struct {
	name, check, says string
	create            func() choke.Strategy
}{
	{"none", "", "", func() choke.Strategy { return choose(plain) }},
	{"remembers peers", "decisions", "is not in the round", func() choke.Strategy {
		var last []choke.PeerID
		return choose(func(r *choke.Round) choke.Decision {
			d := plain(r)
			if r.UploadLimit == 1<<18 {
				d = choke.Peers(last...)
			}
			last = last[:0]
			for _, p := range r.Peers {
				last = append(last, p.ID)
			}
			return d
		})
	}},
	{"says it twice", "decisions", "named twice", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			d := plain(r)
			if r.UploadLimit == 1<<18 && len(d.Unchoke) > 0 {
				d.Unchoke = append(d.Unchoke, d.Unchoke[0])
			}
			return d
		})
	}},
	{"negative rate", "decisions", "MaxRate", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			d := plain(r)
			if r.UploadLimit == 1<<18 && len(d.Unchoke) > 0 {
				d.Unchoke[0].MaxRate = -1
			}
			return d
		})
	}},
	{"asks for the past", "decisions", "Again is not in the future", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			d := plain(r)
			if r.UploadLimit == 1<<18 {
				d.Again = r.Now
			}
			return d
		})
	}},
	{"remembers everybody", "forgets", "are remembered", func() choke.Strategy {
		ever := make(map[choke.PeerID]time.Time)
		return choose(func(r *choke.Round) choke.Decision {
			for i := range r.Peers {
				ever[r.Peers[i].ID] = r.Now
			}
			return plain(r)
		})
	}},
	{"believes it was first", "midflight", "somebody else", func() choke.Strategy {
		mine := make(map[choke.PeerID]bool)
		return choose(func(r *choke.Round) choke.Decision {
			d := plain(r)
			for _, p := range r.Peers {
				if p.Unchoked && !mine[p.ID] {
					panic("somebody else was here")
				}
			}
			clear(mine)
			for _, c := range d.Unchoke {
				mine[c.Peer] = true
			}
			return d
		})
	}},
	{"own randomness", "deterministic", "another decision", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			if len(r.Peers) < 30 || r.Slots != 4 {
				return plain(r)
			}
			rand.Shuffle(len(r.Peers), func(i, j int) { r.Peers[i], r.Peers[j] = r.Peers[j], r.Peers[i] })
			d := plain(r)
			for i := range d.Unchoke {
				d.Unchoke[i].Why = fmt.Sprint(rand.IntN(1000))
			}
			return d
		})
	}},
	{"keeps the peers", "copies", "a round that is over", func() choke.Strategy {
		var last []choke.Peer
		return choose(func(r *choke.Round) choke.Decision {
			d := plain(r)
			for i := range d.Unchoke {
				if len(last) > 0 {
					d.Unchoke[i].Why = fmt.Sprint("after ", last[0].ID)
				}
			}
			last = r.Peers
			return d
		})
	}},
	{"keeps the randomness", "copies", "Round.Rand", func() choke.Strategy {
		var own *rand.Rand
		return choose(func(r *choke.Round) choke.Decision {
			if own != nil {
				own.IntN(10)
			}
			own = r.Rand
			return plain(r)
		})
	}},
	{"hangs with many", "fast", "did not answer", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			if len(r.Peers) == 1000 && r.Seeding {
				time.Sleep(time.Hour)
			}
			return plain(r)
		})
	}},
	{"trusts values", "odd", "the strategy panicked", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			for i := range r.Peers {
				_ = make([]byte, r.Peers[i].Pieces)
			}
			return plain(r)
		})
	}},
	{"tit for tat alone", "alone", "never unchoked", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			if !r.Seeding {
				r.Peers = slices.DeleteFunc(r.Peers, func(p choke.Peer) bool { return p.DownRate20 <= 0 })
			}
			return plain(r)
		})
	}},
	{"generous", "slots", "than there are slots", func() choke.Strategy {
		return choose(func(r *choke.Round) choke.Decision {
			if r.Slots > 0 {
				r.Slots++
			}
			return plain(r)
		})
	}},
}

func TestRun_FindsWhatIsBroken(t *testing.T) {
	found := make(map[string]bool)
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			for _, c := range checks {
				var says string
				synctest.Test(t, func(*testing.T) { // one that hangs costs no time
					says = failure(func(t require.TestingT) { c.run(t, b.create) })
					time.Sleep(2 * time.Hour)
				})
				if b.check == "deterministic" && c.name == "copies" {
					continue // it compares two of them as well
				}
				if c.name != b.check {
					require.Empty(t, says, c.name)
					continue
				}
				require.Contains(t, says, b.says)
				found[c.name] = true
			}
		})
	}
	require.Len(t, found, len(checks), "each check has found something")
}

// failure runs a check and returns what it complains about.
func failure(check func(t require.TestingT)) string {
	var f complaint
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(&f)
	}()
	<-done
	return string(f)
}

type complaint string

func (c *complaint) Errorf(format string, args ...any) { *c += complaint(fmt.Sprintf(format, args...)) }
func (c *complaint) FailNow()                          { runtime.Goexit() }

func TestNoAllocs_CountsThem(t *testing.T) {
	require.Positive(t, allocs(choose(plain), false))
	require.Positive(t, allocs(choose(plain), true))
}
