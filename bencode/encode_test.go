package bencode

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMarshal(t *testing.T) {
	n := 7
	var none *int
	for _, c := range []struct {
		v    any
		want string
	}{
		{"spam", "4:spam"}, {[]byte("spam"), "4:spam"}, {"", "0:"},
		{0, "i0e"}, {-3, "i-3e"}, {uint64(1<<64 - 1), "i18446744073709551615e"}, {true, "i1e"}, {false, "i0e"},
		{[]string{"spam", "eggs"}, "l4:spam4:eggse"}, {[]int(nil), "le"},
		{map[string]any{"spam": "eggs", "cow": []any{"moo", 1}}, "d3:cowl3:mooi1ee4:spam4:eggse"},
		{RawMessage("d1:a0:e"), "d1:a0:e"}, {&n, "i7e"},
		{map[string]RawMessage{"x": RawMessage("le")}, "d1:xlee"},
		{struct {
			Z int    `bencode:"z"`
			A string `bencode:"a,omitempty"`
			P *int   `bencode:"p"`
			H string `bencode:"-"`
			B []byte `bencode:"b"`
			u int
		}{Z: 1, P: none, H: "x", u: 2}, "d1:b0:1:zi1ee"},
	} {
		out, err := Marshal(c.v)
		require.NoError(t, err, "%v", c.v)
		require.Equal(t, c.want, string(out))
	}
}

type junk struct{}

func (junk) MarshalBencode() ([]byte, error) { return []byte("i1ei2e"), nil }

type faulty struct{}

func (faulty) MarshalBencode() ([]byte, error) { return nil, errors.New("faulty") }

type pointed struct{ n int }

func (p *pointed) MarshalBencode() ([]byte, error) { return AppendInt(nil, int64(p.n)), nil }

func TestMarshalRefuses(t *testing.T) {
	type loop struct{ Next *loop }
	ring := new(loop)
	ring.Next = ring
	type bytes []byte
	inner := []byte("x")
	for name, v := range map[string]any{
		"nil":                   nil,
		"nil pointer":           (*int)(nil),
		"nil in a list":         []any{1, nil},
		"nil pointer in a list": []*int{nil},
		"nil in a map":          map[string]any{"a": nil},
		"float":                 1.5,
		"channel":               make(chan int),
		"function":              TestMarshal,
		"array of bytes":        [20]byte{},
		"named bytes":           bytes("x"),
		"pointer to bytes":      &inner,
		"map of ints":           map[int]int{1: 1},
		"cycle":                 ring,
		"two fields of one key": struct {
			A int `bencode:"k"`
			B int `bencode:"k"`
		}{},
		"junk":               junk{},
		"error":              map[string]any{"a": faulty{}},
		"two raws in one":    []any{RawMessage("i1ei2e")},
		"empty raw":          []RawMessage{nil},
		"raw that is no raw": RawMessage("5:abc"),
		"unsorted raw":       RawMessage("d1:b0:1:a0:e"),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Marshal(v)
			var typ *TypeError
			require.True(t, errors.As(err, &typ), "%q %v", out, err)
			require.Nil(t, out)
		})
	}
}

// Methods of the pointer are found also when the struct comes as a value.
func TestMarshalStructByValue(t *testing.T) {
	out, err := Marshal(struct{ P pointed }{pointed{5}})
	require.NoError(t, err)
	require.Equal(t, "d1:Pi5ee", string(out))
}

func TestAppend(t *testing.T) {
	b := AppendString(nil, "spam")
	b = AppendString(b, []byte{})
	b = AppendInt(b, -9)
	require.Equal(t, "4:spam0:i-9e", string(b))
}
