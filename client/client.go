package client

import (
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed1734be99/starling/client/internal/disk"
	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/tracker"
)

// Client is a BitTorrent client: any number of torrents over one port. Make
// one with [New] and end it with [Client.Close]. All methods are safe for
// concurrent use.
type Client struct {
	// constant after New
	cfg       Config
	http      *http.Client
	trackers  *tracker.Client
	recv      *block.Pool
	send      *block.Pool
	disk      *disk.Pool
	limits    *limits
	ctx       context.Context // ends when Close begins
	cancel    context.CancelCauseFunc
	group     group // connections, dials, announces, rounds
	farewell  context.Context
	hurry     context.CancelFunc
	clock     *scheduler
	announces announcers
	own       ownAddresses
	udp       udpSockets
	dials     slots // outgoing handshakes at once
	greeting  greetings
	peers     slots // connections

	mu       sync.Mutex
	torrents map[metainfo.Hash]*Torrent // by each hash that the wire may name
	list     []*Torrent                 // in the order they were added
	closing  bool
	closed   chan struct{} // Close is done
	closeErr error
}

// New makes a client: it checks the configuration, binds the listening port
// and starts its goroutines. Nothing is sent. A port that is taken gives an
// error for which errors.Is finds syscall.EADDRINUSE.
func New(cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	l, err := listen(cfg.Network, cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("client: listen on %s: %w", cfg.Listen, err)
	}
	c := &Client{
		cfg:  cfg,
		recv: block.NewPool(cfg.Memory - cfg.Memory/4), send: block.NewPool(cfg.Memory / 4),
		limits:   newLimits(&cfg),
		torrents: make(map[metainfo.Hash]*Torrent),
		closed:   make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.farewell, c.hurry = context.WithCancel(context.Background())
	c.dials.max, c.peers.max = cfg.MaxHandshakes, max(cfg.MaxPeers, 0)
	c.own.init(l)
	c.greeting.max = cfg.MaxHandshakes
	c.setHTTP()
	c.disk = disk.NewPool(cfg.Workers)
	c.clock = newScheduler(c.ctx)
	c.announces.init(c.clock)
	c.limits.slots.init(c)
	c.group.Go(c.clock.run)
	if l != nil {
		c.group.Go(c.acceptLoop)
	}
	return c, nil
}

func (c *Client) setHTTP() {
	c.http = c.cfg.HTTPClient
	if c.http == nil {
		tr := http.DefaultTransport.(*http.Transport).Clone()
		tr.DialContext = nil // the system's: then policies are asked before a connection is made
		if _, system := c.cfg.Network.(*systemNetwork); !system {
			tr.DialContext = c.cfg.Network.DialContext
		}
		tr.MaxIdleConnsPerHost = announcesAtOne
		tr.MaxConnsPerHost = goodbyesAtOne
		tr.IdleConnTimeout = 30 * time.Second
		c.http = &http.Client{Transport: tr}
	}
	c.udp.host, c.udp.port = c.own.host, c.own.port
	c.udp.network, _ = c.cfg.Network.(PacketNetwork)
	c.trackers = &tracker.Client{
		HTTP: c.http, UserAgent: c.cfg.UserAgent, MinInterval: c.cfg.Trackers.MinInterval,
		ListenPacket: c.udp.listenPacket, Policy: c.cfg.Trackers.Policy,
	}
}

// Port returns the TCP port that the client listens on; 0: none.
func (c *Client) Port() int { return int(c.own.port) }

// Torrents returns the torrents in the order they were added.
func (c *Client) Torrents() []*Torrent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Torrent(nil), c.list...)
}

// Torrent returns the torrent with that infohash, or nil.
func (c *Client) Torrent(h metainfo.Hashes) *Torrent {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys(h) {
		if t := c.torrents[k]; t != nil {
			return t
		}
	}
	return nil
}

// MemoryUse returns the bytes of payload buffers that are in use now, and the
// most that were in use or kept for reuse at any time.
func (c *Client) MemoryUse() (now, peak int64) {
	return c.recv.Used() + c.send.Used(), c.recv.Peak() + c.send.Peak()
}

// trim gives unused buffers back to the system, when less of them may be
// needed from now on.
func (c *Client) trim() {
	const keep = 2 << 20
	c.recv.Trim(keep)
	c.send.Trim(keep)
}

// keys are the 20-byte names of a torrent on the wire: BEP 52 gives a hybrid two.
func keys(h metainfo.Hashes) []metainfo.Hash {
	var ks []metainfo.Hash
	if !h.V1.IsZero() {
		ks = append(ks, h.V1)
	}
	if !h.V2.IsZero() {
		ks = append(ks, h.V2.Truncated())
	}
	return ks
}

// listen opens the port of an address, or of the first free one of a range.
func listen(n Network, address string) (net.Listener, error) {
	switch address {
	case "none":
		return nil, nil
	case "":
		if l, err := listenRange(n, "", 6881, 6889); err == nil {
			return l, nil
		}
		return n.Listen("tcp", ":0")
	}
	host, ports, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	first, last, ok := strings.Cut(ports, "-")
	if !ok {
		return n.Listen("tcp", address)
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || from == 0 || to < from {
		return nil, fmt.Errorf("%q is no range of ports", ports)
	}
	return listenRange(n, host, int(from), int(to))
}

func listenRange(n Network, host string, from, to int) (l net.Listener, err error) {
	for port := from; port <= to; port++ {
		if l, err = n.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// newPeerID makes an id as BEP 20 says: client, version, then random.
func newPeerID() (id [20]byte) {
	var random [9]byte
	crand.Read(random[:])
	copy(id[:], "-sG0010-"+base64.RawURLEncoding.EncodeToString(random[:]))
	return id
}

// newRand makes a source of randomness of its own for each owner, since one
// is not safe for concurrent use.
func newRand() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
