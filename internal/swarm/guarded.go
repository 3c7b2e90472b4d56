package swarm

import (
	"sync"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// Guarded is a swarm and the torrent's only mutex. It is safe for concurrent
// use. The mutex is never held across a system call, a hash, a copy of block
// data, or a user's code; under it only leaf locks are taken (the pool's).
type Guarded struct {
	mu    sync.Mutex
	quiet sync.Cond // no job is queued or with a worker
	s     *Swarm
}

// Guard puts a mutex around a new swarm.
func Guard(c Config) *Guarded {
	g := &Guarded{s: New(c)}
	g.quiet.L = &g.mu
	return g
}

// SetContent takes the layout and the hashes, once. The mode is unchanged.
func (g *Guarded) SetContent(c Content, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.s.layout == nil {
		g.s.setContent(c, g.s.at(now), eff)
	}
}

// SetMetadata takes the info dictionary that peers may fetch from us. It
// must not be changed afterwards.
func (g *Guarded) SetMetadata(raw []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.metadata.raw = raw
}

// Start lets peers join and asks them for blocks. It clears a fault.
func (g *Guarded) Start(now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.start(g.s.at(now), eff)
}

// Pause drops all peers for reason, and evicts what was received in part.
func (g *Guarded) Pause(reason error, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.pause(eff, reason)
}

// Check begins to verify the candidates. The trusted pieces (nil: none) are
// taken for had, everything else for missing. The event Checked tells the end.
func (g *Guarded) Check(candidates []uint32, trusted *piece.Bitfield, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.check.begin(candidates, trusted, g.s.at(now), eff)
}

// Drain waits until the workers have done what is queued; a running check is
// given up, and with abandon so is what is being received. It is for the end
// of a swarm: it is not to be started again.
func (g *Guarded) Drain(abandon bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.abandon(abandon)
	for !g.s.jobs.quiet() {
		g.quiet.Wait()
	}
}

// Join adds a peer. It fails with [ErrNotRunning], [ErrFull] or
// [ErrDuplicate]. hello is an encoded message that is sent behind our
// bitfield.
func (g *Guarded) Join(id Identity, hello []byte, now time.Time, eff *Effects) (PeerID, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s.members.join(id, hello, g.s.at(now), eff)
}

// Leave removes a peer whose connection is closed; claims of its reader stay
// valid and must still be handed to Landed.
func (g *Guarded) Leave(id PeerID, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.s.members.get(id); p != nil {
		g.s.members.leave(p, g.s.at(now), eff)
	}
}

// Batch takes messages in order and says how many it took: fewer than all
// when a block found no memory. The caller copies st.Claims and hands them to
// Landed, then waits for memory and comes again with the rest. An error means
// that the connection is to be closed. Extended messages are not for Batch.
func (g *Guarded) Batch(id PeerID, now time.Time, msgs []peerwire.Message, st *Step) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.s.members.get(id)
	if p == nil {
		return 0, ErrNotRunning
	}
	return g.s.batch(p, g.s.at(now), msgs, st)
}

// Landed takes claims back whose bytes are in place.
func (g *Guarded) Landed(claims []Claim, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.receiving.landed(claims, g.s.at(now), eff)
}

// Fill hands a writer what to send: control bytes, and a run of at most
// maxRun adjacent blocks. False: there is nothing, and the writer ends.
func (g *Guarded) Fill(id PeerID, now time.Time, maxRun int, out *Out) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.s.members.get(id)
	return p != nil && g.s.sending.fill(p, g.s.at(now), maxRun, out)
}

// Sent counts the payload of blocks wholly written to a peer.
func (g *Guarded) Sent(id PeerID, now time.Time, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.sending.sent(g.s.members.get(id), g.s.at(now), n)
}

// Hold tells that the reader of a peer begins or ends waiting for us: the
// peer's clocks stand still meanwhile.
func (g *Guarded) Hold(id PeerID, on bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.s.members.get(id); p != nil {
		p.hold(on, g.s.at(now))
	}
}

// ExtHandshake takes a peer's extended handshake, first or later (merged by
// the caller).
func (g *Guarded) ExtHandshake(id PeerID, hs peerwire.ExtHandshake, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.s.members.get(id); p != nil {
		g.s.metadata.extHandshake(p, hs, g.s.at(now), eff)
	}
}

// Metadata takes a ut_metadata message.
func (g *Guarded) Metadata(id PeerID, m peerwire.MetadataMsg, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.s.members.get(id); p != nil {
		g.s.metadata.onMessage(p, m, g.s.at(now), eff)
	}
}

// NextJob fills in the next job for a disk worker, if there is one.
func (g *Guarded) NextJob(j *Job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	ok := g.s.jobs.next(j)
	if !ok && g.s.jobs.quiet() {
		g.quiet.Broadcast()
	}
	return ok
}

// JobDone takes a job's result.
func (g *Guarded) JobDone(j *Job, r Result, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.jobs.done(j, r, g.s.at(now), eff)
	if g.s.jobs.quiet() {
		g.quiet.Broadcast()
	}
}

// Fault records that the disk failed outside of a job.
func (g *Guarded) Fault(err error, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.setFault(err, eff)
}

// Evict begins to give back slabs of at least need bytes, if there are any.
func (g *Guarded) Evict(need int64, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.receiving.evict(need, g.s.at(now), 0, eff)
}

// Tick does what time brings about, and returns when it is to be called
// next; the zero time: not before another input.
func (g *Guarded) Tick(now time.Time, eff *Effects) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.s.tick(g.s.at(now), eff)
	if next == 0 {
		return time.Time{}
	}
	return g.s.base.Add(next)
}

// Snapshot fills in a choking round and returns its number.
func (g *Guarded) Snapshot(r *choke.Round, now time.Time) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s.choking.snapshot(r, g.s.at(now))
}

// Apply carries out the decision of the round with that number.
func (g *Guarded) Apply(round uint64, d choke.Decision, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.choking.apply(round, d, g.s.at(now), eff)
}

// Set changes the settings, all of them.
func (g *Guarded) Set(to Settings, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ended := g.s.settings.SuperSeed && !to.SuperSeed
	if g.s.settings = to; ended {
		g.s.showing.end(eff)
		g.s.showing.super = nil
	}
}

// SetOrder exchanges the rule by which pieces are begun; nil: rarest first. It
// is asked under the lock.
func (g *Guarded) SetOrder(by piece.Strategy, now time.Time, eff *Effects) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.s.setOrder(by, g.s.at(now), eff)
}

// Stats returns a snapshot.
func (g *Guarded) Stats(now time.Time) Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s.stats(g.s.at(now))
}

// Peers appends a snapshot of each peer to dst.
func (g *Guarded) Peers(dst []PeerStats, now time.Time) []PeerStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s.peerStats(dst, g.s.at(now))
}

// Have returns a copy of the pieces had; nil before the content is known.
func (g *Guarded) Have() *piece.Bitfield {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.s.picker == nil {
		return nil
	}
	return g.s.picker.Have().Clone()
}

// NumPieces returns the number of pieces; 0 before the content is known.
func (g *Guarded) NumPieces() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.s.layout == nil {
		return 0
	}
	return g.s.layout.NumPieces()
}
