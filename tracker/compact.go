package tracker

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Bytes of one peer in a compact list: address and port in network byte order.
const (
	compactLen4 = 4 + 2  // BEP 23
	compactLen6 = 16 + 2 // BEP 7
)

// peerList gathers the usable peers of one answer, each once, at most MaxPeers.
type peerList struct {
	peers []Peer
	seen  map[peerKey]struct{}
}

type peerKey struct {
	addr netip.AddrPort
	host string
	port uint16
}

func (l *peerList) full() bool { return len(l.peers) >= MaxPeers }

func (l *peerList) add(p Peer) {
	if l.full() || p.Port == 0 || p.Host == "" && !usable(p.Addr.Addr()) {
		return
	}
	k := peerKey{p.Addr, p.Host, p.Port}
	if _, dup := l.seen[k]; dup {
		return
	}
	if l.seen == nil {
		l.seen = make(map[peerKey]struct{})
	}
	l.seen[k] = struct{}{}
	l.peers = append(l.peers, p)
}

func (l *peerList) addAddr(a netip.Addr, port uint16) {
	l.add(Peer{Addr: netip.AddrPortFrom(a, port), Port: port})
}

// addCompact adds the whole entries of a compact list; a broken tail is left out.
func (l *peerList) addCompact(b []byte, size int) {
	if n := min(len(b)/size, MaxPeers-len(l.peers)); n > 0 {
		l.peers = slices.Grow(l.peers, n)
		if l.seen == nil {
			l.seen = make(map[peerKey]struct{}, n)
		}
	}
	for ; len(b) >= size && !l.full(); b = b[size:] {
		a, _ := netip.AddrFromSlice(b[:size-2]) // 4 or 16 bytes: always good
		l.addAddr(a.Unmap(), binary.BigEndian.Uint16(b[size-2:]))
	}
}

// usable says whether an address could belong to one peer at all. Whether it
// is one that we want to connect to is not decided here.
func usable(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && (a.Is4() || assigned6(a))
}

// assigned6 says whether an IPv6 address is out of a block that is in use
// (RFC 4291, 4193, 6052). Some trackers hand out IPv4 entries as IPv6 ones:
// those are cut in the wrong places, and look like anything.
func assigned6(a netip.Addr) bool {
	b := a.As16()
	return b[0]>>5 == 1 || b[0]&0xfe == 0xfc || a.IsLoopback() || a.IsLinkLocalUnicast() ||
		[4]byte(b[:4]) == [4]byte{0, 0x64, 0xff, 0x9b}
}
