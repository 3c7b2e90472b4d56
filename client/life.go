package client

import (
	"context"
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

	mu      sync.Mutex
	name    string
	info    *metainfo.Info
	data    storage.Torrent
	opening bool // the metadata came, from a file or from peers
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
	l.t.emit(Event{Kind: EventMetadata})
	err := l.open(info, raw)
	if err != nil {
		l.failed(err)
		l.halt(err)
	}
	return err
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
	if !l.paused {
		l.run()
	}
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
	l.mu.Lock()
	if l.gone != nil {
		l.mu.Unlock()
		data.Close()
		return l.gone
	}
	l.info, l.data, l.name = info, data, info.Name
	t.env.Data = data
	l.mu.Unlock()
	var eff swarm.Effects
	t.g.SetMetadata(raw)
	t.g.SetContent(swarm.Content{Layout: info.Layout(), Sums: info.Pieces}, time.Now(), &eff)
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
	l.t.g.Check(candidates, trusted, time.Now(), &eff)
	l.notify()
	l.t.carry(&eff, nil)
}

// checked follows the end of a check: the torrent runs unless it is paused.
func (l *life) checked() {
	l.mu.Lock()
	l.checks = true
	run, data := !l.paused && l.gone == nil, l.data
	l.mu.Unlock()
	if e, ok := data.(storage.EmptyCreator); ok && l.t.g.Stats(time.Now()).Left == 0 {
		if err := e.CreateEmpty(); err != nil { // files of no bytes, which no write would make
			l.failed(err)
		}
	}
	if run {
		l.run()
	} else {
		l.halt(ErrPaused)
		l.notify()
	}
}

// run lets peers in, connects, and announces.
func (l *life) run() {
	t := l.t
	var eff swarm.Effects
	now := time.Now()
	t.g.Start(now, &eff)
	t.trackers.start(now)
	t.carry(&eff, nil)
	l.mu.Lock()
	over := l.paused || l.gone != nil // while this ran: what was said last holds
	l.mu.Unlock()
	if over {
		t.trackers.stop(now)
		l.halt(ErrPaused)
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

func (l *life) verified() bool {
	l.mu.Lock()
	checks := l.checks
	l.mu.Unlock()
	return checks && !l.checking()
}

func (l *life) checking() bool { return l.t.g.Stats(time.Now()).Mode == swarm.Checking }

func (l *life) pause() {
	l.mu.Lock()
	if l.paused || l.gone != nil {
		l.mu.Unlock()
		return
	}
	l.paused = true
	l.mu.Unlock()
	l.t.trackers.stop(time.Now())
	if !l.checking() { // a check goes on, and looks at paused in the end
		l.halt(ErrPaused)
	}
	l.mu.Lock()
	again := !l.paused && l.gone == nil // resumed meanwhile
	l.mu.Unlock()
	if again && !l.checking() {
		l.run()
		return
	}
	l.notify()
	l.t.poke()
}

func (l *life) resume() {
	l.mu.Lock()
	if l.gone != nil {
		l.mu.Unlock()
		return
	}
	l.paused, l.fault = false, nil
	l.mu.Unlock()
	if l.checking() {
		l.notify()
		return
	}
	l.run()
}

func (l *life) recheck(ctx context.Context) error {
	l.mu.Lock()
	known, gone := l.info != nil, l.gone
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
		l.t.emit(Event{Kind: EventMetadata})
		err = l.open(info, raw)
	}
	if err != nil {
		l.failed(fmt.Errorf("metadata: %w", err))
		l.halt(err)
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

// shut closes one torrent: peers first, so that the counters are final; then
// the trackers are told while the disk workers finish; then the files.
func (l *life) shut(ctx context.Context, reason error, deleteData bool) error {
	t := l.t
	l.mu.Lock()
	if l.gone != nil {
		l.mu.Unlock()
		return nil
	}
	l.gone = reason
	data := l.data
	l.mu.Unlock()
	t.cancel()
	t.c.clock.drop(&t.clock)
	t.trackers.end(time.Now())
	l.halt(reason)
	t.group.Close()
	var wg sync.WaitGroup
	wg.Go(func() { t.trackers.goodbye(ctx) })
	err := l.flush(data, deleteData)
	wg.Wait()
	l.notify()
	t.events.close()
	return err
}

// flush lets the disk workers finish what is queued, and closes the files.
func (l *life) flush(data storage.Torrent, deleteData bool) error {
	l.t.g.Drain(deleteData)
	if data == nil {
		return nil
	}
	if r, ok := data.(storage.Remover); ok && deleteData {
		return r.Remove()
	}
	return data.Close()
}
