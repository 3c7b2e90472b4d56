package bencode

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type embedded struct{ Inner int }

type sample struct {
	embedded `bencode:"-"`
	Name     string                `bencode:"name"`
	Data     []byte                `bencode:"data"`
	Small    uint8                 `bencode:"small"`
	Signed   int16                 `bencode:"signed"`
	Flag     bool                  `bencode:"flag"`
	List     []string              `bencode:"list"`
	Raw      RawMessage            `bencode:"raw"`
	Map      map[string]int        `bencode:"map"`
	Any      any                   `bencode:"any"`
	Ptr      *int                  `bencode:"ptr"`
	Addr     netip.Addr            `bencode:"addr"`
	Raws     map[string]RawMessage `bencode:"raws"`
	Hidden   string                `bencode:"-"`
	Untagged int
}

func TestUnmarshal(t *testing.T) {
	seven := 7
	var got sample
	in := "d1:-3:abc8:Untaggedi9e4:addr9:127.0.0.13:anyli1e1:ae4:data2:xy4:flagi1e4:listl1:a1:be3:mapd1:ki5ee" +
		"4:name4:spam3:ptri7e3:rawd1:z0:e4:rawsd1:r0:e6:signedi-32768e5:smalli255e7:unknownd1:al1:beee"
	require.NoError(t, Unmarshal([]byte(in), &got))
	require.Equal(t, sample{
		Name: "spam", Data: []byte("xy"), Small: 255, Signed: -32768, Flag: true,
		List: []string{"a", "b"}, Raw: RawMessage("d1:z0:e"), Map: map[string]int{"k": 5},
		Any: []any{int64(1), "a"}, Ptr: &seven, Addr: netip.MustParseAddr("127.0.0.1"),
		Raws: map[string]RawMessage{"r": RawMessage("0:")}, Untagged: 9,
	}, got)
}

// Embedded structs, names that are no keys, and "-" follow the same rules in
// both directions.
func TestUnmarshalFieldNames(t *testing.T) {
	type Inner struct {
		A int `bencode:"a"`
		B int `bencode:"b"`
	}
	type Outer struct {
		Inner
		B    int `bencode:"b"`
		Odd  int `bencode:"a/b"`
		Left int `bencode:"-"`
		none int
	}
	var got Outer
	require.NoError(t, Unmarshal([]byte("d1:-i9e1:ai1e3:a/bi9e1:bi2e4:nonei9ee"), &got))
	require.Equal(t, Outer{Inner: Inner{A: 1}, B: 2}, got)
	require.Zero(t, got.none)
}

// The rows of what zeebo/bencode does alone, on hostile input. Each is an error here.
func TestUnmarshalRefusesWhatZeeboTakes(t *testing.T) {
	var any_ any
	for name, c := range map[string]struct {
		in string
		to any
	}{
		"a gigabyte claimed":             {"1000000000:a", &any_},
		"a length of ten million digits": {strings.Repeat("1", 10_000_000) + ":a", &any_},
		"five million lists":             {strings.Repeat("l", 5_000_000), &any_},
		"bytes behind the value":         {"i1ex", &any_},
		"a second value":                 {"i1ei2e", &any_},
		"leading zeros":                  {"i007e", &any_},
		"minus zero":                     {"i-0e", &any_},
		"plus":                           {"i+5e", &any_},
		"length with a leading zero":     {"03:abc", &any_},
		"duplicate keys":                 {"d1:ai1e1:ai2ee", &any_},
		"unsorted keys":                  {"d1:bi1e1:ai2ee", &any_},
		"300 into uint8":                 {"i300e", new(uint8)},
		"256 into uint8":                 {"i256e", new(uint8)},
		"-1 into uint8":                  {"i-1e", new(uint8)},
		"-1 into uint64":                 {"i-1e", new(uint64)},
		"128 into int8":                  {"i128e", new(int8)},
		"-129 into int8":                 {"i-129e", new(int8)},
		"2^63 into int64":                {"i9223372036854775808e", new(int64)},
		"2^63 into any":                  {"i9223372036854775808e", &any_},
		"2^63 deep in any":               {"ld1:ali9223372036854775808eeee", &any_},
		"2^64 into uint64":               {"i18446744073709551616e", new(uint64)},
		"2 into bool":                    {"i2e", new(bool)},
		"-1 into bool":                   {"i-1e", new(bool)},
		"list into array":                {"li1ei2ee", new([2]int)},
		"list into a long array":         {"li1ee", new([20]byte)},
		"string into array":              {"2:ab", new([2]byte)},
		"list into []byte":               {"li1ei2ee", new([]byte)},
		"string into []string":           {"2:ab", new([]string)},
		"string into int":                {"2:ab", new(int)},
		"integer into string":            {"i1e", new(string)},
		"integer into []byte":            {"i1e", new([]byte)},
		"integer into float":             {"i1e", new(float64)},
		"dict into slice":                {"de", new([]int)},
		"dict into map of ints":          {"de", new(map[int]int)},
		"dict into string":               {"de", new(string)},
		"list into struct":               {"le", new(sample)},
		"into an interface with methods": {"i1e", new(error)},
		"into a channel":                 {"i1e", new(chan int)},
		"wrong type in a field":          {"d4:name4:spam5:smalli300ee", new(sample)},
		"integer into a text type":       {"d4:addri1ee", new(sample)},
		"text that is no address":        {"d4:addr1:xe", new(sample)},
		"pointer to an own type":         {"0:", new(*RawMessage)},
		"an unnamed own type":            {"d1:xi1ee", new(struct{ RawMessage })},
		"truncated":                      {"d4:name4:spam", new(sample)},
		"into nothing":                   {"i1e", nil},
		"into no pointer":                {"i1e", 5},
		"into a nil pointer":             {"i1e", (*int)(nil)},
		"into a panic":                   {"i1e", new(panicking)},
	} {
		t.Run(name, func(t *testing.T) {
			err := Unmarshal([]byte(c.in), c.to)
			require.Error(t, err)
			var syntax *SyntaxError
			var typ *TypeError
			require.True(t, errors.As(err, &syntax) || errors.As(err, &typ), "%v", err)
			require.Less(t, len(err.Error()), 300)
		})
	}
}

type panicking struct{}

func (*panicking) UnmarshalBencode([]byte) error { panic("oops") }

func TestUnmarshalErrorLeavesValueAlone(t *testing.T) {
	n := 1
	was := sample{Name: "before", List: []string{"x"}, Map: map[string]int{"k": 1}, Ptr: &n}
	for _, in := range []string{
		"d4:listl1:ae3:mapd1:ki2ee4:name5:after3:ptri2e5:smalli300ee",
		"d4:addr1:x4:listl1:ae3:mapd1:ki2ee4:name5:after3:ptri2ee",
		"d4:listl1:ae3:mapd1:ki2ee4:name5:after",
	} {
		got := was
		require.Error(t, Unmarshal([]byte(in), &got))
		require.Equal(t, sample{Name: "before", List: []string{"x"}, Map: map[string]int{"k": 1}, Ptr: &n}, got)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"x"}, was.List)
	}
}

func TestUnmarshalIntoUsedValue(t *testing.T) {
	n := 1
	list := []string{"x", "y", "z"}
	got := sample{Name: "kept", Small: 3, List: list, Map: map[string]int{"old": 1}, Ptr: &n, Any: &n}
	require.NoError(t, Unmarshal([]byte("d3:anyi5e4:listl1:ae3:mapd3:newi2ee3:ptri2e5:smalli4ee"), &got))
	two := 2
	require.Equal(t, sample{Name: "kept", Small: 4, List: []string{"a"}, Map: map[string]int{"new": 2}, Ptr: &two, Any: int64(5)}, got)
	require.Equal(t, []string{"x", "y", "z"}, list)
	require.Equal(t, 1, n)
}

func TestUnmarshalTolerant(t *testing.T) {
	type pair struct {
		A []int      `bencode:"a"`
		B RawMessage `bencode:"b"`
	}
	for in, want := range map[string]pair{
		"d1:bi1e1:ali1ei2eee":                          {A: []int{1, 2}, B: RawMessage("i1e")},
		"d1:ali1ei2ee1:ali9ee1:b0:e":                   {A: []int{1, 2}, B: RawMessage("0:")},
		"d1:ali1ei2ee1:b0:1:ali9ei9ei9ei9eee\n":        {A: []int{1, 2}, B: RawMessage("0:")},
		"d1:bd1:y0:1:x0:1:y0:e1:cle1:cle1:ali5eee\r\n": {A: []int{5}, B: RawMessage("d1:y0:1:x0:1:y0:e")},
	} {
		var got pair
		require.Error(t, Unmarshal([]byte(in), &got))
		require.NoError(t, UnmarshalTolerant([]byte(in), &got), "%q", in)
		require.Equal(t, want, got, "%q", in)
	}
	var m any
	require.NoError(t, UnmarshalTolerant([]byte("d1:bi1e1:ai2e1:bd1:xi1e1:xi2eee"), &m))
	require.Equal(t, map[string]any{"a": int64(2), "b": int64(1)}, m)
	require.NoError(t, UnmarshalTolerant([]byte("ld1:xli1ee1:xli2ei3eeee"), &m))
	require.Equal(t, []any{map[string]any{"x": []any{int64(1)}}}, m)
	var flag bool
	require.NoError(t, UnmarshalTolerant([]byte("i7e"), &flag))
	require.True(t, flag)

	for _, in := range []string{"i1e\n\n", "i1e\r", "i1e ", "i1e\nx", "i1e\x00", "\ni1e", "i01e"} {
		require.Error(t, UnmarshalTolerant([]byte(in), &m), "%q", in)
	}
}

func TestBEP9_UnmarshalPrefix(t *testing.T) {
	var msg struct {
		Type  int `bencode:"msg_type"`
		Piece int `bencode:"piece"`
		Total int `bencode:"total_size"`
	}
	head := "d8:msg_typei1e5:piecei0e10:total_sizei34256ee"
	n, err := UnmarshalPrefix([]byte(head+"xxxxxxxx"), &msg)
	require.NoError(t, err)
	require.Equal(t, len(head), n)
	require.Equal(t, 34256, msg.Total)
	_, err = UnmarshalPrefix([]byte("d1:b0:1:a0:exxx"), &msg)
	require.Error(t, err)
	_, err = UnmarshalPrefix([]byte("d5:piece0:exxx"), &msg)
	require.Error(t, err)
}

// Memory is bounded by the input: the factor the package comment names.
func TestUnmarshalMemory(t *testing.T) {
	const factor = 150
	for _, item := range []string{"le", "de", "0:", "i0e", "d0:lee"} {
		in := []byte("l" + strings.Repeat(item, 200_000/len(item)) + "e")
		var v any
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, Unmarshal(in, &v))
		runtime.ReadMemStats(&after)
		got := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(in))
		t.Logf("%s: %.0f bytes for a byte", item, got)
		require.Less(t, got, float64(factor), item)
	}
	// A claim is never believed.
	in := []byte("1000000000:a")
	var v any
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.Error(t, Unmarshal(in, &v))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
}

func FuzzDecode(f *testing.F) {
	for _, in := range canonical {
		f.Add([]byte(in))
	}
	for _, c := range broken {
		f.Add([]byte(c.in))
	}
	for _, c := range disordered {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v any
		if Unmarshal(in, &v) == nil {
			out, err := Marshal(v)
			require.NoError(t, err)
			require.Equal(t, in, out)
			c, err := NewCursor(in)
			require.NoError(t, err)
			twin(&c)
			require.NoError(t, UnmarshalTolerant(in, &v))
		}
		if UnmarshalTolerant(in, &v) == nil {
			_, err := Marshal(v)
			require.NoError(t, err)
		}
		n, err := ScanTolerant(in)
		require.LessOrEqual(t, n, len(in))
		if err == nil {
			var raw RawMessage
			_, err := UnmarshalPrefix(in, &raw)
			if err == nil {
				require.Equal(t, in[:n], []byte(raw))
			}
		}
		var s sample
		_ = Unmarshal(in, &s)
		_ = UnmarshalTolerant(in, &s)
		var list []sample
		_ = UnmarshalTolerant(in, &list)
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	in := []byte("d8:msg_typei1e5:piecei0e10:total_sizei34256ee")
	b.ReportAllocs()
	for b.Loop() {
		var msg struct {
			Type  int `bencode:"msg_type"`
			Piece int `bencode:"piece"`
			Total int `bencode:"total_size"`
		}
		if err := Unmarshal(in, &msg); err != nil {
			b.Fatal(err)
		}
	}
}
