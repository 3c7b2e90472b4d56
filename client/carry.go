package client

import (
	"time"

	"github.com/seed1734be99/starling/client/internal/conn"
	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/storage"
)

// carry does what a door of the swarm wants done. It is called without a
// lock, by readers, workers and the scheduler, and never waits.
func (t *Torrent) carry(eff *swarm.Effects, self *conn.Conn) {
	for _, id := range eff.Wake {
		if self != nil && self.ID() == id {
			self.StartWriter()
		} else if c := t.peers.conns.get(id); c != nil {
			c.StartWriter()
		}
	}
	for _, d := range eff.Drop {
		t.peers.conns.drop(d.Peer, d.Reason)
	}
	for _, a := range eff.Bans {
		t.peers.known.Ban(a)
		t.c.cfg.Logger.Warn("banned: sent bad data", "torrent", t.Name(), "address", a)
	}
	if eff.Jobs > 0 {
		t.c.disk.Kick((*diskSource)(t))
	}
	if eff.Rechoke {
		why := eff.Why
		t.group.Go(func() { t.chooser.choose(why) })
	}
	if eff.Again > 0 {
		t.c.clock.at(&t.clock, time.Now().Add(eff.Again))
	}
	if eff.Starved {
		t.c.relieve(t)
	}
	for i := range eff.Events {
		happened(t, &eff.Events[i])
	}
}

// happened acts on an event of the swarm.
func happened(t *Torrent, ev *swarm.Event) {
	switch ev.Kind {
	case swarm.PieceDone:
		t.emit(Event{Kind: EventPiece, Piece: ev.Piece})
	case swarm.PieceFailed:
		t.emit(Event{Kind: EventHashFail, Piece: ev.Piece})
	case swarm.Completed:
		t.c.trim()
		t.trackers.schedule.Complete(time.Now())
		t.emit(Event{Kind: EventCompleted})
		t.life.notify()
		t.poke()
	case swarm.Checked:
		t.life.checked()
	case swarm.Faulted:
		t.life.failed(ev.Err)
	case swarm.MetadataDone:
		t.life.gotMetadata(ev.Data)
	}
}

// readFault is called when data that we have can't be read to be sent.
func (l *life) readFault(err error) {
	var eff swarm.Effects
	l.t.g.Fault(err, &eff)
	l.t.carry(&eff, nil)
}

// diskSource is a torrent as the disk workers see it.
type diskSource Torrent

// NextJob implements disk.Source.
func (d *diskSource) NextJob(j *swarm.Job) (storage.Torrent, bool) {
	t := (*Torrent)(d)
	if !t.g.NextJob(j) {
		return nil, false
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	return t.life.data, true
}

// JobDone implements disk.Source.
func (d *diskSource) JobDone(j *swarm.Job, r swarm.Result) {
	t := (*Torrent)(d)
	var eff swarm.Effects
	t.g.JobDone(j, r, time.Now(), &eff)
	t.carry(&eff, nil)
	if t.life.idle() { // what was evicted for a pause came back
		t.c.trim()
	}
}

// relieve makes room when a reader found no memory: partial pieces are
// evicted, of this torrent first.
func (c *Client) relieve(t *Torrent) {
	need := max(c.recv.Lacks(swarm.SlabRoom(c.recv)), swarm.SlabSize)
	now := time.Now()
	var eff swarm.Effects
	t.g.Evict(need, now, &eff)
	found := eff.Jobs > 0
	t.carry(&eff, nil)
	if found {
		return
	}
	for _, o := range c.Torrents() {
		if o == t {
			continue
		}
		eff.Reset()
		o.g.Evict(need, now, &eff)
		found := eff.Jobs > 0
		o.carry(&eff, nil)
		if found {
			return
		}
	}
}

// lost tells what became of a connection, for the list of candidates.
func lost(reason error) discover.Result {
	switch reason {
	case swarm.ErrBothSeeds:
		return discover.WasSeed
	case ErrPaused, swarm.ErrRecheck, errSwitched, errPrivate:
		return discover.Ours
	case swarm.ErrDuplicate, swarm.ErrFull: // not to be tried again and again
		return discover.Refused
	case conn.ErrSelf, conn.ErrUnknown:
		return discover.Useless
	}
	return discover.Lost
}
