package client

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"

	"github.com/seed1734be99/starling/client/internal/udpmux"
	"github.com/seed1734be99/starling/tracker"
)

// errNoUDP is for clients whose Network is for TCP alone.
var errNoUDP = errors.New("client: Config.Network has no ListenPacket, so there is no UDP")

// udpSockets is a client's sockets for UDP: one for each address family, shared
// by all that speak UDP. Each is bound when it is first needed, to the address
// that we listen on, so that trackers see that one (BEP 7).
type udpSockets struct {
	network PacketNetwork // nil: there is no UDP
	host    func(tracker.Family) string
	port    uint16

	mu     sync.Mutex
	mux    map[string]*udpmux.Mux // by "udp4", "udp6"
	closed bool
}

// listenPacket opens the trackers' share of the socket.
func (u *udpSockets) listenPacket(_ context.Context, network, _ string) (net.PacketConn, error) {
	for again := false; ; again = true {
		m, err := u.open(network)
		if err != nil {
			return nil, err
		}
		pc, err := m.Open(udpmux.Tracker)
		if err == nil || errors.Is(err, udpmux.ErrOpen) || again {
			return pc, err
		}
		u.drop(network, m) // the socket has failed: another may not
	}
}

func (u *udpSockets) drop(network string, m *udpmux.Mux) {
	u.mu.Lock()
	if u.mux[network] == m {
		delete(u.mux, network)
	}
	u.mu.Unlock()
	m.Close()
}

func (u *udpSockets) open(network string) (*udpmux.Mux, error) {
	if u.network == nil {
		return nil, errNoUDP
	}
	u.mu.Lock() // binding does not wait for anybody
	defer u.mu.Unlock()
	if u.closed {
		return nil, net.ErrClosed
	}
	if m := u.mux[network]; m != nil {
		return m, nil
	}
	family := tracker.IPv4
	if network == "udp6" {
		family = tracker.IPv6
	}
	host := u.host(family)
	pc, err := u.network.ListenPacket(network, net.JoinHostPort(host, strconv.Itoa(int(u.port))))
	if err != nil && u.port != 0 { // somebody else's: another one serves trackers as well
		pc, err = u.network.ListenPacket(network, net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, err
	}
	if u.mux == nil {
		u.mux = make(map[string]*udpmux.Mux)
	}
	u.mux[network] = udpmux.New(pc)
	return u.mux[network], nil
}

// close closes the sockets, and waits for those who read them.
func (u *udpSockets) close() {
	u.mu.Lock()
	u.closed = true
	open := u.mux
	u.mux = nil
	u.mu.Unlock()
	for _, m := range open {
		m.Close()
	}
}

// families are those that we announce over: those that we listen on (BEP 7).
func (o *ownAddresses) families() []tracker.Family {
	switch {
	case !o.listen.IsValid():
		return []tracker.Family{tracker.AnyFamily}
	case o.listen.Is4():
		return []tracker.Family{tracker.IPv4}
	case o.listen.IsUnspecified(): // [::] takes connections of both
		return []tracker.Family{tracker.IPv4, tracker.IPv6}
	}
	return []tracker.Family{tracker.IPv6}
}

// host is the address to send from over a family; "" is any.
func (o *ownAddresses) host(f tracker.Family) string {
	if o.listen.IsValid() && !o.listen.IsUnspecified() && f.Of(o.listen) {
		return o.listen.String()
	}
	return ""
}
