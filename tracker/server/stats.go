package server

import "sync/atomic"

// Transport is what a request came over.
type Transport uint8

const (
	HTTP Transport = iota
	UDP

	transports = 2
)

// String returns "http" or "udp".
func (t Transport) String() string {
	if t == UDP {
		return "udp"
	}
	return "http"
}

// Stats is a tracker's numbers at one moment.
type Stats struct {
	// Swarms and Peers are what is kept now, IPv4, IPv6 and Seeds parts of
	// Peers. A peer that announces over both families is two. Peers that have
	// gone silent count until they are forgotten.
	Swarms, Peers, IPv4, IPv6, Seeds int

	HTTP, UDP Requests // since New

	// Forgotten are peers that went silent, since New.
	Forgotten uint64
	// NATChecks are the connections made to check peers, NATFailures those that
	// failed, since New.
	NATChecks, NATFailures uint64
}

// Requests counts what came over one transport.
type Requests struct {
	Announces, Scrapes uint64 // answered
	Connects           uint64 // connection ids given out; UDP only
	Failures           uint64 // refused with a reason; over UDP also for an old connection id
	Ignored            uint64 // not answered: no request, or without a valid connection id; UDP only
}

type counts struct {
	scrapes, failures      [transports]atomic.Uint64
	connects, ignored      atomic.Uint64
	natChecks, natFailures atomic.Uint64
}

// Stats returns the tracker's numbers. It is cheap: counters are read. Only if
// that has not happened for a thirty-second of an interval, it forgets who has
// gone silent first, holding up a small part of the torrents at a time; so the
// numbers of a tracker that nobody announces to go down, too.
func (s *Server) Stats() Stats {
	s.sweepAll(s.now())
	var st Stats
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		st.Swarms += len(sh.swarms)
		st.IPv4 += sh.ipv4
		st.IPv6 += sh.ipv6
		st.Seeds += sh.seeds
		st.HTTP.Announces += sh.announces[HTTP]
		st.UDP.Announces += sh.announces[UDP]
		st.Forgotten += sh.forgotten
		sh.mu.Unlock()
	}
	st.Peers = st.IPv4 + st.IPv6
	c := &s.counts
	st.HTTP.Scrapes, st.UDP.Scrapes = c.scrapes[HTTP].Load(), c.scrapes[UDP].Load()
	st.HTTP.Failures, st.UDP.Failures = c.failures[HTTP].Load(), c.failures[UDP].Load()
	st.UDP.Connects, st.UDP.Ignored = c.connects.Load(), c.ignored.Load()
	st.NATChecks, st.NATFailures = c.natChecks.Load(), c.natFailures.Load()
	return st
}
