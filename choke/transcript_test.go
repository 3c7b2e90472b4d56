package choke

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what the strategies say into testdata/*.txt; read the difference")

// TestTranscripts runs the stories in testdata. A line is a command, and what follows with "> " is the answer:
//
//	strategy titfortat|seeding|default      which one; first line
//	slots N, limit N, piece N, seeding      fields of the rounds to come
//	peer ID key=value flag ...              adds or changes a peer; flags: interested, idle, seed, uploadonly, snubbed, -snubbed
//	gone ID ...                             peers that leave
//	after D [tick|slotfree|reciprocate]     lets the time go by and holds a round; answer: who is unchoked and why
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 5)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			want := strings.ReplaceAll(string(text), "\r\n", "\n")
			got := newStory(t).play(want)
			if *update {
				require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
				return
			}
			require.Equal(t, want, got)
		})
	}
}

// A story holds the peers of a torrent, and does with decisions what a client would.
type story struct {
	t        *testing.T
	strategy Strategy
	round    Round
	peers    []Peer
}

func newStory(t *testing.T) *story {
	return &story{t: t, round: Round{
		Now:         time.Unix(1_700_000_000, 0),
		Rand:        rand.New(rand.NewPCG(1, 1)),
		PieceLength: 1 << 20,
	}}
}

func (s *story) play(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		out.WriteString(line + "\n")
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if answer := s.command(fields[0], fields[1:]); answer != "" {
			out.WriteString("> " + answer + "\n")
		}
	}
	return out.String()
}

func (s *story) command(verb string, args []string) (answer string) {
	switch verb {
	case "strategy":
		s.strategy = map[string]func() Strategy{"titfortat": NewTitForTat, "seeding": NewSeeding, "default": Default}[args[0]]()
		s.round.Seeding = args[0] == "seeding"
	case "slots":
		s.round.Slots = int(s.number(args[0]))
	case "limit":
		s.round.UploadLimit = s.number(args[0])
	case "piece":
		s.round.PieceLength = s.number(args[0])
	case "seeding":
		s.round.Seeding = true
	case "peer":
		s.peer(args)
	case "gone":
		for _, id := range args {
			i := s.find(PeerID(s.number(id)))
			s.peers = slices.Delete(s.peers, i, i+1)
		}
	case "after":
		return s.after(args)
	default:
		s.t.Fatalf("unknown command %q", verb)
	}
	return ""
}

func (s *story) peer(args []string) {
	id := PeerID(s.number(args[0]))
	i := s.find(id)
	if i < 0 {
		i = len(s.peers)
		s.peers = append(s.peers, Peer{
			ID:         id,
			Addr:       netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(id >> 8), byte(id)}), 6881),
			SinceBlock: -1,
		})
	}
	p := &s.peers[i]
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "interested":
			p.Interested = true
		case "idle":
			p.Interested = false
		case "seed":
			p.Seed = true
		case "uploadonly":
			p.UploadOnly = true
		case "snubbed":
			p.Snubbed = true
		case "-snubbed":
			p.Snubbed = false
		case "down":
			p.DownRate20 = s.number(value)
		case "up":
			p.UpRate20 = s.number(value)
		case "uploaded":
			p.Uploaded = s.number(value)
		case "addr":
			p.Addr = netip.MustParseAddrPort(value)
		default:
			s.t.Fatalf("unknown field %q", arg)
		}
	}
}

func (s *story) after(args []string) string {
	d, err := time.ParseDuration(args[0])
	require.NoError(s.t, err)
	s.round.Now = s.round.Now.Add(d)
	s.round.Why = Tick
	if len(args) > 1 {
		s.round.Why = map[string]Reason{"tick": Tick, "slotfree": SlotFree, "reciprocate": Reciprocate}[args[1]]
	}
	for i := range s.peers {
		s.peers[i].Connected += d
		if s.peers[i].Unchoked {
			s.peers[i].UnchokedFor += d
		}
	}
	s.round.Peers = s.peers
	decision := s.strategy.Choose(&s.round)
	said := make(map[string][]string)
	var reasons []string
	for i := range s.peers {
		p := &s.peers[i]
		at := slices.IndexFunc(decision.Unchoke, func(c Choice) bool { return c.Peer == p.ID })
		p.Unchoked = at >= 0
		if at < 0 {
			p.UnchokedFor = 0
			continue
		}
		why := decision.Unchoke[at].Why
		if said[why] == nil {
			reasons = append(reasons, why)
		}
		said[why] = append(said[why], fmt.Sprint(p.ID))
	}
	slices.Sort(reasons)
	for i, why := range reasons {
		reasons[i] = why + ": " + strings.Join(said[why], " ")
	}
	if len(reasons) == 0 {
		return "nobody"
	}
	return strings.Join(reasons, "; ")
}

func (s *story) find(id PeerID) int {
	return slices.IndexFunc(s.peers, func(p Peer) bool { return p.ID == id })
}

func (s *story) number(text string) int64 {
	shift := 0
	switch {
	case strings.HasSuffix(text, "K"):
		shift = 10
	case strings.HasSuffix(text, "M"):
		shift = 20
	}
	n, err := strconv.ParseInt(strings.TrimRight(text, "KM"), 10, 64)
	require.NoError(s.t, err)
	return n << shift
}
