package tracker

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Hop is one place that a request to a tracker is about to go to: the tracker
// itself, or where it redirects to.
type Hop struct {
	// URL is what is about to be asked; query and passkey are in it. Over UDP it
	// is the announce URL. Not to be changed.
	URL *url.URL
	// Addr is the address that is really used, after name resolution. It is
	// invalid when it is not known yet (a policy is asked once before the name is
	// looked up) and when it never will be, behind a proxy.
	Addr netip.Addr
	// Redirect says that another tracker sent us here. From is the address of that
	// one, invalid if a proxy hides it.
	Redirect bool
	From     netip.Addr
}

// Policy says whether a tracker may be asked; nil permits it. Torrents and magnet
// links name trackers, and may come from anybody: without a policy they could
// make us send requests into our user's own network (and so could a tracker, by
// a redirect or by what its name resolves to).
//
// It is asked about each hop twice or more: about its URL, and then about every
// address before anything is sent there, also before a connection is used again.
// It must not block; it is called by several goroutines at once.
//
// Behind a proxy (http.Transport.Proxy) only URLs are seen. Connections that are
// made by a DialContext of the user are closed again, before a byte is written,
// when their RemoteAddr is not permitted (if it leads through a proxy by itself,
// that one's address is what is seen). Those without an IP address (in memory,
// unix sockets) are the user's own affair.
type Policy func(Hop) error

// PolicyError is a refusal by [Client.Policy]: nothing was sent there.
type PolicyError struct {
	Addr netip.Addr // invalid: refused for its URL alone
	Err  error      // what the policy said
}

func (e *PolicyError) Error() string {
	if e.Addr.IsValid() {
		return fmt.Sprintf("not permitted: %s: %v", e.Addr, e.Err)
	}
	return fmt.Sprintf("not permitted: %v", e.Err)
}

func (e *PolicyError) Unwrap() error { return e.Err }

var (
	errLookAlike  = errors.New("host name is not plain ASCII")
	errNoHost     = errors.New("address belongs to no host")
	errLocalPath  = errors.New("on a local address only /announce and /scrape are asked for")
	errToInternal = errors.New("redirect from a public address to one that is not")
)

// DefaultPolicy is what a [Client] without a policy obeys. It refuses
//
//   - host names that are not ASCII or have internationalised ("xn--") labels,
//     which can be made to look like others;
//   - multicast, unspecified and broadcast addresses;
//   - loopback and link-local addresses over HTTP, unless the path starts with
//     /announce or /scrape: a torrent must not be able to press the buttons of
//     what else listens there. UDP is permitted: all that is sent, before
//     something answers as a tracker does, are sixteen bytes of our own;
//   - redirects from a public address to one that is not: loopback, link-local,
//     private or reserved. An address that a proxy hides counts as public.
//
// Trackers on private networks are permitted.
func DefaultPolicy(h Hop) error {
	host := h.URL.Hostname()
	if lookAlike(host) {
		return errLookAlike
	}
	a := h.Addr
	if !a.IsValid() {
		a = literal(host)
	}
	r := reachOf(a)
	switch {
	case !a.IsValid():
		return nil
	case r == reachNobody:
		return errNoHost
	case r == reachLocal && h.URL.Scheme != "udp" && !trackerPath(h.URL):
		return errLocalPath
	case h.Redirect && r != reachPublic && reachOf(h.From) == reachPublic:
		return errToInternal
	}
	return nil
}

// literal returns the address that a host is written as; "localhost" is one. It
// is invalid for other names.
func literal(host string) netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap()
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.Addr{}
}

func lookAlike(host string) bool {
	for i := range len(host) {
		if host[i] >= 0x80 {
			return true
		}
	}
	for label := range strings.SplitSeq(strings.ToLower(host), ".") {
		if strings.HasPrefix(label, "xn--") {
			return true
		}
	}
	return false
}

// trackerPath says whether a path can only lead to a tracker: it starts with
// /announce or /scrape, and no server can be made to see another one in it.
func trackerPath(u *url.URL) bool {
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/announce") && !strings.HasPrefix(path, "/scrape") {
		return false
	}
	for segment := range strings.FieldsFuncSeq(u.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
		// A segment may have parameters ("..;x") in the eyes of some servers.
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." || strings.Contains(segment, "%") {
			return false
		}
	}
	return true
}

// reach is from where an address can be reached.
type reach uint8

const (
	reachPublic   reach = iota
	reachInternal       // private networks and what is reserved
	reachLocal          // this host and its links
	reachNobody         // no single host has it
)

// Addresses that are no hosts of the public network (RFC 6890), apart from those
// that netip knows by itself.
var internalPrefixes = func() (list []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "100::/64", "2001:db8::/32", "3fff::/20", "fec0::/10", "64:ff9b:1::/48",
	} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}()

var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo4  = netip.MustParsePrefix("2002::/16")    // RFC 3056
	allOnes = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// reachOf classes an address; an invalid one counts as public. One that has an
// IPv4 address inside, to which gateways pass packets on, is of that one's class.
func reachOf(a netip.Addr) reach {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return reachPublic
	case nat64.Contains(a):
		b := a.As16()
		return reachOf(netip.AddrFrom4([4]byte(b[12:])))
	case sixTo4.Contains(a):
		b := a.As16()
		return reachOf(netip.AddrFrom4([4]byte(b[2:6])))
	case a.IsUnspecified(), a.IsMulticast(), a == allOnes:
		return reachNobody
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return reachLocal
	case a.IsPrivate():
		return reachInternal
	}
	for _, p := range internalPrefixes {
		if p.Contains(a) {
			return reachInternal
		}
	}
	return reachPublic
}

// permit asks the policy, and makes a *PolicyError of its refusal.
func (p Policy) permit(h Hop) error {
	if p == nil {
		p = DefaultPolicy
	}
	if err := p(h); err != nil {
		return &PolicyError{Addr: h.Addr, Err: err}
	}
	return nil
}
