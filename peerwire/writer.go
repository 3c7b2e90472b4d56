package peerwire

import "encoding/binary"

// This file is hot: it encodes everything that goes to a peer. Nothing here
// allocates beyond what append needs to make room (TestNoAllocs).

// Append appends m to b, whichever message it is; the block of a piece, the bits
// of a bitfield and the payload of an extended message are copied. Fields that
// the message does not use are ignored, and of Index a port keeps 16 bits and an
// extended message 8. What Limits.Next has read is written as it came.
func (m *Message) Append(b []byte) []byte {
	switch m.ID {
	case MsgKeepAlive:
		if m.Data == nil {
			return AppendKeepAlive(b)
		}
	case MsgPiece:
		return AppendPiece(b, m.Index, m.Begin, m.Data)
	case MsgRequest, MsgCancel, MsgReject:
		return appendTriple(b, m.ID, m.Index, m.Begin, m.Length)
	case MsgHave, MsgSuggest, MsgAllowedFast:
		return appendIndex(b, m.ID, m.Index)
	case MsgChoke, MsgUnchoke, MsgInterested, MsgNotInterested, MsgHaveAll, MsgHaveNone:
		return appendBare(b, m.ID)
	case MsgPort:
		return AppendPort(b, uint16(m.Index))
	case MsgExtended:
		return AppendExtended(b, uint8(m.Index), m.Data)
	}
	b = appendHeader(b, m.ID, len(m.Data))
	return append(b, m.Data...)
}

// AppendKeepAlive appends the message of length zero.
func AppendKeepAlive(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// AppendChoke appends a choke.
func AppendChoke(b []byte) []byte { return appendBare(b, MsgChoke) }

// AppendUnchoke appends an unchoke.
func AppendUnchoke(b []byte) []byte { return appendBare(b, MsgUnchoke) }

// AppendInterested appends an interested.
func AppendInterested(b []byte) []byte { return appendBare(b, MsgInterested) }

// AppendNotInterested appends a not interested.
func AppendNotInterested(b []byte) []byte { return appendBare(b, MsgNotInterested) }

// AppendHave appends a have.
func AppendHave(b []byte, index uint32) []byte { return appendIndex(b, MsgHave, index) }

// AppendBitfield appends a bitfield; bits are copied. Piece 0 is the highest bit
// of the first byte, spare bits at the end must be zero (BEP 3).
func AppendBitfield(b, bits []byte) []byte {
	b = appendHeader(b, MsgBitfield, len(bits))
	return append(b, bits...)
}

// AppendRequest appends a request for length bytes from begin of a piece.
func AppendRequest(b []byte, index, begin, length uint32) []byte {
	return appendTriple(b, MsgRequest, index, begin, length)
}

// AppendPieceHeader appends the 13 bytes that go before a block of length bytes.
// The caller appends or sends the block itself. length must be at most 1 GiB.
func AppendPieceHeader(b []byte, index, begin, length uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, 9+length)
	b = append(b, byte(MsgPiece))
	b = binary.BigEndian.AppendUint32(b, index)
	return binary.BigEndian.AppendUint32(b, begin)
}

// PieceHeaderLen is what AppendPieceHeader appends.
const PieceHeaderLen = 13

// AppendPiece appends a piece message; the block is copied.
func AppendPiece(b []byte, index, begin uint32, block []byte) []byte {
	b = AppendPieceHeader(b, index, begin, uint32(len(block)))
	return append(b, block...)
}

// AppendCancel appends the cancel of a request.
func AppendCancel(b []byte, index, begin, length uint32) []byte {
	return appendTriple(b, MsgCancel, index, begin, length)
}

// AppendPort appends the UDP port of our DHT node (BEP 5).
func AppendPort(b []byte, port uint16) []byte {
	b = appendHeader(b, MsgPort, 2)
	return binary.BigEndian.AppendUint16(b, port)
}

// AppendSuggest appends a suggest piece (BEP 6).
func AppendSuggest(b []byte, index uint32) []byte { return appendIndex(b, MsgSuggest, index) }

// AppendHaveAll appends a have all (BEP 6).
func AppendHaveAll(b []byte) []byte { return appendBare(b, MsgHaveAll) }

// AppendHaveNone appends a have none (BEP 6).
func AppendHaveNone(b []byte) []byte { return appendBare(b, MsgHaveNone) }

// AppendReject appends the reject of a request (BEP 6).
func AppendReject(b []byte, index, begin, length uint32) []byte {
	return appendTriple(b, MsgReject, index, begin, length)
}

// AppendAllowedFastMessage appends an allowed fast (BEP 6).
// [AppendAllowedFast] computes which pieces to name.
func AppendAllowedFastMessage(b []byte, index uint32) []byte {
	return appendIndex(b, MsgAllowedFast, index)
}

// AppendExtended appends an extended message; the payload is copied. id is the
// number that the receiver has given to the extension, ExtHandshakeID for the
// extended handshake (BEP 10).
func AppendExtended(b []byte, id uint8, payload []byte) []byte {
	b = appendHeader(b, MsgExtended, 1+len(payload))
	b = append(b, id)
	return append(b, payload...)
}

// appendHeader appends the length prefix and the id of a message with n bytes of payload.
func appendHeader(b []byte, id ID, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+n))
	return append(b, byte(id))
}

func appendBare(b []byte, id ID) []byte {
	return append(b, 0, 0, 0, 1, byte(id))
}

func appendIndex(b []byte, id ID, index uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 5, byte(id)), index)
}

func appendTriple(b []byte, id ID, index, begin, length uint32) []byte {
	b = append(b, 0, 0, 0, 13, byte(id))
	b = binary.BigEndian.AppendUint32(b, index)
	b = binary.BigEndian.AppendUint32(b, begin)
	return binary.BigEndian.AppendUint32(b, length)
}
