package sim

import (
	"slices"
	"time"
)

// A Report is what became of a swarm.
type Report struct {
	Model     Model
	Seed      uint64
	Bound     time.Duration // the lower bound of the last completion in a flash crowd; see Scenario.Bound
	Length    time.Duration // simulated
	FileSize  int64         // bytes
	Completed int
	Leeches   int // how many downloading peers there were

	All     Times        // of all downloading peers
	Classes []ClassTimes // as in the scenario

	// SeedCopies is what the seeds sent until every piece was complete at somebody else, in units of the file (row P7:
	// 1 is perfect). Negative: that never happened.
	SeedCopies float64
	// Partials is how many pieces a downloading peer had begun, on average over peers and time; PartialsEndgame how many
	// when nothing was left that was not begun (row P8).
	Partials, PartialsEndgame float64
	// Wasted is the bytes that came twice, of all bytes received. The model Flow estimates it.
	Wasted, Received int64

	Samples []Sample
	Peers   []PeerResult
}

// Times sums up when peers completed, since each one's arrival.
type Times struct {
	Mean, Median, P95, Last time.Duration
}

// ClassTimes is the part of a report about one class.
type ClassTimes struct {
	Name      string
	Seed      bool // as in the scenario
	FreeRider bool
	Count     int
	Completed int // seeds count as such
	Times
	Sent, Received int64   // bytes, of all its peers
	Ratio          float64 // Sent by Received; 0 for seeds
}

// A Sample is the state of the swarm at one time. Rates are over the time since the sample before.
type Sample struct {
	At       time.Duration
	Present  int     // peers, seeds among them
	Complete int     // that are complete and present
	Sent     float64 // bytes per second, all together
	Capacity float64 // bytes per second that all that are present and no free-riders could send
	Use      float64 // Sent by Capacity, 0 to 1
	Progress float64 // mean share of the file that those who download have, 0 to 1
	Partials float64 // mean number of pieces begun by those who download
}

// A PeerResult is what became of one peer.
type PeerResult struct {
	Class          int // index in Report.Classes
	Arrived        time.Duration
	Done           time.Duration // since Arrived; negative: it was not complete at the end. Seeds: 0
	Sent, Received int64         // bytes
}

// Slowdown is the last completion in units of the bound.
func (r *Report) Slowdown() float64 { return ratio(r.All.Last, r.Bound) }

// MeanSlowdown is the mean completion in units of the bound.
func (r *Report) MeanSlowdown() float64 { return ratio(r.All.Mean, r.Bound) }

// Use is the mean use of the upload capacity, 0 to 1, until the time.
func (r *Report) Use(until time.Duration) float64 {
	var sent, could float64
	for _, s := range r.Samples {
		if s.At <= until {
			sent += s.Sent
			could += s.Capacity
		}
	}
	if could == 0 {
		return 0
	}
	return sent / could
}

// WasteShare is the part, 0 to 1, of what was received that came in vain.
func (r *Report) WasteShare() float64 {
	if r.Received == 0 {
		return 0
	}
	return float64(r.Wasted) / float64(r.Received)
}

// Class returns the part about the class of that name, nil if there is none.
func (r *Report) Class(name string) *ClassTimes {
	for i := range r.Classes {
		if r.Classes[i].Name == name {
			return &r.Classes[i]
		}
	}
	return nil
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// timesOf sums up completion times, which it sorts.
func timesOf(d []time.Duration) (t Times) {
	if len(d) == 0 {
		return t
	}
	slices.Sort(d)
	var sum float64
	for _, x := range d {
		sum += float64(x)
	}
	t.Mean = time.Duration(sum / float64(len(d)))
	t.Median = d[(len(d)-1)/2]
	t.P95 = d[(len(d)*95+99)/100-1]
	t.Last = d[len(d)-1]
	return t
}

// A recorder is told by a model what happens, and makes the report of it. Times are since the start.
type recorder struct {
	s     *Scenario
	peers []PeerResult
	here  []bool

	outside     []bool // by piece: somebody but the initial seeds is complete in it
	left        int    // pieces that are not outside
	seedSent    int64
	seedCopies  float64
	waiting     int // downloading peers that are not complete
	endgames    int
	endPartials int
	wasted      int64

	last        time.Duration
	lastSent    int64
	sent        int64
	samples     []Sample
	partialSum  float64
	partialSeen float64
}

func newRecorder(s *Scenario, crowd []member) *recorder {
	r := &recorder{s: s, peers: make([]PeerResult, len(crowd)), here: make([]bool, len(crowd)),
		outside: make([]bool, s.Pieces), left: s.Pieces, seedCopies: -1}
	for i, m := range crowd {
		r.peers[i] = PeerResult{Class: m.class, Arrived: m.arrives, Done: -1}
		if s.Classes[m.class].Seed {
			r.peers[i].Done = 0
		} else {
			r.waiting++
		}
	}
	return r
}

func (r *recorder) isSeed(i int) bool { return r.s.Classes[r.peers[i].Class].Seed }

func (r *recorder) arrived(i int) { r.here[i] = true }

func (r *recorder) gone(i int) { r.here[i] = false }

// moved counts payload from one peer to another.
func (r *recorder) moved(from, to int, n int64) {
	r.peers[from].Sent += n
	r.peers[to].Received += n
	r.sent += n
	if r.left > 0 && r.isSeed(from) {
		r.seedSent += n
	}
}

// got notes that a downloading peer is complete in a piece.
func (r *recorder) got(piece int) {
	if r.outside[piece] {
		return
	}
	r.outside[piece] = true
	if r.left--; r.left == 0 {
		r.seedCopies = float64(r.seedSent) / float64(r.s.size())
	}
}

// endgame notes with how many partials a peer came into the endgame.
func (r *recorder) endgame(partials int) {
	r.endgames++
	r.endPartials += partials
}

func (r *recorder) done(i int, at time.Duration) {
	if r.peers[i].Done < 0 {
		r.peers[i].Done = at - r.peers[i].Arrived
		r.waiting--
	}
}

// sample takes a look at the swarm. have and partials tell of a peer how many pieces it has and has begun.
func (r *recorder) sample(at time.Duration, have, partials func(i int) int) {
	s := Sample{At: at}
	downloading, pieces, begun := 0, 0, 0
	for i := range r.peers {
		if !r.here[i] {
			continue
		}
		s.Present++
		c := &r.s.Classes[r.peers[i].Class]
		if !c.FreeRider {
			s.Capacity += float64(c.Up)
		}
		if r.peers[i].Done >= 0 {
			s.Complete++
			continue
		}
		downloading++
		pieces += have(i)
		begun += partials(i)
	}
	if downloading > 0 {
		s.Progress = float64(pieces) / float64(downloading) / float64(r.s.Pieces)
		s.Partials = float64(begun) / float64(downloading)
		r.partialSum += float64(begun)
		r.partialSeen += float64(downloading)
	}
	if d := at - r.last; d > 0 {
		s.Sent = float64(r.sent-r.lastSent) / d.Seconds()
	}
	if s.Capacity > 0 {
		s.Use = s.Sent / s.Capacity
	}
	r.last, r.lastSent = at, r.sent
	r.samples = append(r.samples, s)
}

func (r *recorder) report(at time.Duration) *Report {
	p := &Report{Model: r.s.Model, Seed: r.s.Seed, Bound: r.s.bound(), Length: at, FileSize: r.s.size(),
		SeedCopies: r.seedCopies, Wasted: r.wasted, Received: r.sent, Samples: r.samples, Peers: r.peers}
	if r.partialSeen > 0 {
		p.Partials = r.partialSum / r.partialSeen
	}
	if r.endgames > 0 {
		p.PartialsEndgame = float64(r.endPartials) / float64(r.endgames)
	}
	var all []time.Duration
	times := make([][]time.Duration, len(r.s.Classes))
	p.Classes = make([]ClassTimes, len(r.s.Classes))
	for i := range r.peers {
		x := &r.peers[i]
		c := &p.Classes[x.Class]
		c.Count++
		c.Sent += x.Sent
		c.Received += x.Received
		seed := r.s.Classes[x.Class].Seed
		if !seed {
			p.Leeches++
		}
		if x.Done < 0 {
			continue
		}
		c.Completed++
		if !seed {
			p.Completed++
			times[x.Class] = append(times[x.Class], x.Done)
			all = append(all, x.Done)
		}
	}
	p.All = timesOf(all)
	for i := range p.Classes {
		c := &p.Classes[i]
		c.Name, c.Seed, c.FreeRider = r.s.Classes[i].Name, r.s.Classes[i].Seed, r.s.Classes[i].FreeRider
		c.Times = timesOf(times[i])
		if c.Received > 0 {
			c.Ratio = float64(c.Sent) / float64(c.Received)
		}
	}
	return p
}
