package tracker

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/seed1734be99/starling/bencode"
)

// values is a bencoded dictionary whose values are read one by one, so that a
// single one of an unexpected type does not spoil the answer.
type values map[string]bencode.RawMessage

// parseAnnounce reads the body of an HTTP answer (BEP 3, 7, 23, 24, 31).
func parseAnnounce(body []byte, floor time.Duration) (Response, error) {
	var v values
	if err := bencode.UnmarshalTolerant(body, &v); err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := v.failure(); err != nil {
		return Response{}, err
	}
	_, hasInterval := v["interval"]
	_, has4 := v["peers"]
	_, has6 := v["peers6"]
	if !hasInterval && !has4 && !has6 {
		return Response{}, fmt.Errorf("%w: neither interval nor peers", ErrMalformed)
	}

	r := Response{
		Interval:   max(defaultInterval, floor),
		Complete:   v.count("complete"),
		Incomplete: v.count("incomplete"),
		Downloaded: v.count("downloaded"),
	}
	if n, ok := number(v["interval"]); ok {
		r.Interval = clampInterval(n, floor)
	}
	minimum, _ := number(v["min interval"])
	r.MinInterval = clampInterval(minimum, floor)
	if id, ok := text(v["tracker id"]); ok && len(id) <= maxTrackerID {
		r.TrackerID = string(id)
	}
	if w, ok := text(v["warning message"]); ok {
		r.Warning = printable(string(w))
	}
	if ip, ok := text(v["external ip"]); ok {
		if a, ok := netip.AddrFromSlice(ip); ok && usable(a.Unmap()) {
			r.ExternalIP = a.Unmap()
		}
	}
	var l peerList
	if compact, ok := text(v["peers"]); ok {
		l.addCompact(compact, compactLen4)
	} else {
		l.addDictionaries(v["peers"])
	}
	if compact, ok := text(v["peers6"]); ok {
		l.addCompact(compact, compactLen6)
	} else {
		l.addDictionaries(v["peers6"])
	}
	r.Peers = l.peers
	return r, nil
}

// failure returns a *FailureError if the answer is a refusal. Some old trackers
// write "failure" where BEP 3 has "failure reason".
func (v values) failure() error {
	raw, ok := v["failure reason"]
	if !ok {
		if raw, ok = v["failure"]; !ok {
			return nil
		}
	}
	e := &FailureError{Reason: "no reason given"}
	if reason, ok := text(raw); ok && len(reason) > 0 {
		e.Reason = printable(string(reason))
	}
	// BEP 31: minutes, or "never".
	if s, ok := text(v["retry in"]); ok && strings.EqualFold(string(s), "never") {
		e.RetryIn = Never
	} else if n, ok := number(v["retry in"]); ok && n > 0 {
		e.RetryIn = MaxInterval
		if n < int64(MaxInterval/time.Minute) {
			e.RetryIn = time.Duration(n) * time.Minute
		}
	}
	return e
}

// addDictionaries adds the peers of a list in the first format (BEP 3); what is
// no peer among them is skipped.
func (l *peerList) addDictionaries(raw bencode.RawMessage) {
	if len(raw) == 0 || raw[0] != 'l' {
		return
	}
	var list []bencode.RawMessage
	if bencode.UnmarshalTolerant(raw, &list) != nil {
		return
	}
	for _, entry := range list {
		if l.full() {
			return
		}
		var v values
		if len(entry) == 0 || entry[0] != 'd' || bencode.UnmarshalTolerant(entry, &v) != nil {
			continue
		}
		if p, ok := v.peer(); ok {
			l.add(p)
		}
	}
}

func (v values) peer() (p Peer, ok bool) {
	host, _ := text(v["ip"])
	port, _ := number(v["port"])
	if port <= 0 || port > math.MaxUint16 {
		return p, false
	}
	p.Port = uint16(port)
	if a, err := netip.ParseAddr(string(host)); err == nil {
		p.Addr = netip.AddrPortFrom(a.Unmap(), p.Port)
	} else if dnsName(host) {
		p.Host = string(host)
	} else {
		return p, false
	}
	if id, _ := text(v["peer id"]); len(id) == len(p.ID) {
		p.HasID = true
		copy(p.ID[:], id)
	}
	return p, true
}

// dnsName accepts what could be a host name: no spaces, separators or controls,
// and not only digits and dots, which would be a misspelt address.
func dnsName(b []byte) bool {
	if len(b) == 0 || len(b) > 253 || b[0] == '.' || b[0] == '-' {
		return false
	}
	letters := false
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters = true
		case '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return letters
}

// text returns the bytes of a string, aliasing raw.
func text(raw bencode.RawMessage) ([]byte, bool) {
	if len(raw) == 0 || raw[0] < '0' || raw[0] > '9' {
		return nil, false
	}
	_, s, ok := bytes.Cut(raw, []byte{':'})
	return s, ok
}

// number returns an integer, also one sent as a string, as some trackers do.
// One that does not fit becomes the nearest that does.
func number(raw bencode.RawMessage) (int64, bool) {
	digits, ok := text(raw)
	if !ok {
		if len(raw) < 3 || raw[0] != 'i' {
			return 0, false
		}
		digits = raw[1 : len(raw)-1]
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(digits)), 10, 64)
	if err != nil && n != math.MaxInt64 && n != math.MinInt64 {
		return 0, false
	}
	return n, true
}

// count returns a number of peers; -1 if there is none.
func (v values) count(key string) int {
	n, ok := number(v[key])
	if !ok || n < 0 {
		return -1
	}
	return int(min(n, math.MaxInt32))
}
