package peerwire

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBEP9_Examples(t *testing.T) {
	cases := []struct {
		bytes string
		msg   MetadataMsg
	}{
		{"d8:msg_typei0e5:piecei0ee", MetadataMsg{Type: MetadataRequest}},
		{"d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx",
			MetadataMsg{Type: MetadataData, TotalSize: 3425, Data: []byte("xxxxxxxx")}},
		{"d8:msg_typei2e5:piecei7ee", MetadataMsg{Type: MetadataReject, Piece: 7}}, // the BEP's example has the wrong type
	}
	for _, c := range cases {
		got, err := ParseMetadataMsg([]byte(c.bytes))
		require.NoError(t, err)
		require.Equal(t, c.msg, got)
		require.Equal(t, "before"+c.bytes, string(c.msg.Append([]byte("before"))))
	}
}

func TestMetadataMsgOfOthers(t *testing.T) {
	full := strings.Repeat("x", MetadataPieceSize)
	cases := []struct {
		name, in string
		want     MetadataMsg
	}{
		{"unknown type", "d8:msg_typei3e5:piecei-1eerest", MetadataMsg{Type: 3}},
		{"unknown type without a piece", "d8:msg_typei99ee", MetadataMsg{Type: 99}},
		{"unsorted, unknown keys", "d5:piecei4e8:msg_typei0e3:abclee", MetadataMsg{Piece: 4}},
		{"bytes behind a request", "d8:msg_typei0e5:piecei0eejunk", MetadataMsg{}},
		{"whole piece", "d8:msg_typei1e5:piecei0e10:total_sizei20000ee" + full,
			MetadataMsg{Type: MetadataData, TotalSize: 20000, Data: []byte(full)}},
		{"data that look like bencoding", "d8:msg_typei1e5:piecei0eed1:ae", MetadataMsg{Type: MetadataData, Data: []byte("d1:ae")}},
		{"no data", "d8:msg_typei1e5:piecei0e10:total_sizei1ee", MetadataMsg{Type: MetadataData, TotalSize: 1, Data: []byte{}}},
		{"total_size 0", "d8:msg_typei1e5:piecei0e10:total_sizei0eex", MetadataMsg{Type: MetadataData, Data: []byte("x")}},
		{"total_size negative", "d8:msg_typei1e5:piecei0e10:total_sizei-5eex", MetadataMsg{Type: MetadataData, Data: []byte("x")}},
		{"total_size above the limit", "d8:msg_typei1e5:piecei0e10:total_sizei33554433eex", MetadataMsg{Type: MetadataData, Data: []byte("x")}},
		{"total_size a string", "d8:msg_typei1e5:piecei0e10:total_size1:5ex", MetadataMsg{Type: MetadataData, Data: []byte("x")}},
		{"the highest piece", "d8:msg_typei0e5:piecei2147483647ee", MetadataMsg{Piece: 1<<31 - 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseMetadataMsg([]byte(c.in))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestMetadataMsgRefusesNoise(t *testing.T) {
	cases := map[string]string{
		"nothing":          "",
		"noise":            "\x00\x01",
		"a list":           "li0ee",
		"no type":          "d5:piecei0ee",
		"type a string":    "d8:msg_type1:05:piecei0ee",
		"type negative":    "d8:msg_typei-1e5:piecei0ee",
		"no piece":         "d8:msg_typei0ee",
		"piece -1":         "d8:msg_typei0e5:piecei-1ee",
		"piece 2^31":       "d8:msg_typei0e5:piecei2147483648ee",
		"piece 2^62":       "d8:msg_typei0e5:piecei4611686018427387904ee",
		"piece a list":     "d8:msg_typei0e5:piecelee",
		"cut off":          "d8:msg_typei0e5:pie",
		"piece too long":   "d8:msg_typei1e5:piecei0ee" + strings.Repeat("x", MetadataPieceSize+1),
		"nested deep":      "d1:a" + strings.Repeat("l", 900),
		"long dictionary":  "d1:a2000:" + strings.Repeat("x", 2000) + "8:msg_typei0e5:piecei0ee",
		"a dictionary key": "di0ei0ee",
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseMetadataMsg([]byte(in))
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, MsgExtended, broken.ID)
			require.Less(t, len(err.Error()), 200)
			require.Equal(t, MetadataMsg{}, got)
		})
	}
}

func TestMetadataPieces(t *testing.T) {
	cases := []struct {
		size          int64
		pieces        int
		first, second int
	}{
		{-1, 0, 0, 0},
		{0, 0, 0, 0},
		{1, 1, 1, 0},
		{16383, 1, 16383, 0},
		{16384, 1, 16384, 0},
		{16385, 2, 16384, 1},
		{31235, 2, 16384, 14851},
		{32768, 2, 16384, 16384},
		{MaxMetadataSize, 2048, 16384, 16384},
		{MaxMetadataSize + 1, 0, 0, 0},
		{1 << 62, 0, 0, 0},
	}
	for _, c := range cases {
		require.Equal(t, c.pieces, MetadataPieces(c.size), c.size)
		require.Equal(t, c.first, MetadataPieceLen(c.size, 0), c.size)
		require.Equal(t, c.second, MetadataPieceLen(c.size, 1), c.size)
		require.Zero(t, MetadataPieceLen(c.size, -1))
		require.Zero(t, MetadataPieceLen(c.size, c.pieces))
	}
}

func FuzzMetadataMsg(f *testing.F) {
	f.Add([]byte("d8:msg_typei0e5:piecei0ee"))
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx"))
	f.Add([]byte("d8:msg_typei2e5:piecei0ee"))
	f.Add([]byte("d8:msg_typei3ee"))
	f.Add([]byte("d8:msg_typei0e5:piecei4611686018427387904ee"))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := ParseMetadataMsg(in)
		if err != nil {
			return
		}
		if m.Piece < 0 || m.TotalSize < 0 || m.TotalSize > MaxMetadataSize || len(m.Data) > MetadataPieceSize {
			t.Fatalf("out of bounds: %+v", m)
		}
		again, err := ParseMetadataMsg(m.Append(nil))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v\nread again: %+v, %v", m, again, err)
		}
	})
}
