package client

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/tracker"
)

// announcing is a torrent's trackers, and where the counters told to them
// begin: at the session's start (T2, T5). The totals of Stats go on.
type announcing struct {
	t        *Torrent
	schedule *discover.Trackers

	leaving group      // announces of "stopped", which go on when the torrent ends
	handing sync.Mutex // held while an answer is taken

	// Guarded by the client's announcers.
	in    *line // where it waits for its turn; nil: nowhere
	place int

	mu                   sync.Mutex
	running              bool
	ended                bool // what is due from now on is the farewell's
	uploaded, downloaded int64
}

// start begins a session, unless one runs.
func (a *announcing) start(now time.Time) {
	st := a.t.g.Stats(now)
	info := a.t.Info()
	private := info != nil && info.Private && !a.t.c.cfg.Trackers.Off
	a.mu.Lock()
	if !a.running {
		a.running = true
		if private {
			a.t.peers.known.Clear() // they are of the tracker of the session before; this one's may be another
		}
		a.uploaded, a.downloaded = st.Counters.Uploaded, honest(&st)
	}
	a.mu.Unlock()
	complete := st.Known && st.Left == 0
	a.schedule.Start(now, complete)
	if st := a.t.g.Stats(now); !complete && st.Known && st.Left == 0 {
		a.schedule.Complete(now) // since just now
	}
}

// stop ends the session: "stopped" is due then.
func (a *announcing) stop(now time.Time) {
	a.mu.Lock()
	a.running = false
	a.mu.Unlock()
	a.schedule.Stop(now)
}

// honest is the payload received that was neither duplicate nor failed its hash.
func honest(s *swarm.Stats) int64 { return max(s.Counters.Downloaded-s.Counters.Failed, 0) }

// announce gets in line if something is due, and returns when to look again.
func (a *announcing) announce(now time.Time) time.Time {
	announceURL, ok, wake := a.schedule.Peek(now)
	if ok {
		a.t.c.announces.want(a, announceURL, now)
	}
	return wake
}

// begin starts what is due, and reports whether there was something. What the
// schedule hands out is never dropped: behind end, it is left for the farewell.
func (a *announcing) begin(now time.Time) (began bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.ended {
		due, ok, wake := a.schedule.Next(now)
		if !ok {
			a.t.c.clock.at(&a.t.clock, wake)
			break
		}
		f, ok := a.t.c.announces.admit(due.URL, now)
		if !ok { // the next tracker has a line of its own
			a.schedule.Done(due, now, nil, errSilent)
			a.report(&due, errSilent)
			return false
		}
		began = true
		group := &a.t.group
		if due.Event == tracker.Stopped {
			group = &a.leaving
		}
		group.Go(func() { a.tell(due, f) })
	}
	return began
}

// end ends the session for good; call it before the torrent's group is closed.
func (a *announcing) end(now time.Time) {
	a.mu.Lock()
	a.running, a.ended = false, true
	a.mu.Unlock()
	a.schedule.Stop(now)
}

// tell makes one announce, and takes the peers it brings.
func (a *announcing) tell(due tracker.Due, f *flight) {
	t := a.t
	ctx, cancel := t.ctx, func() {}
	if due.Event == tracker.Stopped { // of a pause
		ctx, cancel = context.WithTimeout(t.c.farewell, goodbyeTime)
	}
	r, err := t.c.trackers.Announce(ctx, due.URL, a.request(&due))
	cancel()
	t.c.announces.ended(f, answered(err))
	if t.ctx.Err() != nil {
		a.end(time.Now()) // first, so that what was cut off is no failure of the tracker's
	}
	t.c.own.learn(r.ExternalIP)
	names, era := a.take(&due, &r, err)
	a.report(&due, err)
	if len(names) > 0 {
		t.peers.resolve(names, discover.OriginTracker, era)
	}
	t.poke()
}

// take hands an answer to the schedule, and does what that says of it: one
// answer at a time, so that no peers of a tracker that we left are taken behind
// the change.
func (a *announcing) take(due *tracker.Due, r *tracker.Response, err error) (names []string, era int32) {
	a.handing.Lock()
	defer a.handing.Unlock()
	out := a.schedule.Done(*due, time.Now(), r, err)
	if out.Switched { // BEP 27
		a.t.peers.renew(errSwitched)
	}
	if out.Use {
		names = a.takePeers(r.Peers)
	}
	return names, a.t.peers.era.Load()
}

// report tells the program. That a tracker can't be reached over one family is
// no news if it can over another, and comes again and again.
func (a *announcing) report(due *tracker.Due, err error) {
	t := a.t
	if errors.Is(err, errSilent) || err != nil && due.Family != tracker.AnyFamily && a.works(due.URL) {
		t.c.cfg.Logger.Debug("not announced", "torrent", t.Name(), "family", due.Family, "error", err)
		return
	}
	t.emit(Event{Kind: EventTracker, URL: due.URL, Err: err})
	if err != nil {
		t.c.cfg.Logger.Info("announce failed", "torrent", t.Name(), "event", due.Event, "error", err)
	}
}

// works reports whether a tracker answers over one family at least.
func (a *announcing) works(announceURL string) bool {
	for _, s := range a.schedule.Status() {
		if s.URL == announceURL {
			return s.Started && s.Fails == 0
		}
	}
	return false
}

func (a *announcing) request(due *tracker.Due) tracker.Request {
	t := a.t
	st := t.g.Stats(time.Now())
	a.mu.Lock()
	up, down := st.Counters.Uploaded-a.uploaded, honest(&st)-a.downloaded
	a.mu.Unlock()
	r := tracker.Request{
		InfoHash: t.hashes.Wire(), PeerID: t.id, Port: t.c.own.port, Key: t.key,
		Uploaded: up, Downloaded: max(down, 0), Left: st.Left,
		Event: due.Event, Family: due.Family, TrackerID: due.TrackerID, NumWant: -1, IP: t.c.cfg.Trackers.IP,
	}
	if !st.Known {
		r.Left = 1 // unknown, but not nothing: with 0 we would count as a seed
	}
	if most := t.c.cfg.MaxPeersPerTorrent; most > 0 && st.Peers >= most {
		r.NumWant = 0 // T6
	}
	return r
}

// takePeers adds what a tracker told, but for ourselves (T26), and returns the
// names that are to be looked up.
func (a *announcing) takePeers(peers []tracker.Peer) (names []string) {
	to := &a.t.peers
	for _, p := range peers {
		switch {
		case p.HasID && p.ID == a.t.id, a.t.c.own.is(p.Addr):
		case p.Addr.IsValid():
			k := discover.Candidate{Addr: p.Addr, Origin: discover.OriginTracker}
			if p.HasID {
				id := p.ID
				k.ID = &id
			}
			to.known.Add(k)
		case p.Host != "" && len(names) < maxResolved:
			names = append(names, net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))))
		}
	}
	return names
}
