package swarm

import (
	"net/netip"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/piece"
)

// PeerID names a peer of one swarm: a slot and a generation, never reused.
type PeerID = piece.PeerID

// Effects is what a door wants done outside the lock. The caller owns it and
// reuses it: Reset empties it and keeps its memory.
type Effects struct {
	Wake    []PeerID      // start a writer for each, at most once each
	Drop    []Drop        // close these connections
	Jobs    int           // so many jobs became ready
	Rechoke bool          // a choking round is due
	Why     choke.Reason  // with Rechoke
	Again   time.Duration // call Tick within this time; 0: as Tick said
	Starved bool          // a claim found no memory: evict, here or elsewhere
	Events  []Event
	Bans    []netip.Addr // never talk to these again
}

// Drop asks for a connection to be closed.
type Drop struct {
	Peer   PeerID
	Reason error
}

// Reset empties e.
func (e *Effects) Reset() {
	*e = Effects{Wake: e.Wake[:0], Drop: e.Drop[:0], Events: e.Events[:0], Bans: e.Bans[:0]}
}

// Empty reports whether there is nothing to do.
func (e *Effects) Empty() bool {
	return len(e.Wake)+len(e.Drop)+len(e.Events)+len(e.Bans)+e.Jobs == 0 && e.Again == 0 && !e.Rechoke && !e.Starved
}

func (e *Effects) drop(id PeerID, reason error) {
	e.Drop = append(e.Drop, Drop{id, reason})
}

func (e *Effects) event(ev Event) { e.Events = append(e.Events, ev) }

// EventKind says what an Event tells.
type EventKind uint8

// The events of a swarm.
const (
	PieceDone    EventKind = iota // Piece is verified, written and announced
	PieceFailed                   // Piece did not match its hash
	Completed                     // every wanted piece is had
	Checked                       // a check of the disk has ended
	Faulted                       // Err: the disk failed; downloading stands still
	MetadataDone                  // Data is the info dictionary, verified
	PortLearned                   // Peer's DHT node listens on port Piece
)

// Event is one thing that happened.
type Event struct {
	Kind  EventKind
	Piece int
	Peer  PeerID
	Err   error
	Data  []byte
}
