package disk

import (
	"sync"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/storage"
)

// Source is a torrent as the workers see it. Both methods are called from
// several workers at once.
type Source interface {
	// NextJob fills in a job, and returns what it works on; false: there is none.
	NextJob(j *swarm.Job) (storage.Torrent, bool)
	// JobDone takes the job's result.
	JobDone(j *swarm.Job, r swarm.Result)
}

// Pool is a fixed number of workers. Create one with [NewPool].
type Pool struct {
	mu     sync.Mutex
	work   sync.Cond
	queue  []Source        // in the order they are served
	queued map[Source]bool // the same as a set
	closed bool
	wg     sync.WaitGroup
}

// NewPool starts n workers.
func NewPool(n int) *Pool {
	p := &Pool{queued: make(map[Source]bool)}
	p.work.L = &p.mu
	for range n {
		p.wg.Go(p.worker)
	}
	return p
}

// Kick says that src may have jobs. It never blocks.
func (p *Pool) Kick(src Source) {
	p.mu.Lock()
	if !p.closed && !p.queued[src] {
		p.queued[src] = true
		p.queue = append(p.queue, src)
		p.work.Signal()
	}
	p.mu.Unlock()
}

// Close ends the workers when they have no more jobs, and waits for them.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.work.Broadcast()
	p.mu.Unlock()
	p.wg.Wait()
}

// next waits for a source with jobs; nil when the pool is closed.
func (p *Pool) next() Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 {
		if p.closed {
			return nil
		}
		p.work.Wait()
	}
	src := p.queue[0]
	copy(p.queue, p.queue[1:])
	p.queue[len(p.queue)-1] = nil
	p.queue = p.queue[:len(p.queue)-1]
	delete(p.queued, src)
	return src
}

// again puts a source back that had a job: there may be more, for others.
func (p *Pool) again(src Source) {
	p.mu.Lock()
	if !p.queued[src] {
		p.queued[src] = true
		p.queue = append(p.queue, src)
		p.work.Signal()
	}
	p.mu.Unlock()
}

func (p *Pool) worker() {
	var w work
	var j swarm.Job
	for {
		src := p.next()
		if src == nil {
			return
		}
		st, ok := src.NextJob(&j)
		if !ok {
			continue
		}
		p.again(src)
		src.JobDone(&j, w.do(&j, st))
		j = swarm.Job{}
	}
}
