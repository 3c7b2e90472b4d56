package server

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/tracker"
)

const (
	natTimeout   = 5 * time.Second // for all of one check
	natAtOnce    = 64              // checks
	natPerSecond = 100             // new ones
	natWaiting   = 1024            // announces that wait for checks
	natMemory    = 1 << 16         // results that are remembered
	natRetry     = 60              // seconds after which who failed may try again

	unreachable refusal = "you cannot be reached at the port you announce: check your router and firewall"
)

// natChecker connects back to peers before they are taken in (T14, T32).
//
// Results are remembered by address and port, for all torrents: for two
// intervals if it succeeded, for a minute if not. A tracker too busy to check
// lets peers in unchecked; the check is about the swarm's health, not about
// anybody's safety.
type natChecker struct {
	s     *Server
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	limit *rate.Limiter

	mu       sync.Mutex
	results  map[netip.AddrPort]*natResult // guarded by mu, as all below
	running  int
	waiting  int
	cleanest uint32 // second of the last look for old results
}

type natResult struct {
	done  chan struct{} // closed when the check has ended
	ended bool          // guarded by natChecker.mu, as all below
	ok    bool
	until uint32 // second of the server's clock
}

func newNATChecker(s *Server, dial func(ctx context.Context, network, address string) (net.Conn, error)) *natChecker {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &natChecker{s: s, dial: dial, limit: rate.NewLimiter(natPerSecond, natPerSecond), results: make(map[netip.AddrPort]*natResult)}
}

// exempt reports whether an announce passes without a check: who leaves or has
// just completed, who is taken to have been checked before (T14). For another's
// address, which only the trusted may announce, nobody is dialled, or their word
// would make us connect to anywhere (T32). A link-local address cannot be dialled
// without its zone, which is a matter of our network and not kept.
func (n *natChecker) exempt(a *announce) bool {
	return a.event == tracker.Stopped || a.event == tracker.Completed || a.addr.Addr() != a.from || a.from.IsLinkLocalUnicast()
}

// dialable reports whether a peer's own address may be connected to: one of a
// single machine. Nothing real announces from others, but a handler in front of
// this one may have rewritten where a request came from.
func dialable(addr netip.AddrPort) bool {
	return addr.Port() != 0 && (addr.Addr().IsGlobalUnicast() || addr.Addr().IsLoopback())
}

// known returns what is known of an announcing peer without a check; false if it
// has to be checked.
func (n *natChecker) known(a *announce, now uint32) (refusal, bool) {
	if n.exempt(a) {
		return "", true
	}
	if !dialable(a.addr) {
		return unreachable, true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.results[a.addr]
	if r == nil || !r.ended || int32(now-r.until) >= 0 {
		return "", false
	}
	if r.ok {
		return "", true
	}
	return unreachable, true
}

// wait checks an announcing peer, or waits for a check of it that is under way.
// It goes on when the client hangs up: others may wait for it, and nobody must
// get in by that.
func (n *natChecker) wait(a *announce) refusal {
	now := n.s.now()
	if no, known := n.known(a, now); known {
		return no
	}
	r, mine := n.enter(a.addr, now)
	if r == nil {
		return ""
	}
	return n.await(context.Background(), a, r, mine)
}

// await makes the check that enter began, or waits until another has made it.
// The context bounds both.
func (n *natChecker) await(ctx context.Context, a *announce, r *natResult, mine bool) refusal {
	if mine {
		ok := n.check(ctx, a.addr, &a.hash)
		n.finish(a.addr, r, ok, ctx.Err() == nil)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting--
	if !r.ended || r.ok {
		return ""
	}
	return unreachable
}

// enter finds the check of an address or begins one, which mine tells; nil: there
// is no room. Whoever enters must await.
func (n *natChecker) enter(addr netip.AddrPort, now uint32) (r *natResult, mine bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting >= natWaiting {
		return nil, false
	}
	r = n.results[addr]
	if r == nil || r.ended && int32(now-r.until) >= 0 {
		if len(n.results) >= natMemory {
			n.forgetLocked(now)
		}
		if n.running >= natAtOnce || len(n.results) >= natMemory || !n.limit.Allow() {
			return nil, false
		}
		r, mine = &natResult{done: make(chan struct{})}, true
		n.results[addr] = r
		n.running++
	}
	n.waiting++
	return r, mine
}

// forgetLocked drops results that are too old.
func (n *natChecker) forgetLocked(now uint32) {
	if now == n.cleanest { // a walk a second is enough
		return
	}
	n.cleanest = now
	for addr, r := range n.results {
		if r.ended && int32(now-r.until) >= 0 {
			delete(n.results, addr)
		}
	}
}

// finish tells the result to all who wait for it. If it was broken off, as its
// socket was closed, there is none, and they pass.
func (n *natChecker) finish(addr netip.AddrPort, r *natResult, ok, complete bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running--
	r.ended, r.ok = true, ok || !complete
	r.until = n.s.now() + natRetry
	switch {
	case !complete:
		delete(n.results, addr)
	case ok:
		r.until += n.s.silence
	default:
		n.s.counts.natFailures.Add(1)
	}
	close(r.done)
}

// check connects to a peer and shakes hands: 48 bytes, no peer id; the 68 that
// come back must be for the torrent (T14).
func (n *natChecker) check(ctx context.Context, addr netip.AddrPort, hash *[20]byte) bool {
	n.s.counts.natChecks.Add(1)
	ctx, cancel := context.WithTimeout(ctx, natTimeout)
	defer cancel()
	conn, err := n.dial(ctx, "tcp", addr.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	hello := peerwire.Handshake{InfoHash: *hash}
	if _, err := conn.Write(hello.Append(nil)[:peerwire.HandshakeHead]); err != nil {
		return false
	}
	var got [peerwire.HandshakeLen]byte
	if _, err := io.ReadFull(conn, got[:]); err != nil {
		return false
	}
	return peerwire.IsHandshake(got[:]) && [20]byte(got[28:]) == *hash
}

// checkLater checks the peer of a loop's announce and answers when that is done,
// while the loop goes on. It returns false if the announce is to pass at once.
func (l *udpLoop) checkLater(in []byte, remote netip.AddrPort) bool {
	n := l.s.nat
	r, mine := n.enter(l.a.addr, l.s.now())
	if r == nil {
		return false
	}
	in = append([]byte(nil), in[:announceLen]...)
	later := newUDPLoop(l.s)
	later.a = l.a
	l.checks.Go(func() {
		no := n.await(l.ctx, &later.a, r, mine)
		switch {
		case l.ctx.Err() != nil:
			return
		case no != "":
			later.refuse(in, no)
		default:
			later.take(in, l.s.now())
		}
		l.conn.WriteTo(later.out, net.UDPAddrFromAddrPort(remote))
	})
	return true
}
