package block

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestGetStopsAtTheLimit(t *testing.T) {
	p := NewPool(64 << 10)
	a := p.Get(20000, 0) // counts as 32 KiB
	require.Len(t, a, 20000)
	require.EqualValues(t, 32<<10, p.Used())
	require.Nil(t, p.Get(20000, 1), "headroom is kept free")
	b := p.Get(20000, 0)
	require.NotNil(t, b)
	require.Nil(t, p.Get(1, 0))
	p.Put(a)
	p.Put(b)
	require.Zero(t, p.Used())
	require.EqualValues(t, 64<<10, p.Peak())
}

func TestKeptBuffersMakeRoomForOtherSizes(t *testing.T) {
	p := NewPool(1 << 20)
	p.Put(p.Get(1<<20, 0))
	for range 4 {
		require.NotNil(t, p.Get(1<<18, 0))
	}
	require.EqualValues(t, 1<<20, p.Used())
	require.LessOrEqual(t, p.Peak(), int64(1<<20), "used and kept together stay within the limit")
	require.Zero(t, p.kept)
}

func TestOversizedAndTrim(t *testing.T) {
	p := NewPool(8 << 20)
	b := p.Get(3<<20, 0)
	require.EqualValues(t, 3<<20, p.Used())
	p.Put(b)
	require.Zero(t, p.Used())
	require.Zero(t, p.kept, "larger than a class: not kept")
	p.Put(p.Get(1<<20, 0))
	require.EqualValues(t, 1<<20, p.kept)
	p.Trim(0)
	require.Zero(t, p.kept)
}

func TestWaitWakesOnPutAndOnDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1 << 20)
		b := p.Get(1<<20, 0)
		done := make(chan struct{})
		got := make(chan bool, 2)
		go func() { got <- p.Wait(1<<20, 0, nil) }()
		go func() { got <- p.Wait(2<<20, 0, done) }()
		synctest.Wait()
		require.Empty(t, got)
		p.Put(b)
		require.True(t, <-got)
		close(done)
		require.False(t, <-got)
	})
}

func TestNoAllocsWhenReused(t *testing.T) {
	p := NewPool(4 << 20)
	p.Put(p.Get(1<<20, 0))
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Put(p.Get(1<<20, 0)) }))
}

func BenchmarkGetPut(b *testing.B) {
	p := NewPool(4 << 20)
	b.ReportAllocs()
	for b.Loop() {
		p.Put(p.Get(1<<20, 0))
	}
}
