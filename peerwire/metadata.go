package peerwire

import (
	"math"
	"strconv"

	"github.com/seed1734be99/starling/bencode"
)

const (
	// MetadataPieceSize is the length of all pieces of the metadata but the last (BEP 9).
	MetadataPieceSize = 16 << 10
	// MaxMetadataSize is the longest info dictionary that is believed in.
	MaxMetadataSize = 32 << 20
	// maxMetadataDict bounds the dictionary of a message; real ones have some 50 bytes.
	maxMetadataDict = 1 << 10
)

// The types of a MetadataMsg (BEP 9). Others must be ignored.
const (
	MetadataRequest = 0
	MetadataData    = 1
	MetadataReject  = 2
)

// MetadataMsg is a message of the extension ut_metadata (BEP 9).
type MetadataMsg struct {
	Type  int // MetadataRequest, MetadataData, MetadataReject; others are to be ignored
	Piece int // 0 to 2^31-1, not compared with any size
	// TotalSize comes with data: the length of the whole metadata, 1 to
	// MaxMetadataSize; 0 if the sender told none or nonsense.
	TotalSize int64
	// Data is the piece of metadata, at most MetadataPieceSize bytes, nil in other
	// messages. After ParseMetadataMsg it aliases the payload.
	Data []byte
}

// MetadataPieces returns how many pieces metadata of so many bytes has; 0 for
// sizes outside 1 to MaxMetadataSize.
func MetadataPieces(size int64) int {
	if size <= 0 || size > MaxMetadataSize {
		return 0
	}
	return int((size + MetadataPieceSize - 1) / MetadataPieceSize)
}

// MetadataPieceLen returns the length that a piece of metadata must have in
// metadata of size bytes; 0 if there is no such piece.
func MetadataPieceLen(size int64, piece int) int {
	n := MetadataPieces(size)
	switch {
	case piece < 0 || piece >= n:
		return 0
	case piece == n-1:
		return int(size - int64(piece)*MetadataPieceSize)
	}
	return MetadataPieceSize
}

// ParseMetadataMsg reads the payload of a ut_metadata message: a dictionary
// and, in a data message, the bytes behind it, which m.Data aliases. Bytes
// behind the dictionary of another message are ignored, as are unknown keys. Of
// a message of unknown type only the type is read.
//
// The error is a *ProtocolError: no dictionary, no type, no piece or one that is
// negative or above 2^31-1, more data than a piece can have. The message may be
// ignored; the stream of messages is not harmed by it.
func ParseMetadataMsg(payload []byte) (MetadataMsg, error) {
	n, err := bencode.ScanTolerant(payload[:min(len(payload), maxMetadataDict)])
	if err != nil {
		return MetadataMsg{}, &ProtocolError{ID: MsgExtended, Reason: ExtMetadata, Err: err}
	}
	kind, piece, total := int64(-1), int64(-1), int64(0)
	c, err := bencode.NewTolerantCursor(payload[:n])
	if err != nil || !c.Enter(bencode.Dict) {
		return MetadataMsg{}, metadataError("no dictionary")
	}
	for c.More() {
		key, _ := c.Bytes()
		switch string(key) {
		case "msg_type":
			kind = intOr(&c, -1)
		case "piece":
			piece = intOr(&c, -1)
		case "total_size":
			total = intOr(&c, 0)
		default:
			c.Skip()
		}
	}
	return metadataMsg(kind, piece, total, payload[n:])
}

// metadataMsg checks what a dictionary said, and takes the bytes behind it.
func metadataMsg(kind, piece, total int64, rest []byte) (MetadataMsg, error) {
	if kind < 0 || kind > math.MaxInt32 {
		return MetadataMsg{}, metadataError("no msg_type")
	}
	m := MetadataMsg{Type: int(kind)}
	if kind > MetadataReject {
		return m, nil
	}
	if piece < 0 || piece > math.MaxInt32 {
		return MetadataMsg{}, metadataError("no piece, or one out of range")
	}
	m.Piece = int(piece)
	if kind != MetadataData {
		return m, nil
	}
	if total > 0 && total <= MaxMetadataSize {
		m.TotalSize = total
	}
	m.Data = rest[:len(rest):len(rest)]
	if len(m.Data) > MetadataPieceSize {
		return MetadataMsg{}, metadataError("piece of " + strconv.Itoa(len(m.Data)) + " bytes")
	}
	return m, nil
}

// Append appends m as the payload of an extended message, for [AppendExtended]
// with the number that the receiver has given to ExtMetadata. TotalSize and Data
// are written for MetadataData alone.
func (m *MetadataMsg) Append(b []byte) []byte {
	b = append(b, 'd')
	b = appendIntKey(b, "msg_type", int64(m.Type))
	b = appendIntKey(b, "piece", int64(m.Piece))
	if m.Type != MetadataData {
		return append(b, 'e')
	}
	if m.TotalSize != 0 {
		b = appendIntKey(b, "total_size", m.TotalSize)
	}
	b = append(b, 'e')
	return append(b, m.Data...)
}

func intOr(c *bencode.Cursor, otherwise int64) int64 {
	if n, ok := c.Int(); ok {
		return n
	}
	return otherwise
}

func metadataError(reason string) *ProtocolError {
	return &ProtocolError{ID: MsgExtended, Reason: ExtMetadata + ": " + reason}
}
