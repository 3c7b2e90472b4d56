package peerwire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// golden is every message with its bytes.
var golden = []struct {
	name  string
	bytes string
	msg   Message
	write func([]byte) []byte
	text  string
}{
	{"keep-alive", "\x00\x00\x00\x00", Message{ID: MsgKeepAlive},
		AppendKeepAlive, "keep-alive"},
	{"choke", "\x00\x00\x00\x01\x00", Message{ID: MsgChoke},
		AppendChoke, "choke"},
	{"unchoke", "\x00\x00\x00\x01\x01", Message{ID: MsgUnchoke},
		AppendUnchoke, "unchoke"},
	{"interested", "\x00\x00\x00\x01\x02", Message{ID: MsgInterested},
		AppendInterested, "interested"},
	{"not interested", "\x00\x00\x00\x01\x03", Message{ID: MsgNotInterested},
		AppendNotInterested, "not interested"},
	{"have", "\x00\x00\x00\x05\x04\x01\x02\x03\x04", Message{ID: MsgHave, Index: 0x01020304},
		func(b []byte) []byte { return AppendHave(b, 0x01020304) }, "have 16909060"},
	{"bitfield", "\x00\x00\x00\x03\x05\xff\xe0", Message{ID: MsgBitfield, Data: []byte{0xff, 0xe0}},
		func(b []byte) []byte { return AppendBitfield(b, []byte{0xff, 0xe0}) }, "bitfield, 2 bytes"},
	{"request", "\x00\x00\x00\x0d\x06\x00\x00\x00\x07\x00\x00\x40\x00\x00\x00\x40\x00",
		Message{ID: MsgRequest, Index: 7, Begin: 16384, Length: 16384},
		func(b []byte) []byte { return AppendRequest(b, 7, 16384, 16384) }, "request 7+16384:16384"},
	{"piece", "\x00\x00\x00\x0c\x07\x00\x00\x00\x07\x00\x00\x40\x00abc",
		Message{ID: MsgPiece, Index: 7, Begin: 16384, Length: 3, Data: []byte("abc")},
		func(b []byte) []byte { return AppendPiece(b, 7, 16384, []byte("abc")) }, "piece 7+16384:3"},
	{"cancel", "\x00\x00\x00\x0d\x08\x00\x00\x00\x07\x00\x00\x40\x00\x00\x00\x40\x00",
		Message{ID: MsgCancel, Index: 7, Begin: 16384, Length: 16384},
		func(b []byte) []byte { return AppendCancel(b, 7, 16384, 16384) }, "cancel 7+16384:16384"},
	{"port", "\x00\x00\x00\x03\x09\x1a\xe1", Message{ID: MsgPort, Index: 6881},
		func(b []byte) []byte { return AppendPort(b, 6881) }, "port 6881"},
	{"suggest", "\x00\x00\x00\x05\x0d\x00\x00\x00\x09", Message{ID: MsgSuggest, Index: 9},
		func(b []byte) []byte { return AppendSuggest(b, 9) }, "suggest 9"},
	{"have all", "\x00\x00\x00\x01\x0e", Message{ID: MsgHaveAll},
		AppendHaveAll, "have all"},
	{"have none", "\x00\x00\x00\x01\x0f", Message{ID: MsgHaveNone},
		AppendHaveNone, "have none"},
	{"reject", "\x00\x00\x00\x0d\x10\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01",
		Message{ID: MsgReject, Index: 1<<32 - 1, Length: 1},
		func(b []byte) []byte { return AppendReject(b, 1<<32-1, 0, 1) }, "reject 4294967295+0:1"},
	{"allowed fast", "\x00\x00\x00\x05\x11\x00\x00\x00\x09", Message{ID: MsgAllowedFast, Index: 9},
		func(b []byte) []byte { return AppendAllowedFastMessage(b, 9) }, "allowed fast 9"},
	{"extended", "\x00\x00\x00\x04\x14\x03de", Message{ID: MsgExtended, Index: 3, Data: []byte("de")},
		func(b []byte) []byte { return AppendExtended(b, 3, []byte("de")) }, "extended 3, 2 bytes"},
	{"unknown", "\x00\x00\x00\x03\x2aab", Message{ID: 42, Data: []byte("ab")},
		nil, "message 42, 2 bytes"},
	{"unknown, empty", "\x00\x00\x00\x01\x2a", Message{ID: 42, Data: []byte{}},
		nil, "message 42, 0 bytes"},
	{"the number of the keep-alive", "\x00\x00\x00\x01\xff", Message{ID: MsgKeepAlive, Data: []byte{}},
		nil, "keep-alive, 0 bytes"},
}

func TestGoldenMessages(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			require.Equal(t, "before"+g.bytes, string(g.msg.Append([]byte("before"))))
			if g.write != nil {
				require.Equal(t, "before"+g.bytes, string(g.write([]byte("before"))))
			}
			m := Message{ID: 99, Index: 1, Begin: 2, Length: 3, Data: []byte("left from the message before")}
			var limits Limits
			n, err := limits.Next([]byte(g.bytes+"behind"), &m)
			require.NoError(t, err)
			require.Equal(t, len(g.bytes), n)
			require.Equal(t, g.msg, m)
			require.Equal(t, g.text, m.String())
		})
	}
}

func TestDataCannotGrowIntoTheNextMessage(t *testing.T) {
	in := AppendHave(AppendPiece(nil, 1, 2, []byte("abc")), 5)
	var limits Limits
	var m Message
	n, err := limits.Next(in, &m)
	require.NoError(t, err)
	_ = append(m.Data, "overwritten"...)
	_, err = limits.Next(in[n:], &m)
	require.NoError(t, err)
	require.Equal(t, Message{ID: MsgHave, Index: 5}, m)
}

func TestIDs(t *testing.T) {
	var known, fast []ID
	for i := range 256 {
		if ID(i).Known() {
			known = append(known, ID(i))
		}
		if ID(i).NeedsFast() {
			fast = append(fast, ID(i))
		}
	}
	require.Equal(t, []ID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 20, 255}, known)
	require.Equal(t, []ID{13, 14, 15, 16, 17}, fast)
	require.Equal(t, "handshake", MsgHandshake.String())
}

func TestSpareBits(t *testing.T) {
	cases := []struct {
		bits   []byte
		pieces int
		want   bool
	}{
		{nil, 0, false},
		{nil, 9, false},
		{[]byte{0}, 0, false},
		{[]byte{1}, 0, true},
		{[]byte{1}, -5, true},
		{[]byte{0xff}, 8, false},
		{[]byte{0xff}, 7, true},
		{[]byte{0xfe}, 7, false},
		{[]byte{0xff, 0x80}, 9, false},
		{[]byte{0xff, 0x40}, 9, true},
		{[]byte{0xff, 0x01}, 9, true},
		{[]byte{0xff, 0x80, 0x01}, 9, true},
		{[]byte{0xff, 0x80, 0x00}, 9, false},
		{[]byte{0xff}, 1 << 30, false},
	}
	for _, c := range cases {
		require.Equal(t, c.want, SpareBits(c.bits, c.pieces), "%x of %d", c.bits, c.pieces)
	}
}
