package peerwire

import (
	"fmt"
	"strconv"
)

// ID is the number of a message.
type ID uint8

// The messages of BEP 3, 5, 6 and 10.
const (
	MsgChoke         ID = 0
	MsgUnchoke       ID = 1
	MsgInterested    ID = 2
	MsgNotInterested ID = 3
	MsgHave          ID = 4
	MsgBitfield      ID = 5
	MsgRequest       ID = 6
	MsgPiece         ID = 7
	MsgCancel        ID = 8
	MsgPort          ID = 9  // BEP 5
	MsgSuggest       ID = 13 // BEP 6, like the four that follow
	MsgHaveAll       ID = 14
	MsgHaveNone      ID = 15
	MsgReject        ID = 16
	MsgAllowedFast   ID = 17
	MsgExtended      ID = 20 // BEP 10

	// MsgHandshake stands for the handshake in a ProtocolError.
	MsgHandshake ID = 254
	// MsgKeepAlive stands for the message of length zero, which has no id.
	// Should a peer send a message with this number, it comes out under the same
	// name with Data that is not nil; both are to be ignored.
	MsgKeepAlive ID = 255
)

// String returns the name of the message in words, "message 42" for unknown ones.
func (id ID) String() string {
	switch id {
	case MsgChoke:
		return "choke"
	case MsgUnchoke:
		return "unchoke"
	case MsgInterested:
		return "interested"
	case MsgNotInterested:
		return "not interested"
	case MsgHave:
		return "have"
	case MsgBitfield:
		return "bitfield"
	case MsgRequest:
		return "request"
	case MsgPiece:
		return "piece"
	case MsgCancel:
		return "cancel"
	case MsgPort:
		return "port"
	case MsgSuggest:
		return "suggest"
	case MsgHaveAll:
		return "have all"
	case MsgHaveNone:
		return "have none"
	case MsgReject:
		return "reject"
	case MsgAllowedFast:
		return "allowed fast"
	case MsgExtended:
		return "extended"
	case MsgHandshake:
		return "handshake"
	case MsgKeepAlive:
		return "keep-alive"
	}
	return "message " + strconv.Itoa(int(id))
}

// Known reports whether id is a message that this package reads the fields of.
func (id ID) Known() bool {
	switch {
	case id <= MsgPort, id >= MsgSuggest && id <= MsgAllowedFast, id == MsgExtended, id == MsgKeepAlive:
		return true
	}
	return false
}

// NeedsFast reports whether id belongs to the fast extension: a peer that sends
// it on a connection without the extension is to be dropped (BEP 6).
func (id ID) NeedsFast() bool { return id >= MsgSuggest && id <= MsgAllowedFast }

// Message is one message, whichever it is; the fields that it does not use are
// zero. It is a value without allocations of its own, made to be used again.
//
//	have, suggest, allowed fast    Index
//	request, cancel, reject        Index, Begin, Length
//	piece                          Index, Begin, Data; Length is len(Data)
//	bitfield                       Data: the bits, piece 0 the highest bit of the first byte
//	port                           Index: the UDP port
//	extended                       Index: the extended id; Data: what follows it
//	unknown ids                    Data: the whole payload
//	the others                     none
//
// The numbers are as the peer sent them; nothing has been compared with a torrent.
type Message struct {
	ID     ID
	Index  uint32
	Begin  uint32
	Length uint32
	// Data aliases the bytes the message was read from: it is valid until the
	// owner of that buffer uses it again. It is nil for messages without it.
	Data []byte
}

// String describes m in one line of bounded length, for logs and tests.
func (m Message) String() string {
	switch m.ID {
	case MsgHave, MsgSuggest, MsgAllowedFast, MsgPort:
		return fmt.Sprintf("%v %d", m.ID, m.Index)
	case MsgRequest, MsgCancel, MsgReject:
		return fmt.Sprintf("%v %d+%d:%d", m.ID, m.Index, m.Begin, m.Length)
	case MsgPiece:
		return fmt.Sprintf("piece %d+%d:%d", m.Index, m.Begin, len(m.Data))
	case MsgExtended:
		return fmt.Sprintf("extended %d, %d bytes", m.Index, len(m.Data))
	}
	if m.Data != nil {
		return fmt.Sprintf("%v, %d bytes", m.ID, len(m.Data))
	}
	return m.ID.String()
}

// SpareBits reports whether a bitfield for so many pieces has bits set behind
// the last piece. BEP 3 wants them zero; a bitfield that has them is wrong.
// Limits checks only the length, since the number of pieces may not be known
// when a bitfield comes. Bits that should be there and are not count as zero.
func SpareBits(bits []byte, pieces int) bool {
	if pieces < 0 {
		pieces = 0
	}
	whole := pieces / 8
	if whole >= len(bits) {
		return false
	}
	if bits[whole]<<(pieces%8) != 0 {
		return true
	}
	for _, b := range bits[whole+1:] {
		if b != 0 {
			return true
		}
	}
	return false
}
