package choke

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

const (
	// memoryHosts is how many addresses that are not connected are remembered, the latest of them.
	memoryHosts = 4096
	// memoryTime is how long an address is remembered after its last connection, where nobody says.
	memoryTime = time.Hour
	// totalMax keeps sums of totals far from overflowing.
	totalMax = math.MaxInt64 >> 4
)

// A memory adds up what went to and fro between us and an address, over all its connections, at the same time or one
// after the other. An IPv6 host can have any address of its network of 64 bits, so that is what counts as one.
//
// A connection without an address is a host of its own, and forgotten when it is gone.
type memory struct {
	keep  time.Duration
	hosts map[netip.Addr]account
	conns map[PeerID]connection
	round uint64
	old   []oldHost // of forget alone
}

// An account is the sum of an address. Saturated, never negative.
type account struct {
	down, up, bad int64
	seen          time.Time
}

// A connection is what was last known of one: deltas go to the account.
type connection struct {
	host  netip.Addr
	total account
	round uint64
}

type oldHost struct {
	host netip.Addr
	seen time.Time
}

// note takes in a round.
func (m *memory) note(r *Round) {
	if m.hosts == nil {
		m.hosts = make(map[netip.Addr]account)
		m.conns = make(map[PeerID]connection)
	}
	m.round++
	for i := range r.Peers {
		p := &r.Peers[i]
		c, ok := m.conns[p.ID]
		if !ok {
			c.host = hostOf(p.Addr)
		}
		now := account{down: total(p.Downloaded), up: total(p.Uploaded), bad: total(p.BadBytes), seen: r.Now}
		if c.host.IsValid() {
			a := m.hosts[c.host]
			a.down = total(a.down + max(now.down-c.total.down, 0))
			a.up = total(a.up + max(now.up-c.total.up, 0))
			a.bad = total(a.bad + max(now.bad-c.total.bad, 0))
			a.seen = r.Now
			m.hosts[c.host] = a
		}
		c.total, c.round = now, m.round
		m.conns[p.ID] = c
	}
	if len(m.conns) > len(r.Peers) {
		for id, c := range m.conns {
			if c.round != m.round {
				delete(m.conns, id)
			}
		}
	}
	m.forget(r.Now)
}

// of returns the account that a connection of the last round counts for.
func (m *memory) of(id PeerID) account {
	c := m.conns[id]
	if c.host.IsValid() {
		return m.hosts[c.host]
	}
	return c.total
}

// forget drops the addresses that were not seen for long, and when there are too many, the older half of those that
// are not connected.
func (m *memory) forget(now time.Time) {
	m.old = m.old[:0]
	for host, a := range m.hosts {
		switch away := now.Sub(a.seen); {
		case away >= m.keep && away > 0:
			delete(m.hosts, host)
		case away != 0:
			m.old = append(m.old, oldHost{host, a.seen})
		}
	}
	if len(m.old) <= memoryHosts {
		return
	}
	slices.SortFunc(m.old, func(a, b oldHost) int {
		if c := a.seen.Compare(b.seen); c != 0 {
			return c
		}
		return a.host.Compare(b.host)
	})
	for _, o := range m.old[:len(m.old)-memoryHosts/2] {
		delete(m.hosts, o.host)
	}
}

// hostOf is what of an address stands for one host; invalid where there is none.
func hostOf(addr netip.AddrPort) netip.Addr {
	a := addr.Addr().Unmap().WithZone("")
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	if a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// total bounds a count that came from outside.
func total(n int64) int64 { return min(max(n, 0), totalMax) }
