package client

import (
	"net/netip"
	"sync"

	"github.com/seed1734be99/starling/client/internal/conn"
	"github.com/seed1734be99/starling/internal/swarm"
)

// connTable finds connections by the swarm's names.
type connTable struct {
	mu sync.RWMutex
	m  map[swarm.PeerID]entry

	joins int                    // under way
	early map[swarm.PeerID]error // dropped by the swarm before add, kept while joins are under way
}

// entry is a connection and where its peer can be dialled; not valid when
// that is not known.
type entry struct {
	c    *conn.Conn
	dial netip.AddrPort
}

// joining says that a connection is about to join the swarm, joined that it
// has, and was added, or has failed.
func (ct *connTable) joining() {
	ct.mu.Lock()
	ct.joins++
	ct.mu.Unlock()
}

func (ct *connTable) joined() {
	ct.mu.Lock()
	if ct.joins--; ct.joins == 0 {
		ct.early = nil
	}
	ct.mu.Unlock()
}

// drop closes a connection, now or as soon as it is added.
func (ct *connTable) drop(id swarm.PeerID, reason error) {
	ct.mu.Lock()
	c := ct.m[id].c
	if c == nil && ct.joins > 0 {
		if ct.early == nil {
			ct.early = make(map[swarm.PeerID]error)
		}
		ct.early[id] = reason
	}
	ct.mu.Unlock()
	if c != nil {
		c.Close(reason)
	}
}

// closeAll closes every connection that is there.
func (ct *connTable) closeAll(reason error) {
	ct.mu.RLock()
	conns := make([]*conn.Conn, 0, len(ct.m))
	for _, e := range ct.m {
		conns = append(conns, e.c)
	}
	ct.mu.RUnlock()
	for _, c := range conns {
		c.Close(reason)
	}
}

func (ct *connTable) add(c *conn.Conn, dial netip.AddrPort) {
	ct.mu.Lock()
	if ct.m == nil {
		ct.m = make(map[swarm.PeerID]entry)
	}
	ct.m[c.ID()] = entry{c, dial}
	reason, dropped := ct.early[c.ID()]
	ct.mu.Unlock()
	if dropped {
		c.Close(reason)
	}
}

// learn notes where the peer of an incoming connection can be dialled. False:
// that is known already.
func (ct *connTable) learn(c *conn.Conn, dial netip.AddrPort) bool {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	e, ok := ct.m[c.ID()]
	if !ok || e.dial.IsValid() {
		return false
	}
	ct.m[c.ID()] = entry{c, dial}
	return true
}

// remove forgets a connection, and returns where its peer can be dialled.
func (ct *connTable) remove(c *conn.Conn) netip.AddrPort {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	e := ct.m[c.ID()]
	delete(ct.m, c.ID())
	return e.dial
}

func (ct *connTable) get(id swarm.PeerID) *conn.Conn {
	ct.mu.RLock()
	defer ct.mu.RUnlock()
	return ct.m[id].c
}
