package client

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
)

// Explanation says in words what a torrent does, or why it stands still. The
// texts are for people, and may change.
type Explanation struct {
	// Summary is one line, such as "stands still: all 3 peers that have what is
	// missing choke us".
	Summary string
	// Reasons is what stands behind it, a line each: perhaps none.
	Reasons []string
}

// String joins the lines.
func (e Explanation) String() string {
	return strings.Join(append([]string{e.Summary}, e.Reasons...), "\n  ")
}

// Explain says what the torrent does, or why it stands still. Why a single peer
// is choked or unchoked stands in [Torrent.Peers].
func (t *Torrent) Explain() Explanation {
	s := situation{now: time.Now(), Stats: t.Stats(), peers: t.Peers(), trackers: t.Trackers(), off: t.c.cfg.Trackers.Off}
	s.dry = t.g.Stats(s.now).Dry
	s.needed, s.nowhere = t.g.Missing()
	return s.explain()
}

// ExplainPiece says how far piece i is, or why it is not being fetched.
func (t *Torrent) ExplainPiece(i int) string {
	st := t.Stats()
	if st.State == Running || st.State == NoInfo {
		if i < 0 || i >= st.Pieces {
			return fmt.Sprintf("there is no piece %d of %d", i, st.Pieces)
		}
		p := t.g.Piece(i)
		return explainPiece(&p)
	}
	return "the torrent is " + st.State.String()
}

// situation is all that an explanation is made of: plain values.
type situation struct {
	Stats
	now             time.Time
	peers           []PeerInfo
	trackers        []TrackerInfo
	off             bool // trackers are
	dry             bool // nothing is asked for until memory comes back
	needed, nowhere int  // pieces
}

func (s *situation) explain() Explanation {
	switch s.State {
	case Closed:
		return Explanation{Summary: "closed"}
	case Faulted:
		return Explanation{Summary: "stands still: " + s.Fault.Error(), Reasons: []string{"Resume tries again; what is verified is still served"}}
	case Paused:
		return Explanation{Summary: "paused"}
	case Checking:
		return Explanation{Summary: fmt.Sprintf("checking what is on disk: %d of %d pieces", s.Checked, s.ToCheck)}
	}
	switch {
	case len(s.peers) == 0 && s.needed == 0 && s.Pieces > 0:
		return Explanation{"complete, and nobody is connected", s.sources()}
	case len(s.peers) == 0:
		return Explanation{"stands still: no peers", s.sources()}
	case s.Pieces == 0:
		return s.metadata()
	case s.needed == 0:
		return s.seeding()
	}
	return s.downloading()
}

// sources says why there are no peers.
func (s *situation) sources() (lines []string) {
	switch {
	case s.Known > 0:
		lines = append(lines, count(s.Known, "address is", "addresses are")+" known; they can't be reached, or wait to be tried again")
	default:
		lines = append(lines, "no addresses are known")
	}
	switch {
	case s.off:
		return append(lines, "trackers are turned off")
	case len(s.trackers) == 0:
		return append(lines, "there is no tracker")
	}
	for i := range s.trackers {
		lines = append(lines, "tracker "+hostOf(s.trackers[i].URL)+": "+s.tracker(&s.trackers[i]))
	}
	return lines
}

func (s *situation) tracker(t *TrackerInfo) string {
	next := ""
	if wait := t.Next.Sub(s.now); !t.Next.IsZero() && wait > 0 {
		next = ", again in " + wait.Round(time.Second).String()
	}
	switch {
	case t.Unsupported, t.Retired:
		return "not asked: " + t.Err
	case t.Fails > 0:
		return "failed " + count(t.Fails, "time", "times") + ": " + t.Err + next
	case t.Announcing:
		return "is being asked"
	case t.Last.IsZero():
		return "not asked yet"
	}
	return "knows " + count(t.Peers, "peer", "peers") + next
}

func (s *situation) metadata() Explanation {
	able := 0
	for i := range s.peers {
		for _, e := range s.peers[i].Extensions {
			if e == "ut_metadata" {
				able++
			}
		}
	}
	if able == 0 {
		return Explanation{Summary: "stands still: the metadata is not known, and " + none(len(s.peers), "has it to give")}
	}
	return Explanation{Summary: "fetching the metadata from " + count(able, "peer", "peers")}
}

func (s *situation) seeding() Explanation {
	wanting, served := 0, 0
	for i := range s.peers {
		if s.peers[i].PeerInterested {
			wanting++
			if !s.peers[i].Choking {
				served++
			}
		}
	}
	switch {
	case wanting == 0:
		return Explanation{Summary: "complete, and " + none(len(s.peers), "wants anything")}
	case served == 0:
		return Explanation{Summary: "complete; " + count(wanting, "peer wants", "peers want") + " something, the choking strategy lets none download"}
	}
	return Explanation{Summary: fmt.Sprintf("seeding to %d of %s something", served, count(wanting, "peer that wants", "peers that want"))}
}

// downloading looks for what is in the way of the pieces that are missing.
func (s *situation) downloading() Explanation {
	var useful, choking, snubbing, held, asked int
	allChoke := func() bool { return useful > 0 && choking == useful }
	for i := range s.peers {
		p := &s.peers[i]
		if !p.Interested {
			continue
		}
		useful++
		switch {
		case p.Held:
			held++
		case p.Requests > 0 && !p.Snubbed:
			asked++
		case p.Choked:
			choking++
		case p.Snubbed:
			snubbing++
		}
	}
	var reasons []string
	if s.nowhere > 0 && useful > 0 {
		reasons = append(reasons, fmt.Sprintf("%d of the %s missing nobody has", s.nowhere, count(s.needed, "piece", "pieces")))
	}
	for _, r := range []struct {
		n           int
		one, others string
	}{
		{hidden(choking, allChoke()), "peer that has something for us chokes us", "peers that have something for us choke us"},
		{snubbing, "peer lets us download and sends nothing", "peers let us download and send nothing"},
		{held, "peer waits for us: memory, the disk or a limit", "peers wait for us: memory, the disk or a limit"},
	} {
		if r.n > 0 {
			reasons = append(reasons, count(r.n, r.one, r.others))
		}
	}
	if s.dry {
		reasons = append(reasons, "nothing more is asked for until memory is free: the disk is behind")
	}
	summary := "waits"
	switch {
	case asked > 0 || s.DownRate > 0 && !allChoke():
		summary = fmt.Sprintf("downloading from %d of %s", asked, count(len(s.peers), "peer", "peers"))
	case useful == 0:
		summary = "stands still: " + none(len(s.peers), "has any of the "+count(s.needed, "piece that is", "pieces that are")+" missing")
	case allChoke():
		summary = "stands still: " + all(useful, "that has something for us chokes us", "that have something for us choke us")
	case held > 0 || s.dry:
		summary = "stands still for the moment"
	case snubbing > 0:
		summary = "stands still: nobody sends what was asked for"
	}
	return Explanation{summary, reasons}
}

// explainPiece says it of one piece of a torrent that runs.
func explainPiece(p *swarm.PieceStats) string {
	progress := fmt.Sprintf("%d of %s here", p.Received, count(p.Blocks, "block", "blocks"))
	switch {
	case p.Have:
		return "it is here"
	case !p.Wanted:
		return "it is not wanted"
	case p.Received == p.Blocks:
		return "all of it is here and being verified"
	case p.Asked > 0 && p.Parole:
		return progress + "; it failed its hash, so one peer at a time is asked"
	case p.Asked > 0:
		return progress + ", the rest is asked of " + count(p.Asked, "peer", "peers")
	case p.Sources == 0:
		return progress + "; nobody has it"
	case p.Choking == p.Sources:
		return progress + "; " + all(p.Sources, "that has it chokes us", "that have it choke us")
	case p.Choking+p.Snubbing == p.Sources:
		return progress + "; who has it and lets us download sends nothing"
	}
	return fmt.Sprintf("%s; %s it and could send it: others go first", progress, count(p.Sources-p.Choking-p.Snubbing, "peer has", "peers have"))
}

// Numbers in sentences.

// hidden is n, or nothing if something else tells it.
func hidden(n int, told bool) int {
	if told {
		return 0
	}
	return n
}

func count(n int, one, others string) string { return fmt.Sprintf("%d %s", n, verb(n, one, others)) }

func verb(n int, one, others string) string {
	if n == 1 {
		return one
	}
	return others
}

func none(n int, does string) string {
	if n == 1 {
		return "the only peer has not: none " + does
	}
	return fmt.Sprintf("none of %d peers %s", n, does)
}

func all(n int, one, others string) string {
	if n == 1 {
		return "the only peer " + one
	}
	return fmt.Sprintf("all %d peers %s", n, others)
}
