package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/rate"
)

// As internal/swarm does it.
const (
	roundTime       = 10 * time.Second // BEP 3
	reciprocateTime = 15 * time.Second
	eagerTime       = 100 * time.Millisecond
	snubTime        = 60 * time.Second
)

// ask asks for a choking round of a peer, which is held at the next step.
func (f *flow) ask(i int32, why choke.Reason) {
	p := &f.peers[i]
	if !p.asking && p.strategy != nil {
		p.asking, p.why = true, why
		f.asked = append(f.asked, i)
	}
}

// rounds holds the rounds that were asked for.
func (f *flow) rounds() {
	kept := f.asked[:0]
	asked := len(f.asked)
	for n := 0; n < asked && f.err == nil; n++ {
		i := f.asked[n]
		p := &f.peers[i]
		switch {
		case !p.present:
			p.asking = false
		case f.now < p.eager:
			kept = append(kept, i)
		default:
			p.asking = false
			f.hold(i)
		}
	}
	// What the rounds themselves brought about stands behind them.
	f.asked = append(kept, f.asked[asked:]...)
}

// hold is one choking round: a snapshot, the strategy's choice, and what follows.
func (f *flow) hold(i int32) {
	p := &f.peers[i]
	r := &f.round
	r.Now, r.Why = epoch.Add(f.now), p.why
	if !p.started {
		p.started, r.Why = true, choke.Started
	}
	r.Slots, r.UploadLimit = p.class.Slots, 0
	if p.class.KnownLimit {
		r.UploadLimit = p.class.Up
	}
	r.UploadRate = p.up.Rate(f.now, rate.Short)
	r.Seeding, r.PieceLength = p.complete, f.s.PieceLength
	r.Peers = slices.Grow(r.Peers[:0], len(p.links))[:len(p.links)]
	for k, h := range p.links {
		f.snapshot(h, &r.Peers[k])
	}
	p.next, p.eager, p.again = f.now+roundTime, f.now+eagerTime, 0
	d := p.strategy.Choose(r)
	if !d.Again.IsZero() {
		p.again = max(d.Again.Sub(epoch), f.now+1)
	}
	f.named++
	for _, c := range d.Unchoke {
		h := int(c.Peer) - 1
		if h < 0 || h >= len(f.links) || f.links[h].owner != i || f.links[h].dead {
			f.err = fmt.Errorf("sim: the strategy of class %q named peer %d, which was not in the round", p.class.Name, c.Peer)
			return
		}
		l := &f.links[h]
		l.named = f.named
		if m := float64(max(c.MaxRate, 0)); m != l.maxRate {
			l.maxRate = m
			f.share.changed(f, l.twin)
		}
	}
	for _, h := range p.links {
		l := &f.links[h]
		if on := l.named == f.named; on != l.unchoked {
			f.unchoke(h, on)
		}
	}
}

// unchoke lets the peer of a link download, or no longer.
func (f *flow) unchoke(h int32, on bool) {
	l := &f.links[h]
	l.unchoked = on
	q := &f.peers[l.peer]
	if !on {
		q.closed(l.twin)
		f.stop(l.twin)
		return
	}
	l.unchokedAt = f.now
	q.openers = append(q.openers, l.twin)
	f.judged = append(f.judged, judgement{l.twin, f.now + reciprocateTime})
	f.request(l.twin)
}

func age(on bool, since, now time.Duration) time.Duration {
	if !on {
		return 0
	}
	return max(now-since, 1)
}

// snapshot is a link as its owner's strategy sees it.
func (f *flow) snapshot(h int32, p *choke.Peer) {
	l := &f.links[h]
	t := &f.links[l.twin]
	*p = choke.Peer{
		ID: choke.PeerID(h + 1), Addr: f.addrs[l.peer], Connected: f.now - l.made,
		InterestedFor: age(t.want > 0, t.wantAt, f.now),
		UnchokedFor:   age(l.unchoked, l.unchokedAt, f.now),
		UnchokesUsFor: age(t.unchoked, t.unchokedAt, f.now),
		SinceBlock:    -1,
		Interested:    t.want > 0, Unchoked: l.unchoked, UnchokesUs: t.unchoked,
		Pieces: int(l.count), Seed: int(l.count) == f.s.Pieces,
		Snubbed: l.state == flowing && f.now-max(l.lastByte, t.unchokedAt) > snubTime,
	}
	if l.lastByte > 0 {
		p.SinceBlock = f.now - l.lastByte
		p.Downloaded = l.down.Total()
		p.DownRate20, p.DownRate60 = l.rates(f.now)
	}
	if t.lastByte > 0 {
		p.Uploaded = t.down.Total()
		p.UpRate20, p.UpRate60 = t.rates(f.now)
	}
}

// rates is what came over a link in the last 20 s and 60 s, in bytes per second. Most links have been idle for longer.
func (l *link) rates(now time.Duration) (short, long int64) {
	if now-l.lastByte > rate.Long {
		return 0, 0
	}
	return l.down.Rate(now, rate.Short), l.down.Rate(now, rate.Long)
}

// addressOf gives every peer of a simulation an address of its own, in a /24 of
// its own: allowed-fast sets (BEP 6) and choking go by networks.
func addressOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(20 + (i >> 16)), byte(i >> 8), byte(i), 7}), 6881)
}
