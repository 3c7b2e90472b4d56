package swarm

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
)

// Why a connection is closed, or refused.
var (
	ErrSilent     = errors.New("peer was silent for too long")
	ErrNotReading = errors.New("peer does not read what is sent to it")
	ErrBadData    = errors.New("peer sent data that failed the hash")
	ErrUnasked    = errors.New("peer sent blocks that nobody asked for")
	ErrBothSeeds  = errors.New("both sides are complete")
	ErrDuplicate  = errors.New("another connection to the same peer exists")
	ErrFull       = errors.New("the torrent has all the peers it may have")
	ErrNotRunning = errors.New("the torrent is not running")
	ErrRecheck    = errors.New("the torrent is checked again")
	errLied       = errors.New("what the peer says it has does not fit the torrent")
)

// Mode is the state of a swarm's life.
type Mode uint8

// The modes.
const (
	NoInfo   Mode = iota // the metadata is not known yet
	Checking             // what is on disk is being verified
	Running
	Paused // no peers, no requests; work with the disk is finished
)

var modeNames = [...]string{"no info", "checking", "running", "paused"}

// String returns the mode's name.
func (m Mode) String() string { return modeNames[min(int(m), len(modeNames)-1)] }

// Config is what a swarm is made of. It starts in mode Paused.
type Config struct {
	Hashes      metainfo.Hashes
	ID          [20]byte // our peer id
	Rand        *rand.Rand
	Pool        *block.Pool    // slabs; shared with others
	Now         time.Time      // the base of all times
	MaxPeers    int            // 0: no limit
	MaxRequests int            // open requests to one peer; 0: 1024
	QueueLimit  int            // requests that one peer may queue with us; 0: 500
	Order       piece.Strategy // which pieces are begun first; nil: the rarest
	Settings
}

// Settings is what may be changed at any time.
type Settings struct {
	Slots     int  // upload slots; 0: the strategy decides
	SuperSeed bool // show each peer one piece at a time (BEP 16)
}

// Counters are totals of payload bytes since the swarm was made.
type Counters struct {
	Downloaded int64 // received and needed; of it, Failed was of no use
	Uploaded   int64 // blocks wholly written
	Verified   int64 // bytes of pieces received, verified and written
	Wasted     int64 // received, but nobody needed it
	Failed     int64 // bytes of pieces that failed their hash
	HashFails  int   // such pieces
	Have       int64 // bytes of pieces had
}

// Swarm is one torrent's state: a list of smaller owners, one file each, that
// find each other through it. See the package comment.
type Swarm struct {
	// constant
	base   time.Time
	hashes metainfo.Hashes
	rand   *rand.Rand
	pool   *block.Pool
	limits Config // but for Order and Settings

	mode     Mode
	fault    error
	settings Settings
	content  // embedded: all the others look at it
	total    Counters

	members   members   // who is connected
	having    having    // which pieces we and they have
	asking    asking    // what is asked of whom
	receiving receiving // blocks that arrive, until their piece is verified
	jobs      jobQueue  // what the disk is to do
	check     check     // a verification of what is on disk
	sending   sending   // what goes out
	choking   choking   // whom we let download
	showing   showing   // super-seeding
	metadata  metadata  // the info dictionary, as bytes
}

// New returns a swarm in mode Paused, without content.
func New(c Config) *Swarm {
	if c.MaxRequests == 0 {
		c.MaxRequests = 1024
	}
	if c.QueueLimit == 0 {
		c.QueueLimit = 500
	}
	s := &Swarm{base: c.Now, hashes: c.Hashes, rand: c.Rand, pool: c.Pool, limits: c, settings: c.Settings, mode: Paused}
	s.members.s, s.having.s, s.asking.s, s.receiving.s = s, s, s, s
	s.jobs.s, s.check.s, s.sending.s, s.choking.s, s.metadata.s, s.showing.s = s, s, s, s, s, s
	s.receiving.landings = make(map[int]*landing)
	_, s.receiving.reserve = SlabRoom(c.Pool)
	return s
}

func (s *Swarm) at(now time.Time) stamp { return now.Sub(s.base) }

// setContent takes the layout and hashes, and reads what the peers said they
// have before. Those whose word does not fit are dropped.
func (s *Swarm) setContent(c Content, at stamp, eff *Effects) {
	s.content.set(c, s.rand)
	s.picker.Order().SetStrategy(s.limits.Order)
	for p := range s.members.all {
		if err := s.having.readPending(p, at, eff); err != nil {
			eff.drop(p.id, err)
		}
	}
}

// setOrder exchanges the rule by which pieces are begun.
func (s *Swarm) setOrder(by piece.Strategy, at stamp, eff *Effects) {
	s.limits.Order = by
	if s.picker != nil {
		s.picker.Order().SetStrategy(by)
		s.asking.refill(at, eff)
	}
}

// start lets the swarm run: peers may join and are asked for blocks. It also
// clears a fault.
func (s *Swarm) start(at stamp, eff *Effects) {
	s.fault = nil
	switch {
	case s.layout == nil:
		s.mode = NoInfo
		s.metadata.resume(eff)
		return
	case s.check.running:
		s.mode = Checking
		return
	}
	s.mode = Running
	for p := range s.members.all {
		s.having.wants(p, 0, at, eff)
		s.having.closeIfBothSeeds(p, eff)
	}
	s.asking.refill(at, eff)
	s.receiving.resume(eff)
}

// pause drops all peers and evicts what was received of partial pieces.
func (s *Swarm) pause(eff *Effects, reason error) {
	s.mode = Paused
	for p := range s.members.all {
		eff.drop(p.id, reason)
	}
	s.receiving.evictAll(eff)
}

// abandon gives up a running check, and with partials all that is being
// received: jobs with workers only return memory then.
func (s *Swarm) abandon(partials bool) {
	s.mode = Paused
	s.check.abandon(partials)
	if partials {
		s.receiving.killAll()
	}
}

// setFault records that the disk failed. What is had is still served.
func (s *Swarm) setFault(err error, eff *Effects) {
	if s.fault == nil {
		s.fault = err
		eff.event(Event{Kind: Faulted, Err: err})
	}
}

// hurry does what became possible while a door was worked on: blocks became
// free, or memory did.
func (s *Swarm) hurry(at stamp, eff *Effects) {
	if s.asking.dry || s.asking.freed {
		s.asking.refill(at, eff)
	}
}
