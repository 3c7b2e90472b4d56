package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Ports for dialing and for listening on port 0, handed out in turn.
const (
	firstPort = 32768
	lastPort  = 60999
)

// A Host has one address of the network.
type Host struct {
	net  *Net
	addr netip.Addr

	mu        sync.Mutex
	latency   time.Duration
	loss      float64
	up, down  line
	listeners map[uint16]*listener
	packets   map[uint16]*packetConn
	nextPort  uint16
}

// A line lets bytes through at a rate, one after the other, for all that goes through it. Guarded by the host's mu.
type line struct {
	rate int64
	free time.Time // when what was booked is through
}

// book sends n bytes that are there at a time, and returns when the last of them is through.
func (l *line) book(at time.Time, n int) time.Time {
	if l.rate <= 0 {
		return at
	}
	if l.free.After(at) {
		at = l.free
	}
	l.free = at.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	return l.free
}

// Addr returns the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// SetLink changes how the host is attached. What is under way keeps its time of arrival.
func (h *Host) SetLink(l Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latency, h.loss = l.Latency, l.Loss
	h.up.rate, h.down.rate = l.Up, l.Down
}

// sendAt books the uplink for n bytes, and returns when they have left.
func (h *Host) sendAt(now time.Time, n int) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up.book(now, n)
}

// receiveAt books the downlink for n bytes that have arrived at a time, and returns when they are there.
func (h *Host) receiveAt(at time.Time, n int) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down.book(at, n)
}

// slowDown says that the downlink has a rate.
func (h *Host) slowDown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down.rate > 0
}

func (h *Host) attached() (latency time.Duration, loss float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latency, h.loss
}

// way is how long the way between two hosts takes.
func way(a, b *Host) time.Duration {
	from, _ := a.attached()
	to, _ := b.attached()
	return from + to
}

// portLocked returns the next port that nobody listens on; 0 when there is none.
func (h *Host) portLocked() uint16 {
	for range lastPort - firstPort + 1 {
		port := h.nextPort
		h.nextPort++
		if h.nextPort > lastPort {
			h.nextPort = firstPort
		}
		if h.listeners[port] == nil && h.packets[port] == nil {
			return port
		}
	}
	return 0
}

func (h *Host) appendLeft(left []string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.listeners {
		left = append(left, fmt.Sprintf("listener %v", l.Addr()))
	}
	for _, p := range h.packets {
		left = append(left, fmt.Sprintf("packet socket %v", p.LocalAddr()))
	}
	return left
}

// localPort checks an address to listen on: its host is empty, unspecified, or this host's.
func (h *Host) localPort(network, protocol, address string) (uint16, error) {
	name, service, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return 0, &net.AddrError{Err: "invalid port", Addr: address}
	}
	if err := checkFamily(network, protocol, h.addr); err != nil {
		return 0, err
	}
	if name == "" {
		return uint16(port), nil
	}
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return 0, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	if addr = addr.Unmap(); addr != h.addr && !addr.IsUnspecified() {
		return 0, syscall.EADDRNOTAVAIL
	}
	return uint16(port), nil
}

// checkFamily refuses networks that are not the protocol or do not fit the address.
func checkFamily(network, protocol string, addr netip.Addr) error {
	family, ok := strings.CutPrefix(network, protocol)
	switch {
	case !ok || family != "" && family != "4" && family != "6":
		return net.UnknownNetworkError(network)
	case family == "4" && !addr.Is4(), family == "6" && !addr.Is6():
		return &net.AddrError{Err: "address does not fit " + network, Addr: addr.String()}
	}
	return nil
}
