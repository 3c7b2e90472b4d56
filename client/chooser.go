package client

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/swarm"
)

const (
	chooseTime  = 2 * time.Second        // how long a strategy may take
	explainTime = 100 * time.Millisecond // and how long to say why
)

var (
	errChokerSlow = errors.New("client: the choking strategy did not answer within two seconds")
	errChokerGone = errors.New("client: the choking strategy ended its goroutine")
)

// chooser runs a torrent's choking strategy. One that panics or hangs is
// replaced by the default, and the download goes on.
type chooser struct {
	t *Torrent

	mu    sync.Mutex
	seat  *seat
	told  *seat        // was asked before; another's first round is Started
	sets  int          // counts exchanges by the program
	fails int          // counts those by us
	round *choke.Round // reused from round to round; nil: with a strategy
}

func (c *chooser) init(t *Torrent, own choke.Strategy) {
	c.t, c.seat = t, newSeat(own, t.c.cfg.Choker)
}

func (c *chooser) set(s choke.Strategy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seat = newSeat(s, choke.Default)
	c.sets++
}

// choose makes one choking round: snapshot, choice, and what follows from it.
// The swarm asks for one at a time.
func (c *chooser) choose(why choke.Reason) {
	t := c.t
	c.mu.Lock()
	seat, sets, r := c.seat, c.sets, c.round
	if seat != c.told {
		why, c.told = choke.Started, seat
	}
	c.round = nil // the strategy's until it answers
	c.mu.Unlock()
	if r == nil {
		r = &choke.Round{Rand: newRand()}
	}
	n := c.snapshot(r, why)
	d, err := seat.choose(r)
	if err != nil {
		t.c.cfg.Logger.Warn("choking strategy replaced by the default", "torrent", t.Name(), "error", err)
		t.emit(Event{Kind: EventChokerFailed, Err: err})
		r = &choke.Round{Rand: newRand()} // the other may still be read
		n = c.snapshot(r, choke.Started)
		seat = newSeat(nil, choke.Default)
		d, _ = seat.choose(r)
	}
	var eff swarm.Effects
	t.g.Apply(n, d, time.Now(), &eff)
	c.mu.Lock()
	if err != nil {
		c.fails++
		if c.sets == sets {
			c.seat = seat
		}
	}
	c.round = r
	c.mu.Unlock()
	t.carry(&eff, nil)
}

func (c *chooser) faults() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fails
}

func (c *chooser) snapshot(r *choke.Round, why choke.Reason) uint64 {
	r.Now, r.Why, r.UploadLimit = time.Now(), why, c.uploadLimit()
	return c.t.g.Snapshot(r, r.Now)
}

// uploadLimit is the most bytes per second that the torrent may send; 0: there
// is no limit.
func (c *chooser) uploadLimit() int64 {
	if l := min(c.t.c.limits.up.r.Limit(), c.t.up.r.Limit()); l < 1<<40 {
		return int64(l)
	}
	return 0
}

// explain asks the strategy about peers, and puts down what it says. It does
// not wait for one that is busy, nor does every strategy say something.
func (c *chooser) explain(peers []PeerInfo, ids []choke.PeerID) {
	c.mu.Lock()
	seat := c.seat
	c.mu.Unlock()
	texts, err := seat.explain(ids)
	if err != nil {
		c.t.c.cfg.Logger.Debug("choking strategy", "torrent", c.t.Name(), "error", err)
	}
	for i, text := range texts {
		if text != "" {
			peers[i].Why = text
		}
	}
}

// seat is a strategy, asked one thing at a time, in a goroutine of its own
// under a deadline.
type seat struct {
	by   func() choke.Strategy // makes it, where the program's code may panic; nil: it is there
	s    choke.Strategy
	busy chan struct{} // holds one while it is asked
}

// newSeat takes a strategy, or with nil what makes one.
func newSeat(s choke.Strategy, by func() choke.Strategy) *seat {
	return &seat{by: by, s: s, busy: make(chan struct{}, 1)}
}

// choose asks for a decision.
func (s *seat) choose(r *choke.Round) (choke.Decision, error) {
	timer := time.NewTimer(chooseTime)
	defer timer.Stop()
	select {
	case s.busy <- struct{}{}:
	case <-timer.C:
		return choke.Decision{}, errChokerSlow
	}
	var d choke.Decision
	if err := s.ask(timer, func(s choke.Strategy) { d = s.Choose(r) }); err != nil {
		return choke.Decision{}, err
	}
	return d, known(d, r)
}

// explain asks about peers; nil: it has no answer, or is busy.
func (s *seat) explain(ids []choke.PeerID) ([]string, error) {
	select {
	case s.busy <- struct{}{}:
	default:
		return nil, nil
	}
	timer := time.NewTimer(explainTime)
	defer timer.Stop()
	var texts []string
	err := s.ask(timer, func(s choke.Strategy) {
		if e, ok := s.(choke.Explainer); ok {
			for _, id := range ids {
				texts = append(texts, e.Explain(id))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return texts, nil
}

// ask calls the strategy, which is taken (busy) until it has returned. What a
// strategy does that hangs must not be read: its goroutine can't be ended.
func (s *seat) ask(timer *time.Timer, what func(choke.Strategy)) error {
	done := make(chan error, 1)
	go func() {
		err := errChokerGone // unless it returns
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("client: the choking strategy panicked: %v", v)
			}
			<-s.busy
			done <- err
		}()
		if s.s == nil {
			s.s = s.by()
		}
		what(s.s)
		err = nil
	}()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errChokerSlow
	}
}

// known refuses a decision about peers that were not in the round, or that it
// names twice.
func known(d choke.Decision, r *choke.Round) error {
	named := make(map[choke.PeerID]bool, len(r.Peers))
	for i := range r.Peers {
		named[r.Peers[i].ID] = false
	}
	for _, c := range d.Unchoke {
		twice, in := named[c.Peer]
		switch {
		case !in:
			return fmt.Errorf("client: the choking strategy named peer %d, which was not in the round", c.Peer)
		case twice:
			return fmt.Errorf("client: the choking strategy named peer %d twice", c.Peer)
		}
		named[c.Peer] = true
	}
	return nil
}
