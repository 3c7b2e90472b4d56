package bencode

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What strict scanning accepts; each is the whole value.
var canonical = []string{
	"0:", "1:a", "4:spam", "10:0123456789", "3:\x00\xff\x80",
	"i0e", "i1e", "i-1e", "i42e",
	"i9223372036854775807e", "i-9223372036854775808e",
	"le", "de", "l4:spam4:eggse", "lli1eeldeee",
	"d3:cow3:moo4:spam4:eggse", "d4:spaml1:a1:bee", "d0:0:e", "d1:a0:2:aa0:1:b0:e",
	"d8:msg_typei1e5:piecei0e10:total_sizei34256ee",
	strings.Repeat("l", MaxDepth) + strings.Repeat("e", MaxDepth),
	strings.Repeat("d1:a", MaxDepth-1) + "de" + strings.Repeat("e", MaxDepth-1),
}

// What is wrong in any mode: the input, where, and what the reason must name.
var broken = []struct {
	in     string
	offset int
	reason string
}{
	{"", 0, "ends"},
	{"x", 0, "begins no value"},
	{"-1:a", 0, "begins no value"},
	{"e", 0, "begins no value"},
	{" i1e", 0, "begins no value"},
	// Strings.
	{"1", 0, "within the length"},
	{"1:", 0, "longer than"},
	{"5:spam", 0, "longer than"},
	{"03:abc", 0, "leading zero"},
	{"00:", 0, "leading zero"},
	{"1_0:0123456789", 0, "not a number"},
	{"1x:", 0, "not a number"},
	{"2147483648:a", 0, "longer than"},
	{"9223372036854775808:a", 0, "longer than"},
	{"18446744073709551617:a", 0, "longer than"},
	{strings.Repeat("9", 100) + ":a", 0, "longer than"},
	{"l1:a1000000000:ae", 4, "longer than"},
	// Integers.
	{"i", 0, "ends within"},
	{"i1", 0, "ends within"},
	{"ie", 0, "without digits"},
	{"i-e", 0, "without digits"},
	{"i-0e", 0, "minus zero"},
	{"i-00e", 0, "leading zero"},
	{"i00e", 0, "leading zero"},
	{"i007e", 0, "leading zero"},
	{"i-03e", 0, "leading zero"},
	{"i+5e", 0, "else than digits"},
	{"i 5e", 0, "else than digits"},
	{"i5 e", 0, "else than digits"},
	{"i1_000e", 0, "else than digits"},
	{"i1.5e", 0, "else than digits"},
	{"i--1e", 0, "else than digits"},
	{"i0x1e", 0, "else than digits"},
	{"i18446744073709551616e", 0, "beyond 64 bits"},
	{"i-9223372036854775809e", 0, "beyond 64 bits"},
	{"i" + strings.Repeat("1", 100) + "e", 0, "beyond 64 bits"},
	// Lists and dictionaries.
	{"l", 1, "ends"},
	{"li1e", 4, "ends"},
	{"d", 1, "ends"},
	{"d1:a", 4, "ends"},
	{"d1:ae", 4, "without a value"},
	{"di1ei1ee", 1, "not a string"},
	{"dlelee", 1, "not a string"},
	{"d1:a1:b", 7, "ends"},
	{"d99:ae", 1, "longer than"},
	{strings.Repeat("l", MaxDepth+1) + strings.Repeat("e", MaxDepth+1), MaxDepth, "nested"},
}

// What only strict scanning refuses.
var disordered = []struct {
	in     string
	offset int
	reason string
}{
	{"d1:bi1e1:ai2ee", 7, "order"},
	{"d2:aai1e1:ai2ee", 8, "order"},
	{"d1:ai1e1:ai2ee", 7, "before"},
	{"ld0:i1e0:i2eee", 7, "before"},
}

func TestScan(t *testing.T) {
	for _, in := range canonical {
		for _, scan := range []func([]byte) (int, error){Scan, ScanTolerant} {
			n, err := scan([]byte(in))
			require.NoError(t, err, "%.40q", in)
			require.Equal(t, len(in), n)
			n, err = scan([]byte(in + "d"))
			require.NoError(t, err, "%.40q", in)
			require.Equal(t, len(in), n, "bytes behind a value are left alone")
		}
	}
	for _, c := range broken {
		for _, scan := range []func([]byte) (int, error){Scan, ScanTolerant} {
			_, err := scan([]byte(c.in))
			requireSyntax(t, err, c.in, c.offset, c.reason)
		}
	}
	for _, c := range disordered {
		_, err := Scan([]byte(c.in))
		requireSyntax(t, err, c.in, c.offset, c.reason)
		n, err := ScanTolerant([]byte(c.in))
		require.NoError(t, err)
		require.Equal(t, len(c.in), n)
	}
}

func requireSyntax(t *testing.T, err error, in string, offset int, reason string) {
	t.Helper()
	var syntax *SyntaxError
	require.True(t, errors.As(err, &syntax), "%.40q: %v", in, err)
	require.Equal(t, offset, syntax.Offset, "%.40q: %v", in, err)
	require.Contains(t, syntax.Error(), reason, "%.40q", in)
}

// Every prefix of a value is refused, none is taken for a value.
func TestScanTruncated(t *testing.T) {
	for _, in := range canonical {
		for n := range len(in) {
			_, err := Scan([]byte(in[:n]))
			require.Error(t, err, "%.40q", in[:n])
		}
	}
}

func TestScanDeep(t *testing.T) {
	deep := []byte(strings.Repeat("l", 8_000_000))
	_, err := Scan(deep)
	requireSyntax(t, err, "l...", MaxDepth, "nested")
	var v any
	require.Error(t, Unmarshal(deep, &v))
	require.Error(t, UnmarshalTolerant([]byte(strings.Repeat("d1:a", 10_000)), &v))
}

func TestScanItems(t *testing.T) {
	in := []byte("l" + strings.Repeat("le", MaxItems-1) + "e")
	n, err := Scan(in)
	require.NoError(t, err)
	require.Equal(t, len(in), n)
	in = []byte("l" + strings.Repeat("0:", MaxItems) + "e")
	_, err = Scan(in)
	requireSyntax(t, err, "l0:...", 1+2*(MaxItems-1), "limit")
}

func TestNoAllocsScan(t *testing.T) {
	in := []byte("d8:msg_typei1e5:piecei0e10:total_sizei34256ee")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := Scan(in); err != nil {
			t.Fatal(err)
		}
	}))
	// A claim costs nothing but the error.
	in = []byte("18446744073709551615:a")
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if _, err := Scan(in); err == nil {
			t.Fatal("accepted")
		}
	}), 1.0)
}

// fileList is the shape of a large info dictionary.
func fileList(files int) []byte {
	b := []byte("d5:filesl")
	for i := range files {
		b = append(b, "d6:length"...)
		b = AppendInt(b, int64(i))
		b = append(b, "4:pathl"...)
		b = AppendString(b, fmt.Sprintf("folder-%d", i/100))
		b = AppendString(b, fmt.Sprintf("file-%d.bin", i))
		b = append(b, "ee"...)
	}
	return append(b, "ee"...)
}

func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"msg=metadata", []byte("d8:msg_typei1e5:piecei0e10:total_sizei34256ee")},
		{"files=10000", fileList(10_000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Scan(c.in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
