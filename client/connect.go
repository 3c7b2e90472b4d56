package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/seed1734be99/starling/client/internal/conn"
	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

const (
	dialRetry   = time.Second      // when no handshake or connection is free
	fullRetry   = 10 * time.Second // when the client has all the connections it may have
	dialsATick  = 20
	queueLimit  = 500 // requests that a peer may queue with us, announced as reqq
	maxResolved = 16  // addresses taken of one name
)

// reserved are the extensions that we speak.
func reserved() (r peerwire.Reserved) {
	r.Set(peerwire.ExtensionBit)
	r.Set(peerwire.FastBit)
	return r
}

func (p *peering) handshake() peerwire.Handshake {
	return peerwire.Handshake{Reserved: reserved(), InfoHash: p.t.hashes.Wire(), PeerID: p.t.id}
}

// peering is a torrent's connections, and the addresses to make more of them.
type peering struct {
	t       *Torrent
	conns   connTable
	known   *discover.Candidates
	dialing atomic.Int32 // handshakes that we began
	bad     atomic.Int32 // connections closed for what their peers did
	era     atomic.Int32 // counts the times that all peers were dropped for others
}

// errSwitched is why the peers of a private torrent are dropped when it goes
// over to another tracker (BEP 27).
var errSwitched = errors.New("client: private torrent uses another tracker now")

// errPrivate is why the peers of a magnet link are dropped when its metadata
// says that the torrent is private: not all of them came from its trackers.
var errPrivate = errors.New("client: torrent is private")

// renew drops all peers, and forgets all addresses. Forgetting comes first: who
// sees the new era dials none of the old addresses.
func (p *peering) renew(reason error) {
	p.known.Clear()
	p.era.Add(1)
	p.conns.closeAll(reason)
}

// becomePrivate takes peers only from the trackers from now on, and uses one of
// these at a time (BEP 27). Addresses stay if all of them are of that one.
func (p *peering) becomePrivate() {
	a := &p.t.trackers
	a.handing.Lock()
	defer a.handing.Unlock()
	asked := 0
	for _, s := range a.schedule.Status() {
		if s.Started {
			asked++
		}
	}
	a.schedule.SetPrivate(time.Now())
	if asked == 1 {
		p.known.OnlyOf(discover.OriginTracker)
		p.era.Add(1)
		p.conns.closeAll(errPrivate)
		return
	}
	p.renew(errPrivate)
	a.schedule.Force(time.Now())
}

// connect dials candidates while there is room, and returns when to look again.
func (p *peering) connect(now time.Time) time.Time {
	t := p.t
	st := t.g.Stats(now)
	if st.Mode == swarm.Paused || st.Fault != nil || t.life.idle() {
		return time.Time{}
	}
	if t.c.peers.full() { // who is dialled now would be sent away again
		return now.Add(fullRetry)
	}
	complete := st.Known && st.Left == 0
	most := t.c.cfg.MaxPeersPerTorrent
	for n := 0; n < dialsATick; n++ {
		if most > 0 && st.Peers+int(p.dialing.Load()) >= most {
			return time.Time{} // a peer that leaves makes us look again
		}
		if !t.c.dials.take() {
			return now.Add(dialRetry)
		}
		era := p.era.Load()
		k, ok, next := p.known.Next(now, complete)
		if !ok {
			t.c.dials.give()
			return next
		}
		p.dialing.Add(1)
		if !t.group.Go(func() { p.dial(k, era) }) {
			p.dialing.Add(-1)
			t.c.dials.give()
			return time.Time{}
		}
	}
	return now.Add(dialRetry)
}

// dial connects to a candidate and serves the connection until it ends.
func (p *peering) dial(k discover.Candidate, era int32) {
	addr := k.Addr
	c, result := p.reach(&k)
	if c != nil {
		if p.era.Load() != era { // its peers were dropped since
			c.Close(errSwitched)
		}
		result = lost(p.serve(c, addr, true))
	}
	p.known.Ended(addr, result, time.Now())
	p.t.poke()
}

// reach makes an outgoing connection that has joined the swarm.
func (p *peering) reach(k *discover.Candidate) (*conn.Conn, discover.Result) {
	t := p.t
	nc, theirs, err := conn.Dial(t.ctx, t.c.cfg.Network, k.Addr.String(), p.handshake(), k.ID)
	p.dialing.Add(-1)
	t.c.dials.give()
	if err == nil {
		var c *conn.Conn
		if c, err = p.join(nc, &theirs, k.Addr, k.Origin, true); err == nil {
			return c, 0
		}
		return nil, lost(err)
	}
	t.c.cfg.Logger.Debug("not connected", "torrent", t.Name(), "address", k.Addr, "error", err)
	if errors.Is(err, conn.ErrSelf) || errors.Is(err, conn.ErrUnknown) {
		return nil, discover.Useless
	}
	return nil, discover.Refused
}

// greeted serves a connection that came in.
func (p *peering) greeted(nc net.Conn, theirs *peerwire.Handshake, addr netip.AddrPort) {
	if c, err := p.join(nc, theirs, addr, discover.OriginIncoming, false); err == nil {
		p.serve(c, addr, false)
	}
}

// join takes a connection whose handshake is done into the swarm; serve must
// follow. They are apart because serve's stack is held for as long as the peer
// stays: with join's on top of it, an idle peer keeps 8 KiB of stack, not 4.
func (p *peering) join(nc net.Conn, theirs *peerwire.Handshake, addr netip.AddrPort, origin discover.Origin, outgoing bool) (*conn.Conn, error) {
	t := p.t
	if t.life.idle() { // the swarm lets peers in while it checks
		nc.Close()
		return nil, ErrPaused
	}
	if !t.c.peers.take() {
		nc.Close()
		return nil, swarm.ErrFull
	}
	common := theirs.Reserved.Common(reserved())
	id := swarm.Identity{
		Addr: addr, ID: theirs.PeerID, Outgoing: outgoing, Origin: uint8(origin),
		Fast: common.Has(peerwire.FastBit), Extended: common.Has(peerwire.ExtensionBit),
	}
	c := conn.New(nc, &t.env)
	var dial netip.AddrPort
	if outgoing {
		dial = addr
	}
	p.conns.joining()
	err := c.Join(id, p.hello(addr), func() { p.conns.add(c, dial) })
	p.conns.joined()
	if err != nil {
		t.c.peers.give()
		return nil, err
	}
	if t.life.idle() { // since just now, and this one was not there to be closed
		c.Close(ErrPaused)
	}
	t.c.clock.at(&t.c.limits.slots.alarm, time.Now().Add(dealTime))
	t.emit(Event{Kind: EventPeerJoined, Addr: addr.String()})
	t.poke()
	return c, nil
}

// serve reads until the connection ends.
func (p *peering) serve(c *conn.Conn, addr netip.AddrPort, outgoing bool) error {
	err := c.Run()
	p.left(c, addr, outgoing, err)
	return err
}

func (p *peering) left(c *conn.Conn, addr netip.AddrPort, outgoing bool, err error) {
	t := p.t
	if dial := p.conns.remove(c); dial.IsValid() && !outgoing {
		p.known.Ended(dial, lost(err), time.Now())
	}
	if errors.As(err, new(*peerwire.ProtocolError)) || errors.Is(err, swarm.ErrBadData) || errors.Is(err, swarm.ErrUnasked) {
		p.bad.Add(1)
	}
	t.c.peers.give()
	t.c.cfg.Logger.Debug("peer gone", "torrent", t.Name(), "address", addr, "error", err)
	t.emit(Event{Kind: EventPeerLeft, Addr: addr.String(), Err: err})
	t.poke()
}

// listens is told where a peer that connected to us can be dialled: it is a
// candidate that needs no dialling now.
func (p *peering) listens(c *conn.Conn, port int) {
	dial := netip.AddrPortFrom(c.Addr().Addr(), uint16(port))
	if dial.IsValid() && p.conns.learn(c, dial) {
		p.known.Busy(discover.Candidate{Addr: dial, Origin: discover.OriginIncoming})
	}
}

// hello is our extended handshake (BEP 10), as a message.
func (p *peering) hello(to netip.AddrPort) []byte {
	t := p.t
	hs := peerwire.ExtHandshake{
		M: p.offer(),
		V: t.c.cfg.UserAgent, P: int(t.c.own.port), ReqQ: queueLimit, YourIP: to.Addr(),
		MetadataSize: t.g.Stats(time.Now()).MetadataSize,
	}
	return peerwire.AppendExtended(nil, peerwire.ExtHandshakeID, hs.AppendPayload(nil))
}

// acceptLoop takes connections until the listener is closed.
func (c *Client) acceptLoop() {
	for {
		nc, err := c.own.listener.Accept()
		switch {
		case err == nil:
			c.greeting.add(nc)
			if !c.group.Go(func() { c.accept(nc) }) {
				nc.Close()
			}
		case c.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, say: it passes
			c.cfg.Logger.Warn("accept", "error", err)
			c.pause(100 * time.Millisecond)
		}
	}
}

// pause waits, or until the client closes.
func (c *Client) pause(d time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, d)
	defer cancel()
	<-ctx.Done()
}

// accept greets a connection that came in and hands it to its torrent.
func (c *Client) accept(nc net.Conn) {
	addr := conn.RemoteAddr(nc)
	var t *Torrent
	theirs, _, err := conn.Accept(c.ctx, nc, func(h [20]byte) (peerwire.Handshake, bool) {
		c.mu.Lock()
		t = c.torrents[h]
		c.mu.Unlock()
		if t == nil || t.peers.known.Banned(addr.Addr()) {
			return peerwire.Handshake{}, false
		}
		hs := t.peers.handshake()
		hs.InfoHash = h
		return hs, true
	})
	c.greeting.remove(nc)
	if err != nil {
		c.cfg.Logger.Debug("incoming", "address", addr, "error", err)
		return
	}
	if !t.group.Go(func() { t.peers.greeted(nc, &theirs, addr) }) {
		nc.Close()
	}
}

// add takes addresses, and names to be resolved in the background.
func (p *peering) add(addresses []string, origin discover.Origin) {
	var names []string
	for _, a := range addresses {
		if ap, err := netip.ParseAddrPort(a); err == nil {
			p.known.Add(discover.Candidate{Addr: ap, Origin: origin})
		} else {
			names = append(names, a)
		}
	}
	if len(names) > 0 {
		era := p.era.Load()
		p.t.group.Go(func() { p.resolve(names, origin, era) })
	}
	p.t.poke()
}

// resolve adds the addresses of "host:port" names that were heard of in an era.
func (p *peering) resolve(names []string, origin discover.Origin, era int32) {
	t := p.t
	for _, name := range names {
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			continue
		}
		number, err := net.DefaultResolver.LookupPort(t.ctx, "tcp", port)
		if err != nil {
			continue
		}
		ips, err := net.DefaultResolver.LookupNetIP(t.ctx, "ip", host)
		if err != nil {
			t.c.cfg.Logger.Debug("resolve", "host", host, "error", err)
			continue
		}
		t.trackers.handing.Lock()
		if p.era.Load() == era { // else they are of no use since
			for _, ip := range ips[:min(len(ips), maxResolved)] {
				p.known.Add(discover.Candidate{Addr: netip.AddrPortFrom(ip, uint16(number)), Origin: origin})
			}
		}
		t.trackers.handing.Unlock()
	}
	t.poke()
}
