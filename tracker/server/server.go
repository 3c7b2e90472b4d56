package server

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"math"
	randv2 "math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// MaxInterval is the longest [Config.Interval].
const MaxInterval = 24 * time.Hour

// Config is a tracker's settings; the zero value is a good tracker for everybody.
// New copies it.
type Config struct {
	// Interval is how often peers are asked to announce, from a second to
	// [MaxInterval]; 0: 30 minutes. A peer silent for twice as long is forgotten.
	Interval time.Duration
	// MinInterval is sent as "min interval" over HTTP; 0: it is not sent. It is
	// a request, not enforced.
	MinInterval time.Duration
	// NumWant is how many peers an announce gets that does not say; 0: 50.
	NumWant int
	// MaxNumWant is the most that one gets; 0: 200. Over UDP it is never more
	// than fits into one packet: 242 IPv4 peers or 79 IPv6 peers.
	MaxNumWant int
	// MaxSwarms is how many torrents are kept; 0: 131,072. MaxPeers is how many
	// peers in all torrents together; 0: 1,048,576. When it is full, those who
	// have gone silent are forgotten first; if there are none, who comes is
	// refused. The package comment says what that takes in memory. There is no
	// quota by address, as thousands of honest peers may share one: who has a
	// few addresses can fill the tracker by naming other ports and torrents. A
	// list of torrents ([Server.SetAllowed]) leaves them only the ports; Check
	// can count, and so can what stands in front of HTTP.
	MaxSwarms, MaxPeers int
	// TrustIP are the networks, besides loopback, whose announces may name the
	// address to report (ip= and BEP 15's IP address): reverse proxies, and
	// machines that share a private network with the tracker.
	TrustIP []netip.Prefix
	// FullScrape answers scrapes over HTTP that name no torrent with all of
	// them. Such an answer takes about 100 bytes a torrent, each time.
	FullScrape bool
	// NoPeerIDs saves 20 bytes a peer. Answers that are not compact then have no
	// peer ids, as if no_peer_id=1 had been asked for.
	NoPeerIDs bool

	// Check is asked about every announce and scrape; its error's text is what
	// the client is told. Nil: all are welcome. It is called by many goroutines
	// at once, without locks held, and must be quick: the socket's other
	// requests wait for it. The Request is good only during the call.
	Check func(*Request) error

	// NATCheck connects back to a peer before it is taken in, and refuses those
	// that cannot be reached. See the package comment.
	//
	// Only the address that a request really came from is connected to, so
	// anybody can learn by it which ports of his own address are open to the
	// tracker, and by the time it takes, whether a closed one refuses or is
	// silent; but not of another's. Loopback is like any other: who announces
	// from there is on this machine. Behind a reverse proxy that is not so:
	// everybody seems to be the proxy, and could ask which of its ports are open,
	// behind its firewall. There, either leave the check off, or have the proxy
	// add ip= to each announce, in place of what the client sent; then it passes
	// unchecked. The same goes for a handler that sets RemoteAddr by a header
	// that clients can send.
	NATCheck bool
	// Dial makes the connections of NATCheck; nil: a [net.Dialer]'s. It is
	// always given an IP address and port.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Server is a tracker. It is safe for concurrent use.
type Server struct {
	cfg      Config // constant after New, as all in this group
	interval uint32 // seconds
	silence  uint32 // seconds after which a peer is forgotten
	started  time.Time
	ids      cipher.Block // makes connection ids (BEP 15)
	nat      *natChecker  // nil: peers are not checked
	expired  *rate.Limiter

	shards        [shardCount]shard
	swarms, peers atomic.Int64 // kept now
	sweptAll      atomic.Uint32
	allowed       atomic.Pointer[map[[20]byte]struct{}] // nil: every torrent
	allowing      sync.Mutex                            // one SetAllowed at a time
	counts        counts
}

// New returns a tracker without torrents. The error names the field of cfg that
// makes no sense.
func New(cfg Config) (*Server, error) {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"Interval", int64(cfg.Interval)}, {"MinInterval", int64(cfg.MinInterval)},
		{"NumWant", int64(cfg.NumWant)}, {"MaxNumWant", int64(cfg.MaxNumWant)},
		{"MaxSwarms", int64(cfg.MaxSwarms)}, {"MaxPeers", int64(cfg.MaxPeers)},
	} {
		if field.value < 0 {
			return nil, fmt.Errorf("server: Config.%s: %d is negative", field.name, field.value)
		}
	}
	if cfg.Interval == 0 {
		cfg.Interval = 30 * time.Minute
	}
	if cfg.Interval < time.Second {
		return nil, fmt.Errorf("server: Config.Interval: %s is below a second", cfg.Interval)
	}
	if cfg.Interval > MaxInterval {
		return nil, fmt.Errorf("server: Config.Interval: %s is above %s", cfg.Interval, MaxInterval)
	}
	setDefault(&cfg.MaxNumWant, 200)
	setDefault(&cfg.NumWant, min(50, cfg.MaxNumWant))
	setDefault(&cfg.MaxSwarms, 1<<17)
	setDefault(&cfg.MaxPeers, 1<<20)
	cfg.MaxPeers = min(cfg.MaxPeers, math.MaxInt32) // what a list's index can hold
	if cfg.NumWant > cfg.MaxNumWant {
		return nil, fmt.Errorf("server: Config.NumWant: %d is above MaxNumWant, %d", cfg.NumWant, cfg.MaxNumWant)
	}
	s := &Server{cfg: cfg, interval: uint32(seconds(cfg.Interval)), started: time.Now()}
	s.cfg.TrustIP = append([]netip.Prefix(nil), cfg.TrustIP...)
	s.silence = 2 * s.interval
	s.expired = rate.NewLimiter(expiredPerSecond, expiredPerSecond)
	secret := make([]byte, 16)
	rand.Read(secret) // never fails
	var err error
	if s.ids, err = aes.NewCipher(secret); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	for i := range s.shards {
		s.shards[i].swarms = make(map[[20]byte]*swarm)
		s.shards[i].random.Seed(randv2.Uint64(), randv2.Uint64())
	}
	if cfg.NATCheck {
		s.nat = newNATChecker(s, cfg.Dial)
	}
	return s, nil
}

func setDefault(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

// now is the server's clock: seconds since New.
func (s *Server) now() uint32 { return uint32(time.Since(s.started) / time.Second) }

func seconds(d time.Duration) int {
	return int(min((d+time.Second-1)/time.Second, math.MaxInt32))
}

// SetAllowed makes the tracker one for these torrents alone; nil opens it to
// every torrent, an empty list closes it. It may be called at any time: torrents
// that are not on the list are forgotten with their peers. The list is copied.
// A version 2 torrent is announced by the first 20 bytes of its infohash.
func (s *Server) SetAllowed(hashes [][20]byte) {
	s.allowing.Lock()
	defer s.allowing.Unlock()
	if hashes == nil {
		s.allowed.Store(nil)
		return
	}
	set := make(map[[20]byte]struct{}, len(hashes))
	for _, hash := range hashes {
		set[hash] = struct{}{}
	}
	s.allowed.Store(&set)
	// An announce reads the list under the lock of its shard: what it has added
	// by the old list is found here.
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for hash, w := range sh.swarms {
			if _, ok := set[hash]; !ok {
				sh.countLocked(w, -1)
				s.peers.Add(-int64(w.seeds() + w.leeches()))
				s.swarms.Add(-1)
				delete(sh.swarms, hash)
			}
		}
		sh.mu.Unlock()
	}
}
