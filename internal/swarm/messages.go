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
				s.receiving.evict(SlabSize, at, 0, &st.Effects)
				return i, nil
			}
			continue
		}
		if err := s.onMessage(p, at, m, &st.Effects); err != nil {
			return i, err
		}
	}
	s.showing.admit(p, &st.Effects)
	s.asking.topUp(p, at, &st.Effects)
	if s.asking.freed {
		s.asking.refill(at, &st.Effects)
	}
	return len(msgs), nil
}

func (s *Swarm) onMessage(p *peer, at stamp, m *peerwire.Message, eff *Effects) error {
	if m.ID.NeedsFast() && !p.Fast {
		return protocolError(m.ID, "without the fast extension agreed on")
	}
	switch m.ID {
	case peerwire.MsgChoke:
		s.asking.onChoke(p, at)
	case peerwire.MsgUnchoke:
		s.asking.onUnchoke(p, at)
	case peerwire.MsgInterested:
		s.choking.onInterested(p, at, true, eff)
	case peerwire.MsgNotInterested:
		s.choking.onInterested(p, at, false, eff)
	case peerwire.MsgHave:
		return s.having.onHave(p, m.Index, at, eff)
	case peerwire.MsgBitfield:
		return s.having.onBitfield(p, m.Data, at, eff)
	case peerwire.MsgHaveAll, peerwire.MsgHaveNone:
		return s.having.onHaveAll(p, m.ID == peerwire.MsgHaveAll, at, eff)
	case peerwire.MsgRequest:
		return s.sending.onRequest(p, m, eff)
	case peerwire.MsgCancel:
		s.sending.onCancel(p, m, eff)
	case peerwire.MsgReject:
		return s.asking.onReject(p, m, at)
	case peerwire.MsgAllowedFast:
		return s.asking.onAllowedFast(p, m)
	case peerwire.MsgSuggest:
		return s.asking.onSuggest(p, m)
	case peerwire.MsgPort:
		eff.event(Event{Kind: PortLearned, Peer: p.id, Piece: int(m.Index)})
	}
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
	// RW18: what nobody asked for is never kept. A request taken back may
	// still be answered, but not for a piece that one peer is to answer for.
	if p.req.has(b) || p.req.taken > 0 && !s.picker.Parole(int(b.Piece)) {
		if wanted, starved = s.receiving.claim(p, b, m.Data, st); starved {
			return true, nil
		}
	}
	asked := s.asking.arrived(p, b, wanted, at, &st.Effects)
	n := int64(m.Length)
	p.down.Add(at, n)
	s.receiving.rate.Add(at, n)
	if wanted {
		s.total.Downloaded += n
	} else {
		p.wasted += n
		s.total.Wasted += n
	}
	if !asked {
		return false, s.unasked(p)
	}
	return false, nil
}

// unasked bears with a block that p was not asked for, if it was before or if
// there are few: without BEP 6 a choke and a cancel are not answered.
func (s *Swarm) unasked(p *peer) error {
	if p.req.taken > 0 {
		p.req.taken--
		return nil
	}
	if p.unasked++; p.unasked > tolerated || p.Fast && s.mode == Running {
		return ErrUnasked
	}
	return nil
}
