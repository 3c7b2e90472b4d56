package discover

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	maxCandidates = 2000
	maxBans       = 4096
	firstManual   = time.Second // peers that the user named are tried again soon
	maxDoubling   = 6
	longestWait   = 30 * 24 * time.Hour // before doubling: more is never
	manyFails     = 3                   // in a row, make a peer give way to a new one
)

// Backoff says how long a candidate is left alone (W6). Each doubles with
// every failure in a row and varies by a half.
type Backoff struct {
	Lost, Refused time.Duration
}

// Candidate is an address to connect to.
type Candidate struct {
	Addr   netip.AddrPort
	Origin Origin
	ID     *[20]byte // expected of it; nil: any
}

type candidate struct {
	Candidate
	busy    bool // being dialled, or connected
	useless bool // not to be dialled again
	seed    bool // was complete when we last saw it
	fails   int
	next    time.Time
}

// Candidates is a torrent's list of known peers. It is safe for concurrent
// use; time and randomness are handed in.
type Candidates struct {
	mu     sync.Mutex
	wait   Backoff
	rand   *rand.Rand
	list   []*candidate
	by     map[netip.AddrPort]*candidate
	banned map[netip.Addr]bool
	from   int // where the next search begins
}

// NewCandidates returns an empty list.
func NewCandidates(b Backoff, rnd *rand.Rand) *Candidates {
	return &Candidates{wait: b, rand: rnd}
}

// Len returns how many addresses are known.
func (c *Candidates) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

// Add takes an address, and reports whether it is new. Addresses that nobody
// can be reached at are refused; when the list is full, so are new ones, but
// for those that the user names and those that find one to take the place of.
func (c *Candidates) Add(n Candidate) bool {
	n.Addr = netip.AddrPortFrom(n.Addr.Addr().Unmap(), n.Addr.Port())
	a := n.Addr.Addr()
	if !n.Addr.IsValid() || n.Addr.Port() == 0 || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.by[n.Addr]; old != nil {
		if old.Origin == OriginIncoming { // now somebody else names it too
			old.Candidate = n
		}
		if n.ID != nil && (old.ID == nil || *old.ID != *n.ID) { // restarted: another peer than the one we met
			old.ID, old.useless = n.ID, false
		}
		if n.Origin == OriginManual {
			old.Origin = n.Origin
			if !old.busy {
				old.next = time.Time{}
			}
		}
		return false
	}
	if c.banned[a] || len(c.list) >= maxCandidates && n.Origin != OriginManual && !c.makeRoomLocked(n.Origin) {
		return false
	}
	if c.by == nil {
		c.by = make(map[netip.AddrPort]*candidate)
	}
	k := &candidate{Candidate: n}
	c.by[n.Addr] = k
	c.list = append(c.list, k)
	return true
}

// makeRoomLocked forgets the candidate that is least likely to be of use: one
// that came to us and has gone, or that failed most often. False: all are good.
func (c *Candidates) makeRoomLocked(o Origin) bool {
	worst, fails := -1, manyFails-1
	for i, k := range c.list {
		switch {
		case k.busy || k.Origin == OriginManual:
		case k.Origin == OriginIncoming && o != OriginIncoming:
			worst, fails = i, math.MaxInt
		case k.fails > fails:
			worst, fails = i, k.fails
		}
	}
	if worst < 0 {
		return false
	}
	delete(c.by, c.list[worst].Addr)
	c.list = slices.Delete(c.list, worst, worst+1)
	return true
}

// Next returns an address to dial now and marks it busy; or when there may
// be one, the zero time for never. Seeds are left out when we are complete.
func (c *Candidates) Next(now time.Time, complete bool) (n Candidate, ok bool, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.list {
		k := c.list[(c.from+i)%len(c.list)]
		if k.busy || k.useless || k.Origin == OriginIncoming || complete && k.seed {
			continue
		}
		if !k.next.After(now) {
			k.busy = true
			c.from = (c.from + i + 1) % len(c.list)
			return k.Candidate, true, time.Time{}
		}
		if next.IsZero() || k.next.Before(next) {
			next = k.next
		}
	}
	return Candidate{}, false, next
}

// Busy takes an address that needs no dialling, since its peer has connected
// to us. Ended frees it; it is dialled then only if it is known from elsewhere
// too (W6).
func (c *Candidates) Busy(n Candidate) {
	c.Add(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.by[netip.AddrPortFrom(n.Addr.Addr().Unmap(), n.Addr.Port())]; k != nil {
		k.busy = true
	}
}

// Result is how an attempt or a connection ended.
type Result uint8

// The results.
const (
	Refused Result = iota // no connection, or no handshake
	Lost                  // there was a connection
	WasSeed               // there was one, and the peer is complete
	Ours                  // we ended it, to come back
	Useless               // never again: ourselves, another torrent
)

// Ended frees an address that Next gave out.
func (c *Candidates) Ended(a netip.AddrPort, r Result, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.by[netip.AddrPortFrom(a.Addr().Unmap(), a.Port())]
	if k == nil {
		return
	}
	k.busy = false
	wait := c.wait.Refused
	switch r {
	case Useless:
		k.useless = true
		return
	case Ours:
		return
	case Lost, WasSeed:
		k.seed = r == WasSeed
		k.fails = 0
		wait = c.wait.Lost
	}
	if k.Origin == OriginManual {
		wait = firstManual
	}
	wait = min(wait, longestWait) << min(k.fails, maxDoubling)
	k.fails++
	k.next = now.Add(wait/2 + time.Duration(c.rand.Int64N(int64(wait))))
}

// OnlyOf forgets all addresses of other origins.
func (c *Candidates) OnlyOf(o Origin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(func(k *candidate) bool { return k.Origin != o })
}

// Clear forgets all addresses.
func (c *Candidates) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.by = nil, nil
}

// Ban never gives the address out again.
func (c *Candidates) Ban(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.banned == nil {
		c.banned = make(map[netip.Addr]bool)
	}
	if len(c.banned) < maxBans {
		c.banned[a.Unmap()] = true
	}
	c.drop(func(k *candidate) bool { return k.Addr.Addr() == a.Unmap() })
}

// drop forgets candidates. It is called with the mutex held.
func (c *Candidates) drop(which func(*candidate) bool) {
	c.list = slices.DeleteFunc(c.list, func(k *candidate) bool {
		gone := which(k)
		if gone {
			delete(c.by, k.Addr)
		}
		return gone
	})
}

// Banned reports whether an address was banned.
func (c *Candidates) Banned(a netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.banned[a.Unmap()]
}
