package swarm

import (
	"crypto/sha1"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
)

// magnet is a node that fetches an info dictionary.
type magnet struct {
	*node
	info []byte
}

func newMagnet(t *testing.T, size int) *magnet {
	m := &magnet{node: &node{t: t, now: epoch, wakes: make(map[PeerID]bool), slow: true}, info: random(int64(size))}
	m.limits.MaxExtended = 1 << 20
	m.g = Guard(Config{Hashes: metainfo.Hashes{V1: sha1.Sum(m.info)}, Rand: rand.New(rand.NewPCG(1, 2)), Pool: block.NewPool(1 << 20), Now: epoch})
	m.g.Start(m.now, &m.eff)
	return m
}

func (m *magnet) joins(i byte, size int) PeerID {
	m.t.Helper()
	id := Identity{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 1), ID: [20]byte{9, i}, Extended: true}
	p, err := m.g.Join(id, nil, m.now, &m.eff)
	require.NoError(m.t, err)
	hs := peerwire.ExtHandshake{M: map[string]uint8{peerwire.ExtMetadata: 3}, MetadataSize: int64(size)}
	m.g.ExtHandshake(p, hs, m.now, &m.eff)
	m.eff.Reset()
	return p
}

func (m *magnet) leaves(p PeerID) { m.g.Leave(p, m.now, &m.eff); m.eff.Reset() }

// requests returns the parts that p is asked for.
func (m *magnet) requests(p PeerID) (parts []int) {
	for _, msg := range m.sent(p) {
		if msg.ID == peerwire.MsgExtended {
			x, err := peerwire.ParseMetadataMsg(msg.Data)
			require.NoError(m.t, err)
			if x.Type == peerwire.MetadataRequest {
				parts = append(parts, x.Piece)
			}
		}
	}
	return parts
}

func (m *magnet) answers(p PeerID, parts []int, from []byte) {
	for _, i := range parts {
		n := peerwire.MetadataPieceLen(int64(len(from)), i)
		off := i * peerwire.MetadataPieceSize
		m.g.Metadata(p, peerwire.MetadataMsg{Type: peerwire.MetadataData, Piece: i, TotalSize: int64(len(from)), Data: from[off : off+n]}, m.now, &m.eff)
		m.events = append(m.events, m.eff.Events...)
		m.eff.Reset()
	}
}

func (m *magnet) hash() {
	m.t.Helper()
	var j Job
	require.True(m.t, m.g.NextJob(&j))
	m.g.JobDone(&j, Result{OK: metainfo.Hash(sha1.Sum(j.Buf)) == j.Sum}, m.now, &m.eff)
	m.events = append(m.events, m.eff.Events...)
	m.eff.Reset()
}

func (m *magnet) waits(d time.Duration) {
	for ; d > 0; d -= time.Second {
		m.now = m.now.Add(time.Second)
		m.g.Tick(m.now, &m.eff)
		m.eff.Reset()
	}
}

func (m *magnet) done() bool {
	return len(m.events) > 0 && m.events[len(m.events)-1].Kind == MetadataDone
}

// TestBEP9_SilentPeerIsPassedOver: one that does not answer does not keep the
// others from being asked, and nobody is condemned with it.
func TestBEP9_SilentPeerIsPassedOver(t *testing.T) {
	m := newMagnet(t, 5000)
	silent, honest := m.joins(1, 5000), m.joins(2, 5000)
	require.Equal(t, []int{0}, m.requests(silent))
	require.Empty(t, m.requests(honest))
	m.waits(metaTimeout + 2*time.Second)
	require.Empty(t, m.requests(silent))
	parts := m.requests(honest)
	require.Equal(t, []int{0}, parts)
	m.answers(honest, parts, m.info)
	m.hash()
	require.True(t, m.done())
}

// TestBEP9_LateComerIsNotBlamed: nobody is condemned for a size that others
// named, nor for the time before it came.
func TestBEP9_LateComerIsNotBlamed(t *testing.T) {
	m := newMagnet(t, 40_000)
	p := m.joins(1, 40_000)
	m.answers(p, m.requests(p)[:1], m.info)
	m.leaves(p)
	m.now = m.now.Add(time.Hour)
	p = m.joins(2, 40_000)
	m.waits(time.Second)
	parts := m.requests(p)
	require.Equal(t, []int{1, 2}, parts, "and what came before is kept")
	m.answers(p, parts, m.info)
	m.hash()
	require.True(t, m.done())
}

// TestBEP9_OnlyTheAskedAreBlamed when nothing comes.
func TestBEP9_OnlyTheAskedAreBlamed(t *testing.T) {
	m := newMagnet(t, 5000)
	m.joins(1, 5000)
	m.joins(2, 5000)
	honest := m.joins(3, 5000)
	m.waits(2*metaTimeout + time.Second)
	require.Empty(t, m.requests(honest), "the second has still time")
	m.waits(metaTimeout + time.Second)
	parts := m.requests(honest)
	require.Equal(t, []int{0}, parts)
	m.answers(honest, parts, m.info)
	m.hash()
	require.True(t, m.done())
}

// TestBEP9_FalseSizeOfSeveral: they can't take turns for ever.
func TestBEP9_FalseSizeOfSeveral(t *testing.T) {
	m := newMagnet(t, 5000)
	m.joins(1, 700)
	m.joins(2, 700)
	honest := m.joins(3, 5000)
	for range 90 {
		m.waits(time.Second)
		m.answers(honest, m.requests(honest), m.info)
	}
	m.hash()
	require.True(t, m.done())
}

// TestBEP9_FalseSize is given up when nothing of it comes.
func TestBEP9_FalseSize(t *testing.T) {
	m := newMagnet(t, 5000)
	liar, honest := m.joins(1, 700), m.joins(2, 5000)
	m.requests(liar)
	m.waits(2*metaTimeout + 2*time.Second)
	parts := m.requests(honest)
	require.Equal(t, []int{0}, parts)
	m.answers(honest, parts, m.info)
	m.hash()
	require.True(t, m.done())
}

// TestBEP9_OneAtATimeAfterAFailure: the parts of one that has left are not
// waited for.
func TestBEP9_OneAtATimeAfterAFailure(t *testing.T) {
	m := newMagnet(t, 20_000)
	a, b := m.joins(1, 20_000), m.joins(2, 20_000)
	bad := make([]byte, len(m.info))
	parts := m.requests(a)
	m.answers(a, parts[:1], bad)
	m.leaves(a) // its second part is asked of b
	m.waits(time.Second)
	m.answers(b, m.requests(b), m.info)
	m.hash()
	require.False(t, m.done())
	c := m.joins(3, 20_000)
	parts = m.requests(b)
	require.Equal(t, []int{0, 1}, parts)
	m.answers(b, parts[:1], m.info)
	m.leaves(b)
	m.waits(time.Second)
	parts = m.requests(c)
	require.Equal(t, []int{0, 1}, parts, "all of it, of one")
	m.answers(c, parts, m.info)
	m.hash()
	require.True(t, m.done())
}

// TestBEP9_PauseWhileHashing: the verdict of a paused swarm is asked for
// again when it runs.
func TestBEP9_PauseWhileHashing(t *testing.T) {
	m := newMagnet(t, 5000)
	p := m.joins(1, 5000)
	m.answers(p, m.requests(p), m.info)
	m.g.Pause(ErrNotRunning, &m.eff)
	m.hash()
	require.False(t, m.done())
	m.g.Start(m.now, &m.eff)
	require.Positive(t, m.eff.Jobs)
	m.hash()
	require.True(t, m.done())
	q := m.joins(4, 5000)
	require.Empty(t, m.requests(q), "nothing is fetched again")
}
