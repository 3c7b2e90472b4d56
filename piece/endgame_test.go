package piece

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// transcript runs a file of commands and writes what the picker says to each.
type transcript struct {
	t     *testing.T
	p     *Picker
	sizes sizeList
	asked map[string][]Block // in the order of asking, until it is over
	out   bytes.Buffer
}

func (s *transcript) id(name string) PeerID { return PeerID(name[0]-'a') + 1 }

func (s *transcript) parse(text string) Block {
	var i, k uint32
	_, err := fmt.Sscanf(text, "%d/%d", &i, &k)
	require.NoError(s.t, err)
	return Block{i, k * BlockSize, uint32(min(BlockSize, s.sizes[i]-int64(k)*BlockSize))}
}

func (s *transcript) say(args ...any) {
	line := fmt.Sprintln(args...)
	fmt.Fprint(&s.out, strings.TrimRight("> "+line, " \n")+"\n")
}

func (s *transcript) names(bs []Block) string {
	var l []string
	for _, b := range bs {
		l = append(l, fmt.Sprintf("%d/%d", b.Piece, b.Begin/BlockSize))
	}
	return strings.Join(l, " ")
}

func (s *transcript) over(name string, b Block) {
	s.asked[name] = slices.DeleteFunc(s.asked[name], func(x Block) bool { return x == b })
}

func (s *transcript) do(f []string) {
	switch f[0] {
	case "pieces":
		for _, w := range f[1:] {
			var k int64
			fmt.Sscan(w, &k)
			s.sizes = append(s.sizes, k*BlockSize)
		}
		s.p, s.asked = NewPicker(s.sizes, newRand(1)), map[string][]Block{}
	case "next":
		var n int
		fmt.Sscan(f[2], &n)
		got := s.p.Next(&Asker{ID: s.id(f[1])}, n, nil)
		for k, b := range got {
			require.NotContains(s.t, s.asked[f[1]], b, "never twice")
			require.NotContains(s.t, got[:k], b)
		}
		s.asked[f[1]] = append(s.asked[f[1]], got...)
		s.say(s.names(got))
	case "receive":
		b := s.parse(f[2])
		s.over(f[1], b)
		s.say(s.p.Receive(s.id(f[1]), b))
	case "arrive":
		for _, b := range s.asked[f[1]] {
			require.True(s.t, s.p.Receive(s.id(f[1]), b))
			require.Empty(s.t, s.p.Askers(nil, b))
		}
		s.asked[f[1]] = nil
	case "release":
		b := s.parse(f[2])
		s.over(f[1], b)
		s.p.Release(s.id(f[1]), b)
	case "choke":
		for _, b := range s.asked[f[1]] {
			s.p.Release(s.id(f[1]), b)
		}
		s.asked[f[1]] = nil
	case "askers":
		var l []string
		for _, id := range s.p.Askers(nil, s.parse(f[1])) {
			l = append(l, string(rune('a'+id-1)))
		}
		slices.Sort(l)
		s.say(strings.Join(l, " "))
	case "fail", "have":
		var i int
		fmt.Sscan(f[1], &i)
		if f[0] == "fail" {
			s.p.Fail(i, false)
		} else {
			s.p.SetHave(i)
		}
	case "complete":
		for i := range s.sizes {
			if s.p.Complete(i) {
				s.say("piece", i)
			}
		}
	case "endgame":
		s.say(s.p.Endgame())
	case "partials":
		s.say(s.p.Partials())
	default:
		s.t.Fatal("no such command: ", f)
	}
	require.NoError(s.t, s.p.check())
}

// P4: a full backlog with every peer, in a different order for each, and
// cancels as blocks come in.
func TestP4_Transcript(t *testing.T) {
	const name = "testdata/endgame-cancel.txt"
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	s := &transcript{t: t}
	for line := range strings.Lines(string(want)) {
		if strings.HasPrefix(line, ">") {
			continue
		}
		s.out.WriteString(line)
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			s.do(f)
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(name, s.out.Bytes(), 0o644))
		return
	}
	require.Equal(t, string(want), s.out.String())
}

// P4: each peer is asked in another order, the least asked blocks first.
func TestP4_AnotherOrderForEach(t *testing.T) {
	p := NewPicker(even{4, 16 * BlockSize}, newRand(1))
	require.Len(t, p.Next(&Asker{ID: 100}, 64, nil), 64)
	require.True(t, p.Endgame())
	orders := map[Block]int{}
	for id := range PeerID(32) {
		got := p.Next(&Asker{ID: id}, 2, nil)
		require.Len(t, got, 2)
		orders[got[0]]++
		orders[got[1]]++
	}
	require.Len(t, orders, 64, "every block was asked a second time before any was a third")
	var first []Block
	for id := range PeerID(8) {
		first = append(first, p.Next(&Asker{ID: 200 + id}, 99, nil)...)
	}
	require.Len(t, first, 8*64)
	for k := 64; k < len(first); k += 64 {
		require.NotEqual(t, first[:64], first[k:k+64])
	}
	// The memory of an asker who had nothing to choose ends with news.
	a := &Asker{ID: 200}
	require.Empty(t, p.Next(a, 1, nil))
	p.Release(200, first[0])
	require.Equal(t, first[:1], p.Next(a, 5, nil))
	require.NoError(t, p.check())
}

func TestP4_PartOfThePieces(t *testing.T) {
	const n = 4
	p := NewPicker(even{n, BlockSize}, newRand(1))
	p.Next(&Asker{ID: 1}, n, nil)
	has := setOf(n, 2)
	a := &Asker{ID: 2, Has: has}
	require.Equal(t, []Block{{2, 0, BlockSize}}, p.Next(a, 9, nil))
	require.Empty(t, p.Next(a, 9, nil))
	has.Set(3)
	p.AddHave(3)
	require.Equal(t, []Block{{3, 0, BlockSize}}, p.Next(a, 9, nil))
	require.Equal(t, []Block{{1, 0, BlockSize}}, p.Next(&Asker{ID: 3, Only: []uint32{1}}, 9, nil))
}

// P4, P6: what slow peers owe us is asked of others before all is asked for,
// as soon as these would be idle.
func TestP6_IdlePeersTakeOver(t *testing.T) {
	const n = 4
	p := NewPicker(even{n, 8 * BlockSize}, newRand(1))
	slow := &Asker{ID: 1, Has: setOf(n, 0, 1, 2), Rate: 8 << 10}
	require.Len(t, p.Next(slow, 24, nil), 24)
	require.False(t, p.Endgame(), "nobody was asked for piece 3")
	fast := &Asker{ID: 2, Has: setOf(n, 0, 1, 2), Rate: 1 << 20}
	busy := *fast
	busy.Open = 1
	require.Empty(t, p.Next(&busy, 8, nil))
	near := *fast
	near.Rate = 16 << 10
	require.Empty(t, p.Next(&near, 8, nil), "not that much quicker")
	none := *fast
	none.Duplicates = -1
	require.Empty(t, p.Next(&none, 8, nil))
	got := p.Next(fast, 8, nil)
	require.Len(t, got, takenOver)
	for _, b := range got {
		require.True(t, p.Receive(2, b))
		require.Equal(t, []PeerID{1}, p.Askers(nil, b), "to be sent a cancel")
		p.Release(1, b)
	}
	// Under 0.75 kB/s everybody is quicker.
	idle := &Asker{ID: 1, Has: slow.Has, Rate: IdleRate - 1}
	require.Empty(t, p.Next(idle, 1, nil))
	near.Rate = 2 * IdleRate
	require.Len(t, p.Next(&near, 8, nil), takenOver)
	require.NoError(t, p.check())
}

// With Along, what others are asked for too comes in runs, and a later call goes
// on where the last one stopped.
func TestP4_EndgameAlong(t *testing.T) {
	p := NewPicker(sizeList{64 * BlockSize}, newRand(1))
	p.AddSeed()
	p.AddSeed()
	silent, quick := Asker{ID: 1}, Asker{ID: 2, Along: true}
	require.Len(t, p.Next(&silent, 100, nil), 64)
	require.True(t, p.Endgame())
	var got []Block
	breaks := 0
	for len(got) < 64 {
		some := p.Next(&quick, 4, nil)
		require.NotEmpty(t, some)
		for _, b := range some {
			if n := len(got); n > 0 && b.Begin != got[n-1].Begin+BlockSize {
				breaks++
			}
			got = append(got, b)
			require.True(t, p.Receive(quick.ID, b))
		}
	}
	require.LessOrEqual(t, breaks, 4, "from a random place to the end of the piece, and again")
	require.True(t, p.Complete(0))
}
