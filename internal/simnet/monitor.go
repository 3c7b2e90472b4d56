package simnet

import (
	"sync"
	"time"
)

// A monitor is a mutex with a way to wait for changes of what it guards, until a time or a channel's end. Waiting is
// on channels and timers alone, so that it is durable in a synctest bubble. Its mutex is never held while waiting.
type monitor struct {
	sync.Mutex
	changed chan struct{} // closed at the next broadcast; nil while nobody waits
}

// broadcast wakes all that wait. The lock is held.
func (m *monitor) broadcast() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// wait gives the lock back until a broadcast, or until the time if there is one, or until done is closed if there is
// one. The lock is held, and is held again on return.
func (m *monitor) wait(until time.Time, done <-chan struct{}) {
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	changed := m.changed
	m.Unlock()
	defer m.Lock()
	pause(until, changed, done)
}

// pause waits until the time if there is one, or until one of the channels is closed.
func pause(until time.Time, a, b <-chan struct{}) {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-a:
	case <-b:
	case <-timeout:
	}
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// reached says that a time has come; zero never comes.
func reached(t, now time.Time) bool {
	return !t.IsZero() && !now.Before(t)
}
