package peerwire

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBEP6_AllowedFastVectors(t *testing.T) {
	var infohash [20]byte
	for i := range infohash {
		infohash[i] = 0xaa
	}
	ip := netip.MustParseAddr("80.4.4.200")
	nine := []uint32{1059, 431, 808, 1217, 287, 376, 1188, 353, 508}
	require.Equal(t, nine[:7], AppendAllowedFast(nil, ip, infohash, 1313, 7))
	require.Equal(t, nine, AppendAllowedFast(nil, ip, infohash, 1313, 9))

	require.Equal(t, nine, AppendAllowedFast(nil, netip.MustParseAddr("80.4.4.1"), infohash, 1313, 9), "one set for a /24")
	require.Equal(t, nine, AppendAllowedFast(nil, netip.MustParseAddr("::ffff:80.4.4.200"), infohash, 1313, 9))
	require.NotEqual(t, nine, AppendAllowedFast(nil, netip.MustParseAddr("80.4.5.200"), infohash, 1313, 9))

	require.Equal(t, append([]uint32{1059, 1}, nine...), AppendAllowedFast([]uint32{1059, 1}, ip, infohash, 1313, 9),
		"what stands in dst already is no part of the set")
}

func TestAllowedFastEnds(t *testing.T) {
	ip := netip.MustParseAddr("80.4.4.200")
	cases := []struct {
		name      string
		ip        netip.Addr
		pieces, k int
		want      int
	}{
		{"fewer pieces than k", ip, 3, 10, 3},
		{"as many", ip, 10, 10, 10},
		{"one more", ip, 11, 10, 10},
		{"one piece", ip, 1, 10, 1},
		{"no piece", ip, 0, 10, 0},
		{"negative", ip, -1, 10, 0},
		{"k 0", ip, 100, 0, 0},
		{"k negative", ip, 100, -1, 0},
		{"k without end", ip, 1 << 20, 1 << 30, 1024},
		{"all but one of many", ip, 1025, 1 << 30, 1024},
		{"IPv6", netip.MustParseAddr("2001:db8::1"), 100, 10, 0},
		{"no address", netip.Addr{}, 100, 10, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := AppendAllowedFast(nil, c.ip, [20]byte{1}, c.pieces, c.k)
			require.Len(t, got, c.want)
			seen := map[uint32]bool{}
			for _, i := range got {
				require.False(t, seen[i])
				require.Less(t, int(i), c.pieces)
				seen[i] = true
			}
		})
	}
}

func TestNoAllocsAllowedFast(t *testing.T) {
	ip := netip.MustParseAddr("80.4.4.200")
	dst := make([]uint32, 0, 16)
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = AppendAllowedFast(dst, ip, [20]byte{1}, 1313, 10) }))
}

// A longer set begins with the shorter one, for any torrent and address.
func TestAllowedFastIsOneSequence(t *testing.T) {
	for i := range uint32(200) {
		var infohash [20]byte
		binary.BigEndian.PutUint32(infohash[3:], i*2654435761)
		ip := netip.AddrFrom4([4]byte{byte(i), byte(i * 7), 3, 4})
		pieces := 12 + int(i)
		long := AppendAllowedFast(nil, ip, infohash, pieces, 11)
		require.Len(t, long, 11)
		require.Equal(t, long[:5], AppendAllowedFast(nil, ip, infohash, pieces, 5))
	}
}
