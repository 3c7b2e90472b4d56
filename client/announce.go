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

// counterBase is where the counters told to trackers begin: at the session's
// start (T2, T5). The totals of Stats go on.
type counterBase struct {
	mu                   sync.Mutex
	running              bool
	uploaded, downloaded int64
}

func (b *counterBase) start(s *swarm.Stats) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.running = true
		b.uploaded, b.downloaded = s.Counters.Uploaded, honest(s)
	}
}

func (b *counterBase) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
}

// honest is the payload received that was neither duplicate nor failed its hash.
func honest(s *swarm.Stats) int64 { return max(s.Counters.Downloaded-s.Counters.Failed, 0) }

// announce starts what the schedule says is due, and returns when to look again.
func (t *Torrent) announce(now time.Time) time.Time {
	for {
		if !t.c.announce.take() {
			return now.Add(announceRetry)
		}
		due, ok, next := t.trackers.Next(now)
		if !ok {
			t.c.announce.give()
			return next
		}
		if !t.group.Go(func() { t.tell(t.ctx, due) }) {
			t.c.announce.give()
			return time.Time{}
		}
	}
}

// tell makes one announce, and takes the peers it brings.
func (t *Torrent) tell(ctx context.Context, due tracker.Due) {
	r, err := t.c.trackers.Announce(ctx, due.URL, t.request(due))
	t.c.announce.give()
	t.trackers.Done(due, time.Now(), &r, err)
	t.emit(Event{Kind: EventTracker, URL: due.URL, Err: err})
	if err != nil {
		t.c.cfg.Logger.Info("announce failed", "torrent", t.Name(), "event", due.Event, "error", err)
	}
	t.takePeers(r.Peers)
	t.poke()
}

func (t *Torrent) request(due tracker.Due) tracker.Request {
	st := t.g.Stats(time.Now())
	t.base.mu.Lock()
	up, down := st.Counters.Uploaded-t.base.uploaded, honest(&st)-t.base.downloaded
	t.base.mu.Unlock()
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
func (t *Torrent) takePeers(peers []tracker.Peer) {
	var names []string
	for _, p := range peers {
		switch {
		case p.HasID && p.ID == t.id:
		case p.Addr.IsValid():
			k := discover.Candidate{Addr: p.Addr, Origin: discover.OriginTracker}
			if p.HasID {
				id := p.ID
				k.ID = &id
			}
			t.known.Add(k)
		case p.Host != "" && len(names) < maxResolved:
			names = append(names, net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))))
		}
	}
	if len(names) > 0 {
		t.resolve(names, discover.OriginTracker)
	}
}

// goodbye sends what is due after a stop, side by side, and waits for it.
func (t *Torrent) goodbye(ctx context.Context) {
	var wg sync.WaitGroup
	for {
		due, ok, _ := t.trackers.Next(time.Now())
		if !ok {
			break
		}
		wg.Go(func() {
			r, err := t.c.trackers.Announce(ctx, due.URL, t.request(due))
			t.trackers.Done(due, time.Now(), &r, err)
		})
	}
	wg.Wait()
}
