package client

import (
	"context"
	"iter"
	"sync"
	"time"
)

// EventKind says what an Event tells.
type EventKind uint8

// The kinds of events.
const (
	EventState        EventKind = iota // State has changed
	EventMetadata                      // the metadata is known
	EventPiece                         // Piece is verified and written
	EventHashFail                      // Piece failed its hash
	EventCompleted                     // every wanted piece is had
	EventFault                         // Err: see FaultError
	EventPeerJoined                    // Addr
	EventPeerLeft                      // Addr, Err: why
	EventTracker                       // URL was announced to; Err if that failed
	EventChokerFailed                  // Err: the program's strategy was replaced by the default
)

var eventNames = [...]string{"state", "metadata", "piece", "hash-fail", "completed", "fault", "peer-joined", "peer-left", "tracker", "choker-failed"}

// String returns the kind's name.
func (k EventKind) String() string { return eventNames[min(int(k), len(eventNames)-1)] }

// Event is something that happened to a torrent.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Tag   any // the torrent's
	State State
	Piece int
	Addr  string
	URL   string
	Err   error
	Lost  int // events before this one that the reader was too slow for
}

// eventBuffer is how many events a slow reader may be behind.
const eventBuffer = 256

// hub hands events to whoever listens, without ever waiting for them.
type hub struct {
	mu   sync.Mutex
	subs map[*subscription]struct{}
	done bool
}

type subscription struct {
	ring  []Event
	lost  int
	last  Event         // the newest of the lost
	ready chan struct{} // capacity 1
}

func (h *hub) publish(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if len(s.ring) == eventBuffer {
			s.lost++
			s.last = ev
			continue
		}
		s.ring = append(s.ring, ev)
		select {
		case s.ready <- struct{}{}:
		default:
		}
	}
}

// listening reports whether anybody does, so that nothing is built for nobody.
func (h *hub) listening() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs) > 0
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = true
	for s := range h.subs {
		select {
		case s.ready <- struct{}{}:
		default:
		}
	}
}

func (h *hub) subscribe() *subscription {
	s := &subscription{ready: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = make(map[*subscription]struct{})
	}
	h.subs[s] = struct{}{}
	if h.done {
		s.ready <- struct{}{}
	}
	return s
}

func (h *hub) unsubscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// take returns what is there, and whether more can come. Of what was lost the
// newest comes all the same, so that the loss is told at once and the reader
// ends with what is so now.
func (h *hub) take(s *subscription) ([]Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	evs := s.ring
	if s.lost > 0 {
		s.last.Lost = s.lost - 1
		evs = append(evs, s.last)
		s.lost, s.last = 0, Event{}
	}
	s.ring = nil
	return evs, !h.done
}

// Events yields what happens to the torrent from the call on, until ctx ends
// or the torrent is closed. It never holds the torrent up: a reader that is more
// than 256 events behind loses some, but never the newest, which says how many. It is for
// one range; ctx must end if there is none.
func (t *Torrent) Events(ctx context.Context) iter.Seq[Event] {
	s := t.events.subscribe()
	stop := context.AfterFunc(ctx, func() { t.events.unsubscribe(s) })
	return func(yield func(Event) bool) {
		defer t.events.unsubscribe(s)
		defer stop() // else ctx would keep the torrent for as long as it lives
		for {
			evs, open := t.events.take(s)
			for _, ev := range evs {
				if !yield(ev) {
					return
				}
			}
			if !open {
				return
			}
			select {
			case <-s.ready:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (t *Torrent) emit(ev Event) {
	if t.events.listening() {
		ev.Time, ev.Tag = time.Now(), t.tag
		t.events.publish(ev)
	}
}
