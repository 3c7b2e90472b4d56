package swarm

import (
	"time"
)

// Stats is a snapshot of a swarm. Sizes in bytes, rates in bytes per second
// over the last 20 s.
type Stats struct {
	Mode             Mode
	Known            bool // the content
	Fault            error
	Pieces, NumHave  int
	Length, Left     int64
	Counters         Counters
	DownRate, UpRate int64
	Peers, Seeds     int
	Partials         int
	Landing          int64 // received, not verified yet
	Unchoked         int   // peers that we let download
	Interested       int   // peers that want something, and are no seeds
	Checked, ToCheck int   // pieces, while checking
	MetadataSize     int64
	Dry              bool // nothing is asked for until memory comes back
}

func (s *Swarm) stats(at stamp) Stats {
	st := Stats{
		Mode: s.mode, Fault: s.fault, Counters: s.total, Peers: s.members.n,
		DownRate: s.receiving.rate.Rate(at, shortRate), UpRate: s.sending.rate.Rate(at, shortRate),
		MetadataSize: int64(len(s.metadata.raw)),
	}
	st.Dry = s.asking.dry
	if s.layout != nil {
		st.Known = true
		st.Pieces, st.NumHave = s.layout.NumPieces(), s.picker.NumHave()
		st.Length = s.layout.Length()
		st.Left = max(st.Length-s.total.Have, 0)
		if s.picker.Have().All() {
			st.Left = 0
		}
		st.Partials = len(s.receiving.landings)
	}
	for _, l := range s.receiving.landings {
		st.Landing += l.unverified()
	}
	for p := range s.members.all {
		if p.has.all {
			st.Seeds++
		}
		if !p.wire.choking {
			st.Unchoked++
		}
		if p.wire.theyInterested && !p.has.all {
			st.Interested++
		}
	}
	if c := &s.check; c.running {
		st.ToCheck, st.Checked = c.total, c.total-len(c.candidates)-c.out
	}
	return st
}

// PeerStats is a snapshot of one peer.
type PeerStats struct {
	Identity
	Peer                        PeerID
	Connected                   time.Duration
	Client                      string // as it names itself in the extended handshake
	Choking, Interested         bool   // we, towards it
	Choked, TheyInterested      bool   // it, towards us
	Snubbed, Held               bool
	Seed, UploadOnly            bool
	Pieces                      int
	Open, Depth, Queued         int // our requests, how many they may be, theirs
	DownRate, UpRate            int64
	Downloaded, Uploaded, Waste int64
	Bad                         int64
	Why                         string // the choking strategy's reason
	Extensions                  []string
}

func (s *Swarm) peerStats(dst []PeerStats, at stamp) []PeerStats {
	for p := range s.members.all {
		dst = append(dst, PeerStats{
			Identity: p.Identity, Peer: p.id, Connected: at - p.joined, Client: p.ext.hs.V,
			Choking: p.wire.choking, Interested: p.wire.interested,
			Choked: p.wire.choked, TheyInterested: p.wire.theyInterested,
			Snubbed: p.req.snubbed, Held: p.held > 0,
			Seed: p.has.all, UploadOnly: p.ext.hs.UploadOnly, Pieces: max(p.has.count, 0),
			Open: p.req.count(), Depth: p.req.depth, Queued: p.out.queued(),
			DownRate: p.down.Rate(at, shortRate), UpRate: p.up.Rate(at, shortRate),
			Downloaded: p.down.Total(), Uploaded: p.up.Total(), Waste: p.wasted, Bad: p.bad,
			Why: s.choking.why[p.id], Extensions: p.ext.names(),
		})
	}
	return dst
}
