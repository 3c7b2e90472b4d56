package server

import (
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/seed1734be99/starling/tracker"
)

const (
	maxAnnounceQuery = 4 << 10 // bytes
	maxName          = 16      // bytes of a parameter's name that are looked at
	maxValue         = 64      // bytes of a value other than the hashes
)

var _ http.Handler = (*Server)(nil)

// ServeHTTP answers any path whose last part begins with "announce" or
// "scrape", so that announce.php works, and a passkey as a folder.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	switch last := path.Base(r.URL.Path); {
	case strings.HasPrefix(last, "announce"):
		s.serveAnnounce(w, r)
	case strings.HasPrefix(last, "scrape"):
		s.serveScrape(w, r)
	default:
		http.NotFound(w, r)
	}
}

// exchange is what answering one announce over HTTP needs.
type exchange struct {
	a       announce
	ans     answer
	form    form
	body    []byte
	compact bool
}

// form is the parameters that are not kept in the announce.
type form struct {
	hasHash, hasID, hasPort, hasLeft bool
	port                             uint16
	ip                               string
	compact, noID                    bool
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (s *Server) serveAnnounce(w http.ResponseWriter, r *http.Request) {
	x := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	x.a, x.form = announce{}, form{}
	x.ans.reset()
	no := s.parseAnnounce(x, r.RemoteAddr, r.URL.RawQuery)
	if no == "" {
		no = s.check(&x.a, r.URL.Path, r.URL.RawQuery)
	}
	if no == "" && s.nat != nil {
		no = s.nat.wait(&x.a)
	}
	if no == "" {
		no = s.announce(&x.a, s.now(), &x.ans)
	}
	if no != "" {
		s.refuse(w, r, no)
		return
	}
	x.body = s.appendAnswer(x.body[:0], x)
	reply(w, r, x.body)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, why refusal) {
	s.counts.failures[HTTP].Add(1)
	b := appendString([]byte{'d'}, "failure reason")
	b = appendString(b, string(why))
	reply(w, r, append(b, 'e'))
}

// parseAnnounce reads the query (BEP 3). It is lenient where nothing depends on
// a value: a missing or odd count does not keep a peer out of its swarm. Of a
// parameter given twice, the first counts.
func (s *Server) parseAnnounce(x *exchange, remote, query string) refusal {
	if len(query) > maxAnnounceQuery {
		return "the query is too long"
	}
	a, f := &x.a, &x.form
	a.transport = HTTP
	a.want = s.cfg.NumWant
	a.left = -1
	a.want4, a.want6 = true, true
	var seen uint16
	for {
		p, rest, ok := nextPair(query)
		if !ok {
			break
		}
		query = rest
		a.set(f, p, &seen, s.cfg.MaxNumWant)
	}
	switch {
	case !f.hasHash:
		return "info_hash must be 20 bytes"
	case !f.hasID:
		return "peer_id must be 20 bytes"
	case !f.hasPort:
		return "port must be a number from 0 to 65535"
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return "your address is not known"
	}
	a.from = from.Addr().Unmap().WithZone("")
	a.addr = netip.AddrPortFrom(s.reported(a.from, f.ip), f.port)
	if a.event == tracker.Completed && !f.hasLeft {
		a.left = 0
	}
	a.paused = a.paused && !a.seed()
	x.compact = f.compact
	a.wantIDs = !f.compact && !f.noID
	return ""
}

// The parameters that are read, as bits of what has been seen.
const (
	seenHash = 1 << iota
	seenID
	seenPort
	seenIP
	seenLeft
	seenUploaded
	seenDownloaded
	seenEvent
	seenKey
	seenNumWant
	seenCompact
	seenNoID
)

// names of parameters: all that BEP 3, 7 and 23 have, and S2's "myip".
func named(name string) uint16 {
	switch name {
	case "info_hash":
		return seenHash
	case "peer_id":
		return seenID
	case "port":
		return seenPort
	case "ip", "myip":
		return seenIP
	case "left":
		return seenLeft
	case "uploaded":
		return seenUploaded
	case "downloaded":
		return seenDownloaded
	case "event":
		return seenEvent
	case "key":
		return seenKey
	case "numwant", "num_want":
		return seenNumWant
	case "compact":
		return seenCompact
	case "no_peer_id":
		return seenNoID
	}
	return 0
}

// parameter returns the bit of a name, encoded or not; 0: it means nothing to us.
func parameter(name string) uint16 {
	if strings.IndexByte(name, '%') < 0 {
		return named(name)
	}
	var plain [maxName]byte
	return named(string(plain[:max(0, unescape(plain[:], name))]))
}

// set takes one parameter in. Its errors show as what is missing.
func (a *announce) set(f *form, p pair, seen *uint16, maxWant int) {
	bit := parameter(p.name)
	if bit == 0 || *seen&bit != 0 {
		return
	}
	*seen |= bit
	switch bit {
	case seenHash:
		f.hasHash = unescapeHash(&a.hash, p.value)
		return
	case seenID:
		f.hasID = unescapeHash(&a.id, p.value)
		return
	}
	value := p.value
	if strings.ContainsAny(value, "%+") {
		var buf [maxValue]byte
		value = string(buf[:max(0, unescape(buf[:], value))])
	}
	a.setText(f, bit, value, maxWant)
}

func (a *announce) setText(f *form, bit uint16, value string, maxWant int) {
	switch bit {
	case seenPort:
		n, err := strconv.ParseUint(value, 10, 16)
		f.port, f.hasPort = uint16(n), err == nil
	case seenIP:
		f.ip = value
	case seenLeft:
		if n, ok := parseCount(value); ok {
			a.left, f.hasLeft = n, true
		}
	case seenUploaded:
		a.uploaded, _ = parseCount(value)
	case seenDownloaded:
		a.downloaded, _ = parseCount(value)
	case seenEvent:
		a.event, a.paused = parseEvent(value)
	case seenKey:
		n, _ := strconv.ParseUint(value, 16, 32)
		a.key = uint32(n)
	case seenNumWant:
		if n, ok := parseCount(value); ok && n >= 0 {
			a.want = int(min(n, int64(maxWant)))
		}
	case seenCompact:
		f.compact = value == "1"
	case seenNoID:
		f.noID = value == "1"
	}
}

// parseCount reads a signed number; false if it is none, or above 2^63-1.
func parseCount(value string) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil
}

func parseEvent(value string) (event tracker.Event, paused bool) {
	switch value {
	case "started":
		return tracker.Started, false
	case "completed", "complete": // the second is in use too (T24)
		return tracker.Completed, false
	case "stopped":
		return tracker.Stopped, false
	case "paused":
		return tracker.None, true // BEP 21
	}
	return tracker.None, false
}

// reported returns the address to report for a peer (T25).
func (s *Server) reported(from netip.Addr, asked string) netip.Addr {
	if asked == "" || !s.trusts(from) {
		return from
	}
	if other, err := netip.ParseAddr(asked); err == nil && other.Zone() == "" {
		if other = other.Unmap(); !other.IsUnspecified() && !other.IsMulticast() {
			return other
		}
	}
	return from // names are not resolved
}

func (s *Server) trusts(ip netip.Addr) bool {
	return ip.IsLoopback() || slices.ContainsFunc(s.cfg.TrustIP, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// appendAnswer encodes an announce's answer: the keys sorted, as bencoding wants it.
func (s *Server) appendAnswer(b []byte, x *exchange) []byte {
	ans := &x.ans
	b = appendInt(append(b, "d8:complete"...), ans.seeds)
	b = appendInt(append(b, "10:downloaded"...), ans.downloaded)
	b = appendInt(append(b, "10:incomplete"...), ans.leeches)
	b = appendInt(append(b, "8:interval"...), int(s.interval))
	if s.cfg.MinInterval > 0 {
		b = appendInt(append(b, "12:min interval"...), seconds(s.cfg.MinInterval))
	}
	b = append(b, "5:peers"...)
	if x.compact {
		// "peers" (BEP 23) and, if there are any, "peers6" (BEP 7).
		b = appendBytes(b, ans.peers4)
		if len(ans.peers6) > 0 {
			b = appendBytes(append(b, "6:peers6"...), ans.peers6)
		}
	} else { // the first format (BEP 3), in which both families have a place
		b = append(b, 'l')
		b = appendDictionaries(b, ans.peers4, ans.ids4, 4)
		b = appendDictionaries(b, ans.peers6, ans.ids6, 16)
		b = append(b, 'e')
	}
	return append(b, 'e')
}

// appendDictionaries turns a compact list into the first format.
func appendDictionaries(b, peers, ids []byte, ipLen int) []byte {
	var text [64]byte
	for ; len(peers) >= ipLen+2; peers = peers[ipLen+2:] {
		ip, _ := netip.AddrFromSlice(peers[:ipLen])
		b = appendBytes(append(b, "d2:ip"...), ip.AppendTo(text[:0]))
		if len(ids) >= 20 {
			b = append(append(b, "7:peer id20:"...), ids[:20]...)
			ids = ids[20:]
		}
		b = appendInt(append(b, "4:port"...), int(peers[ipLen])<<8|int(peers[ipLen+1]))
		b = append(b, 'e')
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

func appendBytes(b, s []byte) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

func appendInt(b []byte, n int) []byte {
	return append(strconv.AppendInt(append(b, 'i'), int64(n), 10), 'e')
}
