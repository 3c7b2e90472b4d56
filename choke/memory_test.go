package choke

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

func host(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
}

func TestMemory_OneAccountForAnAddress(t *testing.T) {
	for name, test := range map[string]struct {
		one, two string
		same     bool
	}{
		"another port":        {"10.0.0.1:1", "10.0.0.1:2", true},
		"another host":        {"10.0.0.1:1", "10.0.0.2:1", false},
		"mapped":              {"10.0.0.1:1", "[::ffff:10.0.0.1]:1", true},
		"network of 64 bits":  {"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true},
		"another such":        {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		"private network":     {"[fd00::1]:1", "[fd00::2]:1", false},
		"the link":            {"[fe80::1%a]:1", "[fe80::2%a]:1", false},
		"two unspecified":     {"0.0.0.0:1", "0.0.0.0:1", false},
		"two unspecified, v6": {"[::]:1", "[::]:1", false},
	} {
		t.Run(name, func(t *testing.T) {
			m := memory{keep: time.Hour}
			m.note(&Round{Now: at(0), Peers: []Peer{
				{ID: 1, Addr: netip.MustParseAddrPort(test.one), Uploaded: 100},
				{ID: 2, Addr: netip.MustParseAddrPort(test.two), Uploaded: 10},
			}})
			want := int64(100)
			if test.same {
				want = 110
			}
			require.Equal(t, want, m.of(1).up)
		})
	}
}

func TestMemory_AddsUpAndForgets(t *testing.T) {
	m := memory{keep: time.Hour}
	p := Peer{ID: 1, Addr: host(1), Downloaded: 5, Uploaded: 7, BadBytes: 1}
	m.note(&Round{Now: at(0), Peers: []Peer{p}})
	p.Downloaded, p.Uploaded = 8, 6 // a total that falls is no debt
	m.note(&Round{Now: at(10), Peers: []Peer{p}})
	require.Equal(t, account{down: 8, up: 7, bad: 1, seen: at(10)}, m.of(1))

	m.note(&Round{Now: at(20)})
	require.Empty(t, m.conns)
	require.Zero(t, m.of(1))
	p = Peer{ID: 2, Addr: host(1), Downloaded: math.MaxInt64, Uploaded: math.MinInt64}
	m.note(&Round{Now: at(3600), Peers: []Peer{p}})
	require.Equal(t, account{down: totalMax, up: 7, bad: 1, seen: at(3600)}, m.of(2))
	m.note(&Round{Now: at(7199)})
	require.Len(t, m.hosts, 1)
	m.note(&Round{Now: at(7200)})
	require.Empty(t, m.hosts)
}

// However many come and go, the latest few thousand are remembered.
func TestMemory_IsBounded(t *testing.T) {
	m := memory{keep: 1000 * time.Hour}
	r := &Round{}
	for i := range 40 {
		r.Now = at(10 * i)
		r.Peers = r.Peers[:0]
		for j := range 1000 {
			n := i*1000 + j
			r.Peers = append(r.Peers, Peer{ID: PeerID(n + 1), Addr: host(n), Uploaded: 1})
		}
		m.note(r)
		require.LessOrEqual(t, len(m.hosts), memoryHosts+1000)
		require.Len(t, m.conns, 1000)
	}
	for n := 39_000 - memoryHosts/2 + 1000; n < 40_000; n++ {
		_, ok := m.hosts[host(n).Addr()]
		require.True(t, ok, "one of the latest")
	}
}

func TestBandwidth(t *testing.T) {
	var b bandwidth
	r := &Round{UploadRate: 1200}
	for i := range bandwidthSamples {
		rate, _ := b.now(r)
		require.Zero(t, rate, "not known yet")
		r.Now = at(10 * i)
		b.note(r)
		r.Now = r.Now.Add(3 * time.Second) // calls between the ticks count nothing
		b.note(r)
	}
	rate, sure := b.now(r)
	require.EqualValues(t, 1200, rate)
	require.False(t, sure)
	// The average follows within two minutes, the peak fades slowly.
	r.UploadRate = 0
	for i := range 69 {
		r.Now = at(120 + 10*i)
		b.note(r)
	}
	rate, _ = b.now(r)
	require.InDelta(t, 600, rate, 40)
	r.UploadLimit = 50
	rate, sure = b.now(r)
	require.EqualValues(t, 50, rate)
	require.True(t, sure)
	require.EqualValues(t, 10_000, root(100_000), "√(100 kB/s) = 10 kB/s")
	require.EqualValues(t, 1000, root(1000))
}
