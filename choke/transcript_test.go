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

// stories are the files in testdata by the row they stand for. A line is a command, and what follows with "> " is the
// answer:
//
//	strategy NAME                           which one; first line
//	balance unthrottle=N ...                the same, byte balance with settings
//	slots N, limit N, piece N, rate N       fields of the rounds to come
//	seeding
//	peer ID key=value flag ...              adds or changes a peer
//	gone ID ...                             peers that leave
//	after D [started|slotfree|reciprocate]  lets the time go by and holds a round; answer: who is unchoked, and why
//	most                                    answer: Choice.MaxRate of all who are unchoked
//	why ID ...                              answer: what Explain says of each
var stories = map[string][]string{
	"C1":  {"titfortat-regular", "titfortat-not-interested"},
	"C2":  {"titfortat-optimistic"},
	"C3":  {"titfortat-snubbed", "titfortat-pause"},
	"C4":  {"seeding-turns", "seeding-equals", "seeding-slots", "roundrobin", "default"},
	"C5":  {"seeding-first-piece", "seeding-same-address", "seeding-reconnect", "roundrobin-first-piece"},
	"C6":  {"titfortat-reciprocate", "titfortat-reciprocate-bar"},
	"C7":  {"bytebalance", "bytebalance-spare", "bytebalance-bad-data", "bytebalance-memory", "bytebalance-bandwidth", "bytebalance-seeding"},
	"C9":  {"seeding-kernel-buffer"},
	"C11": {"titfortat-between"},
	"C12": {"bytebalance-hysteresis"},
}

func TestC1_TheFastestAndThoseThatCostNothing(t *testing.T)  { play(t, "C1") }
func TestC2_OptimisticMovesOnEvery30s(t *testing.T)          { play(t, "C2") }
func TestC3_SnubbedPeerLosesItsSlotToOptimism(t *testing.T)  { play(t, "C3") }
func TestC4_SeedFavoursFastUploadsOrGoesRound(t *testing.T)  { play(t, "C4") }
func TestC5_SeedGivesAFullPieceToEachAddress(t *testing.T)   { play(t, "C5") }
func TestC6_ImmediateReciprocation(t *testing.T)             { play(t, "C6") }
func TestC7_ByteBalance(t *testing.T)                        { play(t, "C7") }
func TestC9_KernelBufferIsNoRate(t *testing.T)               { play(t, "C9") }
func TestC11_FourSlotsRanksEvery10s(t *testing.T)            { play(t, "C11") }
func TestC12_BalanceMustExceedByUnthrottleDiff(t *testing.T) { play(t, "C12") }

func TestStories_EveryFileHasARow(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	var played []string
	for _, row := range stories {
		for _, name := range row {
			played = append(played, filepath.Join("testdata", name+".txt"))
		}
	}
	require.ElementsMatch(t, files, played)
}

func play(t *testing.T, row string) {
	for _, name := range stories[row] {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".txt")
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			want := strings.ReplaceAll(string(text), "\r\n", "\n")
			got := newStory(t).play(want)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
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
	last     Decision
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
		s.strategy = bundled[args[0]]()
		s.round.Seeding = args[0] == "seeding" || args[0] == "roundrobin"
	case "balance":
		s.strategy = NewByteBalance(s.settings(args))
	case "slots":
		s.round.Slots = int(s.number(args[0]))
	case "limit":
		s.round.UploadLimit = s.number(args[0])
	case "rate":
		s.round.UploadRate = s.number(args[0])
	case "most":
		return s.most()
	case "why":
		return s.why(args)
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
		case "unchokes":
			p.UnchokesUs, p.UnchokesUsFor = true, 0
		case "chokes":
			p.UnchokesUs, p.UnchokesUsFor = false, 0
		case "block":
			p.SinceBlock = 0
		case "down":
			p.DownRate20 = s.number(value)
		case "down60":
			p.DownRate60 = s.number(value)
		case "up":
			p.UpRate20 = s.number(value)
			p.UpRate60 = p.UpRate20
		case "sent":
			p.Downloaded = s.number(value)
		case "bad":
			p.BadBytes = s.number(value)
		case "uploaded", "got":
			p.Uploaded = s.number(value)
		case "unchoked":
			p.Unchoked = true
			d, err := time.ParseDuration(value)
			require.NoError(s.t, err)
			p.UnchokedFor = d
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
		s.round.Why = map[string]Reason{"started": Started, "slotfree": SlotFree, "reciprocate": Reciprocate}[args[1]]
	}
	for i := range s.peers {
		s.peers[i].Connected += d
		if s.peers[i].Unchoked {
			s.peers[i].UnchokedFor += d
		}
		if s.peers[i].UnchokesUs {
			s.peers[i].UnchokesUsFor += d
		}
		if s.peers[i].SinceBlock >= 0 {
			s.peers[i].SinceBlock += d
		}
	}
	s.round.Peers = s.peers
	decision := s.strategy.Choose(&s.round)
	s.last = decision
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

func (s *story) most() string {
	var out []string
	for i := range s.peers {
		for _, c := range s.last.Unchoke {
			if c.Peer == s.peers[i].ID {
				out = append(out, fmt.Sprintf("%d: %d", c.Peer, c.MaxRate))
			}
		}
	}
	return strings.Join(out, "; ")
}

func (s *story) why(ids []string) string {
	var out []string
	for _, id := range ids {
		out = append(out, id+": "+s.strategy.(Explainer).Explain(PeerID(s.number(id))))
	}
	return strings.Join(out, "\n> ")
}

func (s *story) settings(args []string) (b ByteBalance) {
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "ahead":
			b.Ahead = s.number(value)
		case "unthrottle":
			b.Unthrottle = s.number(value)
		case "rethrottle":
			b.Rethrottle = s.number(value)
		case "leeway":
			b.Leeway = time.Duration(s.number(value)) * time.Second
		case "memory":
			b.Memory = time.Duration(s.number(value)) * time.Second
		default:
			s.t.Fatalf("unknown setting %q", arg)
		}
	}
	return b
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
