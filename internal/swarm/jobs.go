package swarm

import (
	"hash"

	"github.com/seed1734be99/starling/metainfo"
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

	era   uint32 // of the queue
	epoch uint32 // of the check
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

// jobQueue is what the disk is to do, in order; the pieces of a running check
// come behind it.
//
// A barrier keeps jobs that write to one place apart: after it none begins
// before those that are with workers have ended. It is put up where what they
// do is void (a check begins, a piece is lost), since a write of theirs that
// comes late could hit a piece that is verified anew.
type jobQueue struct {
	s       *Swarm
	q       []queued // q[head:] waits
	head    int
	working int    // jobs with workers
	before  int    // of these, those from before the last barrier
	era     uint32 // raised by each barrier
}

// quiet reports whether nothing is queued and no worker is busy.
func (j *jobQueue) quiet() bool {
	return j.working == 0 && j.head == len(j.q) && !j.s.check.running
}

func (j *jobQueue) barrier() {
	j.era++
	j.before = j.working
}

func (j *jobQueue) push(q queued) {
	if j.head > 0 && len(j.q) == cap(j.q) {
		n := copy(j.q, j.q[j.head:])
		clear(j.q[n:])
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

// next fills in the next job, if there is one.
func (j *jobQueue) next(job *Job) bool {
	if j.before > 0 || !j.take(job) {
		return false
	}
	job.era = j.era
	j.working++
	return true
}

func (j *jobQueue) take(job *Job) bool {
	for {
		q, ok := j.pop()
		switch {
		case !ok:
			return j.s.check.next(job)
		case q.kind == JobMetadata:
			*job = Job{Kind: JobMetadata, Buf: j.s.metadata.buf, Sum: j.s.hashes.V1}
			return true
		case q.land.dead:
			q.land.slabs[q.slab].busy = false
			j.s.receiving.reap(q.land)
		default:
			j.fill(job, q)
			return true
		}
	}
}

// fill makes the job of a slab.
func (j *jobQueue) fill(job *Job, q queued) {
	s, l, sl := j.s, q.land, &q.land.slabs[q.slab]
	*job = Job{
		Kind: q.kind, Piece: l.piece, Size: int64(l.slabSize(q.slab)), Buf: sl.buf, Mem: sl.mem, Disk: sl.disk,
		Addr: s.layout.Offset(l.piece, int64(q.slab)*SlabSize),
		land: l, slab: q.slab,
	}
	if q.kind == JobVerify {
		job.Last = q.slab == len(l.slabs)-1
		job.Sum = s.sum(l.piece)
		job.Digest = l.begin(q.slab)
	}
}

// done takes a job's result.
func (j *jobQueue) done(job *Job, r Result, at stamp, eff *Effects) {
	s := j.s
	j.working--
	if job.era != j.era {
		if j.before--; j.before == 0 { // nobody was given any while they were waited for
			eff.Jobs += len(j.q) - j.head + len(s.check.candidates)
		}
	}
	switch job.Kind {
	case JobVerify:
		s.receiving.verified(job, r, at, eff)
	case JobEvict:
		s.receiving.evicted(job, r, eff)
	case JobCheck:
		s.check.done(job, r, at, eff)
	case JobMetadata:
		s.metadata.done(r, at, eff)
	}
	s.hurry(at, eff)
}
