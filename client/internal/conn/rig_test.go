package conn

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// rig is a torrent without a client: a swarm, a disk in memory whose jobs are
// done at once, and what connections need.
type rig struct {
	t      testing.TB
	layout *metainfo.Layout
	disk   []byte // nil: all zeros, and no hash is looked at
	env    Torrent
	reads  []int // lengths of the reads of the disk
	fail   error // of reads

	mu     sync.Mutex
	conns  map[swarm.PeerID]*Conn
	faults []error
	drops  []error
	wg     sync.WaitGroup

	job    swarm.Job
	effs   sync.Pool
	inline bool // writers run in the goroutine that wakes them
}

func newRig(t testing.TB, pieceLength, length int64, data []byte) *rig {
	l, err := metainfo.NewLayout(pieceLength, []metainfo.File{{Path: []string{"f"}, Length: length}})
	require.NoError(t, err)
	r := &rig{t: t, layout: l, conns: make(map[swarm.PeerID]*Conn)}
	r.effs.New = func() any { return new(swarm.Effects) }
	sums := make([]byte, 20*l.NumPieces())
	if data != nil {
		r.disk = make([]byte, len(data))
		for i := range l.NumPieces() {
			off := l.Offset(i, 0)
			s := sha1.Sum(data[off : off+l.PieceSize(i)])
			copy(sums[20*i:], s[:])
		}
	}
	r.env = Torrent{
		Recv: block.NewPool(24 << 20), Send: block.NewPool(8 << 20), Data: r,
		Carry: r.carry, Fault: func(err error) { r.faults = append(r.faults, err) },
		Go: func(f func()) bool {
			if r.inline {
				f()
				return true
			}
			r.wg.Go(f)
			return true
		},
	}
	now := time.Now()
	r.env.Swarm = swarm.Guard(swarm.Config{ID: [20]byte{1}, Rand: rand.New(rand.NewPCG(1, 2)), Pool: r.env.Recv, Now: now})
	var eff swarm.Effects
	r.env.Swarm.SetContent(swarm.Content{Layout: l, Sums: sums}, now, &eff)
	r.env.Swarm.Start(now, &eff)
	return r
}

// complete makes the torrent one that has everything.
func (r *rig) complete() {
	all := piece.NewBitfield(r.layout.NumPieces())
	for i := range r.layout.NumPieces() {
		all.Set(i)
	}
	var eff swarm.Effects
	r.env.Swarm.Check(nil, all, time.Now(), &eff)
	r.env.Swarm.Start(time.Now(), &eff)
}

// ReadAt reads the disk.
func (r *rig) ReadAt(p []byte, off int64) (int, error) {
	if r.fail != nil {
		return 0, r.fail
	}
	if r.disk != nil {
		r.reads = append(r.reads, len(p))
		copy(p, r.disk[off:])
	}
	return len(p), nil
}

func (r *rig) carry(eff *swarm.Effects, self *Conn) {
	for _, id := range eff.Wake {
		if self != nil && self.ID() == id {
			self.StartWriter()
			continue
		}
		r.mu.Lock()
		c := r.conns[id]
		r.mu.Unlock()
		if c != nil {
			c.StartWriter()
		}
	}
	for _, d := range eff.Drop {
		r.mu.Lock()
		c := r.conns[d.Peer]
		r.drops = append(r.drops, d.Reason)
		r.mu.Unlock()
		if c != nil {
			c.Close(d.Reason)
		}
	}
	if eff.Rechoke {
		r.unchokeAll()
	}
	if eff.Jobs > 0 {
		r.work()
	}
}

// work does all jobs of the disk.
func (r *rig) work() {
	j := new(swarm.Job)
	if r.inline {
		j = &r.job
	}
	for r.env.Swarm.NextJob(j) {
		res := swarm.Result{OK: true}
		if r.disk != nil && j.Kind == swarm.JobVerify && j.Digest == nil {
			res.OK = metainfo.Hash(sha1.Sum(j.Buf)) == j.Sum
		}
		if r.disk != nil && res.OK {
			r.mu.Lock()
			copy(r.disk[j.Addr:], j.Buf)
			r.mu.Unlock()
		}
		eff := r.effs.Get().(*swarm.Effects)
		eff.Reset()
		r.env.Swarm.JobDone(j, res, time.Now(), eff)
		r.carry(eff, nil)
		r.effs.Put(eff)
	}
}

func (r *rig) unchokeAll() {
	round := choke.Round{Now: time.Now(), Rand: rand.New(rand.NewPCG(3, 4))}
	n := r.env.Swarm.Snapshot(&round, round.Now)
	var d choke.Decision
	for _, p := range round.Peers {
		if p.Interested {
			d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID})
		}
	}
	var eff swarm.Effects
	r.env.Swarm.Apply(n, d, time.Now(), &eff)
	r.carry(&eff, nil)
}

// join makes a connection of nc, whose handshake is taken for done.
func (r *rig) join(nc net.Conn, fast bool) *Conn {
	c := New(nc, &r.env)
	err := c.Join(swarm.Identity{
		Addr: netip.MustParseAddrPort("10.0.0.9:6881"), ID: [20]byte{9}, Fast: fast, Extended: true,
	}, nil, func() {
		r.mu.Lock()
		r.conns[c.ID()] = c
		r.mu.Unlock()
	})
	require.NoError(r.t, err)
	return c
}

// run joins and reads; the error comes when the connection has ended.
func (r *rig) run(nc net.Conn, fast bool) (*Conn, <-chan error) {
	c := r.join(nc, fast)
	ended := make(chan error, 1)
	r.wg.Go(func() { ended <- c.Run() })
	return c, ended
}

func (r *rig) stats() swarm.Stats { return r.env.Swarm.Stats(time.Now()) }

// far is the other end of a connection: a peer that speaks frames.
type far struct {
	net.Conn
	in     *bufio.Reader
	limits peerwire.Limits
	frame  []byte
}

func newFar(nc net.Conn) *far { return &far{Conn: nc, in: bufio.NewReader(nc)} }

var errTooLong = errors.New("a message of more than a megabyte")

// next waits for a message.
func (f *far) next() (m peerwire.Message, err error) {
	var head [4]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > 1<<20 {
		return m, errTooLong
	}
	f.frame = append(append(f.frame[:0], head[:]...), make([]byte, n)...)
	if _, err := io.ReadFull(f.in, f.frame[4:]); err != nil {
		return m, err
	}
	_, err = f.limits.Next(f.frame, &m)
	return m, err
}

// await returns the next message with that id.
func (f *far) await(id peerwire.ID) (peerwire.Message, error) {
	for {
		if m, err := f.next(); err != nil || m.ID == id {
			return m, err
		}
	}
}

// answer is the piece message for a request.
func answer(b []byte, m peerwire.Message, pieceLength int64, data []byte) []byte {
	at := int64(m.Index)*pieceLength + int64(m.Begin)
	return peerwire.AppendPiece(b, m.Index, m.Begin, data[at:at+int64(m.Length)])
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}
