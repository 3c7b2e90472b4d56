package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
	"github.com/seed1734be99/starling/storage"
)

// life is where a torrent is between being added and being gone:
//
//	noInfo → checking → running ↔ paused, fault → closed
//
// The swarm has the same states for what it does (its Mode); life knows what
// the program wants and why.
type life struct {
	t     *Torrent // constant
	store storage.Storage
	dir   string

	turn    sync.Mutex // held while swarm and trackers are told; taken before mu
	telling sync.Mutex // held while a change of state is told: in their order

	mu      sync.Mutex
	name    string
	info    *metainfo.Info
	data    storage.Torrent
	opening bool   // the metadata came, from a file or from peers
	raw     []byte // metadata that could not be used: Resume tries again
	paused  bool
	trust   bool          // the first check is left out
	checks  bool          // the first check is done
	told    State         // in the last event
	fault   error         // a *FaultError
	gone    error         // why it is closed
	changed chan struct{} // closed and replaced when any of this, or completion, changes
}

func (l *life) init(t *Torrent, name string, spec *Spec) {
	l.t, l.name, l.paused, l.trust = t, name, spec.Paused, spec.Trust
	l.store, l.dir = spec.Storage, spec.Dir
	if l.store == nil {
		l.store = t.c.cfg.Storage
	}
	l.changed = make(chan struct{})
}

func (l *life) nameLocked() string {
	if l.name == "" {
		return l.t.hashes.String()
	}
	return l.name
}

func (l *life) stateLocked(s *swarm.Stats) State {
	switch {
	case l.gone != nil:
		return Closed
	case l.fault != nil || s.Fault != nil:
		return Faulted
	case s.Mode == swarm.Checking:
		return Checking
	case l.paused || s.Mode == swarm.Paused:
		return Paused
	case s.Mode == swarm.NoInfo:
		return NoInfo
	}
	return Running
}

// learn takes the info dictionary of a file for a torrent that had none.
func (l *life) learn(info *metainfo.Info, raw []byte) error {
	if info == nil || !l.first() {
		return nil
	}
	err := l.open(info, raw)
	if err != nil {
		l.unusable(raw, err)
	}
	return err
}

// unusable puts metadata aside: the torrent stands still until Resume.
func (l *life) unusable(raw []byte, err error) {
	l.mu.Lock()
	l.raw = raw
	l.mu.Unlock()
	l.failed(err)
	l.settle()
}

// first claims the opening of the content; there is one.
func (l *life) first() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := !l.opening && l.gone == nil
	l.opening = true
	return ok
}

// begin opens the data when the metadata is known, and lets the torrent run.
func (l *life) begin(info *metainfo.Info, raw []byte) error {
	if info != nil {
		if !l.first() { // closed, or an addition of the same torrent was faster
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.gone
		}
		return l.open(info, raw)
	}
	l.settle()
	return nil
}

// open opens the storage for the content and begins to check what is there.
func (l *life) open(info *metainfo.Info, raw []byte) error {
	t := l.t
	data, err := l.store.Open(storage.Spec{Name: info.Name, Hashes: t.hashes, Layout: info.Layout(), Dir: l.dir})
	if err != nil {
		l.mu.Lock()
		l.opening = false
		l.mu.Unlock()
		return fmt.Errorf("client: %w", err)
	}
	l.turn.Lock() // until the swarm knows what l.info says it does: for a recheck
	l.mu.Lock()
	if l.gone != nil {
		l.mu.Unlock()
		l.turn.Unlock()
		data.Close()
		return l.gone
	}
	l.info, l.data, l.name = info, data, info.Name
	l.raw, l.fault = nil, nil // of an opening before
	t.env.Data = data
	l.mu.Unlock()
	if info.Private && !t.c.cfg.Trackers.Off {
		t.peers.becomePrivate()
	}
	var eff swarm.Effects
	t.g.SetMetadata(raw)
	t.g.SetContent(swarm.Content{Layout: info.Layout(), Sums: info.Pieces}, time.Now(), &eff)
	l.turn.Unlock()
	t.emit(Event{Kind: EventMetadata})
	t.carry(&eff, nil)
	l.check(l.trust)
	return nil
}

// check verifies the pieces that may be on disk; with trust they are taken
// for right.
func (l *life) check(trust bool) {
	l.mu.Lock()
	data, layout := l.data, l.info.Layout()
	l.mu.Unlock()
	prober, _ := data.(storage.Prober)
	var candidates []uint32
	var trusted *piece.Bitfield
	if trust {
		trusted = piece.NewBitfield(layout.NumPieces())
	}
	for i := range layout.NumPieces() {
		switch {
		case prober != nil && !prober.Present(layout.Offset(i, 0), layout.PieceSize(i)):
		case trust:
			trusted.Set(i)
		default:
			candidates = append(candidates, uint32(i))
		}
	}
	var eff swarm.Effects
	l.turn.Lock()
	if _, gone := l.wanted(); gone == nil {
		l.t.g.Check(candidates, trusted, time.Now(), &eff)
	}
	l.turn.Unlock()
	l.notify()
	l.t.carry(&eff, nil)
}

// checked follows the end of a check: the torrent runs unless it is paused.
func (l *life) checked() {
	l.makeEmpty()
	l.mu.Lock()
	l.checks = true
	l.mu.Unlock()
	l.settle()
}

// makeEmpty makes files of no bytes, which no write would make.
func (l *life) makeEmpty() {
	l.mu.Lock()
	data := l.data
	l.mu.Unlock()
	if e, ok := data.(storage.EmptyCreator); ok && l.t.g.Stats(time.Now()).Left == 0 {
		if err := e.CreateEmpty(); err != nil {
			l.failed(err)
		}
	}
}

// wanted tells what the program said last: whether it lets the torrent run,
// and why it is closed.
func (l *life) wanted() (run bool, gone error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.paused && l.raw == nil && l.gone == nil, l.gone
}

// idle reports whether there are to be no peers.
func (l *life) idle() bool {
	run, _ := l.wanted()
	return !run
}

// settle makes the swarm and the trackers do what is wanted: let peers in,
// connect and announce, or not. One at a time: the last who comes sees what
// was said last. A check goes on in any case, and settles in the end.
func (l *life) settle() {
	t, now := l.t, time.Now()
	var eff swarm.Effects
	l.turn.Lock()
	run, gone := l.wanted()
	checking := t.g.Stats(now).ToCheck > 0
	stop := gone == nil && !run // with gone, shut does the rest
	switch {
	case stop:
		t.trackers.stop(now)
		if !checking {
			t.g.Pause(ErrPaused, &eff)
		}
	case gone != nil:
	case !checking:
		t.g.Start(now, &eff)
		t.trackers.start(now)
	}
	l.turn.Unlock()
	t.carry(&eff, nil)
	if stop {
		if checking {
			t.peers.conns.closeAll(ErrPaused)
		}
		t.c.trim()
	}
	l.notify()
	t.poke()
}

// halt drops the peers and evicts what was received in part.
func (l *life) halt(reason error) {
	var eff swarm.Effects
	l.t.g.Pause(reason, &eff)
	l.t.carry(&eff, nil)
}

// verified reports whether the first check is done, and no other runs.
func (l *life) verified() bool {
	l.mu.Lock()
	checks := l.checks
	l.mu.Unlock()
	return checks && !l.checking()
}

func (l *life) checking() bool {
	s := l.t.g.Stats(time.Now())
	return s.Mode == swarm.Checking || s.ToCheck > 0
}

func (l *life) pause() {
	l.mu.Lock()
	if l.paused || l.gone != nil {
		l.mu.Unlock()
		return
	}
	l.paused = true
	l.mu.Unlock()
	l.settle()
}

// resume lets the torrent run, and tries again what failed.
func (l *life) resume() {
	l.mu.Lock()
	if l.gone != nil {
		l.mu.Unlock()
		return
	}
	raw, checks := l.raw, l.checks
	l.paused, l.fault, l.raw = false, nil, nil
	l.mu.Unlock()
	if checks {
		l.makeEmpty()
	}
	l.settle()
	if raw != nil {
		l.gotMetadata(raw)
	}
}

// recheck forgets a fault too: what was wrong with the disk is looked at anew.
func (l *life) recheck(ctx context.Context) error {
	l.mu.Lock()
	known, gone := l.info != nil, l.gone
	if known && gone == nil {
		l.fault = nil
	}
	l.mu.Unlock()
	switch {
	case gone != nil:
		return gone
	case !known:
		return ErrNoMetadata
	}
	l.halt(swarm.ErrRecheck)
	l.check(false)
	return l.await(ctx, func() (bool, error) { return !l.checking(), nil })
}

// gotMetadata takes an info dictionary that matches the infohash. It may
// still be one that we can't or won't use (RX5).
func (l *life) gotMetadata(raw []byte) {
	info, err := metainfo.ParseInfo(raw)
	if err == nil {
		if !l.first() {
			return
		}
		err = l.open(info, raw)
	}
	if err != nil {
		l.unusable(raw, fmt.Errorf("metadata: %w", err))
	}
}

// failed records that the torrent's data can't be kept.
func (l *life) failed(err error) {
	l.mu.Lock()
	if l.gone != nil || l.fault != nil {
		l.mu.Unlock()
		return
	}
	fault := &FaultError{Torrent: l.nameLocked(), Err: err}
	l.fault = fault
	l.mu.Unlock()
	l.t.c.cfg.Logger.Warn("fault", "torrent", fault.Torrent, "error", err)
	l.t.emit(Event{Kind: EventFault, Err: fault})
	l.notify()
}

// notify wakes everybody who waits for a change.
func (l *life) notify() {
	l.mu.Lock()
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	l.telling.Lock()
	defer l.telling.Unlock()
	now := l.t.Stats().State
	l.mu.Lock()
	news := now != l.told
	l.told = now // whether somebody listens or not: the next change is told to who comes later
	l.mu.Unlock()
	if news {
		l.t.emit(Event{Kind: EventState, State: now})
	}
}

// await returns nil when done says so, looking again after every change.
func (l *life) await(ctx context.Context, done func() (bool, error)) error {
	for {
		l.mu.Lock()
		changed, gone := l.changed, l.gone
		l.mu.Unlock()
		if gone != nil {
			return gone
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// quiet ends what a torrent does: peers first, so that its counters are final.
// False: that was done before.
func (l *life) quiet(reason error) bool {
	t := l.t
	l.mu.Lock()
	if l.gone != nil {
		l.mu.Unlock()
		return false
	}
	l.gone = reason
	l.mu.Unlock()
	t.cancel()
	t.c.clock.drop(&t.clock)
	l.turn.Lock() // behind it nobody starts anything
	t.trackers.end(time.Now())
	l.turn.Unlock()
	l.halt(reason)
	t.group.Close()
	return true
}

// ended is the last that is heard of a torrent.
func (l *life) ended() {
	l.notify()
	l.t.events.close()
}

// flush lets the disk workers finish what is queued, and closes the files.
func (l *life) flush(deleteData bool) error {
	l.mu.Lock()
	data := l.data
	l.mu.Unlock()
	l.t.g.Drain(deleteData)
	l.t.c.trim()
	if data == nil {
		return nil
	}
	if !deleteData {
		return data.Close()
	}
	if r, ok := data.(storage.Remover); ok {
		return r.Remove()
	}
	return errors.Join(data.Close(), fmt.Errorf("client: %s: its storage can't delete data: %w", l.t.Name(), errors.ErrUnsupported))
}
