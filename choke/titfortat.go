package choke

import (
	"fmt"
	"math"
	"time"
)

const (
	// BEP 3, choking: four uploads at a time, one of them optimistic.
	defaultSlots = 4
	// Who is chosen for its rate changes with the rounds of every 10 s, not in those between, or peers would be
	// choked and unchoked quickly (BEP 3: fibrillation). A tick that is a little early counts.
	rankTime = 10*time.Second - turnSlack
	// How long after a peer unchoked us its rate can be judged.
	reciprocateTime = 15 * time.Second
	// Nothing sent for so long is a snub.
	snubTime = 60 * time.Second
)

// NewTitForTat returns the strategy for downloading, BEP 3's: we upload to those that we download from the fastest.
//
//   - All slots but one go to the interested peers with the highest DownRate20 above zero.
//   - A peer that sends faster than the slowest of these but is not interested is unchoked as well and costs no slot.
//     If it becomes interested, the next round decides who gives way.
//   - A peer that pauses keeps its slot for up to 60 s while nobody else who sends wants it. One that is then snubbing
//     us loses it to one more optimistic unchoke, whatever its rate was (anti-snubbing).
//   - The slots that are left, at least one of two or more, are optimistic: they go through all interested peers, each
//     for 30 s, new connections being favoured. While few peers send us anything, there are several of them. A peer
//     that reciprocates moves to a regular slot, and the next one has its turn.
//   - Ranks change every 10 s. A call in between fills the slots that are free and leaves the others as they are; but
//     15 s after a peer has unchoked us, it goes first if it sends faster than two of those that are unchoked
//     (immediate reciprocation).
//
// Round.Slots 0 means four slots. A single slot is optimistic only while nobody sends us anything. It is an [Explainer].
func NewTitForTat() Strategy { return new(titForTat) }

type titForTat struct {
	rotation
	ranked  []candidate
	held    map[PeerID]bool // who was chosen for its rate in the last round
	rankedT time.Time       // when ranks were last open to all
	slowest int64           // rate of the slowest in a regular slot
}

func (t *titForTat) Choose(r *Round) Decision {
	t.begin(r)
	t.slots = r.Slots
	if t.slots <= 0 {
		t.slots = defaultSlots
	}
	t.expire(r, nil)
	t.rank(r)

	if t.held == nil {
		t.held = make(map[PeerID]bool)
	}
	clear(t.held)
	t.slowest = 0
	regular, snubs := 0, 0
	for _, c := range t.ranked {
		p := &r.Peers[c.index]
		switch {
		case !p.Interested:
			t.choose(r, c.index, WhyFastIdle)
			t.held[p.ID] = true
			continue
		case silent(p):
			snubs++
		case c.class == classFirst:
			t.choose(r, c.index, WhyReciprocates)
		default:
			t.choose(r, c.index, WhyFast)
		}
		if !silent(p) {
			t.held[p.ID] = true
			t.slowest = c.rate
			regular++
		}
		if regular+snubs >= max(t.slots-1, 1) {
			break
		}
	}
	t.fill(r, t.slots-regular)
	return Decision{Unchoke: t.out}
}

// Classes of candidates, the first ones first.
const (
	classFirst = iota // reciprocates at once
	classHeld         // keeps its slot between the ranks
	classRate         // goes by its rate
	classPause        // had a slot, and sends nothing at the moment
)

// rank lists those that send us something, the fastest first; among equals, who is unchoked already.
func (t *titForTat) rank(r *Round) {
	since := r.Now.Sub(t.rankedT)
	open := since >= rankTime || since < 0
	bar := int64(math.MaxInt64)
	if r.Why == Reciprocate {
		bar = t.bar(r)
	}
	t.ranked = t.ranked[:0]
	for i := range r.Peers {
		p := &r.Peers[i]
		t.seen[i].rate, t.seen[i].snubbed = p.DownRate20, silent(p)
		held := t.held[p.ID] && p.Unchoked
		useful := eligible(p) || !p.Interested && !p.Seed && !p.UploadOnly
		if !useful || t.index[p.ID] != i {
			continue
		}
		c := candidate{index: i, rate: p.DownRate20, class: classRate}
		switch {
		case p.DownRate20 > 0 && (p.Interested || !silent(p)):
		case held && p.Interested && p.UnchokesUs:
			c.class = classPause
		default:
			continue
		}
		if !p.Unchoked {
			c.first = 1
		}
		if r.Why == Reciprocate && t.first(p, bar) {
			c.class = classFirst
			open = true
		}
		t.ranked = append(t.ranked, c)
	}
	if open {
		t.rankedT = r.Now
	} else {
		for i := range t.ranked {
			c := &t.ranked[i]
			if p := &r.Peers[c.index]; c.class == classRate && t.held[p.ID] && p.Unchoked {
				c.class = classHeld
			}
		}
	}
	rank(t.ranked)
}

// first says that a peer that unchoked us a moment ago goes first, since it sends faster than the bar.
func (t *titForTat) first(p *Peer, bar int64) bool {
	return p.DownRate20 > bar && eligible(p) && !silent(p) &&
		p.UnchokesUsFor >= reciprocateTime && p.UnchokesUsFor < reciprocateTime+rankTime
}

// bar is the rate that a peer must exceed to be faster than two of those that are unchoked. Two, not one: the one
// could be the optimistic one, and the peer would be choked again with the next ranks.
func (t *titForTat) bar(r *Round) int64 {
	lowest, second := int64(math.MaxInt64), int64(math.MaxInt64)
	for i := range r.Peers {
		p := &r.Peers[i]
		if !p.Unchoked || !eligible(p) || p.DownRate20 >= second {
			continue
		}
		second = max(lowest, p.DownRate20)
		lowest = min(lowest, p.DownRate20)
	}
	return second
}

// silent says that a peer owes us, and has sent nothing for a minute.
func silent(p *Peer) bool {
	return p.Snubbed || p.UnchokesUs && p.SinceBlock > snubTime
}

// Explain implements Explainer.
func (t *titForTat) Explain(id PeerID) string {
	if why := t.named(id); why != "" {
		return withRate(why, "sends", t.seen[t.index[id]].rate)
	}
	if text, ok := t.plain(id); ok {
		return text
	}
	s := t.seen[t.index[id]]
	switch {
	case s.snubbed:
		return "snubbed: has sent nothing for a minute; " + t.line(id)
	case t.slowest > 0:
		return fmt.Sprintf("slots full (%d): sends %s/s, the slowest in a slot %s/s; %s", t.slots, kib(s.rate), kib(t.slowest), t.line(id))
	}
	return fmt.Sprintf("slots full (%d): %s", t.slots, t.line(id))
}
