package server

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/seed1734be99/starling/tracker"
)

// announce is one announce, understood.
type announce struct {
	hash, id  [20]byte
	addr      netip.AddrPort // to report
	from      netip.Addr     // where it came from; never IPv4 mapped into IPv6, no zone
	transport Transport
	event     tracker.Event
	paused    bool // BEP 21
	key       uint32

	uploaded, downloaded, left int64

	want         int // peers
	want4, want6 bool
	wantIDs      bool
}

func (a *announce) seed() bool { return a.left == 0 }

// refusal is a failure that is told to the client; "" is none.
type refusal string

const (
	fullOfSwarms refusal = "the tracker is full, no new torrents"
	fullOfPeers  refusal = "the tracker is full, no new peers"
	notAllowed   refusal = "the torrent is not allowed on this tracker"
)

// answer is what an announce is answered with. Its buffers are used again.
type answer struct {
	seeds, leeches, downloaded int

	peers4, peers6 []byte // compact: 6 and 18 bytes a peer
	ids4, ids6     []byte // 20 bytes a peer, if the announce wants them
	drawn          []uint32
}

func (ans *answer) reset() {
	ans.seeds, ans.leeches, ans.downloaded = 0, 0, 0
	ans.peers4, ans.peers6 = ans.peers4[:0], ans.peers6[:0]
	ans.ids4, ans.ids6 = ans.ids4[:0], ans.ids6[:0]
}

// announce takes an announce in and appends the peers to ans. A peer that is not
// known is no error, whatever the event: the tracker may have been restarted.
func (s *Server) announce(a *announce, now uint32, ans *answer) refusal {
	no := s.announceOnce(a, now, ans)
	if (no == fullOfSwarms || no == fullOfPeers) && s.sweepAll(now) {
		no = s.announceOnce(a, now, ans)
	}
	return no
}

func (s *Server) announceOnce(a *announce, now uint32, ans *answer) refusal {
	sh := s.shard(&a.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if int32(now-sh.swept) >= int32(s.interval) {
		s.sweepLocked(sh, now)
	}
	w := sh.swarms[a.hash]
	if w == nil {
		if allowed := s.allowed.Load(); allowed != nil {
			if _, ok := (*allowed)[a.hash]; !ok {
				return notAllowed
			}
		}
		if a.event == tracker.Stopped {
			sh.announces[a.transport]++
			return ""
		}
		if !reserve(&s.swarms, s.cfg.MaxSwarms) {
			return fullOfSwarms
		}
		w = &swarm{due: now + s.silence + 1}
		sh.swarms[a.hash] = w
	}
	s.expireLocked(sh, w, now)
	at, no := s.putLocked(sh, w, a, now)
	if no != "" {
		return no
	}
	if w.empty() { // its last peer has left
		w.due = now + s.silence + 1
	}
	sh.announces[a.transport]++
	ans.seeds, ans.leeches, ans.downloaded = w.seeds(), w.leeches(), int(w.downloaded)
	if a.event != tracker.Stopped && a.want > 0 {
		sh.drawLocked(w, a, at, ans)
	}
	return ""
}

// putLocked brings a swarm up to date and returns where the announcing peer is
// in the list of its family, or -1.
func (s *Server) putLocked(sh *shard, w *swarm, a *announce, now uint32) (int, refusal) {
	sh.countLocked(w, -1)
	defer sh.countLocked(w, 1)
	if a.addr.Addr().Is4() {
		return put(s, &w.v4, key4(a.addr), a, w, now)
	}
	if w.v6 == nil {
		if a.event == tracker.Stopped {
			return -1, ""
		}
		w.v6 = new(list[[18]byte])
	}
	return put(s, w.v6, key6(a.addr), a, w, now)
}

func put[K key](s *Server, l *list[K], k K, a *announce, w *swarm, now uint32) (int, refusal) {
	at := l.find(k)
	if a.event == tracker.Stopped {
		if at >= 0 {
			l.remove(at)
			s.peers.Add(-1)
		}
		return -1, ""
	}
	if at < 0 && !reserve(&s.peers, s.cfg.MaxPeers) {
		return -1, fullOfPeers
	}
	// T24. Who says so and stays a leech has completed nothing, however often.
	if a.event == tracker.Completed && a.seed() && (at < 0 || at < int(l.leeches)) {
		w.downloaded++
	}
	var id *[20]byte
	if !s.cfg.NoPeerIDs {
		id = &a.id
	}
	return l.put(at, k, id, a.seed(), a.paused, now), ""
}

// reserve counts one more, unless that is too many.
func reserve(n *atomic.Int64, most int) bool {
	if n.Add(1) > int64(most) {
		n.Add(-1)
		return false
	}
	return true
}

// drawLocked draws the peers of an answer: not the asker itself, and for a seed
// no other seeds, which have no use for each other. When both families are
// wanted, each gets its share.
func (sh *shard) drawLocked(w *swarm, a *announce, asker int, ans *answer) {
	skip4, skip6 := asker, -1
	if !a.addr.Addr().Is4() {
		skip4, skip6 = -1, asker
	}
	n4, n6 := 0, 0 // to draw from
	if a.want4 {
		n4 = len(w.v4.records)
		if a.seed() {
			n4 = int(w.v4.leeches)
		}
	}
	if a.want6 && w.v6 != nil {
		n6 = len(w.v6.records)
		if a.seed() {
			n6 = int(w.v6.leeches)
		}
	}
	want4, want6 := a.want, a.want
	if n4 > 0 && n6 > 0 {
		want4 = int((uint64(a.want)*uint64(n4) + below(&sh.random, n4+n6)) / uint64(n4+n6))
		want4 = max(want4, a.want-n6)
		want6 = a.want - want4
	}
	if n4 > 0 {
		ans.drawn = draw(ans.drawn[:0], want4, n4, skip4, &sh.random)
		ans.peers4, ans.ids4 = w.v4.appendPeers(ans.peers4, idsInto(a, w.v4.ids, ans.ids4), ans.drawn)
	}
	if n6 > 0 {
		ans.drawn = draw(ans.drawn[:0], want6, n6, skip6, &sh.random)
		ans.peers6, ans.ids6 = w.v6.appendPeers(ans.peers6, idsInto(a, w.v6.ids, ans.ids6), ans.drawn)
	}
}

// idsInto returns where ids are to be appended, nil if nowhere.
func idsInto(a *announce, kept [][20]byte, dst []byte) []byte {
	if !a.wantIDs || kept == nil {
		return nil
	}
	return slices.Grow(dst, 1)
}
