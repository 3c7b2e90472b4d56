package client

import (
	"context"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client/internal/conn"
	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
	"github.com/seed1734be99/starling/tracker"
)

// Torrent is one torrent of a client. All methods are safe for concurrent
// use; after it is removed they do nothing, or fail with ErrRemoved.
type Torrent struct {
	// constant
	c      *Client
	hashes metainfo.Hashes
	tag    any
	added  time.Time
	id     [20]byte // our peer id, and key: new for each torrent and session (T27)
	key    uint32
	ctx    context.Context // ends with the torrent
	cancel context.CancelFunc
	g      *swarm.Guarded
	env    conn.Torrent // env.Data is set before the swarm has content, and read after

	// each guards itself
	life     life
	peers    peering
	trackers announcing
	chooser  chooser
	events   hub
	group    group  // connections, announces, rounds
	clock    wakeup // the scheduler's
	up, down limit
	wishes   wishes
}

func newTorrent(c *Client, n news, spec *Spec) *Torrent {
	now := time.Now()
	t := &Torrent{
		c: c, hashes: n.hashes, tag: spec.Tag, id: newPeerID(), added: now,
		up: newLimit(spec.Limits.Upload), down: newLimit(spec.Limits.Download),
	}
	t.ctx, t.cancel = context.WithCancel(c.ctx)
	r := newRand()
	t.key = r.Uint32()
	t.life.init(t, n.name, spec)
	t.peers.t = t
	t.peers.known = discover.NewCandidates(discover.Backoff{Lost: c.cfg.Reconnect, Refused: c.cfg.ReconnectRefused}, newRand())
	if c.cfg.Trackers.Off {
		n.tiers = nil
	}
	t.trackers.t = t
	t.trackers.schedule = discover.NewTrackers(tracker.ScheduleConfig{
		Trackers: n.tiers, Families: c.own.families(), All: c.cfg.Trackers.ToAll,
		Private: n.info != nil && n.info.Private, Rand: newRand(),
	})
	t.chooser.init(t, spec.Choker)
	t.wishes.init(t, swarm.Settings{Slots: c.limits.slots.total(0), SuperSeed: spec.SuperSeed})
	t.g = swarm.Guard(swarm.Config{
		Hashes: n.hashes, ID: t.id, Rand: r, Pool: c.recv, Now: now,
		MaxPeers: max(c.cfg.MaxPeersPerTorrent, 0), MaxRequests: c.cfg.MaxRequests, QueueLimit: queueLimit, Order: spec.Order,
		Settings: t.wishes.Settings,
	})
	t.env = conn.Torrent{
		Swarm: t.g, Recv: c.recv, Send: c.send, Carry: t.carry, Extended: t.peers.extended, Listens: t.peers.listens, Fault: t.life.readFault, Go: t.group.Go,
	}
	limitConns(t)
	t.clock.run = t.tick
	return t
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
	t.c.clock.at(&t.clock, t.peers.connect(now))
	t.c.clock.at(&t.clock, t.trackers.announce(now))
}

// Info returns the info dictionary, or nil before it is known. It must not be
// changed.
func (t *Torrent) Info() *metainfo.Info {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	return t.life.info
}

// Hashes returns the torrent's identity.
func (t *Torrent) Hashes() metainfo.Hashes { return t.hashes }

// Tag returns the value that the torrent was added with.
func (t *Torrent) Tag() any { return t.tag }

// Name returns the torrent's name; before the metadata is known that of the
// magnet link, or the infohash.
func (t *Torrent) Name() string {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	return t.life.nameLocked()
}

// Magnet returns a link to the torrent with its trackers.
func (t *Torrent) Magnet() metainfo.Magnet {
	m := metainfo.Magnet{Hashes: t.hashes, Name: t.Name()}
	for _, s := range t.Trackers() {
		m.Trackers = append(m.Trackers, s.URL)
	}
	return m
}

// Wait returns nil when every wanted piece is verified and written. It fails
// with a *FaultError when the torrent's data can't be kept, with ErrRemoved or
// ErrClosed, or when ctx ends, which leaves the torrent as it is.
func (t *Torrent) Wait(ctx context.Context) error {
	return t.life.await(ctx, func() (bool, error) {
		if s := t.Stats(); s.State == Faulted {
			return false, s.Fault
		}
		s := t.g.Stats(time.Now())
		return s.Known && s.Left == 0 && t.life.verified(), nil
	})
}

// Checked returns when what is on disk is verified: Stats tells what is had
// then. Errors as for Wait.
func (t *Torrent) Checked(ctx context.Context) error {
	return t.life.await(ctx, func() (bool, error) {
		if s := t.Stats(); s.State == Faulted {
			return false, s.Fault
		}
		return t.life.verified(), nil
	})
}

// Metadata returns the info dictionary as soon as it is known. Errors as for
// Wait.
func (t *Torrent) Metadata(ctx context.Context) (*metainfo.Info, error) {
	err := t.life.await(ctx, func() (bool, error) {
		t.life.mu.Lock()
		defer t.life.mu.Unlock()
		if t.life.info != nil {
			return true, nil
		}
		return false, t.life.fault
	})
	return t.Info(), err
}

// Pause closes all connections, says goodbye to the trackers, and writes what
// was received in part, so that the torrent holds no memory. A check that is
// running goes on.
func (t *Torrent) Pause() { t.life.pause() }

// Resume lets a paused torrent run, or tries again after a fault.
func (t *Torrent) Resume() { t.life.resume() }

// Recheck verifies all data again, and returns when that is done or ctx
// ends; the check goes on then. Peers are gone meanwhile, and come back.
// Before the metadata is known it fails with ErrNoMetadata.
func (t *Torrent) Recheck(ctx context.Context) error { return t.life.recheck(ctx) }

// SetSlots says how many interested peers of this torrent are unchoked; 0: its
// share of the client's ([Config.UploadSlots]), within ten seconds.
func (t *Torrent) SetSlots(n int) {
	t.wishes.change(func(w *wishes) {
		if w.ownSlots = n > 0; w.ownSlots {
			w.Slots = n
		}
	})
}

// SetOrder exchanges the rule by which pieces are begun, nil for the rarest
// first; [piece.InOrder] is sequential. It takes effect with the next request.
// Unlike a choking strategy, the rule is asked while the torrent is locked: it
// must be quick, and must call nothing of the client.
func (t *Torrent) SetOrder(by piece.Strategy) {
	var eff swarm.Effects
	t.g.SetOrder(by, time.Now(), &eff)
	t.carry(&eff, nil)
}

// SetSuperSeed turns super-seeding on or off (BEP 16): while the torrent is
// complete, each peer is shown one piece, and the next when another peer has got
// that one. It is for the only seed of a new torrent: every piece is out once
// before any is sent twice (P7), but a peer alone gets no further.
func (t *Torrent) SetSuperSeed(on bool) {
	t.wishes.change(func(w *wishes) { w.SuperSeed = on })
}

// SetChoker exchanges the torrent's choking strategy, nil for the default. It
// takes effect with the next round, within ten seconds.
func (t *Torrent) SetChoker(s choke.Strategy) { t.chooser.set(s) }

// Announce asks the trackers for peers as soon as they allow.
func (t *Torrent) Announce() {
	t.trackers.schedule.Force(time.Now())
	t.poke()
}

// Scrape asks the trackers how many seeds and leeches they count, in the order in
// which they are tried, until one answers (T12); Trackers shows the counts too. A
// torrent that the tracker does not know has none. The error is that of the last
// tracker asked; without any it is [ErrNoTracker].
func (t *Torrent) Scrape(ctx context.Context) (tracker.ScrapeFile, error) {
	err := ErrNoTracker
	for _, s := range t.Trackers() {
		if s.Unsupported {
			continue
		}
		var r tracker.ScrapeResponse
		if r, err = t.c.trackers.Scrape(ctx, s.URL, t.hashes.Wire()); err == nil {
			f := r.Files[t.hashes.Wire()]
			t.trackers.schedule.Scraped(s.URL, f.Complete, f.Incomplete, f.Downloaded)
			return f, nil
		}
	}
	return tracker.ScrapeFile{}, err
}

// AddPeers adds addresses to connect to, "host:port". Names are resolved in
// the background; what is no address is ignored. A private torrent connects
// only to peers of its trackers (BEP 27, T18), so none are taken for it, unless
// trackers are turned off: then there is nobody else to ask.
func (t *Torrent) AddPeers(addresses ...string) {
	if info := t.Info(); info != nil && info.Private && !t.c.cfg.Trackers.Off {
		return
	}
	t.peers.add(addresses, discover.OriginManual)
}
