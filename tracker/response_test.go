package tracker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, body string) Response {
	t.Helper()
	r, err := parseAnnounce([]byte(body), minInterval)
	require.NoError(t, err)
	return r
}

// Intervals are believed within bounds.
func TestRT2_Intervals(t *testing.T) {
	for in, want := range map[string][2]time.Duration{
		"8:intervali1800e":                            {30 * time.Minute, time.Minute},
		"8:interval4:1800":                            {30 * time.Minute, time.Minute},
		"8:intervali0e":                               {time.Minute, time.Minute},
		"8:intervali-5e":                              {time.Minute, time.Minute},
		"8:intervali4611686018427387904e":             {MaxInterval, time.Minute},
		"8:interval30:999999999999999999999999999999": {MaxInterval, time.Minute},
		"8:intervali86399e":                           {86399 * time.Second, time.Minute},
		"8:interval3:abc":                             {30 * time.Minute, time.Minute},
		"8:intervalle":                                {30 * time.Minute, time.Minute},
		"5:peers0:":                                   {30 * time.Minute, time.Minute},
		"8:intervali60e12:min intervali3600e":         {time.Minute, time.Hour},
		"8:intervali60e12:min intervali-3600e":        {time.Minute, time.Minute},
		"8:intervali60e12:min interval6:999999":       {time.Minute, MaxInterval},
	} {
		r := parsed(t, "d"+in+"e")
		require.Equal(t, want, [2]time.Duration{r.Interval, r.MinInterval}, in)
	}
	r, err := parseAnnounce([]byte("d8:intervali2ee"), time.Second)
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, r.Interval)
	require.Equal(t, time.Second, r.MinInterval)
}

// The other keys, unsorted; T11: numbers as strings; T20: last and num peers.
func TestT7_T11_T20_OtherKeys(t *testing.T) {
	r := parsed(t, "d15:warning message2:w\n10:tracker id2:id8:intervali1800e4:lasti5e9:num peersi6e8:complete2:1210:incompletei-1e10:downloadedi99999999999e5:peers0:e")
	require.Equal(t, Response{
		Interval: 30 * time.Minute, MinInterval: time.Minute, TrackerID: "id", Warning: `w\n`,
		Complete: 12, Incomplete: -1, Downloaded: 1<<31 - 1,
	}, r)
}

func addrs(r Response) (list []string) {
	for _, p := range r.Peers {
		if p.Host != "" {
			list = append(list, fmt.Sprintf("%s:%d", p.Host, p.Port))
		} else {
			list = append(list, p.Addr.String())
		}
	}
	return list
}

// BEP 23, BEP 7; RT4: broken tails.
func TestRT5_CompactPeers(t *testing.T) {
	const a, b = "\x01\x02\x03\x04\x1a\xe1", "\x05\x06\x07\x08\x00\x50"
	six := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x1a\xe1"
	mapped := strings.Repeat("\x00", 10) + "\xff\xff\x01\x02\x03\x04\x1a\xe1"
	for name, test := range map[string]struct {
		four, six string
		want      []string
	}{
		"none":        {"", "", nil},
		"two":         {a + b, "", []string{"1.2.3.4:6881", "5.6.7.8:80"}},
		"both":        {a, six, []string{"1.2.3.4:6881", "[2001:db8::1]:6881"}},
		"broken tail": {a + b[:5], six + six[:17], []string{"1.2.3.4:6881", "[2001:db8::1]:6881"}},
		"twice":       {a + b + a, "", []string{"1.2.3.4:6881", "5.6.7.8:80"}},
		"v4 as v6":    {a, mapped, []string{"1.2.3.4:6881"}},
		"unusable": {"\x00\x00\x00\x00\x00\x01" + "\xff\xff\xff\xff\x00\x01" + "\xe0\x00\x00\x01\x00\x01" + a[:4] + "\x00\x00",
			strings.Repeat("\x00", 17) + "\x01" + "\xff\x02" + strings.Repeat("\x01", 16), nil},
		"v4 cut as v6": {"", a + b + a, nil},
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf("d5:peers%d:%s6:peers6%d:%se", len(test.four), test.four, len(test.six), test.six)
			require.Equal(t, test.want, addrs(parsed(t, body)))
		})
	}
}

// T8: dictionaries, with junk among them.
func TestRT4_DictionaryPeers(t *testing.T) {
	id := strings.Repeat("i", 20)
	for entry, want := range map[string]string{
		"d2:ip7:1.2.3.44:porti80ee":                            "1.2.3.4:80",
		"d4:porti80e2:ip7:1.2.3.4e":                            "1.2.3.4:80",
		"d2:ip7:1.2.3.44:port2:80e":                            "1.2.3.4:80",
		"d2:ip11:2001:db8::14:porti80ee":                       "[2001:db8::1]:80",
		"d2:ip14:::ffff:1.2.3.44:porti80ee":                    "1.2.3.4:80",
		"d2:ip13:a.example.org4:porti80ee":                     "a.example.org:80",
		"d2:ip9:localhost4:porti80ee":                          "localhost:80",
		"d2:ip7:1.2.3.4e":                                      "",
		"d4:porti80ee":                                         "",
		"d2:ip7:1.2.3.44:porti0ee":                             "",
		"d2:ip7:1.2.3.44:porti65536ee":                         "",
		"d2:ip7:1.2.3.44:porti-80ee":                           "",
		"d2:ip7:1.2.3.44:portlee":                              "",
		"d2:ip5:a b.c4:porti80ee":                              "",
		"d2:ip4:a/.c4:porti80ee":                               "",
		"d2:ip5:1.2.34:porti80ee":                              "",
		"d2:ip9:1.2.3.4.54:porti80ee":                          "",
		"d2:ip0:4:porti80ee":                                   "",
		"d2:ip12:fe80::1%eth04:porti80ee":                      "",
		"d2:ip254:" + strings.Repeat("a", 254) + "4:porti80ee": "",
		"i5e":   "",
		"3:abc": "",
		"le":    "",
		"de":    "",
	} {
		got := addrs(parsed(t, "d5:peersl"+entry+"d2:ip7:9.9.9.94:porti9eeee"))
		if want == "" {
			require.Equal(t, []string{"9.9.9.9:9"}, got, entry)
		} else {
			require.Equal(t, []string{want, "9.9.9.9:9"}, got, entry)
		}
	}
	r := parsed(t, "d5:peersld2:ip7:1.2.3.47:peer id20:"+id+"4:porti80eed2:ip7:1.2.3.57:peer id3:abc4:porti80eeee")
	require.Equal(t, []Peer{
		{Addr: netip.MustParseAddrPort("1.2.3.4:80"), Port: 80, ID: [20]byte([]byte(id)), HasID: true},
		{Addr: netip.MustParseAddrPort("1.2.3.5:80"), Port: 80},
	}, r.Peers)
	require.Nil(t, parsed(t, "d8:intervali60e5:peersi5ee").Peers)
	require.Nil(t, parsed(t, "d8:intervali60e5:peersdee").Peers)
}

// A hundred thousand peers.
func TestRT6_PeersAreBounded(t *testing.T) {
	var compact, list strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&compact, "\x01%c%c%c\x00\x50", i>>12&0x7f, i>>6&0x3f, i&0x3f)
	}
	for i := range 40_000 {
		fmt.Fprintf(&list, "d2:ip%d:1.2.%d.%d4:porti80ee", len(fmt.Sprintf("1.2.%d.%d", i>>8, i&255)), i>>8, i&255)
	}
	require.Len(t, parsed(t, fmt.Sprintf("d5:peers%d:%se", compact.Len(), compact.String())).Peers, MaxPeers)
	require.Len(t, parsed(t, "d5:peersl"+list.String()+"ee").Peers, MaxPeers)
}

// BEP 24: where the tracker sees us.
func TestBEP24_ExternalIP(t *testing.T) {
	for raw, want := range map[string]string{
		"\x01\x02\x03\x04": "1.2.3.4",
		"\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01": "2001:db8::1",
		strings.Repeat("\x00", 10) + "\xff\xff\x01\x02\x03\x04":  "1.2.3.4",
		"1.2.3.4": "", "": "", "\x00\x00\x00\x00": "", "\xff\xff\xff\xff": "", "\x01\x02\x03": "",
	} {
		r := parsed(t, fmt.Sprintf("d11:external ip%d:%s8:intervali60ee", len(raw), raw))
		require.Equal(t, want != "", r.ExternalIP.IsValid(), "%x", raw)
		if want != "" {
			require.Equal(t, want, r.ExternalIP.String())
		}
	}
	require.False(t, parsed(t, "d11:external ipi5e8:intervali60ee").ExternalIP.IsValid())
}

func TestT8_BothForms(t *testing.T) {
	r := parsed(t, "d5:peers6:\x01\x02\x03\x04\x00\x506:peers6ld2:ip11:2001:db8::14:porti80eeee")
	require.Equal(t, []string{"1.2.3.4:80", "[2001:db8::1]:80"}, addrs(r))
}

// 200 peers is what a busy tracker sends.
func BenchmarkParseAnnounce(b *testing.B) {
	body := compactAnswer(200)
	b.Run("peers=200", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if r, err := parseAnnounce(body, minInterval); err != nil || len(r.Peers) != 200 {
				b.Fatal(len(r.Peers), err)
			}
		}
	})
}

func compactAnswer(n int) []byte {
	b := fmt.Appendf(nil, "d8:completei10e10:incompletei190e8:intervali1800e5:peers%d:", 6*n)
	for i := range n {
		b = append(b, 1, 2, byte(i>>8), byte(i), 0x1a, 0xe1)
	}
	return append(b, 'e')
}

// requireBounded checks what Response promises.
func requireBounded(t *testing.T, r Response) {
	t.Helper()
	for _, d := range []time.Duration{r.Interval, r.MinInterval} {
		require.GreaterOrEqual(t, d, minInterval)
		require.LessOrEqual(t, d, MaxInterval)
	}
	require.LessOrEqual(t, len(r.TrackerID), maxTrackerID)
	requireShort(t, r.Warning)
	require.LessOrEqual(t, len(r.Peers), MaxPeers)
	for _, p := range r.Peers {
		require.NotZero(t, p.Port)
		require.NotEqual(t, p.Addr.IsValid(), p.Host != "")
		require.False(t, p.Addr.Addr().Is4In6())
		if p.Host == "" {
			require.Equal(t, p.Port, p.Addr.Port())
			require.True(t, usable(p.Addr.Addr()))
		}
	}
	for _, n := range []int{r.Complete, r.Incomplete, r.Downloaded} {
		require.GreaterOrEqual(t, n, -1)
	}
}

func requireShort(t *testing.T, s string) {
	t.Helper()
	require.LessOrEqual(t, len(s), 2*maxText)
	for _, c := range s {
		require.True(t, unicode.IsPrint(c), "%q", s)
	}
}
