package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Options of a network. Zero values are good defaults.
type Options struct {
	Window         int           // bytes under way or unread in one direction of a connection; 0: 256 KiB
	ConnectTimeout time.Duration // how long a dial to an address without a host takes to fail; 0: two minutes
	Link           Link          // what hosts are attached with until their SetLink
	Seed           uint64        // of the randomness of Link.Loss
}

// A Link attaches a host to the network.
type Link struct {
	Latency time.Duration // from the host to the middle of the network; the way to another host is both latencies
	Up      int64         // bytes per second all that is sent by the host goes through; 0: no limit
	Down    int64         // the same for what is received
	Loss    float64       // share of packets (ListenPacket) lost on this link, 0 to 1; connections lose nothing
}

// A Net is a network of hosts.
type Net struct {
	opts Options

	mu    sync.Mutex
	hosts map[netip.Addr]*Host
	conns map[*conn]struct{} // ends that are not closed
	rng   *rand.Rand
}

// New makes a network without hosts. Call it inside the bubble in which it is used.
func New(o Options) *Net {
	if o.Window <= 0 {
		o.Window = 256 << 10
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 2 * time.Minute
	}
	return &Net{
		opts:  o,
		hosts: make(map[netip.Addr]*Host),
		conns: make(map[*conn]struct{}),
		rng:   rand.New(rand.NewPCG(o.Seed, 0)),
	}
}

// Host returns the host of that address, which is made at the first call. Dialing an address that has no host
// times out; one whose host does not listen is refused.
func (n *Net) Host(addr netip.Addr) *Host {
	addr = addr.Unmap()
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[addr]
	if h == nil {
		h = &Host{
			net:       n,
			addr:      addr,
			listeners: make(map[uint16]*listener),
			packets:   make(map[uint16]*packetConn),
			nextPort:  firstPort,
		}
		h.SetLink(n.opts.Link)
		n.hosts[addr] = h
	}
	return h
}

// Cut resets every connection between two addresses, as if each side had got an RST this moment: what is under way
// is lost, reads and writes on both sides fail with ECONNRESET. It returns how many connections there were. New ones
// can be made.
func (n *Net) Cut(a, b netip.Addr) int {
	a, b = a.Unmap(), b.Unmap()
	var cut []*conn
	n.mu.Lock()
	for c := range n.conns {
		from, to := c.out.from.addr, c.out.to.addr
		if from == a && to == b || from == b && to == a {
			cut = append(cut, c)
		}
	}
	n.mu.Unlock()
	connections := make(map[*pipe]struct{})
	for _, c := range cut {
		c.reset()
		connections[c.first] = struct{}{}
	}
	return len(connections)
}

// Left names what has not been closed: both ends of connections, listeners and packet sockets. Sorted; empty when
// all is well.
func (n *Net) Left() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var left []string
	for c := range n.conns {
		left = append(left, fmt.Sprintf("connection %v of %v", c.RemoteAddr(), c.LocalAddr()))
	}
	for _, h := range n.hosts {
		left = h.appendLeft(left)
	}
	slices.Sort(left)
	return left
}

func (n *Net) lookup(addr netip.Addr) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[addr]
}

func (n *Net) track(conns ...*conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		n.conns[c] = struct{}{}
	}
}

func (n *Net) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// lost throws the dice for one packet.
func (n *Net) lost(share float64) bool {
	if share <= 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rng.Float64() < share
}
