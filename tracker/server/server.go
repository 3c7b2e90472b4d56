package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync/atomic"
	"time"
)

// Config is a tracker's settings; the zero value is a good tracker.
type Config struct {
	// Interval is how often peers are asked to announce; 0: 30 minutes. A peer
	// silent for twice as long is forgotten.
	Interval time.Duration
	// MinInterval is sent as "min interval"; 0: it is not sent. It is a
	// request, not enforced.
	MinInterval time.Duration
	// NumWant is how many peers an announce gets that does not say; 0: 50.
	NumWant int
	// MaxNumWant is the most that one gets; 0: 200.
	MaxNumWant int
	// MaxSwarms is how many torrents are kept; 0: 65,536. MaxPeers is how many
	// peers in all torrents together; 0: 1,048,576 (about 250 MB). Who comes when
	// it is full is refused.
	MaxSwarms, MaxPeers int
	// TrustIP are the networks, besides loopback, whose announces may name the
	// address to report (ip=): reverse proxies, and machines that share a
	// private network with the tracker.
	TrustIP []netip.Prefix
	// NoFullScrape refuses scrapes that name no torrent.
	NoFullScrape bool
}

// Server is a tracker. It is safe for concurrent use.
type Server struct {
	cfg    Config
	shards [shardCount]shard

	swarms, peers                        atomic.Int64 // kept now
	announces, scrapes, failures, stales atomic.Uint64
}

var _ http.Handler = (*Server)(nil)

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
	setDefault(&cfg.MaxNumWant, 200)
	setDefault(&cfg.NumWant, min(50, cfg.MaxNumWant))
	setDefault(&cfg.MaxSwarms, 1<<16)
	setDefault(&cfg.MaxPeers, 1<<20)
	if cfg.NumWant > cfg.MaxNumWant {
		return nil, fmt.Errorf("server: Config.NumWant: %d is above MaxNumWant, %d", cfg.NumWant, cfg.MaxNumWant)
	}
	s := &Server{cfg: cfg}
	for i := range s.shards {
		s.shards[i].swarms = make(map[[20]byte]*swarm)
	}
	return s, nil
}

func setDefault(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

// Stats is a tracker's numbers at one moment.
type Stats struct {
	Swarms, Peers, Seeds int
	// Announces and Scrapes count requests that were answered, Failures those
	// that were refused, Forgotten peers that went silent. All since New.
	Announces, Scrapes, Failures, Forgotten uint64
}

// Stats returns the tracker's numbers, without peers that have gone silent.
func (s *Server) Stats() Stats {
	now := time.Now()
	var st Stats
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		s.sweepLocked(sh, now)
		for _, w := range sh.swarms {
			st.Swarms++
			st.Peers += len(w.peers)
			st.Seeds += w.seeds
		}
		sh.mu.Unlock()
	}
	st.Announces, st.Scrapes = s.announces.Load(), s.scrapes.Load()
	st.Failures, st.Forgotten = s.failures.Load(), s.stales.Load()
	return st
}

// ServeHTTP answers any path whose last part begins with "announce" or
// "scrape", so that announce.php works, and a passkey as a folder.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	switch last := path.Base(r.URL.Path); {
	case strings.HasPrefix(last, "announce"):
		s.serveAnnounce(w, r)
	case strings.HasPrefix(last, "scrape"):
		s.serveScrape(w, r)
	default:
		http.NotFound(w, r)
	}
}
