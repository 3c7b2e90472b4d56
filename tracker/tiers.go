package tracker

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
)

// maxTrackers bounds how many trackers of a torrent are looked at.
const maxTrackers = 512

// families is a set of families, as bits.
type families uint8

// newFamilies returns the set of a list; [AnyFamily] covers the others.
func newFamilies(list []Family) (fs families) {
	for _, f := range list {
		if f <= IPv6 {
			fs |= 1 << f
		}
	}
	if fs == 0 || fs.has(AnyFamily) {
		return 1 << AnyFamily
	}
	return fs
}

func (fs families) has(f Family) bool { return fs&(1<<f) != 0 }

// entry is one tracker in a Schedule.
type entry struct {
	url      string
	ends     []endpoint // one for each of its families; nil until it is first looked at
	tier     uint16
	families families // over which it can be asked; none: it is shown and never tried
	newer    bool     // scraped is newer than the last answer
	scraped  counts
}

// newEntry returns the tracker of an announce URL for a client of these
// families. One whose host is an address has that address's family only.
func newEntry(u string, tier int, fs families) entry {
	e := entry{url: u, tier: uint16(tier), scraped: unknown}
	parsed, err := parseURL(u)
	if err != nil {
		return e
	}
	e.families = fs
	if a, err := netip.ParseAddr(parsed.Hostname()); err == nil && !fs.has(AnyFamily) {
		e.families &= 1 << familyOf(a)
	}
	return e
}

func familyOf(a netip.Addr) Family {
	if IPv4.Of(a) {
		return IPv4
	}
	return IPv6
}

// endpoints returns the tracker's endpoints, making them the first time.
func (e *entry) endpoints() []endpoint {
	if e.ends == nil && e.families != 0 {
		n := 0
		for f := range IPv6 + 1 {
			if e.families.has(f) {
				n++
			}
		}
		e.ends = make([]endpoint, 0, n)
		for f := range IPv6 + 1 {
			if e.families.has(f) {
				e.ends = append(e.ends, endpoint{family: f, counts: unknown})
			}
		}
	}
	return e.ends
}

// alive reports whether it knows us and answers over one family at least.
func (e *entry) alive(at instant) bool {
	for i := range e.ends {
		if e.ends[i].alive(at) {
			return true
		}
	}
	return false
}

// holds reports whether its last answer is still good, so that there is nothing
// to ask of it, nor of those behind it.
func (e *entry) holds(at instant) bool {
	for i := range e.ends {
		if ep := &e.ends[i]; ep.alive(at) && ep.nextAt > at {
			return true
		}
	}
	return false
}

// tiers is a torrent's trackers in the order of BEP 12, tier by tier.
type tiers struct {
	list []*entry
	n    int // tiers
}

// add appends tiers below those that are there. URLs that are known already are
// dropped; each new tier is shuffled, now and never again (rnd nil: not at all).
func (t *tiers) add(urls [][]string, fs families, rnd *rand.Rand) (added int) {
	seen := make(map[string]struct{}, len(t.list))
	for _, e := range t.list {
		seen[e.url] = struct{}{}
	}
	var fresh []entry
	for _, tier := range urls {
		first := len(fresh)
		for _, u := range tier {
			if len(t.list)+len(fresh) == maxTrackers {
				break
			}
			u = strings.TrimSpace(u)
			if _, known := seen[u]; known || u == "" {
				continue
			}
			seen[u] = struct{}{}
			fresh = append(fresh, newEntry(u, t.n, fs))
		}
		part := fresh[first:]
		if len(part) == 0 {
			continue
		}
		t.n++
		if rnd != nil {
			rnd.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		}
	}
	fresh = append(make([]entry, 0, len(fresh)), fresh...)
	t.list = slices.Grow(t.list, len(fresh))
	for i := range fresh {
		t.list = append(t.list, &fresh[i])
	}
	return len(fresh)
}

// promote moves a tracker that answered to the front of its tier.
func (t *tiers) promote(e *entry) {
	i := slices.Index(t.list, e)
	if i < 0 {
		return
	}
	first := i
	for first > 0 && t.list[first-1].tier == e.tier {
		first--
	}
	copy(t.list[first+1:i+1], t.list[first:i])
	t.list[first] = e
}

// farewell hands out Stopped: after Stop, and to private trackers that we
// left. One that has not heard of the completion is told of that first, once
// more.
func (t *tiers) farewell() (pick, bool) {
	for _, e := range t.list {
		for i := range e.ends {
			ep := &e.ends[i]
			switch {
			case !ep.owesStopped || ep.flight != 0:
			case ep.owesCompleted && ep.started && !ep.retired:
				return pick{e, i, Completed, 0}, true
			default:
				return pick{e, i, Stopped, 0}, true
			}
		}
	}
	return pick{}, false
}

// completed finds an endpoint that has to hear of the completion. It does
// not wait for that tracker's turn: it counts us among its leeches until it
// knows.
func (t *tiers) completed(at instant) (p pick, ok bool, wake instant) {
	for _, e := range t.list {
		for i := range e.ends {
			ep := &e.ends[i]
			if !ep.owesCompleted || !ep.started || !ep.free() {
				continue
			}
			if ep.retryAt <= at {
				return pick{e, i, Completed, 0}, true, 0
			}
			wake = earliest(wake, ep.retryAt)
		}
	}
	return pick{}, false, wake
}

// regular lets every endpoint follow its own interval.
func (t *tiers) regular(at instant) (p pick, ok bool, wake instant) {
	for _, e := range t.list {
		for i := range e.endpoints() {
			ep := &e.ends[i]
			if !ep.free() {
				continue
			}
			ready := ep.readyAt(true)
			if ready <= at {
				return e.regular(i, 0), true, 0
			}
			wake = earliest(wake, ready)
		}
	}
	return pick{}, false, wake
}

// firstReady is when the first of all endpoints can be announced to; zero: none
// can, before something happens.
func (t *tiers) firstReady(at instant) (first instant) {
	for _, e := range t.list {
		if e.ends == nil && e.families != 0 {
			return at
		}
		for i := range e.ends {
			if ep := &e.ends[i]; ep.free() {
				first = earliest(first, max(ep.readyAt(false), 1))
			}
		}
	}
	return first
}
