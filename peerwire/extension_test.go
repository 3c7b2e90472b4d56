package peerwire

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

func TestBEP10_Example(t *testing.T) {
	in := "d1:md11:LT_metadatai1e7:\xc2\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"
	h, err := ParseExtHandshake([]byte(in))
	require.NoError(t, err)
	require.Equal(t, ExtHandshake{
		M: map[string]uint8{"LT_metadata": 1, "µT_PEX": 2},
		P: 6881,
		V: "µTorrent 1.2",
	}, h)
	require.Equal(t, in, string(h.AppendPayload(nil)))
}

func TestExtHandshakeBytes(t *testing.T) {
	h := ExtHandshake{
		M:            map[string]uint8{ExtPEX: 1, ExtMetadata: 3, ExtDontHave: 0, ExtUploadOnly: 255},
		V:            "x 1.0",
		P:            6881,
		ReqQ:         500,
		YourIP:       netip.MustParseAddr("2001:db8::1"),
		IPv4:         netip.MustParseAddr("192.0.2.1"),
		IPv6:         netip.MustParseAddr("2001:db8::2"),
		MetadataSize: 31235,
		UploadOnly:   true,
		Encryption:   true,
	}
	want := "d1:ei1e4:ipv44:\xc0\x00\x02\x01" +
		"4:ipv616:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" +
		"1:md11:lt_donthavei0e11:upload_onlyi255e11:ut_metadatai3e6:ut_pexi1ee" +
		"13:metadata_sizei31235e1:pi6881e4:reqqi500e11:upload_onlyi1e1:v5:x 1.0" +
		"6:yourip16:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01e"
	require.Equal(t, "before"+want, string(h.AppendPayload([]byte("before"))))
	_, err := bencode.Scan([]byte(want))
	require.NoError(t, err, "canonical")
	got, err := ParseExtHandshake([]byte(want))
	require.NoError(t, err)
	require.Equal(t, h, got)

	require.Equal(t, "d1:mdee", string(new(ExtHandshake).AppendPayload(nil)))
	mapped := ExtHandshake{YourIP: netip.MustParseAddr("::ffff:192.0.2.1"), IPv6: netip.MustParseAddr("::ffff:192.0.2.1")}
	require.Equal(t, "d1:mde6:yourip4:\xc0\x00\x02\x01e", string(mapped.AppendPayload(nil)))
}

func TestExtHandshakeIgnoresHostileValues(t *testing.T) {
	m := func(pairs ...any) map[string]uint8 {
		out := map[string]uint8{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = uint8(pairs[i+1].(int))
		}
		return out
	}
	cases := []struct {
		name, in string
		want     ExtHandshake
	}{
		{"empty", "de", ExtHandshake{}},
		{"unknown keys", "d12:complete_agoi5e4:spamld1:ai1eeee", ExtHandshake{}},
		{"unsorted keys", "d1:pi1e1:mdee", ExtHandshake{M: m(), P: 1}},
		{"line end behind it", "d1:pi1ee\n", ExtHandshake{P: 1}},
		{"ids out of range", "d1:md1:ai-1e1:bi256e1:ci300e1:di0e1:ei255e1:f1:xe1:pi2ee", ExtHandshake{M: m("d", 0, "e", 255), P: 2}},
		{"id beyond 63 bits", "d1:md1:ai18446744073709551615e1:bi1eee", ExtHandshake{M: m("b", 1)}},
		{"m a list", "d1:ml1:ae1:pi2ee", ExtHandshake{P: 2}},
		{"m a number", "d1:mi1e1:pi2ee", ExtHandshake{P: 2}},
		{"long name", "d1:md65:" + strings.Repeat("n", 65) + "i1e1:zi2eee", ExtHandshake{M: m("z", 2)}},
		{"port 0", "d1:pi0ee", ExtHandshake{}},
		{"port 65536", "d1:pi65536ee", ExtHandshake{}},
		{"port a string", "d1:p4:6881e", ExtHandshake{}},
		{"reqq negative", "d4:reqqi-1ee", ExtHandshake{}},
		{"reqq absurd", "d4:reqqi4611686018427387904ee", ExtHandshake{ReqQ: 65536}},
		{"metadata_size 0", "d13:metadata_sizei0ee", ExtHandshake{}},
		{"metadata_size negative", "d13:metadata_sizei-1ee", ExtHandshake{}},
		{"metadata_size at the limit", "d13:metadata_sizei33554432ee", ExtHandshake{MetadataSize: 32 << 20}},
		{"metadata_size above it", "d13:metadata_sizei33554433ee", ExtHandshake{}},
		{"metadata_size 2^31", "d13:metadata_sizei2147483648ee", ExtHandshake{}},
		{"metadata_size a list", "d13:metadata_sizelee", ExtHandshake{}},
		{"upload_only 0", "d11:upload_onlyi0ee", ExtHandshake{}},
		{"upload_only a string", "d11:upload_only1:1e", ExtHandshake{}},
		{"addresses of wrong length", "d4:ipv416:aaaaaaaaaaaaaaaa4:ipv64:aaaa6:yourip5:aaaaae", ExtHandshake{}},
		{"addresses not strings", "d4:ipv4i1e4:ipv6le6:youripdee", ExtHandshake{}},
		{"version cut", "d1:v200:" + strings.Repeat("v", 200) + "e", ExtHandshake{V: strings.Repeat("v", 64)}},
		{"version cut between characters", "d1:v80:" + strings.Repeat("µ", 40) + "e", ExtHandshake{V: strings.Repeat("µ", 32)}},
		{"version with terminal codes", "d1:v7:\x1b[31m\nxe", ExtHandshake{V: "?[31m?x"}},
		{"version with broken text", "d1:v4:a\xff\xfebe", ExtHandshake{V: "a??b"}},
		{"version with a direction override", "d1:v5:a\u202ebe", ExtHandshake{V: "a?b"}},
		{"version of blanks", "d1:v3:   e", ExtHandshake{}},
		{"version a dictionary", "d1:vd1:ai1eee", ExtHandshake{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseExtHandshake([]byte(c.in))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestExtHandshakeRefusesNoise(t *testing.T) {
	cases := map[string]string{
		"nothing":       "",
		"noise":         "\x00\xff\x17",
		"a list":        "le",
		"a string":      "3:abc",
		"cut off":       "d1:md",
		"more behind":   "dede",
		"nested deep":   strings.Repeat("d1:a", 15000),
		"nested to fit": "d1:a" + strings.Repeat("l", 200) + strings.Repeat("e", 200) + "e",
		"lying length":  "d1:v999999999999:xe",
		"too long":      "d1:x70000:" + strings.Repeat("x", 70000) + "e",
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			before := ExtHandshake{P: 7, M: map[string]uint8{"a": 1}}
			h := before
			err := h.Update([]byte(in))
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, MsgExtended, broken.ID)
			require.Less(t, len(err.Error()), 200)
			require.Equal(t, before, h)
		})
	}
	_, err := ParseExtHandshake([]byte("d1:m"))
	var syntax *bencode.SyntaxError
	require.ErrorAs(t, err, &syntax)
}

// "The m dictionary is additive."
func TestBEP10_LaterHandshakesChangeWhatTheyName(t *testing.T) {
	h, err := ParseExtHandshake([]byte("d1:md11:ut_metadatai3e6:ut_pexi1ee1:pi6881e11:upload_onlyi1e1:v1:xe"))
	require.NoError(t, err)
	first := h
	require.NoError(t, h.Update([]byte("d1:md11:lt_donthavei7e6:ut_pexi0eee")))
	require.Equal(t, map[string]uint8{ExtMetadata: 3, ExtPEX: 0, ExtDontHave: 7}, h.M)
	require.Equal(t, map[string]uint8{ExtMetadata: 3, ExtPEX: 1}, first.M, "a copy stays as it was")
	require.Equal(t, 6881, h.P)
	require.True(t, h.UploadOnly)
	require.NoError(t, h.Update([]byte("d11:upload_onlyi0ee")))
	require.False(t, h.UploadOnly)
	require.Equal(t, "x", h.V)
}

func TestExtensionsAreBounded(t *testing.T) {
	var h ExtHandshake
	for round := range 5 {
		var in strings.Builder
		in.WriteString("d1:md")
		for i := range 1000 {
			fmt.Fprintf(&in, "6:%02d%04di1e", round, i)
		}
		in.WriteString("ee")
		require.NoError(t, h.Update([]byte(in.String())))
		require.Len(t, h.M, 128)
	}
	require.Contains(t, h.M, "000000")
	require.NoError(t, h.Update([]byte("d1:md6:000000i9eee")))
	require.Equal(t, uint8(9), h.M["000000"], "known names can still be changed")
}

func FuzzExtHandshake(f *testing.F) {
	f.Add([]byte("d1:md11:LT_metadatai1e7:\xc2\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	f.Add([]byte("d1:ei1e4:ipv44:\xc0\x00\x02\x011:md11:ut_metadatai3eee"))
	f.Add([]byte("d1:md1:ai-1e1:bi256ee13:metadata_sizei2147483648e4:reqqi250e1:v3:\xff\x00 e"))
	f.Add([]byte("d11:upload_onlyi1e6:yourip16:aaaaaaaaaaaaaaaae"))
	f.Add([]byte("dede"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseExtHandshake(in)
		if err != nil {
			return
		}
		if len(h.M) > maxExtensions || len(h.V) > maxClientVersion || !utf8.ValidString(h.V) ||
			h.P < 0 || h.P > 65535 || h.ReqQ < 0 || h.ReqQ > maxReqQ || h.MetadataSize < 0 || h.MetadataSize > MaxMetadataSize {
			t.Fatalf("out of bounds: %+v", h)
		}
		out := h.AppendPayload(nil)
		if n, err := bencode.Scan(out); err != nil || n != len(out) {
			t.Fatalf("%q is not canonical: %v", out, err)
		}
		again, err := ParseExtHandshake(out)
		if err != nil {
			t.Fatal(err)
		}
		if h.M == nil {
			h.M = map[string]uint8{}
		}
		if !reflect.DeepEqual(h, again) {
			t.Fatalf("%+v\nread again: %+v", h, again)
		}
	})
}
