package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/storage"
	"github.com/seed1734be99/starling/tracker"
)

// Config is what a client is made of. The zero value is good: every field's
// zero is the default that its comment names. [New] copies it.
type Config struct {
	// Dir is the folder that torrents are saved in, unless their Spec names
	// another. "" is the current folder.
	Dir string
	// Storage is where data lies. nil: files below Dir. Closing and removing
	// wait for its reads and writes, so one that hangs holds them up.
	Storage storage.Storage
	// Choker makes the strategy of each torrent (C1-C5). nil: choke.Default.
	Choker func() choke.Strategy

	// Listen is the TCP address for incoming connections, one for all
	// torrents: "host:port", or "host:first-last" for the first port of a range
	// that is free. "": ports 6881 to 6889, then any. "none": no listener.
	Listen string
	// Network makes connections and listeners. nil: the operating system's.
	Network Network
	// HTTPClient is used for trackers and torrent files. nil: a client with
	// time-outs and the proxy of the environment.
	HTTPClient *http.Client
	// UserAgent is what HTTP requests name. "": the library and its version.
	UserAgent string
	// Trackers is how torrents are announced.
	Trackers TrackerConfig

	// Memory bounds the bytes of payload in memory: blocks being received and
	// sent, and read buffers (a quarter of it is for sending). 0: 64 MiB. At
	// least 8 MiB.
	Memory int64
	// MaxPeers bounds the connections of all torrents together. 0: 200. -1: no limit.
	MaxPeers int
	// MaxPeersPerTorrent: 0: 50. -1: no limit.
	MaxPeersPerTorrent int
	// MaxHandshakes bounds connections that are being made or greeted. 0: 50.
	MaxHandshakes int
	// MaxRequests bounds the requests open to one peer; the number adapts to
	// its rate and delay, and to what it queues. 0: 1024.
	MaxRequests int
	// UploadSlots is how many interested peers of all torrents together are
	// unchoked, dealt over the torrents by demand (C10). 0: as many as what is
	// sent, or the limit of it, makes sensible: four, at 1 MiB/s 25.
	UploadSlots int
	// UploadLimit and DownloadLimit are bytes per second of all torrents
	// together; see [Client.SetLimits]. 0: no limit.
	UploadLimit, DownloadLimit int64
	// PeerLimits are the rates of each connection; see [Client.SetPeerLimits].
	PeerLimits Limits
	// ExemptLocal lets connections to this machine, to private addresses and to
	// those of the link pass without limits.
	ExemptLocal bool

	// Reconnect is the wait before a lost connection that we had dialled is
	// dialled again, and ReconnectRefused that before one that could not be
	// made. Both double with each failure and vary by a half. 0: 15 s and
	// one minute. Peers that the program named itself begin at one second.
	Reconnect, ReconnectRefused time.Duration
	// Workers is how many goroutines hash, write and check. 0: one for each
	// processor, at least two.
	Workers int
	// Logger takes what is worth noticing, at levels Debug to Warn. nil: silence.
	Logger *slog.Logger
}

// TrackerConfig is how a client announces. The zero value is good.
type TrackerConfig struct {
	// Off turns trackers off for all torrents.
	Off bool
	// MinInterval is the shortest time between two regular announces to one
	// tracker over one address family, whatever the tracker says. 0: one minute.
	MinInterval time.Duration
	// IP is the address or name that trackers are to tell others instead of the
	// one that they see (T25); most ignore it. "": none.
	IP string
	// ToAll announces each torrent to all of its trackers side by side, instead
	// of to the first that answers (BEP 12). Private torrents use one at a time
	// in any case (BEP 27).
	ToAll bool
	// Policy decides to which addresses announces and scrapes may go. nil:
	// [tracker.DefaultPolicy], which keeps trackers out of torrents of unknown
	// origin from reaching services of this machine.
	Policy tracker.Policy
}

// Network makes connections. *net.Dialer and net.Listen are the default. One
// that is a [PacketNetwork] too carries UDP; without that there is none.
type Network interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	Listen(network, address string) (net.Listener, error)
}

// PacketNetwork makes sockets for UDP, as net.ListenPacket does.
type PacketNetwork interface {
	ListenPacket(network, address string) (net.PacketConn, error)
}

type systemNetwork struct{ net.Dialer }

func (n *systemNetwork) Listen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}

func (n *systemNetwork) ListenPacket(network, address string) (net.PacketConn, error) {
	return net.ListenPacket(network, address)
}

// MinMemory is the least Config.Memory. It leaves room beside the buffers of
// fifty peers that stop in the middle of a block, 32 KiB each: requests end at
// half of what is for receiving.
const MinMemory = 8 << 20

// validate refuses what contradicts itself, naming the field.
func (c *Config) validate() error {
	for _, f := range []struct {
		name  string
		value int64
		least int64
	}{
		{"MaxPeers", int64(c.MaxPeers), -1},
		{"MaxPeersPerTorrent", int64(c.MaxPeersPerTorrent), -1},
		{"MaxHandshakes", int64(c.MaxHandshakes), 0},
		{"MaxRequests", int64(c.MaxRequests), 0},
		{"UploadSlots", int64(c.UploadSlots), 0},
		{"UploadLimit", c.UploadLimit, 0},
		{"DownloadLimit", c.DownloadLimit, 0},
		{"PeerLimits.Upload", c.PeerLimits.Upload, 0},
		{"PeerLimits.Download", c.PeerLimits.Download, 0},
		{"Reconnect", int64(c.Reconnect), 0},
		{"ReconnectRefused", int64(c.ReconnectRefused), 0},
		{"Workers", int64(c.Workers), 0},
		{"Trackers.MinInterval", int64(c.Trackers.MinInterval), 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("client: Config.%s: %d is below %d", f.name, f.value, f.least)
		}
	}
	if c.Memory != 0 && c.Memory < MinMemory {
		return fmt.Errorf("client: Config.Memory: %d bytes are below %d", c.Memory, MinMemory)
	}
	return nil
}

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// setDefaults fills in what is zero.
func (c *Config) setDefaults() {
	or(&c.Memory, 64<<20)
	or(&c.MaxPeers, 200)
	or(&c.MaxPeersPerTorrent, 50)
	or(&c.MaxHandshakes, 50)
	or(&c.MaxRequests, 1024)
	or(&c.Reconnect, 15*time.Second)
	or(&c.ReconnectRefused, time.Minute)
	or(&c.Workers, max(2, runtime.GOMAXPROCS(0)))
	or(&c.UserAgent, "starling/"+Version)
	if c.Choker == nil {
		c.Choker = choke.Default
	}
	if c.Storage == nil {
		c.Storage = storage.NewFiles(c.Dir)
	}
	if c.Network == nil {
		c.Network = new(systemNetwork)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Version is the library's.
const Version = "0.1.0"

// Errors that callers branch on.
var (
	// ErrClosed: the client is closed.
	ErrClosed = errors.New("client: closed")
	// ErrRemoved: the torrent was removed.
	ErrRemoved = errors.New("client: torrent removed")
	// ErrExists comes beside the torrent that was added before.
	ErrExists = errors.New("client: torrent exists already")
	// ErrNoMetadata: what was asked for needs the metadata, which is not known yet.
	ErrNoMetadata = errors.New("client: metadata not known yet")
	// ErrNoTracker: the torrent has no tracker that could be asked.
	ErrNoTracker = errors.New("client: torrent has no tracker to ask")
	// ErrPaused is why peers are gone when a torrent is paused.
	ErrPaused = errors.New("client: torrent paused")
)

// A FaultError says that a torrent stands still because its data can't be
// kept: the disk is full, a file is in the way, its metadata can't be used.
// What is verified is still served. [Torrent.Resume] tries again.
type FaultError struct {
	Torrent string // its name
	Err     error
}

func (e *FaultError) Error() string { return "client: " + e.Torrent + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FaultError) Unwrap() error { return e.Err }
