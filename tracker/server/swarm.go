package server

import (
	"math/rand/v2"
	"net/netip"
	"sync"
)

const shardCount = 256

// shard is a part of the torrents, by infohash. It counts what is in it, so that
// nobody has to walk through it to know.
type shard struct {
	mu     sync.Mutex
	swarms map[[20]byte]*swarm // guarded by mu, as all in it
	swept  uint32              // second of the server's clock
	random rand.PCG

	ipv4, ipv6, seeds int
	announces         [transports]uint64
	forgotten         uint64
}

func (s *Server) shard(hash *[20]byte) *shard { return &s.shards[hash[19]] }

// swarm is the peers of one torrent.
type swarm struct {
	v4         list[[6]byte]
	v6         *list[[18]byte] // nil: none yet
	downloaded uint32          // completions seen
	due        uint32          // the second from which somebody can have been silent for too long; if empty: from which it is forgotten
}

func (w *swarm) seeds() int {
	n := w.v4.seeds()
	if w.v6 != nil {
		n += w.v6.seeds()
	}
	return n
}

func (w *swarm) leeches() int {
	n := int(w.v4.leeches)
	if w.v6 != nil {
		n += int(w.v6.leeches)
	}
	return n
}

func (w *swarm) empty() bool {
	return len(w.v4.records) == 0 && (w.v6 == nil || len(w.v6.records) == 0)
}

// partial is how many of the leeches have all they want (BEP 21).
func (w *swarm) partial() int {
	n := int(w.v4.partial)
	if w.v6 != nil {
		n += int(w.v6.partial)
	}
	return n
}

// countLocked adds a swarm's peers to its shard's counts, or takes them off.
func (sh *shard) countLocked(w *swarm, sign int) {
	sh.ipv4 += sign * len(w.v4.records)
	if w.v6 != nil {
		sh.ipv6 += sign * len(w.v6.records)
	}
	sh.seeds += sign * w.seeds()
}

// expireLocked removes what has gone silent from a swarm.
//
// A small swarm is looked through when somebody in it can have been silent for
// too long, a large one a few dozen times an interval: there, peers may stay a
// little longer. So the cost of an announce does not grow with the swarm.
func (s *Server) expireLocked(sh *shard, w *swarm, now uint32) {
	if int32(now-w.due) < 0 {
		return
	}
	sh.countLocked(w, -1)
	n, oldest := w.v4.expire(now, s.silence)
	size := len(w.v4.records)
	if w.v6 != nil {
		m, oldest6 := w.v6.expire(now, s.silence)
		n, oldest = n+m, max(oldest, oldest6)
		size += len(w.v6.records)
	}
	sh.countLocked(w, 1)
	if size > 0 {
		w.due = now + 1 + s.silence - oldest
	}
	if pause := s.silence / 64; size > 1024 && int32(w.due-now-pause) < 0 {
		w.due = now + pause
	}
	sh.forgotten += uint64(n)
	s.peers.Add(int64(-n))
}

// sweepLocked removes what has gone silent from a shard, and swarms that have
// long been without peers; until then their count of completions is kept.
func (s *Server) sweepLocked(sh *shard, now uint32) {
	sh.swept = now
	for hash, w := range sh.swarms {
		s.expireLocked(sh, w, now)
		if w.empty() && int32(now-w.due) >= 0 {
			delete(sh.swarms, hash)
			s.swarms.Add(-1)
		}
	}
}

// sweepAll removes what has gone silent everywhere, unless that was done a short
// while ago; then it returns false.
func (s *Server) sweepAll(now uint32) bool {
	last := s.sweptAll.Load()
	if int32(now-last) <= int32(s.silence/64) || !s.sweptAll.CompareAndSwap(last, now) {
		return false
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		s.sweepLocked(sh, now)
		sh.mu.Unlock()
	}
	return true
}

func key4(a netip.AddrPort) (k [6]byte) {
	ip := a.Addr().As4()
	copy(k[:], ip[:])
	k[4], k[5] = byte(a.Port()>>8), byte(a.Port())
	return k
}

func key6(a netip.AddrPort) (k [18]byte) {
	ip := a.Addr().As16()
	copy(k[:], ip[:])
	k[16], k[17] = byte(a.Port()>>8), byte(a.Port())
	return k
}
