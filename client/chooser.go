package client

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/swarm"
)

// chooseTime is how long a strategy may take.
const chooseTime = 2 * time.Second

var errChokerSlow = errors.New("client: the choking strategy did not answer within two seconds")

// chooser runs a torrent's choking strategy. One that panics or hangs is
// replaced by the default, and the download goes on.
type chooser struct {
	t *Torrent

	mu    sync.Mutex
	strat choke.Strategy // nil: not made yet
	sets  int            // counts exchanges by the program
	round *choke.Round   // reused from round to round; nil: with a strategy
}

func (c *chooser) init(t *Torrent, own choke.Strategy) { c.t, c.strat = t, own }

func (c *chooser) set(s choke.Strategy) {
	if s == nil {
		s = choke.Default()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.strat = s
	c.sets++
}

// choose makes one choking round: snapshot, choice, and what follows from it.
// The swarm asks for one at a time.
func (c *chooser) choose(why choke.Reason) {
	t := c.t
	c.mu.Lock()
	if c.strat == nil {
		c.strat = &made{by: t.c.cfg.Choker}
	}
	strat, sets, r := c.strat, c.sets, c.round
	c.round = nil // the strategy's until it answers
	c.mu.Unlock()
	if r == nil {
		r = &choke.Round{Rand: newRand()}
	}
	r.Now, r.Why = time.Now(), why
	if l := t.c.limits.up.r.Limit(); l < 1<<40 {
		r.UploadLimit = int64(l)
	}
	n := t.g.Snapshot(r, r.Now)
	d, err := ask(strat, r)
	if err != nil {
		t.c.cfg.Logger.Warn("choking strategy replaced by the default", "torrent", t.Name(), "error", err)
		t.emit(Event{Kind: EventChokerFailed, Err: err})
		r = &choke.Round{Rand: newRand(), Now: time.Now(), Why: choke.Started} // the other may still be read
		strat = choke.Default()
		n = t.g.Snapshot(r, r.Now)
		d = strat.Choose(r)
	}
	var eff swarm.Effects
	t.g.Apply(n, d, time.Now(), &eff)
	c.mu.Lock()
	if err != nil && c.sets == sets {
		c.strat = strat
	}
	c.round = r
	c.mu.Unlock()
	t.carry(&eff, nil)
}

// ask asks a strategy, in a goroutine of its own under a deadline.
func ask(s choke.Strategy, r *choke.Round) (choke.Decision, error) {
	type answer struct {
		d   choke.Decision
		err error
	}
	ch := make(chan answer, 1)
	go func() { // ends with the strategy; one that hangs can't be ended
		var a answer
		defer func() {
			if v := recover(); v != nil {
				a.err = fmt.Errorf("client: the choking strategy panicked: %v", v)
			}
			ch <- a
		}()
		a.d = s.Choose(r)
	}()
	timer := time.NewTimer(chooseTime)
	defer timer.Stop()
	select {
	case a := <-ch:
		if a.err == nil {
			a.err = known(a.d, r)
		}
		return a.d, a.err
	case <-timer.C:
		return choke.Decision{}, errChokerSlow
	}
}

// known refuses a decision about peers that were not in the round.
func known(d choke.Decision, r *choke.Round) error {
	in := make(map[choke.PeerID]bool, len(r.Peers))
	for i := range r.Peers {
		in[r.Peers[i].ID] = true
	}
	for _, c := range d.Unchoke {
		if !in[c.Peer] {
			return fmt.Errorf("client: the choking strategy named peer %d, which was not in the round", c.Peer)
		}
	}
	return nil
}

// made is a strategy that is made when it is first asked, in the goroutine
// where the program's code may panic.
type made struct {
	by func() choke.Strategy
	s  choke.Strategy
}

// Choose implements choke.Strategy.
func (m *made) Choose(r *choke.Round) choke.Decision {
	if m.s == nil {
		m.s = m.by()
	}
	return m.s.Choose(r)
}
