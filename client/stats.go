package client

import (
	"net/netip"
	"path"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client/internal/discover"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/tracker"
)

// State is where a torrent is in its life.
type State uint8

// The states.
const (
	NoInfo   State = iota // the metadata is being fetched from peers
	Checking              // what is on disk is being verified
	Running               // downloading or seeding
	Paused
	Faulted // see Stats.Fault
	Closed  // removed, or the client is closed
)

var stateNames = [...]string{"fetching metadata", "checking", "running", "paused", "fault", "closed"}

// String returns the state in words.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// Stats is a snapshot of a torrent, flat on purpose: it is made to be printed. Sizes are bytes, rates bytes per second
// over the last 20 s, and totals count payload since the torrent was added.
type Stats struct {
	Name   string
	Hashes metainfo.Hashes
	State  State
	Fault  error
	Added  time.Time

	Length, Left   int64 // of the payload; what is wanted and not had
	Pieces, Have   int
	PieceLength    int64
	Partials       int   // pieces begun
	Landing        int64 // received, not verified yet
	Checked        int   // pieces, of ToCheck, while checking
	ToCheck        int
	MetadataLength int64

	Downloaded int64 // received and needed
	Uploaded   int64 // blocks wholly sent
	Verified   int64 // of Downloaded, what was verified and written
	Wasted     int64 // received, but not needed
	HashFailed int64 // bytes of pieces that failed their hash
	HashFails  int   // such pieces

	DownRate, UpRate int64
	Peers, Seeds     int // connected
	Unchoked         int // of them, those that we let download
	BadPeers         int // connections closed since the torrent was added, for breaking the protocol or for bad data
	ChokerFaults     int // choking strategies replaced by the default
	Known            int // candidates to connect to
}

// Complete reports whether every piece is had.
func (s *Stats) Complete() bool { return s.Pieces > 0 && s.Have == s.Pieces }

// PeerInfo is a snapshot of a connected peer, flat like Stats.
type PeerInfo struct {
	Addr      netip.AddrPort
	ID        [20]byte
	Client    string // its name for itself, or what its id tells (BEP 20)
	Origin    string // how it became known: tracker, incoming, manual, …
	Outgoing  bool
	Connected time.Duration
	Fast      bool // speaks BEP 6
	Extended  bool // speaks BEP 10

	Choking, Interested    bool // we, towards it
	Choked, PeerInterested bool // it, towards us
	Snubbed                bool // owes us blocks for too long
	Held                   bool // we do not read from it: memory or a limit
	Seed, UploadOnly       bool
	Pieces                 int
	Requests, Pipeline     int    // our open requests, and how many they may be
	Queued                 int    // its requests that wait
	Why                    string // why it is choked or unchoked, as the choking strategy tells (choke.Explainer)
	DownRate, UpRate       int64
	Downloaded, Uploaded   int64
	Wasted, Bad            int64
	Encryption, Transport  string // "" and "tcp"
	Extensions             []string
}

// FileInfo is a snapshot of a file.
type FileInfo struct {
	Path   string // in the torrent, with slashes
	Length int64
	Have   int64 // bytes in pieces that are had
	Pad    bool  // padding, not on disk (BEP 47)
}

// TrackerInfo is a snapshot of a tracker.
type TrackerInfo = tracker.Status

// Stats returns a snapshot.
func (t *Torrent) Stats() Stats {
	s := t.g.Stats(time.Now())
	t.life.mu.Lock()
	name, state, fault := t.life.nameLocked(), t.life.stateLocked(&s), t.life.fault
	t.life.mu.Unlock()
	if fault == nil && s.Fault != nil { // news that life has not heard yet
		fault = &FaultError{Torrent: name, Err: s.Fault}
	}
	st := Stats{
		Name: name, Hashes: t.hashes, State: state, Fault: fault, Added: t.added,
		Length: s.Length, Left: s.Left, Pieces: s.Pieces, Have: s.NumHave,
		Partials: s.Partials, Landing: s.Landing, Checked: s.Checked, ToCheck: s.ToCheck, MetadataLength: s.MetadataSize,
		Downloaded: s.Counters.Downloaded, Uploaded: s.Counters.Uploaded, Verified: s.Counters.Verified,
		Wasted: s.Counters.Wasted, HashFailed: s.Counters.Failed, HashFails: s.Counters.HashFails,
		DownRate: s.DownRate, UpRate: s.UpRate, Peers: s.Peers, Seeds: s.Seeds, Unchoked: s.Unchoked, Known: t.peers.known.Len(),
	}
	st.BadPeers, st.ChokerFaults = int(t.peers.bad.Load()), t.chooser.faults()
	if info := t.Info(); info != nil {
		st.PieceLength = info.PieceLength
	}
	return st
}

// Peers returns a snapshot of the connected peers.
func (t *Torrent) Peers() []PeerInfo {
	stats := t.g.Peers(nil, time.Now())
	infos := make([]PeerInfo, len(stats))
	ids := make([]choke.PeerID, len(stats))
	for i := range stats {
		infos[i] = peerInfo(&stats[i])
		ids[i] = choke.PeerID(stats[i].Peer)
	}
	t.chooser.explain(infos, ids)
	return infos
}

// Trackers returns a snapshot of the trackers, in their tiers' order.
func (t *Torrent) Trackers() []TrackerInfo { return t.trackers.schedule.Status() }

// Files returns the files with what is had of each; nil before the metadata
// is known.
func (t *Torrent) Files() []FileInfo {
	info := t.Info()
	if info == nil {
		return nil
	}
	have := t.g.Have()
	l := info.Layout()
	files := make([]FileInfo, len(l.Files()))
	for i, f := range l.Files() {
		files[i] = FileInfo{Path: path.Join(f.Raw...), Length: f.Length, Pad: f.Pad}
		first, last := l.FilePieces(i)
		for p := first; have != nil && p < last; p++ {
			if have.Has(p) {
				from := max(l.Offset(p, 0), l.FileOffset(i))
				to := min(l.Offset(p, 0)+l.PieceSize(p), l.FileOffset(i)+f.Length)
				files[i].Have += to - from
			}
		}
	}
	return files
}

func peerInfo(p *swarm.PeerStats) PeerInfo {
	name := p.Client
	if name == "" {
		name = peerwire.ClientName(p.ID)
	}
	return PeerInfo{
		Addr: p.Addr, ID: p.ID, Client: name, Origin: discover.Origin(p.Origin).String(), Outgoing: p.Outgoing,
		Connected: p.Connected, Fast: p.Fast, Extended: p.Extended,
		Choking: p.Choking, Interested: p.Interested, Choked: p.Choked, PeerInterested: p.TheyInterested,
		Snubbed: p.Snubbed, Held: p.Held, Seed: p.Seed, UploadOnly: p.UploadOnly, Pieces: p.Pieces,
		Requests: p.Open, Pipeline: p.Depth, Queued: p.Queued, Why: p.Why,
		DownRate: p.DownRate, UpRate: p.UpRate, Downloaded: p.Downloaded, Uploaded: p.Uploaded,
		Wasted: p.Waste, Bad: p.Bad, Transport: "tcp", Extensions: p.Extensions,
	}
}
