package client

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/tracker"
)

const announceRetry = 100 * time.Millisecond // when all announcers are busy

// announcing is a torrent's trackers, and where the counters told to them
// begin: at the session's start (T2, T5). The totals of Stats go on.
type announcing struct {
	t        *Torrent
	schedule *discover.Trackers

	mu                   sync.Mutex
	running              bool
	ended                bool // what is due from now on is goodbye's
	uploaded, downloaded int64
}

// start begins a session, unless one runs.
func (a *announcing) start(now time.Time) {
	st := a.t.g.Stats(now)
	a.mu.Lock()
	if !a.running {
		a.running = true
		a.uploaded, a.downloaded = st.Counters.Uploaded, honest(&st)
	}
	a.mu.Unlock()
	a.schedule.Start(now, st.Known && st.Left == 0)
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

// announce starts what the schedule says is due, and returns when to look again.
func (a *announcing) announce(now time.Time) time.Time {
	t := a.t
	for {
		if !t.c.announce.take() {
			return now.Add(announceRetry)
		}
		ok, next := a.begin(now)
		if !ok {
			t.c.announce.give()
			return next
		}
	}
}

// begin starts one announce, if one is due. What the schedule hands out is
// never dropped: behind end, it is left for goodbye.
func (a *announcing) begin(now time.Time) (ok bool, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return false, time.Time{}
	}
	due, ok, next := a.schedule.Next(now)
	if !ok {
		return false, next
	}
	return a.t.group.Go(func() { a.tell(due) }), time.Time{}
}

// end ends the session for good; call it before the torrent's group is closed.
func (a *announcing) end(now time.Time) {
	a.mu.Lock()
	a.running, a.ended = false, true
	a.mu.Unlock()
	a.schedule.Stop(now)
}

// tell makes one announce, and takes the peers it brings.
func (a *announcing) tell(due tracker.Due) {
	t := a.t
	ctx := t.ctx
	if due.Event == tracker.Stopped { // of a pause: goes on when the torrent ends
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.c.farewell, goodbyeTime)
		defer cancel()
	}
	r, err := t.c.trackers.Announce(ctx, due.URL, a.request(due))
	t.c.announce.give()
	a.schedule.Done(due, time.Now(), &r, err)
	t.emit(Event{Kind: EventTracker, URL: due.URL, Err: err})
	if err != nil {
		t.c.cfg.Logger.Info("announce failed", "torrent", t.Name(), "event", due.Event, "error", err)
	}
	a.takePeers(r.Peers)
	t.poke()
}

func (a *announcing) request(due tracker.Due) tracker.Request {
	t := a.t
	st := t.g.Stats(time.Now())
	a.mu.Lock()
	up, down := st.Counters.Uploaded-a.uploaded, honest(&st)-a.downloaded
	a.mu.Unlock()
	r := tracker.Request{
		InfoHash: t.hashes.Wire(), PeerID: t.id, Port: t.c.port, Key: t.key,
		Uploaded: up, Downloaded: max(down, 0), Left: st.Left,
		Event: due.Event, TrackerID: due.TrackerID, NumWant: -1,
	}
	if !st.Known {
		r.Left = 1 // unknown, but not nothing: with 0 we would count as a seed
	}
	if most := t.c.cfg.MaxPeersPerTorrent; most > 0 && st.Peers >= most {
		r.NumWant = 0 // T6
	}
	return r
}

// takePeers adds what a tracker told, but for ourselves (T26).
func (a *announcing) takePeers(peers []tracker.Peer) {
	to := &a.t.peers
	var names []string
	for _, p := range peers {
		switch {
		case p.HasID && p.ID == a.t.id:
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
	if len(names) > 0 {
		to.resolve(names, discover.OriginTracker)
	}
}

// goodbye sends what is due after a stop, to all trackers side by side, and
// waits for it. The end of one announce may make the next one due.
func (a *announcing) goodbye(ctx context.Context) {
	var wg sync.WaitGroup
	var tell func()
	tell = func() {
		for due, ok, _ := a.schedule.Next(time.Now()); ok; due, ok, _ = a.schedule.Next(time.Now()) {
			wg.Go(func() {
				r, err := a.t.c.trackers.Announce(ctx, due.URL, a.request(due))
				a.schedule.Done(due, time.Now(), &r, err)
				tell()
			})
		}
	}
	tell()
	wg.Wait()
}
