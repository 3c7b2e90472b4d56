package peerwire

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func peerID(prefix string) (id [20]byte) {
	copy(id[:], "~~~~~~~~~~~~~~~~~~~~")
	copy(id[:], prefix)
	return id
}

func TestClientName(t *testing.T) {
	cases := map[string]string{
		// BEP 20
		"M4-3-6--":             "BitTorrent 4.3.6",
		"M4-20-8-":             "BitTorrent 4.20.8",
		"-AZ2060-":             "Azureus 2.0.6",
		"-AZ2502-":             "Azureus 2.5.0.2",
		"-BD0300-":             "-BD0300-",
		"-NP0201-":             "-NP0201-",
		"-wF2200-":             "-wF2200-",
		"S58B-----":            "Shadow 5.8.11",
		"T03I-----":            "BitTornado 0.3.18",
		"A310--001":            "ABC 3.1.0",
		"exbc\x00\x38":         "BitComet 0.56",
		"exbc\x01\x04LORD":     "BitLord 1.04",
		"FUTB\x00\x38":         "BitComet 0.56",
		"XBT054d-":             "XBT Client 0.5.4 debug",
		"XBT054--":             "XBT Client 0.5.4",
		"OP8601aabbccddeeff00": "Opera build 8601",
		"-ML2.7.2-kgjjfkd":     "MLdonkey 2.7.2",
		"-BOWA0C-":             "Bits on Wheels A0C",
		"Q1-0-0--":             "Queen Bee 1.0.0",
		"Q1-10-0-":             "Queen Bee 1.10.0",
		"AZ2500BT":             "BitTyrant 1.1",
		"346------":            "TorrenTopia 1.90",
		"\x00\x03BS":           "BitSpirit 3",
		"\x00\x02BS":           "BitSpirit 2",
		"\x00\x07RSnick":       "Rufus 0.7",
		"-G3nick":              "G3 Torrent",
		"-FG0180":              "FlashGet 0.1.8",
		// others in use
		"-TR3000-":       "Transmission 3.00",
		"-TR2940-":       "Transmission 2.94",
		"-TR4050-":       "Transmission 4.0.5",
		"-qB4520-":       "qBittorrent 4.5.2",
		"-DE13F0-":       "Deluge 1.3.15",
		"-LT2080-":       "libtorrent 2.0.8",
		"-lt0D80-":       "libTorrent 0.13.8",
		"-UT355W-":       "µTorrent 3.5.5",
		"-BC0171-":       "BitComet 1.71",
		"-BC0059-":       "BitComet 0.59",
		"A2-1-36-0-":     "aria2 1.36.0",
		"TIX0193-":       "Tixati 1.93",
		"-S~2100-":       "Shareaza beta 2.1.0",
		"-FDzzzz-":       "Free Download Manager 61.61.61",
		"Ozzzzz---":      "Osprey Permaseed 61.61.61.61.61",
		"-ML-":           "",
		"-ML2.7.2":       "",
		"-AZ20\x1b0-":    "",
		"-A\x002060-":    "",
		"-AZ2060x":       "",
		"M4-3-":          "",
		"M4-3-999-":      "",
		"M--3-6-":        "",
		"Sabc":           "",
		"T-----":         "",
		"OP8601zz":       "",
		"":               "",
		"\x00\x00\x00":   "",
		"\xff\xfe\x00\n": "",
	}
	for in, want := range cases {
		require.Equal(t, want, ClientName(peerID(in)), "%q", in)
	}
	require.Empty(t, ClientName([20]byte{}))
}

func FuzzClientName(f *testing.F) {
	for _, seed := range []string{"-AZ2060-", "S58B-----", "exbc\xff\xffLORD", "-ML2.7.2-", "\x09\x63RS", "-FDzzz9-", "U.....---"} {
		id := peerID(seed)
		f.Add(id[:])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var id [20]byte
		copy(id[:], in)
		name := ClientName(id)
		if len(name) > 32 {
			t.Fatalf("%d bytes: %q", len(name), name)
		}
		for _, r := range name {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
				t.Fatalf("%q", name)
			}
		}
	})
}
