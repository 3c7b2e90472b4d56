package choketest

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/seed1734be99/starling/choke"
)

// begin is where the time of all rounds starts.
var begin = time.Unix(1_700_000_000, 0)

const tick = 10 * time.Second

// A world is a torrent with peers that come, go, and do something. It follows decisions like a client, in steps of
// given time, and is the same for the same seed and the same decisions.
type world struct {
	rng     *rand.Rand
	now     time.Time
	why     choke.Reason
	slots   int
	limit   int64
	seeding bool
	peers   []choke.Peer
	last    choke.PeerID
	speed   map[choke.PeerID]int64 // what a peer sends when it does
}

func newWorld(seed uint64, n int) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0x5747)), now: begin, why: choke.Started, slots: 4,
		speed: make(map[choke.PeerID]int64),
	}
	for range n {
		w.join()
	}
	return w
}

func addrOf(id choke.PeerID) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(id >> 16), byte(id >> 8), byte(id)}), 6881)
}

const pieceLength = 256 << 10

// join adds a peer of some kind.
func (w *world) join() *choke.Peer {
	w.last++
	p := choke.Peer{
		ID:         w.last,
		Addr:       addrOf(w.last),
		SinceBlock: -1,
		Interested: w.rng.IntN(4) > 0,
		Seed:       w.rng.IntN(12) == 0,
		UploadOnly: w.rng.IntN(12) == 0,
		Pieces:     w.rng.IntN(100),
	}
	if w.rng.IntN(10) == 0 && w.last > 1 { // several at one address
		p.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(w.rng.IntN(4))}), uint16(w.last))
	}
	if w.rng.IntN(3) > 0 {
		w.speed[p.ID] = 1 << (8 + w.rng.IntN(14))
	}
	w.peers = append(w.peers, p)
	return &w.peers[len(w.peers)-1]
}

// round is a snapshot that is the strategy's to keep or to break. Rounds of the same world at the same time are equal
// and share nothing.
func (w *world) round(seed uint64) *choke.Round {
	r := &choke.Round{
		Now: w.now, Rand: rand.New(rand.NewPCG(seed, 0x524e44)), Why: w.why, Slots: w.slots,
		UploadLimit: w.limit, Seeding: w.seeding, PieceLength: pieceLength,
		Peers: append([]choke.Peer(nil), w.peers...),
	}
	for i := range w.peers {
		r.UploadRate += w.peers[i].UpRate20
	}
	return r
}

// obey carries a decision out, and lets the time go by.
func (w *world) obey(d choke.Decision, dt time.Duration) {
	on := make(map[choke.PeerID]int64, len(d.Unchoke))
	for _, c := range d.Unchoke {
		on[c.Peer] = max(c.MaxRate, 1)
	}
	w.now = w.now.Add(dt)
	w.why = choke.Tick
	if dt < tick {
		w.why = choke.Reason(1 + w.rng.IntN(3))
	}
	for i := range w.peers {
		p := &w.peers[i]
		most, unchoked := on[p.ID]
		w.live(p, unchoked, most, dt)
	}
}

// live is what a peer does in dt.
func (w *world) live(p *choke.Peer, unchoked bool, most int64, dt time.Duration) {
	p.Connected += dt
	p.Unchoked = unchoked
	p.UnchokedFor = since(unchoked, p.UnchokedFor, dt)
	if w.rng.IntN(20) == 0 {
		p.Interested = !p.Interested
	}
	p.InterestedFor = since(p.Interested, p.InterestedFor, dt)
	if w.rng.IntN(15) == 0 {
		p.UnchokesUs = !p.UnchokesUs
	}
	p.UnchokesUsFor = since(p.UnchokesUs, p.UnchokesUsFor, dt)
	p.DownRate20, p.UpRate20 = 0, 0
	if s := w.speed[p.ID]; p.UnchokesUs && s > 0 && !w.seeding {
		p.DownRate20 = s + w.rng.Int64N(s)
		p.SinceBlock = 0
	} else if p.SinceBlock >= 0 {
		p.SinceBlock += dt
	}
	p.Snubbed = p.UnchokesUs && p.SinceBlock > time.Minute
	if unchoked && p.Interested {
		p.UpRate20 = 1<<10 + w.rng.Int64N(100<<10)
		if most > 1 {
			p.UpRate20 = min(p.UpRate20, most)
		}
	}
	p.DownRate60 += (p.DownRate20 - p.DownRate60) / 3
	p.UpRate60 += (p.UpRate20 - p.UpRate60) / 3
	p.Downloaded += int64(float64(p.DownRate20) * dt.Seconds())
	p.Uploaded += int64(float64(p.UpRate20) * dt.Seconds())
	if w.rng.IntN(200) == 0 {
		p.BadBytes = min(p.BadBytes+pieceLength, p.Downloaded)
	}
}

func since(on bool, was, dt time.Duration) time.Duration {
	if !on {
		return 0
	}
	return was + dt
}

// churn lets some peers go and others come.
func (w *world) churn() {
	kept := w.peers[:0]
	for _, p := range w.peers {
		if w.rng.IntN(15) > 0 {
			kept = append(kept, p)
		} else {
			delete(w.speed, p.ID)
		}
	}
	w.peers = kept
	for range w.rng.IntN(5) {
		w.join()
	}
	w.rng.Shuffle(len(w.peers), func(i, j int) { w.peers[i], w.peers[j] = w.peers[j], w.peers[i] })
}

// step is a time between two rounds: mostly a whole one.
func (w *world) step() time.Duration {
	if w.rng.IntN(3) > 0 {
		return tick
	}
	return time.Duration(1 + w.rng.Int64N(int64(tick)))
}
