package client

import (
	"net"
	"slices"
	"sync"
)

// group is goroutines that somebody waits for. After Close none is started.
type group struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   sync.Cond
}

// Go runs f, unless the group is closed.
func (g *group) Go(f func()) bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.n++
	g.mu.Unlock()
	go func() {
		defer g.done()
		f()
	}()
	return true
}

func (g *group) done() {
	g.mu.Lock()
	g.n--
	if g.n == 0 && g.idle.L != nil {
		g.idle.Broadcast()
	}
	g.mu.Unlock()
}

// Close lets nothing more start, and waits for what runs.
func (g *group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.idle.L == nil {
		g.idle.L = &g.mu
	}
	for g.n > 0 {
		g.idle.Wait()
	}
}

// greetings are the incoming connections whose handshake is not done. When
// there are too many, the one that has waited longest goes: silent ones never
// keep others out (RW4).
type greetings struct {
	mu   sync.Mutex
	max  int
	list []net.Conn // the oldest first
}

func (g *greetings) add(nc net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.list) >= g.max {
		g.list[0].Close()
		g.list = slices.Delete(g.list, 0, 1)
	}
	g.list = append(g.list, nc)
}

func (g *greetings) remove(nc net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.list, nc); i >= 0 {
		g.list = slices.Delete(g.list, i, i+1)
	}
}

// slots counts what is in use of a bounded number; max 0 is no bound.
type slots struct {
	mu   sync.Mutex
	max  int
	used int
}

func (s *slots) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.max > 0 && s.used >= s.max {
		return false
	}
	s.used++
	return true
}

func (s *slots) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.max > 0 && s.used >= s.max
}

// any reports whether one is in use.
func (s *slots) any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used > 0
}

func (s *slots) give() {
	s.mu.Lock()
	s.used--
	s.mu.Unlock()
}
