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

	inLine bool // waits for its turn to announce; guarded by the client's announcers

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
func (a *announcing) begin(now time.Time, f *flight) (began bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.ended {
		due, ok, wake := a.schedule.Next(now)
		if !ok {
			a.t.c.clock.at(&a.t.clock, wake)
			break
		}
		mine := f
		if began {
			mine = a.t.c.announces.another(f, now)
		}
		began = true
		a.t.group.Go(func() { a.tell(due, mine) })
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
	ctx := t.ctx
	if due.Event == tracker.Stopped { // of a pause: goes on when the torrent ends
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.c.farewell, goodbyeTime)
		defer cancel()
	}
	r, err := t.c.trackers.Announce(ctx, due.URL, a.request(&due))
	t.c.announces.ended(f)
	out := a.schedule.Done(due, time.Now(), &r, err)
	a.report(&due, err)
	t.c.own.learn(r.ExternalIP)
	if out.Switched { // BEP 27
		t.peers.renew(errSwitched)
	}
	if out.Use {
		a.takePeers(r.Peers)
	}
	t.poke()
}

// report tells the program. That a tracker has no address of one family is no
// news, and comes again and again.
func (a *announcing) report(due *tracker.Due, err error) {
	t := a.t
	if errors.Is(err, tracker.ErrNoAddress) {
		t.c.cfg.Logger.Debug("not announced", "torrent", t.Name(), "family", due.Family, "error", err)
		return
	}
	t.emit(Event{Kind: EventTracker, URL: due.URL, Err: err})
	if err != nil {
		t.c.cfg.Logger.Info("announce failed", "torrent", t.Name(), "event", due.Event, "error", err)
	}
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

// takePeers adds what a tracker told, but for ourselves (T26).
func (a *announcing) takePeers(peers []tracker.Peer) {
	to := &a.t.peers
	var names []string
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
	if len(names) > 0 {
		to.resolve(names, discover.OriginTracker)
	}
}
