package client

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	maxTold    = 8           // addresses that trackers say are ours
	ownRefresh = time.Minute // how long the list of this machine's addresses is good
)

// ownAddresses knows where we can be reached, so that we do not dial ourselves
// when a tracker lists us among the peers (T26).
type ownAddresses struct {
	// constant
	listener net.Listener // nil: none
	port     uint16
	listen   netip.Addr // what the listener is bound to; unspecified: all that this machine has

	mu     sync.Mutex
	told   []netip.Addr // by trackers (BEP 24), the latest last
	system []netip.Addr // this machine's
	read   time.Time    // when that was
}

func (o *ownAddresses) init(listener net.Listener) {
	o.listener = listener
	if listener == nil {
		return
	}
	if a, ok := listener.Addr().(*net.TCPAddr); ok {
		o.port = uint16(a.Port)
		ip, _ := netip.AddrFromSlice(a.IP)
		o.listen = ip.Unmap()
	}
}

// learn takes what a tracker says our address is. It may be wrong: then one
// peer, which listens on the same port as we do, is not dialled.
func (o *ownAddresses) learn(a netip.Addr) {
	if !a.IsValid() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if a = a.Unmap(); slices.Contains(o.told, a) {
		return
	}
	if o.told = append(o.told, a); len(o.told) > maxTold {
		o.told = slices.Delete(o.told, 0, 1)
	}
}

// is reports whether an address is ours.
func (o *ownAddresses) is(ap netip.AddrPort) bool {
	if o.port == 0 || ap.Port() != o.port {
		return false
	}
	a := ap.Addr().Unmap()
	o.mu.Lock()
	defer o.mu.Unlock()
	if slices.Contains(o.told, a) {
		return true
	}
	if o.listen.IsValid() && !o.listen.IsUnspecified() {
		return a == o.listen
	}
	if now := time.Now(); o.read.IsZero() || now.Sub(o.read) > ownRefresh {
		o.system, o.read = systemAddresses(), now
	}
	return a.IsLoopback() || slices.Contains(o.system, a)
}

func systemAddresses() (list []netip.Addr) {
	addrs, _ := net.InterfaceAddrs() // what can't be told is found out by dialling
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}
