package choketest

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
)

// deadline is the client's.
const deadline = 2 * time.Second

// ask asks as the client does: in a goroutine of its own, for a limited time.
func ask(t require.TestingT, s choke.Strategy, r *choke.Round) choke.Decision {
	var d choke.Decision
	fault := make(chan string, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				fault <- fmt.Sprintf("the strategy panicked: %v\n%s", v, debug.Stack())
			}
		}()
		d = s.Choose(r)
		fault <- ""
	}()
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	select {
	case f := <-fault:
		if f != "" {
			t.Errorf("%s", f)
			t.FailNow()
		}
		return d
	case <-timer.C:
		t.Errorf("the strategy did not answer within two seconds about %d peers", len(r.Peers))
		t.FailNow()
	}
	return choke.Decision{}
}

// lawful checks a decision about the world as it is now.
func lawful(t require.TestingT, w *world, d choke.Decision) {
	there := make(map[choke.PeerID]bool, len(w.peers))
	for i := range w.peers {
		there[w.peers[i].ID] = true
	}
	named := make(map[choke.PeerID]bool, len(d.Unchoke))
	for _, c := range d.Unchoke {
		require.Truef(t, there[c.Peer], "peer %d was named, and is not in the round", c.Peer)
		require.Falsef(t, named[c.Peer], "peer %d was named twice", c.Peer)
		require.GreaterOrEqualf(t, c.MaxRate, int64(0), "MaxRate of peer %d is negative", c.Peer)
		named[c.Peer] = true
	}
	if !d.Again.IsZero() {
		require.Truef(t, d.Again.After(w.now), "Again is not in the future: %v, Now is %v", d.Again, w.now)
	}
}

// kept is a decision to compare with others: copied, and in order, since the order has no meaning.
func kept(d choke.Decision) choke.Decision {
	d.Unchoke = slices.SortedFunc(slices.Values(d.Unchoke), func(a, b choke.Choice) int { return cmp.Compare(a.Peer, b.Peer) })
	if !d.Again.IsZero() {
		d.Again = d.Again.UTC().Round(0)
	}
	return d
}
