package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/piece"
)

// Model says how a swarm is simulated.
type Model uint8

// The models.
const (
	// Flow is fast: pieces flow between peers at max-min fair rates, which are worked out anew every tenth of a
	// second. It runs ten thousand peers and more.
	Flow Model = iota
	// Full is exact: every peer is the library's own torrent state, and they exchange real messages over links with
	// capacity and delay. It runs some hundred peers.
	Full
)

// String returns the model's name.
func (m Model) String() string {
	if m == Full {
		return "full"
	}
	return "flow"
}

// ErrScenario is matched by the errors of a scenario that makes no sense.
var ErrScenario = errors.New("sim: scenario")

// A Scenario is one swarm to be simulated. Everything that happens follows from it, so that a run can be repeated.
// Zero fields have the defaults told beside them, but there must be a class that seeds and one that doesn't.
type Scenario struct {
	Model       Model
	Pieces      int     // default 400
	PieceLength int64   // bytes, default 256 KiB
	Classes     []Class // who takes part
	Connections int     // that a peer has, default 40

	// ArrivalRate is how many downloading peers come each second, at random moments (a Poisson process) and in random
	// order of their classes. 0: a flash crowd, everybody is there from the start. Seeds always are.
	ArrivalRate float64
	// NoAllowedFast lets no peer make use of the sets of pieces that BEP 6 lets it download while it is choked. The
	// model Flow never has them. (A single seed with many connections pays for them with up to a whole copy of the file.)
	NoAllowedFast bool
	// Seed makes another run of the same scenario.
	Seed uint64
	// Limit ends a run in which not everybody completes, in simulated time. Default: 20 times the lower bound, at
	// least an hour, and the time until the last one has arrived.
	Limit time.Duration
	// Sample is the time between two samples of the report, at least 100 ms. Default: 10 s.
	Sample time.Duration
}

// A Class is a number of peers of one kind.
type Class struct {
	Name  string // default: "seed", "free-rider" or "leech"
	Count int
	Up    int64 // bytes per second that a peer can send; more than zero
	Down  int64 // bytes per second that it can receive; 0: no limit
	// Delay is how long a message takes one way. Between two peers it is the mean of both. Default 50 ms; negative: none.
	Delay time.Duration
	// Seed says that these are complete and there from the start.
	Seed bool
	// FreeRider says that these never unchoke anybody.
	FreeRider bool
	// Strategy makes the choking strategy of each peer; nil is choke.Default.
	Strategy func() choke.Strategy
	// Slots is Round.Slots: 0 lets the strategy decide.
	Slots int
	// KnownLimit tells the strategy Up as Round.UploadLimit, like a client with that limit configured.
	KnownLimit bool
	// SeedTime is how long a peer stays once it is complete. 0: to the end; negative: it leaves at once.
	SeedTime time.Duration
	// SuperSeed shows each peer one piece at a time while this one is complete (BEP 16). Only in the model Full.
	SuperSeed bool
	// Order is the order in which pieces are begun; nil is piece.RarestFirst. One value is asked by all peers of all
	// runs, perhaps at the same time.
	Order piece.Strategy
}

// What zero fields stand for.
const (
	defaultPieces      = 400
	defaultPieceLength = 256 << 10
	defaultConnections = 40
	defaultDelay       = 50 * time.Millisecond
	defaultSample      = 10 * time.Second
	leastSample        = 100 * time.Millisecond
	mbit               = 1_000_000 / 8
)

// FlashCrowd is the scenario that strategies are compared in: so many peers and one seed start at once, each with
// 1 Mbit/s up and 8 Mbit/s down, a delay of 50 ms and 40 connections, to share 400 pieces of 256 KiB.
func FlashCrowd(peers int) Scenario {
	return Scenario{Classes: []Class{
		{Name: "seed", Count: 1, Up: mbit, Down: 8 * mbit, Seed: true},
		{Name: "leech", Count: peers, Up: mbit, Down: 8 * mbit},
	}}
}

// MixedCrowd is [FlashCrowd] with three classes of peers, a third each, that have 0.5, 1 and 4 Mbit/s up.
func MixedCrowd(peers int) Scenario {
	return Scenario{Classes: []Class{
		{Name: "seed", Count: 1, Up: mbit, Down: 8 * mbit, Seed: true},
		{Name: "slow", Count: peers / 3, Up: mbit / 2, Down: 8 * mbit},
		{Name: "middle", Count: peers - 2*(peers/3), Up: mbit, Down: 8 * mbit},
		{Name: "fast", Count: peers / 3, Up: 4 * mbit, Down: 8 * mbit},
	}}
}

// With returns the scenario with the strategy in all its classes but the free-riders.
func (s Scenario) With(strategy func() choke.Strategy) Scenario {
	s.Classes = append([]Class(nil), s.Classes...)
	for i := range s.Classes {
		if !s.Classes[i].FreeRider {
			s.Classes[i].Strategy = strategy
		}
	}
	return s
}

// WithFreeRiders returns the scenario with that share, 0 to 1, of each class that downloads in a class of its own,
// "free-rider", that never unchokes anybody.
func (s Scenario) WithFreeRiders(share float64) Scenario {
	return s.WithShare(share, "free-rider", func(c *Class) { c.FreeRider = true })
}

// WithShare returns the scenario with that share, 0 to 1, of each class that downloads in a class of its own that is
// changed, and has the name. Where there are several such classes, their own names stand before it.
func (s Scenario) WithShare(share float64, name string, change func(*Class)) Scenario {
	var classes []Class
	downloading := 0
	for _, c := range s.Classes {
		if !c.Seed && !c.FreeRider {
			downloading++
		}
	}
	for _, c := range s.Classes {
		n := min(int(share*float64(c.Count)+0.5), c.Count)
		if c.Seed || c.FreeRider || n <= 0 {
			classes = append(classes, c)
			continue
		}
		other := c
		other.Count = n
		if other.Name = name; downloading > 1 {
			other.Name = c.Name + " " + name
		}
		change(&other)
		if c.Count -= n; c.Count > 0 {
			classes = append(classes, c)
		}
		classes = append(classes, other)
	}
	s.Classes = classes
	return s
}

// size is the bytes of the file.
func (s *Scenario) size() int64 { return int64(s.Pieces) * s.PieceLength }

// What bounds a scenario: the tables of a swarm must fit into memory.
const (
	mostPeers  = 200_000
	mostPieces = 1 << 16
)

// complete returns the scenario with all defaults filled in, or says what is wrong with it.
func (s Scenario) complete() (Scenario, error) {
	fill(&s.Pieces, defaultPieces)
	fill(&s.PieceLength, defaultPieceLength)
	fill(&s.Connections, defaultConnections)
	fill(&s.Sample, defaultSample)
	switch {
	case s.Model > Full:
		return s, fmt.Errorf("%w: there is no model %d", ErrScenario, s.Model)
	case s.Pieces < 1 || s.Pieces > mostPieces:
		return s, fmt.Errorf("%w: Pieces: %d is not between 1 and %d", ErrScenario, s.Pieces, mostPieces)
	case s.PieceLength < 1 || s.PieceLength > 1<<30:
		return s, fmt.Errorf("%w: PieceLength: %d is not between 1 and 2^30", ErrScenario, s.PieceLength)
	case s.Connections < 1 || s.Connections > 10_000:
		return s, fmt.Errorf("%w: Connections: %d is not between 1 and 10,000", ErrScenario, s.Connections)
	case s.Sample < leastSample || s.Limit < 0:
		return s, fmt.Errorf("%w: Sample: %v is below %v, or Limit: %v below zero", ErrScenario, s.Sample, leastSample, s.Limit)
	case s.ArrivalRate != 0 && !(s.ArrivalRate >= 1e-6 && s.ArrivalRate <= 1e6):
		return s, fmt.Errorf("%w: ArrivalRate: %v is not 0, nor between 1e-6 and 1e6", ErrScenario, s.ArrivalRate)
	}
	seeds, leeches := 0, 0
	s.Classes = append([]Class(nil), s.Classes...)
	for i := range s.Classes {
		c := &s.Classes[i]
		if err := c.complete(); err != nil {
			return s, fmt.Errorf("%w: Classes[%d]: %w", ErrScenario, i, err)
		}
		if c.Seed {
			seeds += c.Count
		} else {
			leeches += c.Count
		}
		if s.Model == Flow && c.SuperSeed {
			return s, fmt.Errorf("%w: Classes[%d].SuperSeed: only in the model full", ErrScenario, i)
		}
	}
	if seeds == 0 || leeches == 0 || seeds+leeches > mostPeers {
		return s, fmt.Errorf("%w: %d seeds and %d downloading peers; there must be one of each, and at most %d", ErrScenario, seeds, leeches, mostPeers)
	}
	if s.Limit == 0 {
		s.Limit = max(20*s.bound(), time.Hour)
		if s.ArrivalRate > 0 {
			s.Limit += time.Duration(2 * float64(leeches) / s.ArrivalRate * float64(time.Second))
		}
	}
	return s, nil
}

func (c *Class) complete() error {
	switch {
	case c.Count < 0 || c.Count > mostPeers:
		return fmt.Errorf("Count: %d is not between 0 and %d", c.Count, mostPeers)
	case c.Up <= 0 || c.Up > 1<<40 || c.Down < 0 || c.Down > 1<<40:
		return fmt.Errorf("Up %d, Down %d: not a rate", c.Up, c.Down)
	case c.Delay > time.Minute:
		return fmt.Errorf("Delay: %v is more than a minute", c.Delay)
	}
	if c.Delay == 0 {
		c.Delay = defaultDelay
	}
	c.Delay = max(c.Delay, 0)
	if c.Down == 0 {
		c.Down = 1 << 40
	}
	if c.Strategy == nil {
		c.Strategy = choke.Default
	}
	if _, rarest := c.Order.(piece.RarestFirst); rarest {
		c.Order = nil
	}
	if c.Name == "" {
		switch {
		case c.Seed:
			c.Name = "seed"
		case c.FreeRider:
			c.Name = "free-rider"
		default:
			c.Name = "leech"
		}
	}
	return nil
}

func fill[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Bound is the least time in which all downloading peers of a flash crowd can complete, whatever is done: the largest
// of F/us (the seeds must send everything once), F/dmin (the slowest must receive it) and N·F/(us+Σu) (all that is
// received is sent by somebody). Free-riders add nothing to Σu. See D. Qiu and R. Srikant's and R. Kumar and
// K. Ross's work on the distribution time of peer-to-peer networks.
func (s Scenario) Bound() (time.Duration, error) {
	c, err := s.complete()
	if err != nil {
		return 0, err
	}
	return c.bound(), nil
}

func (s *Scenario) bound() time.Duration {
	var seeds, all, n, slowest float64
	for i := range s.Classes {
		c := &s.Classes[i]
		if c.Count == 0 {
			continue
		}
		if !c.FreeRider {
			all += float64(c.Count) * float64(c.Up)
		}
		if c.Seed {
			seeds += float64(c.Count) * float64(c.Up)
			continue
		}
		n += float64(c.Count)
		if d := float64(c.Down); slowest == 0 || d < slowest {
			slowest = d
		}
	}
	f := float64(s.size())
	seconds := max(f/seeds, f/slowest, n*f/all)
	return time.Duration(seconds * float64(time.Second))
}
