package client

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed1734be99/starling/client/internal/conn"
	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
	"github.com/seed1734be99/starling/storage"
)

// Torrent is one torrent of a client. All methods are safe for concurrent
// use; after it is removed they do nothing, or fail with ErrRemoved.
type Torrent struct {
	// constant
	c      *Client
	ctx    context.Context // ends with the torrent
	cancel context.CancelFunc
	hashes metainfo.Hashes
	tag    any
	id     [20]byte // our peer id, and key, new for each torrent and session (T27)
	key    uint32
	added  time.Time
	store  storage.Storage
	dir    string

	g        *swarm.Guarded
	env      conn.Torrent
	conns    connTable
	known    *discover.Candidates
	trackers *discover.Trackers
	base     counterBase
	events   hub
	group    group
	dialing  atomic.Int32 // handshakes that we began
	clock    wakeup
	chooser  chooser
	up, down limit

	mu      sync.Mutex
	name    string
	info    *metainfo.Info
	data    storage.Torrent
	paused  bool
	trust   bool
	fault   error
	gone    error         // why it is closed
	changed chan struct{} // closed and replaced when any of this, or completion, changes
}

func newTorrent(c *Client, n news, spec *Spec) *Torrent {
	now := time.Now()
	t := &Torrent{
		c: c, hashes: n.hashes, tag: spec.Tag, id: newPeerID(), added: now, name: n.name,
		store: spec.Storage, dir: spec.Dir, paused: spec.Paused, trust: spec.Trust,
		up: newLimit(spec.Limits.Upload), down: newLimit(spec.Limits.Download),
		changed: make(chan struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(c.ctx)
	r := newRand()
	t.key = r.Uint32()
	if t.store == nil {
		t.store = c.cfg.Storage
	}
	t.known = discover.NewCandidates(discover.Backoff{Lost: c.cfg.Reconnect, Refused: c.cfg.ReconnectRefused}, newRand())
	if c.cfg.NoTrackers {
		n.tiers = nil
	}
	t.trackers = discover.NewTrackers(n.tiers, newRand())
	t.g = swarm.Guard(swarm.Config{
		Hashes: n.hashes, ID: t.id, Rand: r, Pool: c.recv, Now: now,
		MaxPeers: max(c.cfg.MaxPeersPerTorrent, 0), MaxRequests: c.cfg.MaxRequests, Slots: c.cfg.UploadSlots,
	})
	t.env = conn.Torrent{
		Swarm: t.g, Recv: c.recv, Send: c.send, Carry: t.carry, Fault: t.readFault, Go: t.group.Go,
		Up: both{t.up, c.limits.up}, Down: both{t.down, c.limits.down},
	}
	t.chooser.init(spec.Choker, c.cfg.Choker)
	t.clock.run = t.tick
	return t
}

// begin opens the data when the metadata is known, and lets the torrent run.
func (t *Torrent) begin(info *metainfo.Info, raw []byte, spec *Spec) error {
	if info != nil {
		if err := t.open(info, raw); err != nil {
			return err
		}
	} else if !t.paused {
		t.run()
	}
	t.AddPeers(spec.Peers...)
	return nil
}

// open opens the storage for the content and begins to check what is there.
func (t *Torrent) open(info *metainfo.Info, raw []byte) error {
	data, err := t.store.Open(storage.Spec{Name: info.Name, Hashes: t.hashes, Layout: info.Layout(), Dir: t.dir})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	t.mu.Lock()
	if t.gone != nil {
		t.mu.Unlock()
		data.Close()
		return t.gone
	}
	t.info, t.data, t.name = info, data, info.Name
	t.env.Data = data // read by writers behind SetContent
	t.mu.Unlock()
	var eff swarm.Effects
	now := time.Now()
	t.g.SetContent(swarm.Content{Layout: info.Layout(), Sums: info.Pieces}, now, &eff)
	t.g.SetMetadata(raw)
	t.carry(&eff, nil)
	t.check(t.trust)
	return nil
}

// check verifies the pieces that may be on disk; with trust they are taken
// for right.
func (t *Torrent) check(trust bool) {
	t.mu.Lock()
	data, layout := t.data, t.info.Layout()
	t.mu.Unlock()
	prober, _ := data.(storage.Prober)
	var candidates []uint32
	all := piece.NewBitfield(layout.NumPieces())
	for i := range layout.NumPieces() {
		if prober == nil || prober.Present(layout.Offset(i, 0), layout.PieceSize(i)) {
			candidates = append(candidates, uint32(i))
			all.Set(i)
		}
	}
	var eff swarm.Effects
	if trust {
		candidates = nil
	} else {
		all = nil
	}
	t.g.Check(candidates, all, time.Now(), &eff)
	t.changedState()
	t.carry(&eff, nil)
}

// checked follows the end of a check: the torrent runs unless it is paused.
func (t *Torrent) checked() {
	t.mu.Lock()
	run, data := !t.paused && t.gone == nil, t.data
	t.mu.Unlock()
	if t.g.Stats(time.Now()).Left == 0 {
		t.createEmpty(data)
	}
	if run {
		t.run()
	} else {
		t.halt(ErrPaused)
	}
	t.changedState()
}

// run lets peers in, connects, and announces.
func (t *Torrent) run() {
	var eff swarm.Effects
	now := time.Now()
	t.g.Start(now, &eff)
	st := t.g.Stats(now)
	t.base.start(&st)
	t.trackers.Start(now, st.Known && st.Left == 0)
	t.carry(&eff, nil)
	t.changedState()
	t.poke()
}

// halt drops the peers.
func (t *Torrent) halt(reason error) {
	var eff swarm.Effects
	t.g.Pause(reason, &eff)
	t.carry(&eff, nil)
}

// poke makes the scheduler look at the torrent now.
func (t *Torrent) poke() { t.c.clock.at(&t.clock, time.Now()) }

// tick is called by the scheduler: what is due by time, connections to be
// made, announces. It never waits.
func (t *Torrent) tick(now time.Time) {
	var eff swarm.Effects
	next := t.g.Tick(now, &eff)
	t.carry(&eff, nil)
	t.c.clock.at(&t.clock, next)
	t.c.clock.at(&t.clock, t.connect(now))
	t.c.clock.at(&t.clock, t.announce(now))
}

// changedState wakes everybody who waits for a change.
func (t *Torrent) changedState() {
	t.mu.Lock()
	close(t.changed)
	t.changed = make(chan struct{})
	t.mu.Unlock()
	if t.events.listening() {
		t.emit(Event{Kind: EventState, State: t.Stats().State})
	}
}

// Info returns the info dictionary, or nil before it is known. It must not be
// changed.
func (t *Torrent) Info() *metainfo.Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.info
}

// Hashes returns the torrent's identity.
func (t *Torrent) Hashes() metainfo.Hashes { return t.hashes }

// Tag returns the value that the torrent was added with.
func (t *Torrent) Tag() any { return t.tag }

// Name returns the torrent's name; before the metadata is known that of the
// magnet link, or the infohash.
func (t *Torrent) Name() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nameLocked()
}

func (t *Torrent) nameLocked() string {
	if t.name == "" {
		return t.hashes.String()
	}
	return t.name
}

// Magnet returns a link to the torrent with its trackers.
func (t *Torrent) Magnet() metainfo.Magnet {
	m := metainfo.Magnet{Hashes: t.hashes, Name: t.Name()}
	for _, s := range t.trackers.Status() {
		m.Trackers = append(m.Trackers, s.URL)
	}
	return m
}

// await returns nil when done says so, looking again after every change.
func (t *Torrent) await(ctx context.Context, done func() (bool, error)) error {
	for {
		t.mu.Lock()
		changed, gone := t.changed, t.gone
		t.mu.Unlock()
		if ok, err := done(); ok || err != nil {
			return err
		}
		if gone != nil {
			return gone
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Wait returns nil when every wanted piece is verified and written. It fails
// with a *FaultError when the torrent's data can't be kept, with ErrRemoved or
// ErrClosed, or when ctx ends, which leaves the torrent as it is.
func (t *Torrent) Wait(ctx context.Context) error {
	return t.await(ctx, func() (bool, error) {
		s := t.Stats()
		if s.State == Faulted {
			return false, s.Fault
		}
		return t.Info() != nil && s.Left == 0 && s.State != Checking, nil
	})
}

// Metadata returns when the info dictionary is known. Errors as for Wait.
func (t *Torrent) Metadata(ctx context.Context) (*metainfo.Info, error) {
	err := t.await(ctx, func() (bool, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.info != nil, t.fault
	})
	return t.Info(), err
}

// Pause closes all connections, says goodbye to the trackers, and writes what
// was received in part, so that the torrent holds no memory.
func (t *Torrent) Pause() {
	t.mu.Lock()
	if t.paused || t.gone != nil {
		t.mu.Unlock()
		return
	}
	t.paused = true
	t.mu.Unlock()
	t.base.stop()
	t.trackers.Stop(time.Now())
	if t.g.Stats(time.Now()).Mode != swarm.Checking { // a check goes on
		t.halt(ErrPaused)
	}
	t.changedState()
	t.poke()
}

// Resume lets a paused torrent run, or tries again after a fault.
func (t *Torrent) Resume() {
	t.mu.Lock()
	if t.gone != nil {
		t.mu.Unlock()
		return
	}
	t.paused, t.fault = false, nil
	t.mu.Unlock()
	if t.g.Stats(time.Now()).Mode != swarm.Checking {
		t.run()
	}
}

// Recheck verifies all data again, and returns when that is done or ctx
// ends; the check goes on then. Peers are gone meanwhile, and come back.
func (t *Torrent) Recheck(ctx context.Context) error {
	if t.Info() == nil {
		return ErrNoMetadata
	}
	t.halt(swarm.ErrRecheck)
	t.check(false)
	return t.await(ctx, func() (bool, error) {
		return t.g.Stats(time.Now()).Mode != swarm.Checking, nil
	})
}

// SetLimits changes the torrent's own rates, in bytes per second; 0 is none.
func (t *Torrent) SetLimits(l Limits) error {
	if l.Upload < 0 || l.Download < 0 {
		return errors.New("client: SetLimits: a limit is negative")
	}
	t.up.set(l.Upload)
	t.down.set(l.Download)
	return nil
}

// SetSlots changes how many interested peers are unchoked; 0: the strategy decides.
func (t *Torrent) SetSlots(n int) { t.g.SetSlots(max(n, 0)) }

// Announce asks the trackers for peers as soon as they allow.
func (t *Torrent) Announce() {
	t.trackers.Force(time.Now())
	t.poke()
}

func slashPath(p []string) string { return path.Join(p...) }

// createEmpty makes the files of no bytes, which no write would make.
func (t *Torrent) createEmpty(data storage.Torrent) {
	if e, ok := data.(storage.EmptyCreator); ok {
		if err := e.CreateEmpty(); err != nil {
			t.failed(err)
		}
	}
}
