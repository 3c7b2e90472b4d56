package metainfo

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	hex1 = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a"
	b32  = "yex6dqdlxisuvhoj6um3gnnkpqjwpkek"
	hex2 = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e"
)

func TestParseMagnet(t *testing.T) {
	v1, err := ParseHash(hex1)
	require.NoError(t, err)
	v2, err := ParseHashV2(hex2)
	require.NoError(t, err)
	h := Hashes{V1: v1}
	for in, want := range map[string]Magnet{
		"magnet:?xt=urn:btih:" + hex1:                                                              {Hashes: h},
		"MAGNET:?XT=URN:BTIH:" + strings.ToUpper(hex1):                                             {Hashes: h},
		"magnet:?xt=urn:btih:" + b32:                                                               {Hashes: h},
		"magnet:?xt=urn:btih:" + strings.ToUpper(b32):                                              {Hashes: h},
		"  magnet:?xt=urn%3Abtih%3A" + hex1 + "\n":                                                 {Hashes: h},
		"magnet:?xt=urn:btmh:1220" + hex2:                                                          {Hashes: Hashes{V2: v2}},
		"magnet:?xt=urn:btih:" + hex1 + "&xt=urn:btmh:1220" + strings.ToUpper(hex2):                {Hashes: Hashes{V1: v1, V2: v2}},
		"magnet:?xt.1=urn:btih:" + hex1 + "&xt.2=urn:btih:" + b32:                                  {Hashes: h},
		"magnet:?xt=urn:btih:" + hex1 + "&xt=urn:ed2k:354B15E68FB8F36D7CD88FF94116CDC1":            {Hashes: h, Extra: url.Values{"xt": {"urn:ed2k:354B15E68FB8F36D7CD88FF94116CDC1"}}},
		"magnet:?dn=a+b%20c%C3%BC&xt=urn:btih:" + hex1 + "&dn=second":                              {Hashes: h, Name: "a b cü"},
		"magnet:?xt=urn:btih:" + hex1 + "&dn=100%&dn=x":                                            {Hashes: h, Name: "100%"},
		"magnet:?xt=urn:btih:" + hex1 + "&dn=a%0A%1B%E2%80%AE%FFb":                                 {Hashes: h, Name: "a____b"},
		"magnet:?xt=urn:btih:" + hex1 + "&tr=http%3A%2F%2Fa%2Fx%3Fy%3D1&tr.1=udp://b:1&tr=&tr=%00": {Hashes: h, Trackers: []string{"http://a/x?y=1", "udp://b:1"}},
		"magnet:?xt=urn:btih:" + hex1 + "&ws=http://w/&&":                                          {Hashes: h, WebSeeds: []string{"http://w/"}},
		"magnet:?xt=urn:btih:" + hex1 + "&x.pe=10.0.0.1:80&x.pe=[::1]:6881&x.pe=host:1&x.pe=host:0&x.pe=host&x.pe=:1&x.pe=h:99999&x.pe=%00:1": {Hashes: h, Peers: []string{"10.0.0.1:80", "[::1]:6881", "host:1"}},
		"magnet:?xt=urn:btih:" + hex1 + "&so=0,2,4,6-8,":            {Hashes: h, Select: []Range{{0, 0}, {2, 2}, {4, 4}, {6, 8}}},
		"magnet:?xt=urn:btih:" + hex1 + "&so=0-2147483647":          {Hashes: h, Select: []Range{{0, 2147483647}}},
		"magnet:?xt=urn:btih:" + hex1 + "&xl=12345&xl=-5&xl=x":      {Hashes: h, Length: 12345},
		"magnet:?xt=urn:btih:" + hex1 + "&kt=a&kt=b&novalue&as=%zz": {Hashes: h, Extra: url.Values{"kt": {"a", "b"}, "novalue": {""}, "as": {"%zz"}}},
	} {
		got, err := ParseMagnet(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
		again, err := ParseMagnet(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
}

func TestParseMagnetRefuses(t *testing.T) {
	link := "magnet:?xt=urn:btih:" + hex1
	for name, in := range map[string]string{
		"empty":             "",
		"another scheme":    "http://example.com/?xt=urn:btih:" + hex1,
		"the scheme alone":  "magnet:?",
		"no hash":           "magnet:?dn=x&tr=http://a/",
		"another network":   "magnet:?xt=urn:ed2k:354B15E68FB8F36D7CD88FF94116CDC1",
		"zero hash":         "magnet:?xt=urn:btih:" + strings.Repeat("0", 40),
		"short hash":        link[:len(link)-1],
		"long hash":         link + "0",
		"no hexadecimal":    link[:len(link)-1] + "g",
		"bad escape":        link[:len(link)-2] + "%z",
		"two hashes":        link + "&xt=urn:btih:" + strings.Repeat("1", 40),
		"two hashes of v2":  "magnet:?xt=urn:btmh:1220" + hex2 + "&xt=urn:btmh:1220" + strings.Repeat("1", 64),
		"another multihash": "magnet:?xt=urn:btmh:1114" + hex1,
		"short multihash":   "magnet:?xt=urn:btmh:1220" + hex2[1:],
		"range backwards":   link + "&so=5-3",
		"range without end": link + "&so=5-",
		"negative range":    link + "&so=-3",
		"range of names":    link + "&so=all",
		"huge range":        link + "&so=0-99999999999999999999",
	} {
		_, err := ParseMagnet(in)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	for name, in := range map[string]string{
		"ten thousand parameters": link + strings.Repeat("&tr=http://a/", 10_000),
		"ten thousand ranges":     link + "&so=" + strings.Repeat("1,", 10_000),
		"two megabytes":           link + "&dn=" + strings.Repeat("x", 2<<20),
	} {
		_, err := ParseMagnet(in)
		require.ErrorIs(t, err, ErrTooLarge, name)
	}
}

func TestBEP53_Selects(t *testing.T) {
	m := Magnet{Select: []Range{{0, 0}, {6, 8}}}
	for file, want := range map[int]bool{0: true, 1: false, 6: true, 8: true, 9: false, -1: false} {
		require.Equal(t, want, m.Selects(file), file)
	}
	require.True(t, new(Magnet).Selects(7))
}

func FuzzMagnet(f *testing.F) {
	for _, s := range []string{
		"magnet:?xt=urn:btih:" + hex1 + "&dn=a+b&tr=http%3A%2F%2Fa%2F&tr.1=b&x.pe=[::1]:80&so=0,2-4&xl=5&ws=w&kt=x",
		"magnet:?xt=urn:btih:" + b32 + "&xt.2=urn:btmh:1220" + hex2 + "&=&%zz=%zz&a=+&A.1=b",
		"magnet:?xt=urn:btih:" + hex1 + "&x.pe=fe80::1%25eth0:1&x.pe=[fe80::1%25eth0]:01&dn=%ff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMagnet(s)
		if err != nil {
			require.Equal(t, Magnet{}, m)
			return
		}
		require.False(t, m.Hashes.IsZero())
		again, err := ParseMagnet(m.String())
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

func ExampleParseMagnet() {
	m, err := ParseMagnet("magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=spam&tr=udp%3A%2F%2Ft.example%3A6969")
	fmt.Println(m.Hashes, m.Name, m.Trackers, err)
	// Output: c12fe1c06bba254a9dc9f519b335aa7c1367a88a spam [udp://t.example:6969] <nil>
}
