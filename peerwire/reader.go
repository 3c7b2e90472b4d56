package peerwire

import (
	"encoding/binary"
	"fmt"
)

// This file is hot: it runs once a message, inside the reader of every
// connection. It allocates only to report an error (TestNoAllocs), copies no
// payload, and looks at each byte of a header once.

// The limits that stand when Limits leaves them at zero, and those that are not
// for a caller to choose.
const (
	DefaultMaxBlock    = 128 << 10 // far above the 16 KiB that everybody asks for
	DefaultMaxExtended = 1 << 20
	maxUnknown         = 256 << 10 // payload of a message with an unknown id
	maxBitfield        = 256 << 10 // bits of a bitfield while the number of pieces is unknown: 2,097,152 pieces
)

// Limits bounds the messages of one peer and finds them in a stream of bytes.
// The zero value is good. It may be changed between two calls, as when the
// number of pieces becomes known.
type Limits struct {
	// Pieces is the number of pieces of the torrent. Zero or less: not known
	// yet; a bitfield of up to 256 KiB is let through for the caller to judge later.
	Pieces int
	// MaxBlock bounds the block of a piece message, in bytes. Zero or less: DefaultMaxBlock.
	MaxBlock int
	// MaxExtended bounds the payload of an extended message, behind its extended
	// id, in bytes. Zero or less: DefaultMaxExtended.
	MaxExtended int
}

// Next reads the message at the start of buf into m and returns its length, the
// prefix included. When n is 0 and err is nil, buf does not hold it whole yet
// and m is unchanged. m.Data aliases buf.
//
// The error is a *ProtocolError, reported as soon as the length prefix, or it and
// the id, show it: the peer is to be dropped, the stream cannot be read on.
func (l *Limits) Next(buf []byte, m *Message) (n int, err error) {
	if len(buf) < 4 {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(buf)
	if length == 0 {
		*m = Message{ID: MsgKeepAlive}
		return 4, nil
	}
	if len(buf) == 4 {
		if int64(length) > l.longest() {
			return 0, &ProtocolError{ID: MsgKeepAlive, Reason: fmt.Sprintf("no message is %d bytes long", length)}
		}
		return 0, nil
	}
	id := ID(buf[4])
	if low, high := l.bounds(id); int64(length) < low || int64(length) > high {
		return 0, lengthError(id, length, low, high)
	}
	total := 4 + int(length)
	if len(buf) < total {
		return 0, nil
	}
	m.set(id, buf[5:total:total])
	return total, nil
}

// Need returns how many bytes the message at the start of buf takes, the prefix
// included; with less than four bytes in buf it returns 4, the least there can
// be. It never returns more than [Limits.Longest]: for a message that Next is
// going to refuse it returns the 4 or 5 bytes which Next needs to see that.
func (l *Limits) Need(buf []byte) int {
	if len(buf) < 4 {
		return 4
	}
	length := int64(binary.BigEndian.Uint32(buf))
	if length == 0 {
		return 4
	}
	if len(buf) == 4 {
		if length > l.longest() {
			return 4
		}
	} else if low, high := l.bounds(ID(buf[4])); length < low || length > high {
		return 5
	}
	return 4 + int(length)
}

// Longest returns the length of the longest message these limits let through,
// the prefix included: what a buffer must be able to grow to.
func (l *Limits) Longest() int { return 4 + int(l.longest()) }

// longest is the largest upper bound of any id.
func (l *Limits) longest() int64 {
	return max(1+maxUnknown, 1+l.bitfield(), 9+l.block(), 2+l.extended())
}

// bounds returns the smallest and largest length prefix for id.
func (l *Limits) bounds(id ID) (low, high int64) {
	switch id {
	case MsgPiece:
		return 9, 9 + l.block()
	case MsgRequest, MsgCancel, MsgReject:
		return 13, 13
	case MsgHave, MsgSuggest, MsgAllowedFast:
		return 5, 5
	case MsgChoke, MsgUnchoke, MsgInterested, MsgNotInterested, MsgHaveAll, MsgHaveNone:
		return 1, 1
	case MsgPort:
		return 3, 3
	case MsgBitfield:
		if l.Pieces > 0 {
			n := 1 + l.bitfield()
			return n, n
		}
		return 1, 1 + maxBitfield
	case MsgExtended:
		return 2, 2 + l.extended()
	}
	return 1, 1 + maxUnknown
}

// The three that follow stay far below the range of int on 32-bit machines too:
// whatever a caller asks for is bounded by 1 GiB.

func (l *Limits) bitfield() int64 {
	if l.Pieces > 0 {
		return min((int64(l.Pieces)-1)/8+1, 1<<30)
	}
	return maxBitfield
}

func (l *Limits) block() int64 {
	if l.MaxBlock > 0 {
		return min(int64(l.MaxBlock), 1<<30)
	}
	return DefaultMaxBlock
}

func (l *Limits) extended() int64 {
	if l.MaxExtended > 0 {
		return min(int64(l.MaxExtended), 1<<30)
	}
	return DefaultMaxExtended
}

// set fills m from the payload behind the id; bounds has seen its length.
func (m *Message) set(id ID, p []byte) {
	*m = Message{ID: id}
	switch id {
	case MsgPiece:
		m.Index = binary.BigEndian.Uint32(p)
		m.Begin = binary.BigEndian.Uint32(p[4:])
		m.Data = p[8:]
		m.Length = uint32(len(m.Data))
	case MsgRequest, MsgCancel, MsgReject:
		m.Index = binary.BigEndian.Uint32(p)
		m.Begin = binary.BigEndian.Uint32(p[4:])
		m.Length = binary.BigEndian.Uint32(p[8:])
	case MsgHave, MsgSuggest, MsgAllowedFast:
		m.Index = binary.BigEndian.Uint32(p)
	case MsgChoke, MsgUnchoke, MsgInterested, MsgNotInterested, MsgHaveAll, MsgHaveNone:
	case MsgPort:
		m.Index = uint32(binary.BigEndian.Uint16(p))
	case MsgExtended:
		m.Index = uint32(p[0])
		m.Data = p[1:]
	default: // a bitfield, or an id we don't know
		m.Data = p
	}
}

func lengthError(id ID, length uint32, low, high int64) *ProtocolError {
	reason := fmt.Sprintf("length %d, want %d to %d", length, low, high)
	if low == high {
		reason = fmt.Sprintf("length %d, want %d", length, low)
	}
	return &ProtocolError{ID: id, Reason: reason}
}
