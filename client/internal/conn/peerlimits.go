package conn

import "sync"

// PeerLimits are the limits that each of any number of connections has of its
// own. The zero value is no limit. It is safe for concurrent use, and must not
// be copied.
type PeerLimits struct {
	mu       sync.Mutex
	up, down int64 // bytes a second
	conns    map[*Conn]struct{}
}

// Set changes the limits, in bytes per second; 0 is none. It takes effect at
// once, on all connections that are there.
func (l *PeerLimits) Set(up, down int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.down = up, down
	for c := range l.conns {
		c.ownUp.Set(up)
		c.ownDown.Set(down)
	}
}

// join takes a connection in; leave must follow.
func (l *PeerLimits) join(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns = make(map[*Conn]struct{})
	}
	l.conns[c] = struct{}{}
	c.ownUp.Set(l.up)
	c.ownDown.Set(l.down)
}

func (l *PeerLimits) leave(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}
