package choke

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// ByteBalance are the settings of [NewByteBalance]. A zero field is its default; a negative one is none of it.
type ByteBalance struct {
	// Ahead is by how many bytes we go ahead of a partner: what we have sent it beyond what it has sent us. Default
	// 1 MiB.
	Ahead int64
	// Leeway is granted on top of Ahead to a partner that is sending now: as much as it sends in this time at its
	// rate of the last minute. Default 30 s.
	Leeway time.Duration
	// Unthrottle is by how many bytes the balance of a waiting peer must exceed the lowest one of a partner to take
	// its slot. Default 2^23.
	Unthrottle int64
	// Rethrottle is the lead in bytes that must be left of that, or the slot is given back. At most Unthrottle.
	// Default 2^20.
	Rethrottle int64
	// Memory is how long the balance with an address is kept when it is not connected. Default an hour.
	Memory time.Duration
}

const (
	balanceAhead      = 1 << 20
	balanceLeeway     = 30 * time.Second
	balanceUnthrottle = 1 << 23
	balanceRethrottle = 1 << 20

	// The draft's minimum for an active exchange is 2 kB/s, "and under no circumstances less than 0.75".
	exchangeRate    = 2000
	exchangeRateMin = 750
	// A partner that takes less than that after a minute gives way.
	exchangeTime = 60 * time.Second
	// Slots where the client says nothing.
	balanceSlotsMin = 4
	balanceSlotsMax = 32
)

func (b ByteBalance) withDefaults() ByteBalance {
	b.Ahead = max(cmp.Or(b.Ahead, balanceAhead), 0)
	b.Leeway = max(cmp.Or(b.Leeway, balanceLeeway), 0)
	b.Unthrottle = min(max(cmp.Or(b.Unthrottle, balanceUnthrottle), 0), totalMax)
	b.Rethrottle = min(max(cmp.Or(b.Rethrottle, balanceRethrottle), 0), b.Unthrottle)
	b.Memory = max(cmp.Or(b.Memory, memoryTime), 0)
	b.Ahead = min(b.Ahead, totalMax)
	return b
}

// NewByteBalance returns the strategy of David Player's draft, "BitTorrent tit-for-tat reworked" (2002): amounts of data
// instead of rates. Each peer tries to keep its exchanges at 1:1, a little ahead of its partners.
//
// From the draft:
//
//   - The balance with a peer is what it has sent us less what we have sent it. Who has sent us something and is not
//     behind is a partner. It stays one until we are Ahead of it, and longer by Leeway while it sends to us.
//   - Bad data count double, against the peer: so once, since they were counted for it when they came.
//   - Not more than a third of the bandwidth goes to one peer (Choice.MaxRate).
//   - For the optimistic unchoke, √(kB/s) of the bandwidth are set aside, over a peer at a time.
//   - The bandwidth is an average over two minutes, the rate of a partner one over a minute.
//   - A partner that takes less than 0.75 kB/s is inactive and gives way; slots are as many as leave 2 kB/s to each.
//   - Balances are kept by address when a peer is gone, since peers have no identity, and expire.
//   - A seed unchokes optimistically only, more peers while bandwidth is left over and fewer when it is not.
//
// From the time before, when the original client still worked with balances, are Unthrottle and Rethrottle: a waiting
// peer takes a partner's slot when its balance is far better, and gives it back when most of that lead is used up.
//
// Decided here, where the draft leaves it open: "slightly" and "some leeway" are the defaults of the settings. Slots
// that nobody has earned, excess bandwidth, go round like optimistic ones and without the √; first among the peers that
// are not too far behind, then among all, so that nothing lies idle. The limits of a third and of √ are lifted by what
// all others leave over. The third is not applied among fewer than three peers. Where there is no Round.UploadLimit,
// the bandwidth is an estimate, and one that limits itself would never rise: so nothing is limited in the first two
// minutes, and no third is applied among fewer than four. Peers behind one address share one balance.
//
// Round.Slots 0 means 4 to 32, as the bandwidth allows. It is an [Explainer].
//
// Bram Cohen's answer to the draft was that BitTorrent had worked that way once, and that "it's a disaster": the
// balances are about the past. Package choke/sim shows what comes of it.
func NewByteBalance(settings ByteBalance) Strategy {
	return &byteBalance{set: settings.withDefaults()}
}

type byteBalance struct {
	rotation
	set      ByteBalance
	memory   memory
	out2min  bandwidth
	partners []partner
	seeds    int // slots of a seed that nobody told how many

	// of the current round, by index
	balance []int64
	within  []bool // not too far behind
	waiting []candidate
}

// A partner is a peer in an exchange. Over is whose slot it took for its better balance; 0: nobody's.
type partner struct {
	peer, over PeerID
}

func (b *byteBalance) Choose(r *Round) Decision {
	b.begin(r)
	b.memory.keep = b.set.Memory
	b.memory.note(r)
	b.out2min.note(r)
	b.account(r)
	b.slots = b.slotsOf(r)
	b.expire(r, nil)
	if r.Seeding {
		b.partners = b.partners[:0]
	} else {
		b.exchange(r, max(b.slots-1, 1))
	}
	for _, p := range b.partners {
		i := b.index[p.peer]
		why := WhyBalance
		if b.balance[i] < -b.set.Ahead {
			why = WhyLeeway
		}
		b.choose(r, i, why)
	}
	b.turn(r)
	b.share(r)
	return Decision{Unchoke: b.out}
}

// turn gives turns in the slots that partners leave.
func (b *byteBalance) turn(r *Round) {
	n := b.slots - len(b.partners)
	b.settle(r, n)
	if n > 1 {
		b.only = b.within
		b.draw(r, n, true)
		b.only = nil
	}
	b.draw(r, n, true)
	b.draw(r, n, false)
	if n > 1 && !r.Seeding {
		for i := range b.out[len(b.partners):] {
			b.out[len(b.partners)+i].Why = WhySpare
		}
	}
}

// account works out the balances of the round.
func (b *byteBalance) account(r *Round) {
	b.balance, b.within = b.balance[:0], b.within[:0]
	for i := range r.Peers {
		p := &r.Peers[i]
		a := b.memory.of(p.ID)
		n := a.down - 2*a.bad - a.up // each below 1<<59
		leeway := int64(min(float64(total(p.DownRate60))*b.set.Leeway.Seconds(), totalMax))
		b.balance = append(b.balance, n)
		b.within = append(b.within, n >= -(b.set.Ahead+leeway))
		b.seen[i].rate = n
	}
}

// exchange brings the partners up to date, at most n of them.
func (b *byteBalance) exchange(r *Round, n int) {
	kept := b.partners[:0]
	for _, p := range b.partners {
		i, ok := b.index[p.peer]
		if ok && eligible(&r.Peers[i]) && b.within[i] && !inactive(&r.Peers[i]) {
			b.chosen[i] = true
			kept = append(kept, p)
		}
	}
	b.partners = kept
	b.rethrottle(r)
	b.rank(r)
	if extra := len(b.partners) - n; extra > 0 {
		slices.SortFunc(b.partners, func(x, y partner) int {
			return cmp.Or(cmp.Compare(b.balance[b.index[y.peer]], b.balance[b.index[x.peer]]), b.index[x.peer]-b.index[y.peer])
		})
		b.partners = b.partners[:n]
	}
	for _, c := range b.waiting {
		p := partner{peer: r.Peers[c.index].ID}
		if len(b.partners) < n {
			b.partners = append(b.partners, p)
			continue
		}
		low := b.lowest()
		p.over = b.partners[low].peer
		if c.rate-b.balance[b.index[p.over]] <= b.set.Unthrottle {
			break
		}
		b.partners[low] = p
	}
	clear(b.chosen)
}

// rethrottle gives slots back that were taken for a lead that is used up.
func (b *byteBalance) rethrottle(r *Round) {
	for at := range b.partners {
		p := &b.partners[at]
		if p.over == 0 {
			continue
		}
		i, ok := b.index[p.over]
		if !ok || b.chosen[i] || !eligible(&r.Peers[i]) || !b.within[i] {
			p.over = 0
			continue
		}
		mine := b.index[p.peer]
		if b.balance[mine]-b.balance[i] < b.set.Rethrottle {
			b.chosen[mine], b.chosen[i] = false, true
			*p = partner{peer: p.over}
		}
	}
}

// rank lists who could become a partner, the best balance first.
func (b *byteBalance) rank(r *Round) {
	b.waiting = b.waiting[:0]
	for i := range r.Peers {
		p := &r.Peers[i]
		if b.chosen[i] || b.index[p.ID] != i || !eligible(p) || inactive(p) || b.balance[i] < 0 || b.memory.of(p.ID).down == 0 {
			continue
		}
		c := candidate{index: i, rate: b.balance[i]}
		if !p.Unchoked {
			c.first = 1
		}
		b.waiting = append(b.waiting, c)
	}
	rank(b.waiting)
}

// lowest is the partner with the lowest balance.
func (b *byteBalance) lowest() int {
	low := 0
	for at, p := range b.partners {
		if b.balance[b.index[p.peer]] < b.balance[b.index[b.partners[low].peer]] {
			low = at
		}
	}
	return low
}

// inactive says that a peer makes no use of its slot.
func inactive(p *Peer) bool {
	return p.Unchoked && p.UnchokedFor >= exchangeTime && p.UpRate60 < exchangeRateMin
}

// slotsOf is how many peers are unchoked.
func (b *byteBalance) slotsOf(r *Round) int {
	if r.Slots > 0 {
		return r.Slots
	}
	rate, _ := b.out2min.now(r)
	if !r.Seeding {
		b.seeds = 0
		return int(min(max(rate/exchangeRate, balanceSlotsMin), balanceSlotsMax))
	}
	switch {
	case b.seeds == 0:
		b.seeds = seedingSlots
	case r.Why != Tick || rate == 0:
	case r.UploadRate < rate-rate/5:
		b.seeds = min(b.seeds+1, balanceSlotsMax)
	case r.UploadRate > rate-rate/20:
		b.seeds = max(b.seeds-1, balanceSlotsMin)
	}
	return b.seeds
}

// share limits what goes to each of the unchoked.
func (b *byteBalance) share(r *Round) {
	rate, sure := b.out2min.now(r)
	if rate == 0 {
		return
	}
	third := rate / 3
	if len(b.out) < 3 || !sure && len(b.out) < 4 {
		third = 0
	}
	var taken int64
	for _, c := range b.out {
		taken = total(taken + total(r.Peers[b.index[c.Peer]].UpRate60))
	}
	for i := range b.out {
		c := &b.out[i]
		limit := third
		if c.Why == WhyOptimistic && !r.Seeding {
			limit = max(root(rate), exchangeRate)
		}
		if limit > 0 {
			others := taken - total(r.Peers[b.index[c.Peer]].UpRate60)
			c.MaxRate = max(limit, rate-others, exchangeRate)
		}
	}
}

// Explain implements Explainer.
func (b *byteBalance) Explain(id PeerID) string {
	if text, ok := b.plain(id); ok {
		return text
	}
	i := b.index[id]
	mine := kib(b.balance[i])
	switch {
	case b.named(id) != "":
		return fmt.Sprintf("%s: balance %s", b.named(id), mine)
	case !b.within[i]:
		return fmt.Sprintf("balance %s, further behind than we go ahead; %s", mine, b.line(id))
	case len(b.partners) > 0:
		lowest := b.balance[b.index[b.partners[b.lowest()].peer]]
		return fmt.Sprintf("slots full (%d): balance %s, the lowest in a slot %s; %s", b.slots, mine, kib(lowest), b.line(id))
	}
	return fmt.Sprintf("slots full (%d): %s", b.slots, b.line(id))
}
