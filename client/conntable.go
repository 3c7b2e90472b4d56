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
}

// entry is a connection and where its peer can be dialled; not valid when
// that is not known.
type entry struct {
	c    *conn.Conn
	dial netip.AddrPort
}

func (ct *connTable) add(c *conn.Conn, dial netip.AddrPort) {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	if ct.m == nil {
		ct.m = make(map[swarm.PeerID]entry)
	}
	ct.m[c.ID()] = entry{c, dial}
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
