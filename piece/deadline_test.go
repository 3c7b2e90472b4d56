package piece

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pieces of blocks, without repetition.
func piecesOf(bs []Block) (l []int) {
	for _, b := range bs {
		if len(l) == 0 || l[len(l)-1] != int(b.Piece) {
			l = append(l, int(b.Piece))
		}
	}
	return l
}

func TestDeadlinesFirst(t *testing.T) {
	const n = 50
	p := NewPicker(even{n, 2 * BlockSize}, newRand(1))
	touch(t, p, 9, 3, true)
	o := p.Order()
	o.SetDeadlines([]Deadline{{12, 3 * time.Second}, {10, time.Second}, {11, 2 * time.Second}, {10, 9 * time.Second},
		{-1, 0}, {n, 0}, {5, 0}})
	p.SetHave(5)
	o.SetPriority(11, 12, LowestPriority)
	require.Equal(t, []int{10, 11, 12, 3}, piecesOf(p.Next(&Asker{ID: 1}, 7, nil)))
	// Others get what has no deadline; gone deadlines leave no trace.
	require.NotContains(t, []int{10, 11, 12}, next(p, &Asker{ID: 2}))
	o.SetDeadlines(nil)
	require.Empty(t, p.due.list)
	require.NoError(t, p.check())

	many := make([]Deadline, 3000)
	for k := range many {
		many[k] = Deadline{k % n, time.Duration(k)}
	}
	o.SetDeadlines(many)
	require.Len(t, p.due.list, n)
}

// The most urgent pieces are asked of those who can send them in time.
func TestDeadlinesOfTheFastest(t *testing.T) {
	p := NewPicker(even{50, 4 * BlockSize}, newRand(1))
	p.Order().SetDeadlines([]Deadline{{10, 2 * time.Second}, {11, 4 * time.Second}, {12, 40 * time.Second}})
	fast := &Asker{ID: 1, Rate: 1 << 20}
	slow := &Asker{ID: 2, Rate: 3 << 10}
	require.Equal(t, 10, next(p, fast))
	require.Equal(t, 12, next(p, slow), "the first that it can send in time")
	require.Equal(t, 10, next(p, fast))
	require.Equal(t, []int{10, 11, 12}, piecesOf(p.Next(fast, 8, nil)))
	// All of 12 is asked for: who can't be in time gets nothing better to do.
	p = NewPicker(even{50, 4 * BlockSize}, newRand(1))
	p.Order().SetDeadlines([]Deadline{{10, 2 * time.Second}})
	next(p, fast)
	require.Equal(t, 10, next(p, slow))
	require.Equal(t, 10, next(p, &Asker{ID: 3, Slow: true}))
}

// Near its deadline a block that a slower peer was asked for is asked of one
// quicker peer too, and of no third.
func TestDeadlinesDuplicatesAreBounded(t *testing.T) {
	p := NewPicker(even{50, 16 * BlockSize}, newRand(1))
	p.Order().SetDeadlines([]Deadline{{10, 10 * time.Second}})
	slow := &Asker{ID: 1, Rate: 20 << 10}
	asked := p.Next(slow, 16, nil)
	require.Equal(t, []int{10}, piecesOf(asked))
	fast := &Asker{ID: 2, Rate: 1 << 20, Open: 1}
	require.NotContains(t, piecesOf(p.Next(fast, 4, nil)), 10, "there is time")
	fast.Now = 9 * time.Second
	none := *fast
	none.Duplicates = -1
	require.NotContains(t, piecesOf(p.Next(&none, 4, nil)), 10)
	twice := map[Block]int{}
	for range 10 {
		call := 0
		for _, b := range p.Next(fast, 8, nil) {
			if b.Piece == 10 {
				twice[b]++
				call++
			}
		}
		require.LessOrEqual(t, call, hurried)
	}
	require.Len(t, twice, 16)
	third := &Asker{ID: 3, Rate: 1 << 30, Open: 1, Now: 9 * time.Second}
	require.NotContains(t, piecesOf(p.Next(third, 8, nil)), 10)
	require.NoError(t, p.check())
}
