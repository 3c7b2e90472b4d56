package peerwire

import (
	"fmt"
	"io"
)

const (
	// HandshakeLen is the length of a handshake.
	HandshakeLen = 68
	// HandshakeHead is how many bytes of a handshake are enough to know which
	// torrent is meant. Answer after these: a tracker that checks whether we can
	// be reached sends no more, and waits for our 68.
	HandshakeHead = 48
)

// Protocol is the text a handshake begins with, behind its length byte.
const Protocol = "BitTorrent protocol"

// head is what every handshake begins with.
const head = "\x13" + Protocol

// Bit names one of the 64 reserved bits of a handshake: 0 is the lowest bit of
// the last byte, 63 the highest bit of the first.
type Bit uint8

// The reserved bits that have a meaning here.
const (
	DHTBit       Bit = 0  // reserved[7] & 0x01: speaks the DHT and wants a port message (BEP 5)
	FastBit      Bit = 2  // reserved[7] & 0x04: fast extension (BEP 6)
	V2Bit        Bit = 4  // reserved[7] & 0x10: the torrent may be upgraded to v2 (BEP 52)
	ExtensionBit Bit = 20 // reserved[5] & 0x10: extension protocol (BEP 10)
)

// Reserved is the eight bytes by which each side says what it speaks beyond
// BEP 3. Bits without a meaning to us are sent as zero and never echoed.
type Reserved [8]byte

// Has reports whether bit b is set. It is false for b > 63.
func (r Reserved) Has(b Bit) bool {
	return b < 64 && r[7-b/8]&(1<<(b%8)) != 0
}

// Set sets bit b. It does nothing for b > 63.
func (r *Reserved) Set(b Bit) {
	if b < 64 {
		r[7-b/8] |= 1 << (b % 8)
	}
}

// Common returns the bits that are set in both: what two peers may use with
// each other.
func (r Reserved) Common(other Reserved) Reserved {
	for i := range r {
		r[i] &= other[i]
	}
	return r
}

// Handshake is what either side sends first (BEP 3, peer protocol).
type Handshake struct {
	Reserved Reserved
	InfoHash [20]byte
	PeerID   [20]byte
}

// Append appends the 68 bytes of h to b.
func (h *Handshake) Append(b []byte) []byte {
	b = append(b, head...)
	b = append(b, h.Reserved[:]...)
	b = append(b, h.InfoHash[:]...)
	return append(b, h.PeerID[:]...)
}

// IsHandshake reports whether b, of any length, can be the beginning of a
// handshake in the clear. It is false as soon as one byte differs, so noise, an
// HTTP request or an encrypted connection is told apart at its first bytes.
func IsHandshake(b []byte) bool {
	n := min(len(b), len(head))
	return string(b[:n]) == head[:n]
}

// ParseHead reads the first 48 bytes of a handshake into h and leaves PeerID
// alone. Bytes behind them are not looked at.
//
// The error is a *ProtocolError as soon as b cannot become a handshake, and
// io.ErrUnexpectedEOF (errors.Is) while it still can but is too short.
func (h *Handshake) ParseHead(b []byte) error {
	if !IsHandshake(b) {
		return &ProtocolError{ID: MsgHandshake, Reason: "does not begin with " + Protocol}
	}
	if len(b) < HandshakeHead {
		return fmt.Errorf("peerwire: handshake: %d of %d bytes: %w", len(b), HandshakeHead, io.ErrUnexpectedEOF)
	}
	copy(h.Reserved[:], b[20:28])
	copy(h.InfoHash[:], b[28:48])
	return nil
}

// ParseHandshake reads the handshake at the start of b. Bytes behind its 68 are
// left alone: they are the first messages. Errors as for ParseHead.
func ParseHandshake(b []byte) (Handshake, error) {
	var h Handshake
	if err := h.ParseHead(b); err != nil {
		return Handshake{}, err
	}
	if len(b) < HandshakeLen {
		return Handshake{}, fmt.Errorf("peerwire: handshake: %d of %d bytes: %w", len(b), HandshakeLen, io.ErrUnexpectedEOF)
	}
	copy(h.PeerID[:], b[48:68])
	return h, nil
}
