package tracker

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	closeTime   = 5 * time.Second // for all farewells of an Announcer together
	failingTime = time.Second     // for one to a tracker that fails anyway
	sideBySide  = 16              // announces under way at a time
	goodbyes    = 64              // the same, once it ends
)

// AnnouncerConfig says what an [Announcer] announces.
type AnnouncerConfig struct {
	Client   *Client    // nil: one with the defaults
	Trackers [][]string // tiers of announce URLs (BEP 12); websocket trackers are shown but not asked
	InfoHash [20]byte
	PeerID   [20]byte // required
	Port     uint16   // where we listen
	Key      uint32   // 0: a random one
	IP       string   // see Request.IP
	// Families, All and Private are those of ScheduleConfig.
	Families []Family
	All      bool
	Private  bool
	// Counters says how far we are; required. It is called from the announcer's
	// goroutines right before each announce, also by several at once. A torrent
	// with nothing left at the call that NewAnnouncer makes is announced as
	// complete from the start.
	Counters func() Counters
	// Peers gets the peers of an answer that has some, and owns the slice.
	// Switched is called before, when a private torrent has changed its tracker:
	// all peers from before are to be dropped (BEP 27). They are called from the
	// announcer's goroutines, one call at a time, and must neither block for long
	// nor call Close. nil: not called.
	Peers    func([]Peer)
	Switched func()
}

// Counters is how far a torrent is, in bytes. Uploaded and Downloaded may count
// from any point in time: trackers are told what was added since NewAnnouncer.
type Counters struct {
	Uploaded, Downloaded, Left int64
	Enough                     bool // no more peers are wanted
	PartialSeed                bool // see Request.PartialSeed
}

// Announcer keeps one torrent announced, from NewAnnouncer to Close, as
// [Schedule] says. To pause a torrent, close its announcer; to resume it, make
// another. All methods are safe for concurrent use.
type Announcer struct {
	cfg    AnnouncerConfig
	base   Counters // at the start
	ctx    context.Context
	cancel context.CancelFunc
	poke   chan struct{} // holds one: the schedule has news
	done   chan struct{} // closed when the goroutine has ended
	err    error         // of the farewells; good after done

	work sync.WaitGroup // the announces under way

	handing sync.Mutex // held over Done and the callbacks that it leads to

	mu       sync.Mutex
	schedule *Schedule // guarded by mu
	closed   bool      // guarded by mu: what is due now is the farewells'
}

// NewAnnouncer starts to announce at once. It keeps cfg and what it points to.
func NewAnnouncer(cfg AnnouncerConfig) (*Announcer, error) {
	if cfg.Counters == nil {
		return nil, errors.New("tracker: AnnouncerConfig.Counters is nil")
	}
	if cfg.PeerID == ([20]byte{}) {
		return nil, errors.New("tracker: AnnouncerConfig.PeerID is not set")
	}
	if cfg.Client == nil {
		cfg.Client = new(Client)
	}
	var seed [20]byte
	crand.Read(seed[:]) // never fails
	if cfg.Key == 0 {
		cfg.Key = binary.BigEndian.Uint32(seed[16:])
	}
	rnd := rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:]), binary.BigEndian.Uint64(seed[8:])))
	a := &Announcer{
		cfg:  cfg,
		base: cfg.Counters(),
		poke: make(chan struct{}, 1),
		done: make(chan struct{}),
		schedule: NewSchedule(ScheduleConfig{
			Trackers: cfg.Trackers, Families: cfg.Families, All: cfg.All, Private: cfg.Private, Rand: rnd,
		}),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.schedule.Start(time.Now(), a.base.Left == 0)
	go a.run()
	return a, nil
}

// Complete says that the download has finished. Later calls do nothing.
func (a *Announcer) Complete() { a.tell(func(now time.Time) { a.schedule.Complete(now) }) }

// Force asks for an announce as soon as the tracker's minimum interval allows.
func (a *Announcer) Force() { a.tell(func(now time.Time) { a.schedule.Force(now) }) }

// AddTrackers adds tiers below the present ones.
func (a *Announcer) AddTrackers(tiers [][]string) {
	a.tell(func(now time.Time) { a.schedule.AddTrackers(now, tiers) })
}

// Status returns what is known of each tracker.
func (a *Announcer) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.schedule.Status()
}

// SetPrivate says that the torrent has turned out to be private; see
// [Schedule.SetPrivate].
func (a *Announcer) SetPrivate() { a.tell(func(now time.Time) { a.schedule.SetPrivate(now) }) }

// Close cuts off what is under way, tells the trackers that know of us that we
// stop, side by side, and waits for that: at most five seconds, and one for a
// tracker that has failed the last time. It returns what went wrong with the
// farewells. Later calls wait too and return the same.
func (a *Announcer) Close() error {
	a.mu.Lock()
	a.closed = true
	a.schedule.Stop(time.Now())
	a.mu.Unlock()
	a.cancel()
	<-a.done
	return a.err
}

func (a *Announcer) tell(what func(now time.Time)) {
	a.mu.Lock()
	what(time.Now())
	a.mu.Unlock()
	a.wake()
}

func (a *Announcer) wake() {
	select {
	case a.poke <- struct{}{}:
	default:
	}
}

// run is the announcer's goroutine. It starts the announces that are due.
func (a *Announcer) run() {
	defer close(a.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	slots := make(chan struct{}, sideBySide)
	for a.ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-a.ctx.Done():
			continue
		}
		due, ok, wake := a.next(false)
		if ok {
			a.work.Go(func() {
				a.announce(a.ctx, due)
				<-slots
				a.wake()
			})
			continue
		}
		<-slots
		var alarm <-chan time.Time
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
			alarm = timer.C
		}
		select {
		case <-a.ctx.Done():
		case <-a.poke:
		case <-alarm:
		}
	}
	a.work.Wait()
	a.err = a.farewell()
}

// next asks the schedule: for the farewells, or for what comes before.
func (a *Announcer) next(farewell bool) (Due, bool, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != farewell {
		return Due{}, false, time.Time{}
	}
	return a.schedule.Next(time.Now())
}

func (a *Announcer) announce(ctx context.Context, due Due) error {
	now := a.cfg.Counters()
	want := -1
	if now.Enough {
		want = 0
	}
	resp, err := a.cfg.Client.Announce(ctx, due.URL, Request{
		InfoHash: a.cfg.InfoHash, PeerID: a.cfg.PeerID,
		Port: a.cfg.Port, Key: a.cfg.Key, IP: a.cfg.IP,
		Uploaded:   now.Uploaded - a.base.Uploaded,
		Downloaded: now.Downloaded - a.base.Downloaded,
		Left:       now.Left,
		Event:      due.Event,
		Family:     due.Family,
		NumWant:    want,
		TrackerID:  due.TrackerID, PartialSeed: now.PartialSeed,
	})
	a.report(due, &resp, err)
	return err
}

// report hands on an outcome: what the schedule says of it and what comes of
// that belong together, so that no peers slip behind a switch.
func (a *Announcer) report(due Due, resp *Response, err error) {
	a.handing.Lock()
	defer a.handing.Unlock()
	a.mu.Lock()
	o := a.schedule.Done(due, time.Now(), resp, err)
	a.mu.Unlock()
	if o.Switched && a.cfg.Switched != nil {
		a.cfg.Switched()
	}
	if o.Use && len(resp.Peers) > 0 && a.cfg.Peers != nil {
		a.cfg.Peers(resp.Peers)
	}
}

// farewell says goodbye to all trackers side by side: to each endpoint what it
// has to hear still, one after the other.
func (a *Announcer) farewell() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var (
		slots = make(chan struct{}, goodbyes)
		mu    sync.Mutex
		errs  []error
		tell  func()
	)
	tell = func() {
		for due, ok, _ := a.next(true); ok; due, ok, _ = a.next(true) {
			a.work.Go(func() {
				slots <- struct{}{} // they come free when ctx ends, at the latest
				err := a.goodbye(ctx, due)
				<-slots
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				tell()
			})
		}
	}
	tell()
	a.work.Wait()
	return errors.Join(errs...)
}

func (a *Announcer) goodbye(ctx context.Context, due Due) error {
	if due.Failing {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, failingTime)
		defer cancel()
	}
	return a.announce(ctx, due)
}
