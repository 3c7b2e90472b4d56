package piece

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The row's own figures: a file of 650 MB.
func TestP5_Formulas(t *testing.T) {
	const length = 650 << 20
	for _, c := range []struct {
		how       Finish
		remaining int64
		weight    uint64
		near      bool
	}{
		{FinishRoot, 26106, 1, true}, // √length: 25.5 kB
		{FinishRoot, 26107, 1, false},
		{FinishRoot, 1 << 40, 1, false},
		{FinishLog, 1, 1, false},
		{FinishLog, 2, 1, false},
		{FinishLog, 3, 2, false},
		{FinishLog, 1 << 20, 20, false},
		{FinishLog, 1<<20 + 1, 21, false},
		{FinishHalf, length / 30, 1, false}, // 21.7 MB
		{FinishHalf, length/30 + 1, 2, false},
	} {
		f := finishing{how: c.how}
		weight, near := f.preference(&unfinished{File: File{Length: length}, remaining: c.remaining})
		require.Equal(t, c.weight, weight, "%+v", c)
		require.Equal(t, c.near, near, "%+v", c)
	}
}

// twoFiles is a torrent of two files of 50 pieces each, 1 block a piece.
func twoFiles(how Finish) *Picker {
	p := NewPicker(even{100, BlockSize}, newRand(1))
	p.Order().SetFinish(how, []File{
		{From: 50, To: 100, Head: BlockSize, Length: 50 * BlockSize},
		{From: 0, To: 50, Head: BlockSize, Length: 50 * BlockSize},
		{From: -1, To: 4, Head: 1, Length: 1}, {From: 4, To: 400, Head: 1, Length: 1}, {From: 5, To: 5}, {From: 5, To: 6, Head: 2, Length: 1}, // nonsense
	})
	return p
}

func TestP5_Root(t *testing.T) {
	// A file of pieces of 1 byte is near its end with 3 of 10 left.
	p := NewPicker(even{20, 1}, newRand(1))
	p.Order().SetFinish(FinishRoot, []File{{From: 0, To: 10, Head: 1, Length: 10}, {From: 10, To: 20, Head: 1, Length: 10}})
	for i := range 6 {
		p.SetHave(i)
	}
	p.AddPeer(setOf(20, 6, 7, 8, 9))
	require.GreaterOrEqual(t, next(p, &Asker{ID: 1}), 10, "the rarest")
	p.SetHave(6)
	for range 3 {
		require.Less(t, next(p, &Asker{ID: 1}), 10, "nothing but the file that is nearly done")
	}
	require.GreaterOrEqual(t, next(p, &Asker{ID: 1}), 10, "others rather than nothing")
	require.GreaterOrEqual(t, next(p, &Asker{ID: 2, Has: setOf(20, 0, 1, 12)}), 10)
	// Priorities are stronger.
	p.Release(1, Block{7, 0, 1})
	p.Order().SetPriority(15, 16, 5)
	require.Equal(t, 15, next(p, &Asker{ID: 3}))
	require.Equal(t, 7, next(p, &Asker{ID: 3}))
	require.NoError(t, p.check())
}

func TestP5_Half(t *testing.T) {
	p := twoFiles(FinishHalf)
	for i := range 48 { // 2 of 50 left: less than a 20th, the logarithm of 800 KiB
		p.SetHave(i)
	}
	all := NewBitfield(100)
	all.fill()
	for range 2 {
		p.AddPeer(all) // 2 have each
	}
	p.AddHave(48) // 3: counts as 3, the others' 2 as 4
	for range 3 {
		p.AddHave(49) // 5
	}
	got := piecesOf(p.Next(&Asker{ID: 1, Duplicates: -1}, 100, nil))
	require.Len(t, got, 52)
	require.Equal(t, 48, got[0])
	require.Equal(t, 49, got[51])
	require.NoError(t, p.check())
}

func TestP5_Log(t *testing.T) {
	p := twoFiles(FinishLog)
	for i := range 49 {
		p.SetHave(i)
	}
	all := NewBitfield(100)
	all.fill()
	for range 10 {
		p.AddPeer(all)
	}
	for range 4 {
		p.AddHave(49) // 14 peers, weight 14: 196; the others 10 peers, weight 20
	}
	require.Equal(t, 49, next(p, &Asker{ID: 1}))
	p.Release(1, Block{49, 0, BlockSize})
	p.AddSeed() // counted too: 15*14 and 11*20
	p.AddHave(49)
	require.NotEqual(t, 49, p.avail.choose(&Asker{ID: 1}, anyPlace, p.rnd))
	require.NoError(t, p.check())
}

// Two files in one piece: the one that is nearer to its end counts.
func TestP5_SharedPieces(t *testing.T) {
	p := NewPicker(sizeList{100, 100, 100}, newRand(1))
	p.Order().SetFinish(FinishRoot, []File{{0, 2, 100, 101}, {1, 3, 99, 199}})
	p.SetHave(0)
	require.EqualValues(t, 1, p.avail.rule.finish.files[0].remaining)
	require.Equal(t, 1, next(p, &Asker{ID: 1}))
	p.SetHave(1)
	require.Zero(t, p.avail.rule.finish.files[0].remaining)
	require.EqualValues(t, 100, p.avail.rule.finish.files[1].remaining)
	p.ClearHave(1)
	require.EqualValues(t, 1, p.avail.rule.finish.files[0].remaining)
	p.Order().SetFinish(FinishNone, nil)
	require.Nil(t, p.avail.rule)
}
