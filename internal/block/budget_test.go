package block

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestSizes: a buffer is as long as asked for, and counts as its class.
func TestSizes(t *testing.T) {
	p := NewPool(8 << 20)
	for _, tc := range []struct{ n, counts int }{
		{1, 256}, {256, 256}, {257, 512}, {16 << 10, 16 << 10}, {16<<10 + 13, 32 << 10},
		{256 << 10, 256 << 10}, {1<<20 - 1, 1 << 20}, {1 << 20, 1 << 20}, {1<<20 + 1, 1<<20 + 1},
	} {
		b := p.Get(tc.n, 0)
		require.Len(t, b, tc.n)
		require.EqualValues(t, tc.counts, p.Used(), "%d bytes", tc.n)
		p.Put(b[:tc.n/2]) // however the borrower has cut it
		require.Zero(t, p.Used())
	}
	p.Put(nil)
	require.Zero(t, p.Used())
}

// TestWaitMeansGet: when Wait says that n bytes can be had, Get gives them,
// or whoever loops over the two burns a processor. The size class counts.
func TestWaitMeansGet(t *testing.T) {
	for _, n := range []int{1, 20000, 48 << 10, 16<<10 + 13, 700 << 10, 1 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPool(2 << 20)
				rest := p.Get(2<<20-n, 0) // what is left is n, less than its class
				if rest == nil {
					rest = p.Get(1<<20, 0)
				}
				done := make(chan struct{})
				ended := make(chan bool, 1)
				go func() { ended <- p.Wait(int64(n), 0, done) }()
				synctest.Wait()
				select {
				case ok := <-ended:
					require.True(t, ok)
					require.NotNil(t, p.Get(n, 0), "Wait promised %d bytes", n)
				default:
					require.Nil(t, p.Get(n, 0), "Wait waits for nothing")
					p.Put(rest)
					require.True(t, <-ended)
				}
				close(done)
			})
		})
	}
}

// TestBudgetHolds: whatever borrowers do at once, what is lent out and kept
// never passes the limit, nobody is handed another's buffer, and all of it
// comes back. With -race.
func TestBudgetHolds(t *testing.T) {
	const limit = 6 << 20
	p := NewPool(limit)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 26))
			var mine [][]byte
			for range 4000 {
				if len(mine) > 0 && r.IntN(2) == 0 {
					k := r.IntN(len(mine))
					b := mine[k]
					if b[0] != byte(g) || b[len(b)-1] != byte(g) {
						t.Errorf("a buffer of %d bytes was lent out twice", len(b))
						return
					}
					p.Put(b)
					mine = append(mine[:k], mine[k+1:]...)
				} else if b := p.Get(1+r.IntN(1<<r.IntN(22)), int64(r.IntN(1<<20))); b != nil {
					b[0], b[len(b)-1] = byte(g), byte(g)
					mine = append(mine, b)
				}
				if r.IntN(200) == 0 {
					p.Trim(int64(r.IntN(1 << 20)))
				}
			}
			for _, b := range mine {
				p.Put(b)
			}
		})
	}
	wg.Wait()
	require.Zero(t, p.Used())
	require.LessOrEqual(t, p.Peak(), int64(limit))
	t.Logf("peak %d of %d bytes; kept %d", p.Peak(), limit, p.kept)
	p.Trim(0)
	require.Zero(t, p.kept)
}

// TestEverybodyWaitingLooksAgain: one Put wakes all who wait, so that a small
// wish is not hidden behind a large one.
func TestEverybodyWaitingLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(2 << 20)
		a, b := p.Get(1<<20, 0), p.Get(1<<20, 0)
		served := make(chan int, 20)
		for i := range 20 {
			go func() {
				for {
					p.Wait(128<<10, 0, nil)
					if x := p.Get(128<<10, 0); x != nil {
						served <- i
						p.Put(x)
						return
					}
				}
			}()
		}
		synctest.Wait()
		require.Empty(t, served)
		p.Put(a)
		synctest.Wait()
		require.Len(t, served, 20)
		p.Put(b)
	})
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{32 << 10, 256 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			p := NewPool(8 << 20)
			b.ReportAllocs()
			for b.Loop() {
				p.Put(p.Get(size, 1<<20))
			}
		})
	}
}

// TestBorrowLeavesRoom: buffers that are borrowed never take more than half,
// nor large ones what small ones need; and WaitBorrow means Borrow.
func TestBorrowLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(8 << 20)
		var large, small [][]byte
		for b := p.Borrow(256 << 10); b != nil; b = p.Borrow(256 << 10) {
			large = append(large, b)
		}
		require.EqualValues(t, 2<<20, p.Used())
		for b := p.Borrow(20 << 10); b != nil; b = p.Borrow(20 << 10) {
			small = append(small, b)
		}
		require.EqualValues(t, 4<<20, p.Used())
		require.Zero(t, p.Slabs())
		slab := p.Get(1<<20, 2<<20)
		require.NotNil(t, slab)
		require.EqualValues(t, 1<<20, p.Slabs())
		require.EqualValues(t, 0, p.Lacks(1<<20, 2<<20))
		require.EqualValues(t, 1<<20, p.Lacks(1<<20, 3<<20))

		ended := make(chan bool, 1)
		go func() { ended <- p.WaitBorrow(20<<10, nil) }()
		synctest.Wait()
		p.Put(slab)
		synctest.Wait()
		require.Empty(t, ended, "memory of the other kind is of no use")
		p.Return(small[0])
		require.True(t, <-ended)
		small[0] = p.Borrow(20 << 10)
		require.NotNil(t, small[0])
		for _, b := range append(large, small...) {
			p.Return(b)
		}
		require.Zero(t, p.Used())
	})
}
