package swarm

import (
	"fmt"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// maxRequestLen is the longest block served (RW13).
const maxRequestLen = 128 << 10

func protocolError(id peerwire.ID, format string, args ...any) error {
	return &peerwire.ProtocolError{ID: id, Reason: fmt.Sprintf(format, args...)}
}

// batch takes messages in order. It stops early, and says how many were
// taken, when a block finds no memory: the rest is to be handed in again when
// there is some. An error means that the connection is to be closed.
func (s *Swarm) batch(p *peer, at stamp, msgs []peerwire.Message, st *Step) (int, error) {
	p.lastRead = at
	defer func() { st.Open = p.req.count() > 0 }()
	if s.layout != nil {
		st.Pieces = s.layout.NumPieces()
	}
	for i := range msgs {
		m := &msgs[i]
		if m.ID == peerwire.MsgPiece {
			starved, err := s.onPiece(p, at, m, st)
			if err != nil {
				return i, err
			}
			if starved {
				st.Starved = true
				s.evict(SlabSize, at, 0, &st.Effects)
				return i, nil
			}
			continue
		}
		if err := s.onMessage(p, at, m, &st.Effects); err != nil {
			return i, err
		}
	}
	s.topUp(p, at, &st.Effects)
	if s.freed {
		s.refill(at, &st.Effects)
	}
	return len(msgs), nil
}

func (s *Swarm) onMessage(p *peer, at stamp, m *peerwire.Message, eff *Effects) error {
	if m.ID.NeedsFast() && !p.Fast {
		return protocolError(m.ID, "without the fast extension agreed on")
	}
	switch m.ID {
	case peerwire.MsgChoke:
		s.onChoke(p, at)
	case peerwire.MsgUnchoke:
		s.onUnchoke(p, at)
	case peerwire.MsgInterested:
		s.onInterested(p, at, true, eff)
	case peerwire.MsgNotInterested:
		s.onInterested(p, at, false, eff)
	case peerwire.MsgHave:
		return s.onHave(p, m.Index, at, eff)
	case peerwire.MsgBitfield:
		return s.onBitfield(p, m.Data, at, eff)
	case peerwire.MsgHaveAll, peerwire.MsgHaveNone:
		return s.onHaveAll(p, m.ID == peerwire.MsgHaveAll, at, eff)
	case peerwire.MsgRequest:
		return s.onRequest(p, m, eff)
	case peerwire.MsgCancel:
		s.onCancel(p, m, eff)
	case peerwire.MsgReject:
		return s.onReject(p, m, at)
	case peerwire.MsgAllowedFast:
		return s.onAllowedFast(p, m.Index)
	case peerwire.MsgSuggest:
		return s.checkIndex(m)
	case peerwire.MsgPort:
		eff.event(Event{Kind: PortLearned, Peer: p.id, Piece: int(m.Index)})
	}
	return nil
}

func (s *Swarm) checkIndex(m *peerwire.Message) error {
	if s.layout != nil && int64(m.Index) >= int64(s.layout.NumPieces()) {
		return protocolError(m.ID, "piece %d of %d", m.Index, s.layout.NumPieces())
	}
	return nil
}

// onChoke (W3): without BEP 6 all requests are forgotten; with it the peer
// rejects each, and that is waited for.
func (s *Swarm) onChoke(p *peer, at stamp) {
	if p.wire.choked {
		return
	}
	p.wire.choked = true
	p.wire.reciprocateDone = false
	if !p.Fast {
		s.release(p, nil)
	} else if p.req.count() > 0 {
		p.req.chokedAt = max(at, 1)
	}
}

func (s *Swarm) onUnchoke(p *peer, at stamp) {
	if p.wire.choked {
		p.wire.choked = false
		p.wire.theyUnchokedAt = at
		p.req.chokedAt = 0
	}
}

func (s *Swarm) onInterested(p *peer, at stamp, yes bool, eff *Effects) {
	if p.wire.theyInterested == yes {
		return
	}
	p.wire.theyInterested = yes
	if yes {
		p.wire.theyInterestAt = at
	}
	if yes == p.wire.choking { // a newcomer, or a slot that falls free
		s.askRechoke(at, eff)
	}
}

// wants changes how many of p's pieces we need, and tells the peer when our
// interest begins or ends (W11).
func (s *Swarm) wants(p *peer, d int, at stamp, eff *Effects) {
	p.want += d
	if on := p.want > 0 && s.mode == Running; on != p.wire.interested {
		p.wire.interested = on
		id := peerwire.MsgNotInterested
		if on {
			id = peerwire.MsgInterested
		}
		s.sendID(p, id, eff)
	}
}

// recount counts p's pieces that we need afresh.
func (s *Swarm) recount(p *peer, at stamp, eff *Effects) {
	want := 0
	if p.has.all {
		want = s.picker.NumNeeded()
	} else if p.has.bits != nil {
		for i := range s.layout.NumPieces() {
			if p.has.bits.Has(i) && s.picker.Needs(i) {
				want++
			}
		}
	}
	s.wants(p, want-p.want, at, eff)
	s.closeIfBothSeeds(p, eff)
}

func (s *Swarm) closeIfBothSeeds(p *peer, eff *Effects) {
	if p.has.all && s.mode == Running && s.picker.Have().All() {
		eff.drop(p.id, ErrBothSeeds)
	}
}

func (s *Swarm) onHave(p *peer, index uint32, at stamp, eff *Effects) error {
	p.has.said = true
	if s.layout == nil {
		return p.has.note(index)
	}
	n := s.layout.NumPieces()
	if int64(index) >= int64(n) {
		return protocolError(peerwire.MsgHave, "piece %d of %d", index, n)
	}
	i := int(index)
	if p.has.has(i) {
		return nil
	}
	if p.has.bits == nil {
		p.has.bits = piece.NewBitfield(n)
	}
	p.has.bits.Set(i)
	p.has.count++
	if p.has.count == n {
		// The counters of a complete peer are kept apart.
		p.has.bits.Clear(i)
		s.picker.RemovePeer(p.has.bits)
		s.picker.AddSeed()
		p.has.bits, p.has.all = nil, true
	} else {
		s.picker.AddHave(i)
	}
	if s.picker.Needs(i) {
		s.wants(p, 1, at, eff)
	}
	s.closeIfBothSeeds(p, eff)
	return nil
}

// onBitfield: only as the first message about pieces (RW9); later ones are
// ignored.
func (s *Swarm) onBitfield(p *peer, bits []byte, at stamp, eff *Effects) error {
	if p.has.said {
		return nil
	}
	p.has.said = true
	if s.layout == nil {
		p.has.raw = append([]byte(nil), bits...)
		p.has.count = -1 // the length is to be exact
		return nil
	}
	b, err := piece.FromWire(bits, s.layout.NumPieces())
	if err != nil {
		return protocolError(peerwire.MsgBitfield, "%v", err)
	}
	s.learn(p, b, at, eff)
	return nil
}

func (s *Swarm) onHaveAll(p *peer, all bool, at stamp, eff *Effects) error {
	if p.has.said {
		return nil
	}
	p.has.said = true
	if !all {
		return nil
	}
	if s.layout == nil {
		p.has.all = true
		return nil
	}
	s.learn(p, nil, at, eff)
	return nil
}

// learn takes what a peer says it has; nil means everything.
func (s *Swarm) learn(p *peer, b *piece.Bitfield, at stamp, eff *Effects) {
	if b == nil || b.All() {
		p.has.all, p.has.bits, p.has.count = true, nil, s.layout.NumPieces()
		s.picker.AddSeed()
	} else {
		p.has.all, p.has.bits, p.has.count = false, b, b.Count()
		s.picker.AddPeer(b)
	}
	s.recount(p, at, eff)
}

// What is kept of a peer's pieces before the metadata.
const (
	maxPending      = 256 << 10 // bytes of a bitfield: the most pieces that a torrent may have
	maxPendingHaves = 4096
)

// note keeps a have that came before the metadata.
func (h *possession) note(index uint32) error {
	if index/8 >= maxPending {
		return protocolError(peerwire.MsgHave, "piece %d", index)
	}
	if h.all {
		return nil
	}
	if len(h.haves) < maxPendingHaves { // more are forgotten: we only know less of it
		h.haves = append(h.haves, index)
	}
	return nil
}

// readPending reads what p said it has before the metadata was known (RW11).
func (s *Swarm) readPending(p *peer, at stamp, eff *Effects) error {
	n := s.layout.NumPieces()
	all, exact := p.has.all, p.has.count < 0
	raw, haves := p.has.raw, p.has.haves
	p.has = possession{said: p.has.said}
	if all {
		s.learn(p, nil, at, eff)
		return nil
	}
	b := piece.NewBitfield(n)
	if exact {
		var err error
		if b, err = piece.FromWire(raw, n); err != nil {
			return errLied
		}
	}
	for _, i := range haves {
		if int64(i) >= int64(n) {
			return errLied
		}
		b.Set(int(i))
	}
	s.learn(p, b, at, eff)
	return nil
}

// onPiece finds the place of a block. It is the hot path.
func (s *Swarm) onPiece(p *peer, at stamp, m *peerwire.Message, st *Step) (starved bool, err error) {
	if s.layout == nil {
		return false, protocolError(m.ID, "before the metadata")
	}
	b := piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length}
	if !s.validBlock(b) {
		return false, protocolError(m.ID, "piece %d, begin %d, length %d: no block of this torrent", b.Piece, b.Begin, b.Length)
	}
	wanted := false
	if s.mode != Paused && s.fault == nil {
		wanted, starved = s.claim(p, b, m.Data, st)
	}
	if starved {
		return true, nil
	}
	asked := p.req.remove(b)
	if wanted {
		s.picker.Receive(p.id, b)
	} else if asked {
		s.picker.Release(p.id, b)
	}
	n := int64(m.Length)
	p.down.Add(at, n)
	s.total.down.Add(at, n)
	if !asked {
		if p.req.taken > 0 {
			p.req.taken--
		} else if p.unasked++; p.unasked > tolerated || p.Fast && s.mode == Running {
			return false, ErrUnasked
		}
	}
	if !wanted {
		p.wasted += n
		s.total.Wasted += n
	} else {
		s.total.Downloaded += n
		s.cancelOthers(b, &st.Effects)
	}
	if asked || wanted {
		p.req.landed(at, n)
	}
	return false, nil
}

// validBlock reports whether b is a block as we cut pieces.
func (s *Swarm) validBlock(b piece.Block) bool {
	if int64(b.Piece) >= int64(s.layout.NumPieces()) || b.Begin%piece.BlockSize != 0 || b.Length == 0 {
		return false
	}
	left := s.layout.PieceSize(int(b.Piece)) - int64(b.Begin)
	return left > 0 && int64(b.Length) == min(left, piece.BlockSize)
}

// cancelOthers takes the requests for b back that other peers have (P4).
func (s *Swarm) cancelOthers(b piece.Block, eff *Effects) {
	s.ids = s.picker.Askers(s.ids[:0], b)
	for _, id := range s.ids {
		s.picker.Release(id, b)
		if o := s.peers.get(id); o != nil && o.req.remove(b) {
			o.req.taken++
			s.sendCancel(o, b, eff)
			s.freed = true
		}
	}
}

// onReject (BEP 6): what was asked for will not come. A reject of what was
// never asked closes the connection, unless it was just taken back (RX10).
func (s *Swarm) onReject(p *peer, m *peerwire.Message, at stamp) error {
	b := piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length}
	if !p.req.remove(b) {
		if p.req.taken == 0 {
			return protocolError(m.ID, "of a block that was not asked for")
		}
		p.req.taken--
		return nil
	}
	s.picker.Release(p.id, b)
	s.freed = true
	if p.wire.choked {
		s.dropAllowedFast(p, b.Piece)
	} else { // RW23: no loop of requests and rejects
		p.req.notBefore = at + rejectPause
		p.req.steady, p.req.depth = true, max(p.req.depth/2, 1)
	}
	if p.req.count() == 0 {
		p.req.chokedAt = 0
	}
	return nil
}

// onRequest queues a block for a peer, or rejects it (BEP 6), or is silent.
func (s *Swarm) onRequest(p *peer, m *peerwire.Message, eff *Effects) error {
	if s.layout == nil {
		return protocolError(m.ID, "before the metadata")
	}
	if err := s.checkIndex(m); err != nil {
		return err
	}
	size := s.layout.PieceSize(int(m.Index))
	if m.Length == 0 || m.Length > maxRequestLen || int64(m.Begin)+int64(m.Length) > size {
		return protocolError(m.ID, "piece %d, begin %d, length %d: outside of the piece or too long", m.Index, m.Begin, m.Length)
	}
	served := s.mode != Paused && s.picker.Have().Has(int(m.Index)) && p.out.queued() < s.limits.QueueLimit &&
		(!p.wire.choking || p.fast.granted(m.Index))
	u := Upload{m.Index, m.Begin, m.Length}
	if !served {
		s.reject(p, u, eff)
		return nil
	}
	p.out.queue = append(p.out.queue, u)
	s.wake(p, eff)
	return nil
}

func (s *Swarm) reject(p *peer, u Upload, eff *Effects) {
	if p.Fast {
		m := peerwire.Message{ID: peerwire.MsgReject, Index: u.Piece, Begin: u.Begin, Length: u.Length}
		s.send(p, &m, eff)
	}
}

// onCancel takes a queued request out. BEP 6: it is answered by a reject.
func (s *Swarm) onCancel(p *peer, m *peerwire.Message, eff *Effects) {
	o := &p.out
	u := Upload{m.Index, m.Begin, m.Length}
	for i := o.head; i < len(o.queue); i++ {
		if o.queue[i] == u {
			o.queue = append(o.queue[:i], o.queue[i+1:]...)
			s.reject(p, u, eff)
			return
		}
	}
}
