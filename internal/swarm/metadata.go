package swarm

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/seed1734be99/starling/peerwire"
)

const (
	metaOpen    = 4                // requests open to one peer
	metaTimeout = 15 * time.Second // for one of them
	metaServed  = 4                // times the metadata that one peer may fetch
)

// extState is what the extended handshake told (BEP 10).
type extState struct {
	hs     peerwire.ExtHandshake
	asked  []metaRequest
	served int64 // bytes of metadata sent
}

type metaRequest struct {
	piece int
	at    stamp
}

// names returns the extensions that the peer speaks.
func (e *extState) names() []string { return slices.Sorted(maps.Keys(e.hs.M)) }

func (e *extState) metadataID() uint8 { return e.hs.M[peerwire.ExtMetadata] }

// metadata is the info dictionary being fetched from peers (BEP 9), or
// served to them. Parts are kept as they arrive, so that nothing is
// allocated on a peer's word.
type metadata struct {
	raw    []byte // verified
	buf    []byte // complete, being hashed
	size   int64  // that the parts are of; 0: no peer has named one
	parts  [][]byte
	left   int
	from   []netip.Addr
	liars  map[netip.Addr]bool // sent metadata that does not hash, or a false size
	alone  bool                // after a failure: from one peer at a time
	newest stamp               // the last part, or the choice of the size
}

func (m *metadata) reset() {
	*m = metadata{raw: m.raw, liars: m.liars, alone: m.alone}
}

func (m *metadata) accuse(a netip.Addr) {
	if m.liars == nil {
		m.liars = make(map[netip.Addr]bool)
	}
	if len(m.liars) < 1024 {
		m.liars[a] = true
	}
}

func (m *metadata) forget(p *peer) { p.ext.asked = nil }

// extHandshake takes a peer's extended handshake, first or later.
func (s *Swarm) extHandshake(p *peer, hs peerwire.ExtHandshake, at stamp, eff *Effects) {
	p.lastRead = at
	p.ext.hs = hs
	if hs.ReqQ > 0 {
		p.req.limit = min(hs.ReqQ, s.limits.MaxRequests)
	}
	s.askMetadata(p, at, eff)
}

// askMetadata requests parts of the info dictionary from p.
func (s *Swarm) askMetadata(p *peer, at stamp, eff *Effects) {
	m := &s.meta
	if s.mode != NoInfo || m.buf != nil || p.ext.metadataID() == 0 || p.ext.hs.MetadataSize == 0 || m.liars[p.Addr.Addr()] {
		return
	}
	if m.size == 0 {
		m.size, m.newest = p.ext.hs.MetadataSize, at
		m.left = peerwire.MetadataPieces(m.size)
		m.parts = make([][]byte, m.left)
	}
	if p.ext.hs.MetadataSize != m.size || m.alone && !s.onlyAsked(p) {
		return
	}
	for i := range m.parts {
		if len(p.ext.asked) >= metaOpen {
			return
		}
		if m.parts[i] == nil && !s.metaAsked(i) {
			p.ext.asked = append(p.ext.asked, metaRequest{i, at})
			s.sendMetadata(p, &peerwire.MetadataMsg{Type: peerwire.MetadataRequest, Piece: i}, eff)
		}
	}
}

// onlyAsked reports whether nobody but p is or was asked for these parts.
func (s *Swarm) onlyAsked(p *peer) bool {
	for _, o := range s.peers.list {
		if o != nil && o != p && len(o.ext.asked) > 0 {
			return false
		}
	}
	return len(s.meta.from) == 0 || s.meta.from[0] == p.Addr.Addr()
}

func (s *Swarm) metaAsked(i int) bool {
	for _, p := range s.peers.list {
		if p != nil && slices.ContainsFunc(p.ext.asked, func(q metaRequest) bool { return q.piece == i }) {
			return true
		}
	}
	return false
}

func (s *Swarm) sendMetadata(p *peer, m *peerwire.MetadataMsg, eff *Effects) {
	s.send(p, &peerwire.Message{ID: peerwire.MsgExtended, Index: uint32(p.ext.metadataID()), Data: m.Append(nil)}, eff)
}

// onMetadata takes a ut_metadata message (BEP 9). Unknown types are ignored.
func (s *Swarm) onMetadata(p *peer, msg peerwire.MetadataMsg, at stamp, eff *Effects) {
	p.lastRead = at
	switch msg.Type {
	case peerwire.MetadataRequest:
		s.serveMetadata(p, msg.Piece, eff)
	case peerwire.MetadataData:
		s.metadataPart(p, msg, at, eff)
	case peerwire.MetadataReject:
		p.ext.asked = slices.DeleteFunc(p.ext.asked, func(q metaRequest) bool { return q.piece == msg.Piece })
		p.ext.hs.MetadataSize = 0 // it has none: not asked again
	}
}

// serveMetadata answers a request within a bound of bytes for each peer.
func (s *Swarm) serveMetadata(p *peer, i int, eff *Effects) {
	if p.ext.metadataID() == 0 {
		return
	}
	size := int64(len(s.meta.raw))
	n := peerwire.MetadataPieceLen(size, i)
	if n == 0 || p.ext.served+int64(n) > metaServed*size || len(p.out.control) > maxControl/4 {
		if len(p.out.control) < maxControl/2 {
			s.sendMetadata(p, &peerwire.MetadataMsg{Type: peerwire.MetadataReject, Piece: i}, eff)
		}
		return
	}
	p.ext.served += int64(n)
	off := i * peerwire.MetadataPieceSize
	s.sendMetadata(p, &peerwire.MetadataMsg{Type: peerwire.MetadataData, Piece: i, TotalSize: size, Data: s.meta.raw[off : off+n]}, eff)
}

func (s *Swarm) metadataPart(p *peer, msg peerwire.MetadataMsg, at stamp, eff *Effects) {
	m := &s.meta
	i := slices.IndexFunc(p.ext.asked, func(q metaRequest) bool { return q.piece == msg.Piece })
	if i < 0 {
		return // nobody asked for it, or too late
	}
	p.ext.asked = slices.Delete(p.ext.asked, i, i+1)
	if s.mode != NoInfo || m.buf != nil || p.ext.hs.MetadataSize != m.size || m.parts[msg.Piece] != nil {
		return
	}
	if len(msg.Data) != peerwire.MetadataPieceLen(m.size, msg.Piece) || msg.TotalSize != 0 && msg.TotalSize != m.size {
		m.accuse(p.Addr.Addr())
		return
	}
	m.parts[msg.Piece] = slices.Clone(msg.Data)
	m.newest = at
	if a := p.Addr.Addr(); !slices.Contains(m.from, a) {
		m.from = append(m.from, a)
	}
	if m.left--; m.left > 0 {
		s.askMetadata(p, at, eff)
		return
	}
	m.buf = slices.Concat(m.parts...) // at most 32 MiB, and only what has arrived
	s.jobs.push(queued{kind: JobMetadata})
	eff.Jobs++
}

// metadataDone takes the verdict on a whole info dictionary. One that does
// not match condemns a single source; several are asked one by one then.
func (s *Swarm) metadataDone(j *Job, r Result, at stamp, eff *Effects) {
	m := &s.meta
	if s.mode != NoInfo || m.buf == nil {
		return
	}
	if r.OK {
		m.raw = m.buf
		m.reset()
		eff.event(Event{Kind: MetadataDone, Data: m.raw})
		return
	}
	if len(m.from) == 1 {
		m.accuse(m.from[0])
	}
	m.alone = true
	m.reset()
	s.metadataTick(at, eff)
}

// metadataTick takes back requests that were not answered, and gives up a
// size that nobody delivers parts of.
func (s *Swarm) metadataTick(at stamp, eff *Effects) {
	m := &s.meta
	if s.mode != NoInfo || m.buf != nil {
		return
	}
	stuck := m.size > 0 && at-m.newest > 2*metaTimeout
	for _, p := range s.peers.list {
		if p == nil {
			continue
		}
		if stuck && p.ext.hs.MetadataSize == m.size {
			m.accuse(p.Addr.Addr())
		}
		p.ext.asked = slices.DeleteFunc(p.ext.asked, func(q metaRequest) bool { return stuck || at-q.at > metaTimeout })
	}
	if stuck {
		m.reset()
	}
	for _, p := range s.peers.list {
		if p != nil {
			s.askMetadata(p, at, eff)
		}
	}
}
