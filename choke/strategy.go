package choke

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// A Strategy decides which peers may download from us. One value serves one torrent; it may keep state between
// calls.
//
// Choose is called every 10 s, at the time its last decision asked for, when an upload slot falls free, and 15 s
// after a peer has unchoked us. It is never called under a lock, and never twice at the same time for one value, so
// it needs no locking of its own. It should return within milliseconds: what takes longer than the client's deadline,
// panics, or names peers that are not in the round, is reported and replaced by [Default].
//
// A strategy may be an [Explainer] as well.
type Strategy interface {
	Choose(r *Round) Decision
}

// PeerID names one connection of one torrent. It is never used again for another: a peer that comes back has a new
// one. Zero is no peer.
type PeerID uint64

// Reason tells why a strategy is called.
type Reason uint8

// The reasons for a call.
const (
	Tick        Reason = iota // the round of every 10 s (BEP 3)
	Asked                     // the time of Decision.Again has come
	SlotFree                  // an unchoked peer has gone or wants nothing any more, or a choked one has become interested
	Reciprocate               // a peer has unchoked us 15 s ago, so its rate can be judged now
	Started                   // the first call on this torrent, or the first after the strategy was exchanged
)

func (r Reason) String() string {
	switch r {
	case Tick:
		return "tick"
	case Asked:
		return "asked"
	case SlotFree:
		return "slot free"
	case Reciprocate:
		return "reciprocate"
	case Started:
		return "started"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// A Round is what a strategy sees: plain values, a snapshot of one torrent. It and everything in it is valid until
// Choose returns; copy what is to be kept.
type Round struct {
	// Now is the time of the snapshot. Strategies take the time from here and never from a clock of their own, so
	// that they run in simulated time as well.
	Now time.Time
	// Rand is the only randomness a strategy uses, so that a run can be repeated. Never nil.
	Rand *rand.Rand
	// Why tells what brought this call about.
	Why Reason
	// Slots is how many peers the client wants unchoked in this torrent. 0: the strategy decides. A strategy may
	// name more peers than this where they cost nothing (those that are not interested).
	Slots int
	// UploadLimit is the most bytes per second this torrent may send now; 0 means that there is no limit.
	UploadLimit int64
	// UploadRate is what the torrent sends to all peers together, in bytes per second over the last 20 s.
	UploadRate int64
	// Seeding says that we want nothing from anybody.
	Seeding bool
	// PieceLength is the torrent's nominal length of a piece in bytes; 0 while the metadata is not known.
	PieceLength int64
	// Peers are all connected peers, interested or not, in no particular order. The slice is a copy made for this call:
	// a strategy may sort it.
	Peers []Peer
}

// A Peer is one connected peer at the time of the round. Durations are ages and count back from Round.Now; rates are
// bytes of payload per second, totals are bytes of payload over this connection.
type Peer struct {
	ID   PeerID
	Addr netip.AddrPort

	Connected     time.Duration // since the handshake
	InterestedFor time.Duration // since it became interested in us; 0 while it is not
	UnchokedFor   time.Duration // since we unchoked it; 0 while we choke it
	UnchokesUsFor time.Duration // since it unchoked us; 0 while it chokes us
	SinceBlock    time.Duration // since its last block came in; negative: it has never sent one

	Interested bool // it wants something from us
	Unchoked   bool // we let it download
	UnchokesUs bool // it lets us download

	DownRate20, DownRate60 int64 // from it to us, over the last 20 s and 60 s
	UpRate20, UpRate60     int64 // from us to it

	Downloaded int64 // from it to us, bad blocks included
	Uploaded   int64 // from us to it
	BadBytes   int64 // of Downloaded, what belonged to pieces that failed their hash and is blamed on it

	Pieces     int  // how many it has
	Seed       bool // it has all of them
	UploadOnly bool // it says that it wants nothing more (BEP 21)
	Snubbed    bool // it unchokes us, owes us blocks, and has sent none for 60 s
}

// A Decision is what a strategy answers: who is unchoked from now on. Everybody it does not name is choked.
type Decision struct {
	// Unchoke names the peers, each once, none that is not in the round. The order has no meaning.
	//
	// The slice belongs to the strategy: it is valid until the next Choose, so that a strategy can use it again.
	Unchoke []Choice
	// Again asks for a call before the next tick. Zero, or a time that is later than that tick, asks for nothing.
	Again time.Time
}

// A Choice is one peer to be unchoked.
type Choice struct {
	Peer PeerID
	// MaxRate limits what is sent to it, in bytes per second. 0: a fair share of what the torrent may send.
	MaxRate int64
	// Why is a word or two for people who want to understand the decision, such as "optimistic". The bundled
	// strategies say the Why constants, as in [WhyFast].
	Why string
}

// Peers is the decision that unchokes exactly these peers, each with a fair share.
func Peers(ids ...PeerID) Decision {
	choices := make([]Choice, len(ids))
	for i, id := range ids {
		choices[i].Peer = id
	}
	return Decision{Unchoke: choices}
}
