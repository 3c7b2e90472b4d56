package swarm

import "github.com/seed1734be99/starling/piece"

// check is a verification of what is on disk.
type check struct {
	s          *Swarm
	running    bool
	candidates []uint32 // pieces still to be checked
	total      int      // candidates at the start
	out        int      // jobs with workers
	epoch      uint32   // counts checks: results of an older one are ignored
}

// begin forgets all that is had, asked for, being received and queued to be
// sent, takes the trusted pieces for had, and starts the verification of the
// candidates.
func (c *check) begin(candidates []uint32, trusted *piece.Bitfield, at stamp, eff *Effects) {
	s := c.s
	s.mode = Checking
	s.jobs.barrier()
	s.receiving.loseAll()
	for p := range s.members.all { // those that are not dropped, or not yet
		s.asking.takeBack(p, eff)
		s.sending.rejectQueued(p, false, eff)
	}
	s.having.loseAll(at, eff)
	c.epoch++
	c.running, c.candidates, c.total, c.out = true, candidates, len(candidates), 0
	eff.Jobs += len(candidates)
	if trusted != nil {
		for i := range s.layout.NumPieces() {
			if trusted.Has(i) {
				s.having.got(i, at, eff)
			}
		}
	}
	c.end(eff)
}

// next makes the job of the next candidate.
func (c *check) next(j *Job) bool {
	if !c.running || len(c.candidates) == 0 {
		return false
	}
	i := int(c.candidates[0])
	c.candidates = c.candidates[1:]
	c.out++
	layout := c.s.layout
	*j = Job{Kind: JobCheck, Piece: i, Size: layout.PieceSize(i), Addr: layout.Offset(i, 0), Sum: c.s.sum(i), epoch: c.epoch}
	return true
}

// done takes the result of a JobCheck.
func (c *check) done(j *Job, r Result, at stamp, eff *Effects) {
	if j.epoch != c.epoch {
		return
	}
	c.out--
	if r.OK && r.Err == nil {
		c.s.having.got(j.Piece, at, eff)
	}
	c.end(eff)
}

func (c *check) end(eff *Effects) {
	if c.running && c.out == 0 && len(c.candidates) == 0 {
		c.running, c.candidates = false, nil
		eff.event(Event{Kind: Checked})
	}
}

// abandon gives a running check up; with results, those of its jobs with
// workers too.
func (c *check) abandon(results bool) {
	c.running, c.candidates = false, nil
	if results {
		c.epoch++
	}
}
