package swarm

import (
	"crypto/sha1"
	"hash"
	"net/netip"
	"slices"

	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
)

// JobKind says what a disk worker is to do.
type JobKind uint8

// The kinds of jobs.
const (
	JobVerify   JobKind = iota // read back what is on disk, hash, compare, write
	JobEvict                   // write the blocks of Mem
	JobCheck                   // read a whole piece and hash it
	JobMetadata                // hash an info dictionary
)

// Job is work for a disk worker, who fills in nothing: it answers with a
// [Result]. Buf belongs to the worker until then, except that readers may
// write to blocks outside of Mem.
type Job struct {
	Kind   JobKind
	Piece  int
	Addr   int64  // of the slab or piece in the torrent's address space
	Size   int64  // of the slab or piece
	Buf    []byte // nil: nothing of it is in memory
	Mem    uint64 // blocks that Buf holds
	Disk   uint64 // blocks to be read back first
	Digest hash.Hash
	Last   bool // the slab ends the piece: compare with Sum
	Sum    metainfo.Hash

	epoch uint32
	land  *landing
	slab  int
}

// Result is how a job ended. OK: the hash matched, or there was none to be
// compared. Err: the disk failed.
type Result struct {
	OK  bool
	Err error
}

type queued struct {
	kind JobKind
	land *landing
	slab int
}

// jobQueue holds what was queued and the range of a running check.
type jobQueue struct {
	q       []queued
	head    int
	working int // jobs with workers

	checking   bool
	candidates []uint32 // pieces still to be checked
	total      int      // candidates at the start
	out        int      // check jobs with workers
}

// quiet reports whether nothing is queued and no worker is busy.
func (j *jobQueue) quiet() bool {
	return j.working == 0 && j.head == len(j.q) && !j.checking
}

func (j *jobQueue) push(q queued) {
	if j.head > 0 && len(j.q) == cap(j.q) {
		n := copy(j.q, j.q[j.head:])
		j.q, j.head = j.q[:n], 0
	}
	j.q = append(j.q, q)
}

func (j *jobQueue) pop() (queued, bool) {
	if j.head == len(j.q) {
		return queued{}, false
	}
	q := j.q[j.head]
	j.q[j.head] = queued{}
	j.head++
	if j.head == len(j.q) {
		j.q, j.head = j.q[:0], 0
	}
	return q, true
}

// nextJob fills in the next job, if there is one.
func (s *Swarm) nextJob(j *Job) bool {
	for {
		q, ok := s.jobs.pop()
		if !ok {
			return s.nextCheck(j)
		}
		if q.kind == JobMetadata {
			*j = Job{Kind: JobMetadata, Buf: s.meta.buf, Sum: s.hashes.V1, epoch: s.epoch}
			s.jobs.working++
			return true
		}
		sl := &q.land.slabs[q.slab]
		if q.land.dead {
			sl.busy = false
			s.reap(q.land)
			continue
		}
		s.fillJob(j, q)
		s.jobs.working++
		return true
	}
}

func (s *Swarm) fillJob(j *Job, q queued) {
	l, sl := q.land, &q.land.slabs[q.slab]
	*j = Job{
		Kind: q.kind, Piece: l.piece, Size: int64(l.slabSize(q.slab)), Buf: sl.buf, Mem: sl.mem, Disk: sl.disk,
		Addr:  s.layout.Offset(l.piece, int64(q.slab)*SlabSize),
		epoch: s.epoch, land: l, slab: q.slab,
	}
	if q.kind == JobEvict {
		return
	}
	j.Last = q.slab == len(l.slabs)-1
	j.Sum = s.sum(l.piece)
	if len(l.slabs) > 1 && l.digest == nil {
		l.digest = sha1.New() // of pieces above 1 MiB: once a piece
	}
	j.Digest = l.digest
}

func (s *Swarm) nextCheck(j *Job) bool {
	c := &s.jobs
	if !c.checking || len(c.candidates) == 0 {
		return false
	}
	i := int(c.candidates[0])
	c.candidates = c.candidates[1:]
	c.out++
	c.working++
	*j = Job{Kind: JobCheck, Piece: i, Size: s.layout.PieceSize(i), Addr: s.layout.Offset(i, 0), Sum: s.sum(i), epoch: s.epoch}
	return true
}

// jobDone takes a job's result.
func (s *Swarm) jobDone(j *Job, r Result, at stamp, eff *Effects) {
	s.jobs.working--
	switch j.Kind {
	case JobVerify:
		s.verifyDone(j, r, at, eff)
	case JobEvict:
		s.evictDone(j, r, eff)
	case JobCheck:
		s.checkDone(j, r, at, eff)
	case JobMetadata:
		s.metadataDone(j, r, at, eff)
	}
	if s.dry || s.freed {
		s.refill(at, eff)
	}
}

func (s *Swarm) verifyDone(j *Job, r Result, at stamp, eff *Effects) {
	l, sl := j.land, &j.land.slabs[j.slab]
	sl.busy = false
	switch {
	case l.dead || j.epoch != s.epoch:
		s.kill(l)
	case r.Err != nil:
		s.kill(l)
		s.picker.Fail(l.piece, false)
		s.setFault(r.Err, eff)
	case !r.OK:
		s.hashFailed(l, at, eff)
	case j.Last:
		size := l.size
		s.kill(l)
		s.total.Verified += size
		s.gotPiece(j.Piece, at, eff)
	default:
		s.pool.Put(sl.buf)
		sl.buf, sl.mem, sl.disk = nil, 0, l.fullMask(j.slab)
		l.next++
		s.verifyNext(l, eff)
	}
}

func (s *Swarm) evictDone(j *Job, r Result, eff *Effects) {
	l, sl := j.land, &j.land.slabs[j.slab]
	sl.busy = false
	if l.dead || j.epoch != s.epoch {
		s.kill(l)
		return
	}
	if r.Err != nil {
		s.setFault(r.Err, eff)
		return
	}
	sl.disk |= j.Mem
	sl.mem &^= j.Mem
	if sl.mem == 0 && sl.pins == 0 {
		s.pool.Put(sl.buf)
		sl.buf = nil
	}
	s.verifyNext(l, eff)
}

// hashFailed is what follows a piece that does not match: all of it is
// missing again. A single source is a liar; among several none is blamed, but
// the piece is fetched again from one at a time.
func (s *Swarm) hashFailed(l *landing, at stamp, eff *Effects) {
	s.total.HashFails++
	s.total.Failed += l.size
	from := slices.Clone(l.from)
	i, size := l.piece, l.size
	s.kill(l)
	s.picker.Fail(i, true)
	s.freed = true
	eff.event(Event{Kind: PieceFailed, Piece: i})
	if len(from) == 1 {
		s.ban(from[0], size, eff)
	}
}

// ban drops every peer of an address for good.
func (s *Swarm) ban(a netip.Addr, size int64, eff *Effects) {
	eff.Bans = append(eff.Bans, a)
	for _, p := range s.peers.list {
		if p != nil && p.Addr.Addr() == a {
			p.bad += size
			eff.drop(p.id, ErrBadData)
		}
	}
}

// gotPiece is the moment a piece is had: verified and written.
func (s *Swarm) gotPiece(i int, at stamp, eff *Effects) {
	if s.picker.Have().Has(i) {
		return
	}
	needed := s.picker.Needs(i)
	s.picker.SetHave(i)
	s.total.Have += s.layout.PieceSize(i)
	s.haves = append(s.haves, uint32(i))
	for _, p := range s.peers.list {
		if p == nil {
			continue
		}
		if p.has.has(i) {
			if needed {
				s.wants(p, -1, at, eff)
			}
		} else if !p.wire.theyInterested {
			s.wake(p, eff) // it may have nothing of ours to want yet
		}
	}
	eff.event(Event{Kind: PieceDone, Piece: i})
	if needed && s.picker.NumNeeded() == 0 && !s.jobs.checking {
		s.completed(at, eff)
	}
}

// completed: nothing wanted is missing. Seeds are of no more use (W5).
func (s *Swarm) completed(at stamp, eff *Effects) {
	eff.event(Event{Kind: Completed})
	eff.Rechoke, eff.Why = true, 0
	if !s.picker.Have().All() {
		return
	}
	for _, p := range s.peers.list {
		if p != nil && p.has.all {
			eff.drop(p.id, ErrBothSeeds)
		}
	}
}

// setFault records that the disk failed. What is had is still served.
func (s *Swarm) setFault(err error, eff *Effects) {
	if s.fault == nil {
		s.fault = err
		eff.event(Event{Kind: Faulted, Err: err})
	}
}

// beginCheck forgets all that is had and being received, takes the trusted
// pieces for had, and starts the verification of the candidates.
func (s *Swarm) beginCheck(candidates []uint32, trusted *piece.Bitfield, at stamp, eff *Effects) {
	s.epoch++
	for _, l := range s.landings {
		s.kill(l)
		s.picker.Fail(l.piece, false)
	}
	for i := range s.layout.NumPieces() {
		if s.picker.Have().Has(i) {
			s.picker.ClearHave(i)
		}
	}
	s.total.Have = 0
	s.haves = s.haves[:0]
	s.jobs.checking, s.jobs.candidates, s.jobs.total, s.jobs.out = true, candidates, len(candidates), 0
	s.mode = Checking
	eff.Jobs += len(candidates)
	for i := range s.layout.NumPieces() {
		if trusted != nil && trusted.Has(i) {
			s.gotPiece(i, at, eff)
		}
	}
	s.endCheck(at, eff)
}

func (s *Swarm) checkDone(j *Job, r Result, at stamp, eff *Effects) {
	if j.epoch != s.epoch {
		return
	}
	s.jobs.out--
	if r.OK && r.Err == nil {
		s.gotPiece(j.Piece, at, eff)
	}
	s.endCheck(at, eff)
}

func (s *Swarm) endCheck(at stamp, eff *Effects) {
	if c := &s.jobs; c.checking && c.out == 0 && len(c.candidates) == 0 {
		c.checking, c.candidates = false, nil
		eff.event(Event{Kind: Checked})
	}
}

// abandon gives up a running check, and with partials all that is being
// received: jobs with workers only return memory then.
func (s *Swarm) abandon(partials bool) {
	s.mode = Paused
	s.jobs.checking, s.jobs.candidates = false, nil
	if partials {
		s.epoch++
		for _, l := range s.landings {
			s.kill(l)
		}
	}
}
