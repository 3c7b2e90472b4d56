package piece

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// BEP 3, "bitfield": high bit first, spare bits zero, exact length.
func TestBEP3_BitfieldFromWire(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		n    int
		want []int
		bad  bool
	}{
		{name: "empty torrent", wire: nil, n: 0},
		{name: "first is the high bit", wire: []byte{0x80}, n: 8, want: []int{0}},
		{name: "last of two bytes", wire: []byte{0x00, 0x20}, n: 11, want: []int{10}},
		{name: "all", wire: []byte{0xff, 0xe0}, n: 11, want: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{name: "spare bit", wire: []byte{0xff, 0xf0}, n: 11, bad: true},
		{name: "short", wire: []byte{0xff}, n: 11, bad: true},
		{name: "long", wire: []byte{0xff, 0xe0, 0}, n: 11, bad: true},
		{name: "bytes for no pieces", wire: []byte{0}, n: 0, bad: true},
		{name: "negative", wire: nil, n: -1, bad: true},
		{name: "huge", wire: []byte{1}, n: 1 << 30, bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := FromWire(c.wire, c.n)
			if c.bad {
				require.ErrorIs(t, err, ErrBitfield)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.n, b.Len())
			require.Equal(t, len(c.want), b.Count())
			require.Equal(t, b.Count() == c.n, b.All())
			for _, i := range c.want {
				require.True(t, b.Has(i))
			}
			require.Equal(t, len(c.wire), len(b.Bytes()))
			if c.n > 0 {
				require.Equal(t, c.wire, b.Bytes())
				c.wire[0] ^= 0x80
				require.NotEqual(t, c.wire, b.Bytes(), "copied")
			}
		})
	}
}

func TestBitfieldAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 200} {
		a, b := NewBitfield(n), NewBitfield(n+rnd.IntN(70))
		inA, inB := map[int]bool{}, map[int]bool{}
		for range 4 * n {
			i := rnd.IntN(n)
			a.Set(i)
			inA[i] = true
			i = rnd.IntN(n)
			a.Clear(i)
			delete(inA, i)
			i = rnd.IntN(n)
			b.Set(i)
			inB[i] = true
		}
		a.Set(-1)
		a.Set(n)
		a.Clear(-1)
		a.Clear(n)
		require.False(t, a.Has(-1))
		require.False(t, a.Has(n))
		want := 0
		for i := range inA {
			require.True(t, a.Has(i))
			if !inB[i] {
				want++
			}
		}
		require.Equal(t, len(inA), a.Count())
		require.Equal(t, want, a.CountAndNot(b))
		require.Equal(t, a.Count()-want, b.Count()-b.CountAndNot(a), "what both have")
		c := a.Clone()
		require.Equal(t, a, c)
		if n > 0 {
			c.Set(0)
			c.Clear(0)
			c.Set(0)
			a.Clear(0)
			require.True(t, c.Has(0))
		}
		a.count = 0
		clear(a.bits)
		a.fill()
		require.True(t, a.All())
		again, err := FromWire(a.Bytes(), n)
		require.NoError(t, err)
		require.Equal(t, a, again)
	}
	require.Equal(t, 1, func() int { b := NewBitfield(70); b.Set(69); return b.CountAndNot(NewBitfield(3)) }())
	require.Equal(t, 0, NewBitfield(-5).Len())
}

func FuzzFromWire(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte{0x80}, 1)
	f.Add([]byte{0xff, 0xf0}, 11)
	f.Add([]byte{0xff, 0xe0}, 11)
	f.Fuzz(func(t *testing.T, wire []byte, n int) {
		b, err := FromWire(wire, n)
		if err != nil {
			if !errors.Is(err, ErrBitfield) || b != nil {
				t.Fatal(b, err)
			}
			return
		}
		if string(b.Bytes()) != string(wire) || b.Len() != n {
			t.Fatal("not the same bytes")
		}
		count := 0
		for i := range n {
			if b.Has(i) {
				count++
			}
		}
		if count != b.Count() {
			t.Fatal("count", count, b.Count())
		}
	})
}
