package server

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// announce is one announce, understood.
type announce struct {
	hash, id  [20]byte
	addr      netip.AddrPort
	seed      bool
	partial   bool
	completed bool
	stopped   bool
	compact   bool
	noID      bool
	want      int
}

// refusal is a failure that is told to the client.
type refusal string

func (s *Server) serveAnnounce(w http.ResponseWriter, r *http.Request) {
	a, no := s.parseAnnounce(r)
	if no == "" {
		var body []byte
		if body, no = s.announce(&a, time.Now()); no == "" {
			s.announces.Add(1)
			reply(w, r, body)
			return
		}
	}
	s.refuse(w, r, no)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, why refusal) {
	s.failures.Add(1)
	b := appendString([]byte{'d'}, "failure reason")
	b = appendString(b, string(why))
	reply(w, r, append(b, 'e'))
}

// parseAnnounce reads the query (BEP 3). It is lenient where nothing depends on
// a value: a missing or odd count does not keep a peer out of its swarm.
func (s *Server) parseAnnounce(r *http.Request) (a announce, no refusal) {
	q, _ := url.ParseQuery(r.URL.RawQuery) // what can't be read is missing
	if !fill(a.hash[:], q.Get("info_hash")) {
		return a, "info_hash must be 20 bytes"
	}
	if !fill(a.id[:], q.Get("peer_id")) {
		return a, "peer_id must be 20 bytes"
	}
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil {
		return a, "port must be a number from 0 to 65535"
	}
	ip, no := s.address(r.RemoteAddr, q.Get("ip"))
	if no != "" {
		return a, no
	}
	a.addr = netip.AddrPortFrom(ip, uint16(port))
	left := q.Get("left")
	a.seed = left == "0"
	switch q.Get("event") {
	case "completed", "complete": // the second is in use too
		a.completed = true
		a.seed = a.seed || left == ""
	case "stopped":
		a.stopped = true
	case "paused":
		a.partial = !a.seed // BEP 21
	}
	a.compact = q.Get("compact") == "1"
	a.noID = q.Get("no_peer_id") == "1"
	a.want = s.cfg.NumWant
	if n, err := strconv.Atoi(q.Get("numwant")); err == nil && n >= 0 {
		a.want = min(n, s.cfg.MaxNumWant)
	}
	return a, ""
}

func fill(dst []byte, s string) bool { return copy(dst, s) == len(s) && len(s) == len(dst) }

// address returns the address to report for a peer.
func (s *Server) address(remote, asked string) (netip.Addr, refusal) {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, "your address is not known"
	}
	ip := from.Addr().Unmap().WithZone("")
	if asked == "" || !s.trusts(ip) {
		return ip, ""
	}
	if other, err := netip.ParseAddr(asked); err == nil && other.Zone() == "" {
		if other = other.Unmap(); !other.IsUnspecified() && !other.IsMulticast() {
			return other, ""
		}
	}
	return ip, "" // names are not resolved
}

func (s *Server) trusts(ip netip.Addr) bool {
	return ip.IsLoopback() || slices.ContainsFunc(s.cfg.TrustIP, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// announce takes an announce in and returns the answer's body. A peer that is
// not known is no error, whatever the event: the tracker may have been
// restarted.
func (s *Server) announce(a *announce, now time.Time) ([]byte, refusal) {
	sh := s.shard(a.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if now.Sub(sh.swept) >= s.cfg.Interval {
		s.sweepLocked(sh, now)
	}
	w := sh.swarms[a.hash]
	if w != nil {
		s.expireLocked(w, now)
		w.touched = now
	}
	if a.stopped {
		if w == nil {
			w = newSwarm() // to answer from; it is not kept
		} else if p := w.byAddr[a.addr]; p != nil {
			w.remove(p)
			s.peers.Add(-1)
		}
		return s.answer(w, a), ""
	}
	if w == nil {
		if !reserve(&s.swarms, s.cfg.MaxSwarms) {
			return nil, "the tracker is full, no new torrents"
		}
		w = newSwarm()
		w.touched = now
		sh.swarms[a.hash] = w
	}
	p := w.byAddr[a.addr]
	if p == nil && !reserve(&s.peers, s.cfg.MaxPeers) {
		return nil, "the tracker is full, no new peers"
	}
	if a.completed && (p == nil || !p.seed) {
		w.downloaded++
	}
	w.put(a.addr, a.id, a.seed, a.partial, now)
	return s.answer(w, a), ""
}

// reserve counts one more, unless that is too many.
func reserve(n *atomic.Int64, most int) bool {
	if n.Add(1) > int64(most) {
		n.Add(-1)
		return false
	}
	return true
}

// answer encodes an announce's answer: the keys sorted, as bencoding wants it.
func (s *Server) answer(w *swarm, a *announce) []byte {
	peers := w.draw(make([]*peer, 0, min(a.want, len(w.peers))), a.want, a.addr, a.seed)
	b := make([]byte, 0, 128+64*len(peers))
	b = appendInt(append(b, "d8:complete"...), w.seeds)
	b = appendInt(append(b, "10:downloaded"...), w.downloaded)
	b = appendInt(append(b, "10:incomplete"...), len(w.peers)-w.seeds)
	b = appendInt(append(b, "8:interval"...), seconds(s.cfg.Interval))
	if s.cfg.MinInterval > 0 {
		b = appendInt(append(b, "12:min interval"...), seconds(s.cfg.MinInterval))
	}
	b = append(b, "5:peers"...)
	if a.compact {
		b = appendCompact(b, peers)
	} else {
		b = appendDictionaries(b, peers, a.noID)
	}
	return append(b, 'e')
}

func seconds(d time.Duration) int {
	return int(min((d+time.Second-1)/time.Second, math.MaxInt32))
}

// appendCompact appends the compact lists: "peers" (BEP 23), whose key is there
// already, and, if there are any, "peers6" (BEP 7).
func appendCompact(b []byte, peers []*peer) []byte {
	var v4, v6 []byte
	for _, p := range peers {
		list := &v4
		if !p.addr.Addr().Is4() {
			list = &v6
		}
		*list = append(*list, p.addr.Addr().AsSlice()...)
		*list = append(*list, byte(p.addr.Port()>>8), byte(p.addr.Port()))
	}
	b = appendString(b, string(v4))
	if len(v6) > 0 {
		b = appendString(append(b, "6:peers6"...), string(v6))
	}
	return b
}

// appendDictionaries appends the list in the first format (BEP 3), in which both
// families have a place.
func appendDictionaries(b []byte, peers []*peer, noID bool) []byte {
	b = append(b, 'l')
	for _, p := range peers {
		b = appendString(append(b, "d2:ip"...), p.addr.Addr().String())
		if !noID {
			b = append(append(b, "7:peer id20:"...), p.id[:]...)
		}
		b = appendInt(append(b, "4:port"...), int(p.addr.Port()))
		b = append(b, 'e')
	}
	return append(b, 'e')
}

func appendString(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

func appendInt(b []byte, n int) []byte { return fmt.Appendf(b, "i%de", n) }
