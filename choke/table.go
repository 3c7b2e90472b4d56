package choke

import (
	"fmt"
	"slices"
)

// A table is what a strategy keeps of a round to find its peers in it by their names, and to explain itself later.
type table struct {
	index map[PeerID]int // of Round.Peers
	seen  []sight        // by that index
}

// A sight is what there is to explain of a peer after its round.
type sight struct {
	interested, seed, snubbed bool
	rate                      int64 // what it is ranked by
}

// begin takes in the round. Of a peer that is named twice, the last one counts.
func (t *table) begin(r *Round) {
	if t.index == nil {
		t.index = make(map[PeerID]int)
	}
	clear(t.index)
	t.seen = slices.Grow(t.seen[:0], len(r.Peers))
	for i := range r.Peers {
		p := &r.Peers[i]
		t.index[p.ID] = i
		t.seen = append(t.seen, sight{interested: p.Interested, seed: p.Seed})
	}
}

const (
	notInterested = "not interested"
	isSeed        = "has everything"
)

// plain explains the peers about whom nothing had to be decided: ok, and empty for one that was not there.
func (t *table) plain(id PeerID) (text string, ok bool) {
	i, there := t.index[id]
	switch {
	case !there:
		return "", true
	case t.seen[i].seed:
		return isSeed, true
	case !t.seen[i].interested:
		return notInterested, true
	}
	return "", false
}

// kib writes a rate or an amount for people.
func kib(n int64) string { return fmt.Sprintf("%d KiB", n>>10) }

func withRate(why, does string, rate int64) string {
	if rate <= 0 {
		return why
	}
	return fmt.Sprintf("%s: %s %s/s", why, does, kib(rate))
}
