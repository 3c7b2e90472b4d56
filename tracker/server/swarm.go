package server

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

const shardCount = 64

// shard is a part of the torrents, by infohash.
type shard struct {
	mu     sync.Mutex
	swarms map[[20]byte]*swarm // guarded by mu, as all in it
	swept  time.Time
}

func (s *Server) shard(hash [20]byte) *shard { return &s.shards[hash[0]%shardCount] }

// swarm is the peers of one torrent: by address, in no order for drawing from,
// and in the order in which they were last heard of.
type swarm struct {
	byAddr         map[netip.AddrPort]*peer
	peers          []*peer
	oldest, newest *peer
	seeds, partial int // how many of the peers
	downloaded     int // completions seen
	touched        time.Time
}

type peer struct {
	addr         netip.AddrPort
	id           [20]byte
	seed         bool // has everything
	partial      bool // has all it wants (BEP 21)
	heard        time.Time
	at           int // its place in swarm.peers
	older, newer *peer
}

func newSwarm() *swarm { return &swarm{byAddr: make(map[netip.AddrPort]*peer)} }

// put adds a peer, or brings one up to date.
func (w *swarm) put(addr netip.AddrPort, id [20]byte, seed, partial bool, now time.Time) (p *peer, added bool) {
	if p = w.byAddr[addr]; p != nil {
		w.unlink(p)
		w.count(p, -1)
	} else {
		p = &peer{addr: addr, at: len(w.peers)}
		w.byAddr[addr] = p
		w.peers = append(w.peers, p)
		added = true
	}
	p.id, p.seed, p.partial, p.heard = id, seed, partial, now
	w.count(p, 1)
	if p.older = w.newest; p.older != nil {
		p.older.newer = p
	} else {
		w.oldest = p
	}
	w.newest = p
	return p, added
}

func (w *swarm) remove(p *peer) {
	w.unlink(p)
	w.count(p, -1)
	delete(w.byAddr, p.addr)
	end := len(w.peers) - 1
	w.swap(p.at, end)
	w.peers[end] = nil
	w.peers = w.peers[:end]
}

func (w *swarm) count(p *peer, n int) {
	if p.seed {
		w.seeds += n
	} else if p.partial {
		w.partial += n
	}
}

func (w *swarm) unlink(p *peer) {
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		w.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		w.newest = p.older
	}
	p.older, p.newer = nil, nil
}

func (w *swarm) swap(i, j int) {
	w.peers[i], w.peers[j] = w.peers[j], w.peers[i]
	w.peers[i].at, w.peers[j].at = i, j
}

// expire removes the peers last heard of before a time.
func (w *swarm) expire(before time.Time) (n int) {
	for ; w.oldest != nil && w.oldest.heard.Before(before); n++ {
		w.remove(w.oldest)
	}
	return n
}

// draw appends up to n peers, each choice of that many equally likely, without
// the asker and without peers that can't be connected to. Seeds have no use for
// each other, so a seed gets none; it need not see every leech of a huge swarm
// either, they see it.
func (w *swarm) draw(dst []*peer, n int, asker netip.AddrPort, askerSeeds bool) []*peer {
	most := min(len(w.peers), 10*n+100)
	for i := 0; i < most && n > 0; i++ {
		w.swap(i, i+rand.IntN(len(w.peers)-i))
		p := w.peers[i]
		if p.addr == asker || p.addr.Port() == 0 || askerSeeds && p.seed {
			continue
		}
		dst = append(dst, p)
		n--
	}
	return dst
}

// expireLocked removes what has gone silent from a swarm. The lock is that of
// the swarm's shard.
func (s *Server) expireLocked(w *swarm, now time.Time) {
	n := w.expire(now.Add(-2 * s.cfg.Interval))
	s.peers.Add(int64(-n))
	s.stales.Add(uint64(n))
}

// sweepLocked removes what has gone silent from a shard, and swarms without
// peers.
func (s *Server) sweepLocked(sh *shard, now time.Time) {
	sh.swept = now
	for hash, w := range sh.swarms {
		s.expireLocked(w, now)
		if len(w.peers) == 0 && !now.Before(w.touched.Add(2*s.cfg.Interval)) {
			delete(sh.swarms, hash)
			s.swarms.Add(-1)
		}
	}
}
