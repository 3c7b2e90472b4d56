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
	metaBarred  = 5 * time.Minute  // for who named a size and sends nothing
)

// extState is what the extended handshake told (BEP 10).
type extState struct {
	hs     peerwire.ExtHandshake
	asked  []metaRequest
	slow   stamp // not asked before: others go first; 0: it has always answered
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
	s       *Swarm
	raw     []byte // verified
	buf     []byte // complete, being hashed
	hashing bool   // a job for buf is queued or with a worker
	size    int64  // that the parts are of; 0: no peer has named one
	parts   [][]byte
	left    int
	from    []netip.Addr
	barred  map[netip.Addr]stamp // until when: sent what does not hash, or named a size and nothing else
	alone   bool                 // after a failure: from one peer at a time
	newest  stamp                // the last part, or the first request after quiet
}

const forever = stamp(1<<63 - 1)

// reset forgets what was fetched and asked for.
func (m *metadata) reset() {
	*m = metadata{s: m.s, raw: m.raw, barred: m.barred, alone: m.alone}
	for p := range m.s.members.all {
		p.ext.asked = nil
	}
}

func (m *metadata) bar(a netip.Addr, until stamp) {
	if m.barred == nil {
		m.barred = make(map[netip.Addr]stamp)
	}
	if len(m.barred) < 1024 {
		m.barred[a] = max(m.barred[a], until)
	}
}

// forget follows a peer that has left. When the one that was asked alone is
// gone, the parts that it sent are of no use to another.
func (m *metadata) forget(p *peer) {
	p.ext.asked = nil
	if m.alone && m.buf == nil && len(m.from) > 0 && m.from[0] == p.Addr.Addr() {
		m.reset()
	}
}

// wanted reports whether parts are to be fetched now.
func (m *metadata) wanted() bool { return m.s.mode == NoInfo && m.raw == nil && m.buf == nil }

// extHandshake takes a peer's extended handshake, first or later.
func (m *metadata) extHandshake(p *peer, hs peerwire.ExtHandshake, at stamp, eff *Effects) {
	p.lastRead = at
	p.ext.hs = hs
	if hs.ReqQ > 0 {
		p.req.limit = min(hs.ReqQ, m.s.limits.MaxRequests)
	}
	m.ask(p, at, eff)
}

// ask requests parts of the info dictionary from p.
func (m *metadata) ask(p *peer, at stamp, eff *Effects) {
	hs := &p.ext.hs
	if !m.wanted() || p.ext.metadataID() == 0 || hs.MetadataSize == 0 || at < p.ext.slow || at < m.barred[p.Addr.Addr()] {
		return
	}
	if m.size == 0 {
		m.size, m.newest = hs.MetadataSize, at
		m.left = peerwire.MetadataPieces(m.size)
		m.parts = make([][]byte, m.left)
	}
	if hs.MetadataSize != m.size || m.alone && !m.onlyAsked(p) {
		return
	}
	for i := range m.parts {
		if len(p.ext.asked) >= metaOpen {
			return
		}
		if m.parts[i] == nil && !m.isAsked(i) {
			if m.quiet() {
				m.newest = at
			}
			p.ext.asked = append(p.ext.asked, metaRequest{i, at})
			m.send(p, &peerwire.MetadataMsg{Type: peerwire.MetadataRequest, Piece: i}, eff)
		}
	}
}

// onlyAsked reports whether nobody but p is or was asked for these parts.
func (m *metadata) onlyAsked(p *peer) bool {
	for o := range m.s.members.all {
		if o != p && len(o.ext.asked) > 0 {
			return false
		}
	}
	return len(m.from) == 0 || m.from[0] == p.Addr.Addr()
}

func (m *metadata) isAsked(i int) bool {
	for p := range m.s.members.all {
		if slices.ContainsFunc(p.ext.asked, func(q metaRequest) bool { return q.piece == i }) {
			return true
		}
	}
	return false
}

// quiet reports whether nobody owes us anything: the time until now does not
// tell against the size.
func (m *metadata) quiet() bool {
	for p := range m.s.members.all {
		if len(p.ext.asked) > 0 || p.ext.slow > 0 && p.ext.hs.MetadataSize == m.size {
			return false
		}
	}
	return true
}

func (m *metadata) send(p *peer, msg *peerwire.MetadataMsg, eff *Effects) {
	m.s.sending.send(p, &peerwire.Message{ID: peerwire.MsgExtended, Index: uint32(p.ext.metadataID()), Data: msg.Append(nil)}, eff)
}

// onMessage takes a ut_metadata message (BEP 9). Unknown types are ignored.
func (m *metadata) onMessage(p *peer, msg peerwire.MetadataMsg, at stamp, eff *Effects) {
	p.lastRead = at
	switch msg.Type {
	case peerwire.MetadataRequest:
		m.serve(p, msg.Piece, eff)
	case peerwire.MetadataData:
		m.part(p, msg, at, eff)
	case peerwire.MetadataReject:
		p.ext.asked = slices.DeleteFunc(p.ext.asked, func(q metaRequest) bool { return q.piece == msg.Piece })
		p.ext.hs.MetadataSize = 0 // it has none: not asked again
	}
}

// serve answers a request within a bound of bytes for each peer.
func (m *metadata) serve(p *peer, i int, eff *Effects) {
	if p.ext.metadataID() == 0 {
		return
	}
	size := int64(len(m.raw))
	n := peerwire.MetadataPieceLen(size, i)
	if n == 0 || p.ext.served+int64(n) > metaServed*size || len(p.out.control) > maxControl/4 {
		if len(p.out.control) < maxControl/2 {
			m.send(p, &peerwire.MetadataMsg{Type: peerwire.MetadataReject, Piece: i}, eff)
		}
		return
	}
	p.ext.served += int64(n)
	off := i * peerwire.MetadataPieceSize
	m.send(p, &peerwire.MetadataMsg{Type: peerwire.MetadataData, Piece: i, TotalSize: size, Data: m.raw[off : off+n]}, eff)
}

func (m *metadata) part(p *peer, msg peerwire.MetadataMsg, at stamp, eff *Effects) {
	i := slices.IndexFunc(p.ext.asked, func(q metaRequest) bool { return q.piece == msg.Piece })
	if i < 0 {
		return // nobody asked for it, or too late
	}
	p.ext.asked = slices.Delete(p.ext.asked, i, i+1)
	if !m.wanted() || p.ext.hs.MetadataSize != m.size || m.parts[msg.Piece] != nil {
		return
	}
	if len(msg.Data) != peerwire.MetadataPieceLen(m.size, msg.Piece) || msg.TotalSize != 0 && msg.TotalSize != m.size {
		m.bar(p.Addr.Addr(), forever)
		return
	}
	m.parts[msg.Piece] = slices.Clone(msg.Data)
	m.newest, p.ext.slow = at, 0
	if a := p.Addr.Addr(); !slices.Contains(m.from, a) {
		m.from = append(m.from, a)
	}
	if m.left--; m.left > 0 {
		m.ask(p, at, eff)
		return
	}
	m.buf = slices.Concat(m.parts...) // at most 32 MiB, and only what has arrived
	m.resume(eff)
}

// resume has what is complete hashed: at once, or when the swarm runs again.
func (m *metadata) resume(eff *Effects) {
	if m.buf != nil && !m.hashing {
		m.hashing = true
		m.s.jobs.push(queued{kind: JobMetadata})
		eff.Jobs++
	}
}

// done takes the verdict on a whole info dictionary. One that does not match
// condemns a single source; several are asked one by one then. While the
// swarm is paused the verdict has to wait: it is asked for again.
func (m *metadata) done(r Result, at stamp, eff *Effects) {
	m.hashing = false
	if m.s.mode != NoInfo || m.buf == nil {
		return
	}
	if r.OK {
		m.raw = m.buf
		m.reset()
		eff.event(Event{Kind: MetadataDone, Data: m.raw})
		return
	}
	if len(m.from) == 1 {
		m.bar(m.from[0], forever)
	}
	m.alone = true
	m.reset()
	m.tick(at, eff)
}

// tick takes back requests that were not answered, and gives up a size that
// nobody delivers parts of. Only those who were asked are to blame for that.
func (m *metadata) tick(at stamp, eff *Effects) {
	if !m.wanted() {
		return
	}
	stuck := m.size > 0 && at-m.newest > 2*metaTimeout
	for p := range m.s.members.all {
		n := len(p.ext.asked)
		p.ext.asked = slices.DeleteFunc(p.ext.asked, func(q metaRequest) bool { return at-q.at > metaTimeout })
		if len(p.ext.asked) < n {
			p.ext.slow = at + metaTimeout
		}
		if stuck && p.ext.hs.MetadataSize == m.size && p.ext.slow > 0 {
			m.bar(p.Addr.Addr(), at+metaBarred)
		}
	}
	if stuck {
		m.reset()
	}
	for p := range m.s.members.all {
		m.ask(p, at, eff)
	}
}
