package conn

import (
	"net/netip"
	"time"
)

// gatesOfAWay is how many limits a byte passes: the strategy's for this peer,
// that of each peer, the torrent's, the client's.
const gatesOfAWay = 4

// pass is a connection's way through its gates in one direction: always in the
// same order, the narrowest circle first, so that nobody keeps others waiting
// with what it may not use itself. It is for one goroutine at a time.
type pass struct {
	gates  [gatesOfAWay]*Gate // nil: none
	at     int                // the gate that it stands at
	n      int                // bytes that the gates before that have granted
	queued bool               // it is in the line of that gate
	called chan struct{}      // holds one; made when it is needed
	timer  *time.Timer
	wait   time.Duration // what the gate said
}

// limited reports whether any gate has a limit.
func (p *pass) limited() bool {
	for _, g := range p.gates {
		if g != nil && g.limit.Load() > 0 {
			return true
		}
	}
	return false
}

// narrowest returns the least limit in bytes per second; 0: none.
func (p *pass) narrowest() (least int64) {
	for _, g := range p.gates {
		if g == nil {
			continue
		}
		if r := g.limit.Load(); r > 0 && (least == 0 || r < least) {
			least = r
		}
	}
	return least
}

// take asks for at most want bytes, and returns how many may pass. When it is
// none, the pass stands in a line: pause waits, then take is to be called again,
// or leave.
func (p *pass) take(want int) int {
	if p.called == nil {
		p.called = make(chan struct{}, 1)
	}
	if p.at == 0 {
		p.n = want
	}
	for ; p.at < len(p.gates); p.at++ {
		g := p.gates[p.at]
		if g == nil {
			continue
		}
		n, wait := g.ask(p, p.n)
		if n == 0 {
			p.wait = wait
			return 0
		}
		p.settle(p.n - n)
		p.n = n
	}
	n := p.n
	p.at, p.n = 0, 0
	return n
}

// pause waits until take may have something, or for kick. False: done was
// closed. Nothing is held meanwhile.
func (p *pass) pause(kick, done <-chan struct{}) bool {
	var timeout <-chan time.Time
	if p.wait >= 0 {
		if p.timer == nil {
			p.timer = time.NewTimer(p.wait)
		} else {
			p.timer.Reset(p.wait)
		}
		defer p.timer.Stop()
		timeout = p.timer.C
	}
	select {
	case <-timeout:
	case <-p.called:
	case <-kick:
	case <-done:
		return false
	}
	return true
}

// settle gives n bytes back to the gates that were passed.
func (p *pass) settle(n int) {
	for _, g := range p.gates[:p.at] {
		if g != nil {
			g.settle(n)
		}
	}
}

// leave gives up waiting. unspent is what was taken and not used; below zero,
// what was used and not taken.
func (p *pass) leave(unspent int) {
	if p.queued {
		p.gates[p.at].leave(p)
	}
	p.settle(p.n)
	p.at, p.n = len(p.gates), 0
	p.settle(unspent)
	p.at = 0
}

// isLocal reports whether an address is one of a local network: of this
// machine, private, or of this link only.
func isLocal(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}
