package swarm

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

var errDisk = errors.New("the disk failed")

// blk is the k-th block of piece i, of full length.
func blk(i, k int) piece.Block {
	return piece.Block{Piece: uint32(i), Begin: uint32(k * piece.BlockSize), Length: piece.BlockSize}
}

// seed joins a complete peer that lets us download, and hears what it is
// asked for.
func (n *node) seed(i byte, fast bool) PeerID {
	n.t.Helper()
	p := n.join(i, fast)
	bits := piece.NewBitfield(n.layout.NumPieces())
	for k := range bits.Len() {
		bits.Set(k)
	}
	require.NoError(n.t, n.feed(p, peerwire.Message{ID: peerwire.MsgBitfield, Data: bits.Bytes()}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	return p
}

// begin hands blocks in and leaves their claims with the caller.
func (n *node) begin(p PeerID, data []byte, blocks ...piece.Block) []Claim {
	n.t.Helper()
	var st Step
	var msgs []peerwire.Message
	for _, b := range blocks {
		msgs = append(msgs, n.block(b, data))
	}
	k, err := n.g.Batch(p, n.now, msgs, &st)
	require.NoError(n.t, err)
	require.Equal(n.t, len(msgs), k)
	for i := range st.Claims {
		copy(st.Claims[i].Dst, st.Claims[i].Src)
	}
	n.carry(&st.Effects)
	return st.Claims
}

func (n *node) land(claims []Claim) {
	n.g.Landed(claims, n.now, &n.eff)
	n.carry(&n.eff)
}

func (n *node) take() *Job {
	n.t.Helper()
	j := new(Job)
	require.True(n.t, n.g.NextJob(j))
	return j
}

func (n *node) end(j *Job, r Result) {
	n.g.JobDone(j, r, n.now, &n.eff)
	n.carry(&n.eff)
}

func (n *node) pause() {
	n.g.Pause(ErrNotRunning, &n.eff)
	n.carry(&n.eff)
}

// TestPausedHoldsNoMemory: neither what lands while its slab is being evicted
// nor a complete slab that is not the next one stays in memory.
func TestPausedHoldsNoMemory(t *testing.T) {
	t.Run("landed during an eviction", func(t *testing.T) {
		l, data := flat(t, 256<<10, 256<<10)
		n := newNode(t, l, data, 16<<20)
		n.slow = true
		p := n.seed(1, false)
		n.sent(p)
		n.land(n.begin(p, data, blk(0, 0)))
		n.g.Evict(1, n.now, &n.eff)
		j := n.take()
		require.Equal(t, JobEvict, j.Kind)
		claims := n.begin(p, data, blk(0, 1))
		n.pause()
		n.land(claims)
		n.end(j, n.do(j))
		for n.work() {
		}
		require.Zero(t, n.g.s.pool.Used())
	})
	t.Run("complete, but not the next", func(t *testing.T) {
		l, data := flat(t, 1<<20+piece.BlockSize, 1<<20+piece.BlockSize)
		n := newNode(t, l, data, 16<<20)
		p := n.seed(1, false)
		n.sent(p)
		claims := n.begin(p, data, blk(0, slabBlocks))
		n.pause()
		n.land(claims)
		require.Zero(t, n.g.s.pool.Used())
	})
}

// TestEvictionThatFailsGivesMemoryBack: a disk that fails does not hold on to
// what others wait for.
func TestEvictionThatFailsGivesMemoryBack(t *testing.T) {
	l, data := flat(t, 256<<10, 256<<10)
	n := newNode(t, l, data, 16<<20)
	n.slow = true
	p := n.seed(1, false)
	n.sent(p)
	n.land(n.begin(p, data, blk(0, 0)))
	n.g.Evict(1, n.now, &n.eff)
	n.end(n.take(), Result{Err: errDisk})
	require.Zero(t, n.g.s.pool.Used())
	require.ErrorIs(t, n.g.Stats(n.now).Fault, errDisk)
	n.slow = false
	n.g.Start(n.now, &n.eff)
	n.carry(&n.eff)
	for range 30 {
		for _, b := range asked(n.sent(p)) {
			require.NoError(t, n.feed(p, n.block(b, data)))
		}
		n.tick(time.Second)
	}
	require.Zero(t, n.g.Stats(n.now).Left)
}

// TestEvictsUnsoughtFirst: a slab that only a snubbed peer fills goes before
// one that was filled longer ago, but is asked of a peer that sends.
func TestEvictsUnsoughtFirst(t *testing.T) {
	l, data := flat(t, 256<<10, 512<<10)
	n := newNode(t, l, data, 16<<20)
	n.slow = true
	a, b := n.seed(1, false), n.seed(2, false)
	ofA, ofB := asked(n.sent(a)), asked(n.sent(b))
	require.NotEqual(t, ofA[0].Piece, ofB[0].Piece)
	n.land(n.begin(a, data, ofA[0]))
	n.now = n.now.Add(time.Second)
	n.land(n.begin(b, data, ofB[0]))
	n.g.s.members.get(b).req.snubbed = true
	n.g.Evict(1, n.now, &n.eff)
	require.Equal(t, int(ofB[0].Piece), n.take().Piece, "of the snubbed peer, although filled later")
	n.g.Evict(512<<10, n.now, &n.eff)
	require.Equal(t, int(ofA[0].Piece), n.take().Piece)
}

// TestWorkWithoutMemoryIsNoPromise: a slab that is read back from the disk to
// be hashed brings no memory; another one has to be evicted.
func TestWorkWithoutMemoryIsNoPromise(t *testing.T) {
	l, data := flat(t, 32<<10, 64<<10)
	n := newNode(t, l, data, 16<<20)
	n.slow = true
	p := n.seed(1, false)
	n.sent(p)
	n.land(n.begin(p, data, blk(0, 0)))
	n.g.Evict(1, n.now, &n.eff)
	n.land(n.begin(p, data, blk(0, 1))) // before a worker has taken the job
	j := n.take()
	require.Equal(t, JobEvict, j.Kind)
	n.end(j, n.do(j))
	require.Zero(t, n.g.s.pool.Used())
	n.land(n.begin(p, data, blk(1, 0)))
	n.g.Evict(1, n.now, &n.eff)
	j = n.take()
	require.Equal(t, JobVerify, j.Kind)
	require.Nil(t, j.Buf)
	require.Equal(t, 1, n.take().Piece)
}

// TestLateWriteComesFirst: what a worker still writes of a piece that was
// given up is waited for, or it would land on what is verified anew.
func TestLateWriteComesFirst(t *testing.T) {
	l, data := flat(t, 32<<10, 32<<10)
	n := newNode(t, l, data, 16<<20)
	n.slow = true
	bad := make([]byte, len(data))
	p := n.seed(1, false)
	n.sent(p)
	n.land(n.begin(p, bad, blk(0, 0)))
	n.g.Evict(1, n.now, &n.eff)
	late := n.take()
	copy(n.disk, data)
	n.g.Check([]uint32{0}, nil, n.now, &n.eff)
	n.carry(&n.eff)
	var j Job
	require.False(t, n.g.NextJob(&j), "not while an old job writes")
	n.g.JobDone(late, n.do(late), n.now, &n.eff)
	require.Positive(t, n.eff.Jobs, "the workers are told to come again")
	n.carry(&n.eff)
	require.True(t, n.work())
	require.Equal(t, Checked, n.events[len(n.events)-1].Kind)
	require.Zero(t, n.g.Stats(n.now).NumHave)
	require.Zero(t, n.g.s.pool.Used())
}

// The peers of one torrent leave in the middle of pieces; another torrent shares
// the memory. What the first one holds goes to disk with its last tick, so that
// the other can ask for something.
func TestNoStallBesideAnAbandonedTorrent(t *testing.T) {
	l, data := flat(t, 8<<20, 16<<20)
	left := newNode(t, l, data, 12<<20)
	other := newNode(t, l, data, 12<<20)
	other.g.s.pool = left.g.s.pool
	p := left.seed(1, true)
	left.land(left.begin(p, data, asked(left.sent(p))...))
	for s := range 7 { // one block of each slab
		left.g.s.members.get(p).req.taken++
		left.land(left.begin(p, data, blk(0, s*slabBlocks+40)))
	}
	left.g.Leave(p, left.now, &left.eff)
	left.carry(&left.eff)
	require.Greater(t, other.g.s.pool.Slabs(), other.g.s.asking.soft())
	good := other.seed(9, true)
	require.Empty(t, asked(other.sent(good)))
	left.tick(tickTime)
	other.tick(tickTime)
	require.NotEmpty(t, asked(other.sent(good)))
	require.LessOrEqual(t, left.g.s.pool.Slabs(), other.g.s.asking.soft())
}
