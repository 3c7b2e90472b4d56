package peerwire

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"slices"
)

// DefaultAllowedFast is the size of an allowed fast set that BEP 6 names.
const DefaultAllowedFast = 10

// maxAllowedFast bounds the set: finding one is quadratic in its size.
const maxAllowedFast = 1024

// AppendAllowedFast appends to dst the pieces which the peer at ip may ask for
// while it is choked: the first k of the canonical sequence, all different. Any
// two peers that compute k pieces for the same address and torrent name the same.
//
// ip is the address as seen from here; an IPv4 address mapped into IPv6 counts
// as IPv4. BEP 6 says nothing of IPv6: nothing is appended then, nor when
// pieces or k is not positive. A torrent of no more than k pieces has all of
// them in its set, and k counts as at most 1024.
//
// Nothing is allocated but what dst needs to grow.
func AppendAllowedFast(dst []uint32, ip netip.Addr, infohash [20]byte, pieces, k int) []uint32 {
	ip = ip.Unmap()
	if !ip.Is4() || pieces <= 0 || k <= 0 || int64(pieces) > 1<<32-1 {
		return dst
	}
	k = min(k, maxAllowedFast)
	if pieces <= k {
		for i := range pieces {
			dst = append(dst, uint32(i))
		}
		return dst
	}
	// BEP 6, allowed fast set generation; the numbers are the steps there.
	var seed [24]byte
	a4 := ip.As4()
	copy(seed[:], a4[:3]) // (1): the last octet is zero, whoever has a /24 gets one set
	copy(seed[4:], infohash[:])
	start := len(dst)
	for x := sha1.Sum(seed[:]); ; x = sha1.Sum(x[:]) { // (3)
		for j := 0; j < len(x); j += 4 { // (4), (5)
			index := binary.BigEndian.Uint32(x[j:]) % uint32(pieces) // (6), (7)
			if slices.Contains(dst[start:], index) {                 // (8)
				continue
			}
			dst = append(dst, index) // (9)
			if len(dst)-start == k {
				return dst
			}
		}
	}
}
