package tracker

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
)

// maxTrackers bounds how many trackers of a torrent are looked at.
const maxTrackers = 512

// tiers is a torrent's trackers in the order of BEP 12.
type tiers struct {
	list [][]*entry
	n    int
	seen map[string]bool
}

// add appends tiers below those that are there. URLs that are known already are
// dropped; each new tier is shuffled, now and never again (rnd nil: not at all).
func (t *tiers) add(urls [][]string, rnd *rand.Rand) (added int) {
	if t.seen == nil {
		t.seen = make(map[string]bool)
	}
	for _, tier := range urls {
		var entries []*entry
		for _, u := range tier {
			u = strings.TrimSpace(u)
			if u == "" || t.seen[u] || t.n == maxTrackers {
				continue
			}
			t.seen[u] = true
			t.n++
			added++
			entries = append(entries, newEntry(u))
		}
		if len(entries) == 0 {
			continue
		}
		if rnd != nil {
			rnd.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		}
		t.list = append(t.list, entries)
	}
	return added
}

// all goes through the trackers in the order in which they are to be tried. The
// first value is the tier.
func (t *tiers) all() iter.Seq2[int, *entry] {
	return func(yield func(int, *entry) bool) {
		for tier, entries := range t.list {
			for _, e := range entries {
				if !yield(tier, e) {
					return
				}
			}
		}
	}
}

// promote moves a tracker that answered to the front of its tier.
func (t *tiers) promote(e *entry) {
	for _, entries := range t.list {
		if i := slices.Index(entries, e); i > 0 {
			copy(entries[1:i+1], entries[:i])
			entries[0] = e
			return
		}
	}
}
