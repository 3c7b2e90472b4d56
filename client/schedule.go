package client

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// scheduler is the one clock of a client: it wakes torrents when they asked
// to be, so that an idle torrent needs no goroutine and no timer.
type scheduler struct {
	ctx  context.Context
	mu   sync.Mutex
	heap wakeups
	wake chan struct{} // capacity 1: something earlier was added
}

// wakeup is a torrent's place in the heap; it belongs to the scheduler.
type wakeup struct {
	at    time.Time
	index int // in the heap, plus one; 0: not there
	run   func(now time.Time)
}

func newScheduler(ctx context.Context) *scheduler {
	return &scheduler{ctx: ctx, wake: make(chan struct{}, 1)}
}

// at makes w run at that time, or earlier when it was to be earlier already.
// The zero time changes nothing.
func (s *scheduler) at(w *wakeup, when time.Time) {
	if when.IsZero() {
		return
	}
	s.mu.Lock()
	switch {
	case w.index == 0:
		w.at = when
		heap.Push(&s.heap, w)
	case when.Before(w.at):
		w.at = when
		heap.Fix(&s.heap, w.index-1)
	default:
		s.mu.Unlock()
		return
	}
	first := s.heap[0] == w
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// drop forgets w.
func (s *scheduler) drop(w *wakeup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.index > 0 {
		heap.Remove(&s.heap, w.index-1)
	}
}

// due removes and returns what is due, or says how long until then.
func (s *scheduler) due(now time.Time) (*wakeup, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, time.Hour
	}
	if d := s.heap[0].at.Sub(now); d > 0 {
		return nil, d
	}
	return heap.Pop(&s.heap).(*wakeup), 0
}

// run wakes torrents until the client closes. What it calls never waits.
func (s *scheduler) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		w, wait := s.due(now)
		if w != nil {
			w.run(now)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

// wakeups implements heap.Interface.
type wakeups []*wakeup

func (h wakeups) Len() int           { return len(h) }
func (h wakeups) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h wakeups) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *wakeups) Push(x any) {
	w := x.(*wakeup)
	*h = append(*h, w)
	w.index = len(*h)
}

// Pop implements heap.Interface.
func (h *wakeups) Pop() any {
	l := len(*h) - 1
	w := (*h)[l]
	(*h)[l] = nil
	*h = (*h)[:l]
	w.index = 0
	return w
}
