package peerwire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrongLengthsAreRefused(t *testing.T) {
	small := Limits{Pieces: 87, MaxBlock: 16 << 10, MaxExtended: 1000}
	cases := []struct {
		name   string
		limits Limits
		id     ID
		length uint32
		ok     bool
	}{
		{"choke with payload", small, MsgChoke, 2, false},
		{"unchoke with payload", small, MsgUnchoke, 5, false},
		{"interested with payload", small, MsgInterested, 2, false},
		{"not interested with payload", small, MsgNotInterested, 2, false},
		{"have all with payload", small, MsgHaveAll, 2, false},
		{"have none with payload", small, MsgHaveNone, 2, false},
		{"have of 3 bytes", small, MsgHave, 4, false},
		{"have of 5 bytes", small, MsgHave, 6, false},
		{"suggest of nothing", small, MsgSuggest, 1, false},
		{"allowed fast of 5 bytes", small, MsgAllowedFast, 6, false},
		{"request of 11 bytes", small, MsgRequest, 12, false},
		{"request of 13 bytes", small, MsgRequest, 14, false},
		{"cancel of 8 bytes", small, MsgCancel, 9, false},
		{"reject of 8 bytes", small, MsgReject, 9, false},
		{"port of 1 byte", small, MsgPort, 2, false},
		{"port of 4 bytes", small, MsgPort, 5, false},
		{"piece without begin", small, MsgPiece, 8, false},
		{"piece without a block", small, MsgPiece, 9, true},
		{"piece at its limit", small, MsgPiece, 9 + 16<<10, true},
		{"piece above it", small, MsgPiece, 10 + 16<<10, false},
		{"piece at the default", Limits{}, MsgPiece, 9 + 128<<10, true},
		{"piece above the default", Limits{}, MsgPiece, 10 + 128<<10, false},
		{"bitfield exact", small, MsgBitfield, 1 + 11, true},
		{"bitfield short", small, MsgBitfield, 1 + 10, false},
		{"bitfield long", small, MsgBitfield, 1 + 12, false},
		{"bitfield of nothing", small, MsgBitfield, 1, false},
		{"bitfield of whole bytes", Limits{Pieces: 16}, MsgBitfield, 1 + 2, true},
		{"bitfield, pieces unknown", Limits{}, MsgBitfield, 1 + 256<<10, true},
		{"bitfield too long, pieces unknown", Limits{}, MsgBitfield, 2 + 256<<10, false},
		{"bitfield of a large torrent", Limits{Pieces: 8 << 20}, MsgBitfield, 1 + 1<<20, true},
		{"extended without an id", small, MsgExtended, 1, false},
		{"extended without a payload", small, MsgExtended, 2, true},
		{"extended at its limit", small, MsgExtended, 2 + 1000, true},
		{"extended above it", small, MsgExtended, 3 + 1000, false},
		{"extended at the default", Limits{}, MsgExtended, 2 + 1<<20, true},
		{"extended above the default", Limits{}, MsgExtended, 3 + 1<<20, false},
		{"unknown at its limit", small, 42, 1 + 256<<10, true},
		{"unknown above it", small, 42, 2 + 256<<10, false},
		{"2^31", small, MsgPiece, 1 << 31, false},
		{"2^32-1", small, 255, math.MaxUint32, false},
		{"2^32-1, every limit at its highest", Limits{math.MaxInt, math.MaxInt, math.MaxInt}, MsgExtended, math.MaxUint32, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			head := append(binary.BigEndian.AppendUint32(nil, c.length), byte(c.id))
			m := Message{ID: 99}
			n, err := c.limits.Next(head, &m)
			if !c.ok {
				var broken *ProtocolError
				require.ErrorAs(t, err, &broken)
				require.Equal(t, c.id, broken.ID)
				require.Zero(t, n)
				require.Equal(t, 5, c.limits.Need(head), "enough to be refused, whatever it claims")
				return
			}
			require.NoError(t, err)
			require.Equal(t, 4+int(c.length), c.limits.Need(head))
			require.LessOrEqual(t, c.limits.Need(head), c.limits.Longest())

			whole := append(head, make([]byte, c.length-1)...)
			n, err = c.limits.Next(whole[:len(whole)-1], &m)
			if len(whole) > 5 {
				require.NoError(t, err)
				require.Zero(t, n)
				require.Equal(t, Message{ID: 99}, m, "unchanged while incomplete")
			}
			n, err = c.limits.Next(whole, &m)
			require.NoError(t, err)
			require.Equal(t, len(whole), n)
			require.Equal(t, c.id, m.ID)
			require.Equal(t, whole, m.Append(nil))
		})
	}
}

// The longest message of any kind decides while only the prefix is there.
func TestPrefixAloneIsRefusedBeyondEveryLimit(t *testing.T) {
	for _, length := range []uint32{3 + 1<<20, 1 << 31, math.MaxUint32} {
		var limits Limits
		prefix := binary.BigEndian.AppendUint32(nil, length)
		_, err := limits.Next(prefix, new(Message))
		var broken *ProtocolError
		require.ErrorAs(t, err, &broken)
		require.Equal(t, 4, limits.Need(prefix))
	}
	var limits Limits
	prefix := binary.BigEndian.AppendUint32(nil, 2+1<<20)
	n, err := limits.Next(prefix, new(Message))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, limits.Longest(), limits.Need(prefix))
	require.Equal(t, 4+2+1<<20, limits.Longest())

	require.Equal(t, 4, limits.Need(nil))
	require.Equal(t, 4, limits.Need([]byte{0, 0, 0}))
	require.Equal(t, 4, limits.Need([]byte{0, 0, 0, 0, 7}))
}

// Refusing costs the error and nothing in proportion to what was claimed.
func TestRefusingAllocatesOnlyTheError(t *testing.T) {
	var limits Limits
	prefix := []byte{0xff, 0xff, 0xff, 0xff, 7}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		if _, err := limits.Next(prefix, new(Message)); err == nil {
			t.Fatal("not refused")
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1000*1024))
}

func TestOneByteAtATimeEqualsAllAtOnce(t *testing.T) {
	var stream []byte
	var want []Message
	for _, g := range golden {
		stream = append(stream, g.bytes...)
		want = append(want, g.msg)
	}
	var limits Limits
	whole, rest, err := decodeAll(&limits, stream)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, want, whole)

	var single []Message
	var buf []byte
	for _, c := range stream {
		buf = append(buf, c)
		var m Message
		n, err := limits.Next(buf, &m)
		require.NoError(t, err)
		if n == 0 {
			require.Greater(t, limits.Need(buf), len(buf)-1)
			continue
		}
		require.Equal(t, len(buf), n, "found with its last byte")
		single = append(single, m)
		buf = nil // m.Data keeps the old one
	}
	require.Empty(t, buf)
	require.Equal(t, want, single)
}

// pieceBatch is what one large read brings: n bytes of piece messages of 16 KiB.
func pieceBatch(n int) []byte {
	block := make([]byte, 16<<10)
	var b []byte
	for i := uint32(0); len(b)+PieceHeaderLen+len(block) <= n; i++ {
		b = AppendPiece(b, i/16, i%16*(16<<10), block)
	}
	return b
}

func TestNoAllocs(t *testing.T) {
	limits := Limits{Pieces: 1000}
	batch := pieceBatch(256 << 10)
	allocs := testing.AllocsPerRun(100, func() {
		var m Message
		count := 0
		for in := batch; ; count++ {
			_ = limits.Need(in)
			n, err := limits.Next(in, &m)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			in = in[n:]
		}
		if count != 15 {
			t.Fatal(count)
		}
	})
	require.Zero(t, allocs, "Next")

	out := make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b := out
		for i := range uint32(32) {
			b = AppendRequest(b, i, 0, 16<<10)
			b = AppendPieceHeader(b, i, 0, 16<<10)
			b = AppendHave(b, i)
			b = AppendReject(b, i, 0, 16<<10)
		}
	}), "Append functions")
	block := make([]byte, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m := Message{ID: MsgPiece, Data: block}
		_ = m.Append(out)
	}), "Message.Append")
}

func FuzzMessage(f *testing.F) {
	for _, g := range golden {
		f.Add([]byte(g.bytes), 0)
		f.Add([]byte(g.bytes), 12)
	}
	for _, v := range vectors(f) {
		f.Add(v, 87)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, 1)
	f.Add([]byte{0, 0, 0, 2, 0, 0}, 1)
	f.Fuzz(func(t *testing.T, in []byte, pieces int) {
		limits := Limits{Pieces: pieces}
		longest := limits.Longest()
		for {
			var m Message
			need := limits.Need(in)
			n, err := limits.Next(in, &m)
			if need < 4 || need > longest {
				t.Fatalf("needs %d", need)
			}
			if err != nil {
				if n != 0 || need > 5 {
					t.Fatalf("%v, but %d read and %d needed", err, n, need)
				}
				return
			}
			if n == 0 {
				if need < len(in) && len(in) > 4 {
					t.Fatalf("%d needed of %d, and no message", need, len(in))
				}
				return
			}
			if n != need {
				t.Fatalf("%d read, %d needed", n, need)
			}
			if got := m.Append(nil); !bytes.Equal(got, in[:n]) {
				t.Fatalf("%v written as %x", m, got)
			}
			in = in[n:]
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("msg=piece/size=%dKiB", size>>10), func(b *testing.B) {
			in := AppendPiece(nil, 7, 0, make([]byte, size))
			limits := Limits{Pieces: 1000}
			decodeLoop(b, &limits, in)
		})
	}
	b.Run("msg=have", func(b *testing.B) { decodeLoop(b, &Limits{}, AppendHave(nil, 7)) })
	b.Run("msg=request", func(b *testing.B) { decodeLoop(b, &Limits{}, AppendRequest(nil, 7, 0, 16<<10)) })
}

func decodeLoop(b *testing.B, limits *Limits, in []byte) {
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var m Message
	for b.Loop() {
		if n, err := limits.Next(in, &m); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	block := make([]byte, 16<<10)
	out := make([]byte, 0, 32<<10)
	run := func(name string, write func([]byte) []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(write(out))))
			b.ReportAllocs()
			for b.Loop() {
				_ = write(out)
			}
		})
	}
	run("msg=piece/size=16KiB", func(b []byte) []byte { return AppendPiece(b, 7, 0, block) })
	run("msg=request", func(b []byte) []byte { return AppendRequest(b, 7, 0, 16<<10) })
	run("msg=have", func(b []byte) []byte { return AppendHave(b, 7) })
}
