package disk

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/storage"
)

// heap is a source of jobs that hash metadata.
type heap struct {
	mu      sync.Mutex
	left    int
	working int
	most    int // jobs at once
	done    int
	order   *order
	name    int
	block   chan struct{} // nil: jobs are done at once
}

// order is which sources were served, one after the other.
type order struct {
	mu   sync.Mutex
	list []int
}

func (h *heap) NextJob(j *swarm.Job) (storage.Torrent, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left == 0 {
		return nil, false
	}
	h.left--
	h.working++
	h.most = max(h.most, h.working)
	if h.order != nil {
		h.order.mu.Lock()
		h.order.list = append(h.order.list, h.name)
		h.order.mu.Unlock()
	}
	*j = swarm.Job{Kind: swarm.JobMetadata, Buf: []byte("x")}
	return nil, true
}

func (h *heap) JobDone(*swarm.Job, swarm.Result) {
	if h.block != nil {
		<-h.block
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.working--
	h.done++
}

// TestPoolDoesEveryJob: kicked from many goroutines; Close waits for all that
// was kicked before it, and leaves no goroutine.
func TestPoolDoesEveryJob(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			p := NewPool(workers)
			sources := make([]*heap, 50)
			var wg sync.WaitGroup
			for i := range sources {
				sources[i] = &heap{}
				wg.Go(func() {
					for range 20 {
						sources[i].mu.Lock()
						sources[i].left += 3
						sources[i].mu.Unlock()
						p.Kick(sources[i])
					}
				})
			}
			wg.Wait()
			p.Close()
			p.Close() // once more does no harm
			for i, s := range sources {
				require.Equal(t, 60, s.done, "source %d", i)
				require.LessOrEqual(t, s.most, workers)
			}
			p.Kick(&heap{left: 1}) // nobody is there any more
		})
	}
}

// TestPoolIsFair: a source with many jobs does not keep another waiting.
func TestPoolIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1)
		o := new(order)
		gate := make(chan struct{})
		first := &heap{left: 1, block: gate}
		p.Kick(first)
		synctest.Wait() // the worker is busy
		a, b := &heap{left: 5, name: 1, order: o}, &heap{left: 2, name: 2, order: o}
		p.Kick(a)
		p.Kick(b)
		p.Kick(b) // twice is once
		close(gate)
		synctest.Wait()
		require.Equal(t, []int{1, 2, 1, 2, 1, 1, 1}, o.list)
		p.Close()
	})
}

// TestWorkersShareOneSource: a single torrent uses them all.
func TestWorkersShareOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(4)
		s := &heap{left: 10, block: make(chan struct{})}
		p.Kick(s)
		synctest.Wait()
		require.Equal(t, 4, s.most)
		close(s.block)
		p.Close()
		require.Equal(t, 10, s.done)
	})
}

// TestKickDuringTheLastJob: a job that comes up while the last one is done is
// not overlooked.
func TestKickDuringTheLastJob(t *testing.T) {
	p := NewPool(3)
	var done atomic.Int64
	const rounds = 3000
	more := make(chan struct{}, 1)
	s := &chain{done: func() {
		if done.Add(1) == rounds {
			close(more)
		}
	}}
	s.kick = func() { p.Kick(s) }
	s.left.Store(1)
	s.rounds.Store(rounds)
	p.Kick(s)
	<-more
	p.Close()
	require.EqualValues(t, rounds, done.Load())
}

// chain has a new job whenever one is done.
type chain struct {
	left, rounds atomic.Int64
	done         func()
	kick         func()
}

func (c *chain) NextJob(j *swarm.Job) (storage.Torrent, bool) {
	if c.left.Add(-1) < 0 {
		c.left.Add(1)
		return nil, false
	}
	*j = swarm.Job{Kind: swarm.JobMetadata}
	return nil, true
}

func (c *chain) JobDone(*swarm.Job, swarm.Result) {
	if c.rounds.Add(-1) > 0 {
		c.left.Add(1)
		c.kick()
	}
	c.done()
}
