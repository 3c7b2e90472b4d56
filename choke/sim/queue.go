package sim

import "time"

// An event of the model Full. What happens is one of the functions of full, told by kind, with its arguments.
type event struct {
	at   time.Duration
	seq  uint64 // events of one time happen in the order they were made
	kind eventKind
	node int32
	pipe *pipe
	pack *packet
}

type eventKind uint8

const (
	atTick    eventKind = iota // node
	atSent                     // node's uplink has sent pack over pipe
	atEntered                  // pack has come to the receiver's downlink
	atArrived                  // pack has come through it
	atPaced                    // pipe may have something to send again
	atRefill                   // node asks the tracker
	atLeave                    // node leaves
	atEnter                    // node comes
)

// eventQueue is a heap of events, the earliest first.
type eventQueue struct {
	heap []event
	seq  uint64
}

func (q *eventQueue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	h := q.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *eventQueue) pop() (event, bool) {
	h := q.heap
	if len(h) == 0 {
		return event{}, false
	}
	first := h[0]
	n := len(h) - 1
	h[0] = h[n]
	h[n] = event{}
	q.heap = h[:n]
	h = q.heap
	for i := 0; ; {
		k := 2*i + 1
		if k >= n {
			break
		}
		if k+1 < n && h[k+1].before(&h[k]) {
			k++
		}
		if !h[k].before(&h[i]) {
			break
		}
		h[i], h[k] = h[k], h[i]
		i = k
	}
	return first, true
}

func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.seq < o.seq
}
