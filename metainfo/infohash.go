package metainfo

import (
	"crypto/sha1"
	"encoding/base32"
	"encoding/hex"
	"fmt"
)

// Hash is an infohash of BEP 3: the SHA-1 over the info dictionary as it
// stands in the .torrent. The hash of a piece is of the same type.
type Hash [20]byte

// HashV2 is an infohash of BEP 52: the SHA-256 over the info dictionary.
type HashV2 [32]byte

// SumHash returns the SHA-1 of b: of an info dictionary its infohash, of a
// piece its piece hash.
func SumHash(b []byte) Hash { return sha1.Sum(b) }

// ParseHash reads an infohash written as 40 hexadecimal digits or as 32 digits
// of base32 (BEP 9), in either case of letters. The error matches [ErrInvalid].
func ParseHash(s string) (Hash, error) {
	var h Hash
	switch len(s) {
	case 2 * len(h):
		if _, err := hex.Decode(h[:], []byte(s)); err == nil {
			return h, nil
		}
	case 32:
		var text [32]byte
		for i := range text {
			text[i] = upper(s[i])
		}
		if n, err := base32.StdEncoding.Decode(h[:], text[:]); err == nil && n == len(h) {
			return h, nil
		}
	}
	return Hash{}, fmt.Errorf("%w: infohash %s is neither 40 hexadecimal digits nor 32 of base32", ErrInvalid, quote(s))
}

// upper returns the capital of an ASCII letter, and other bytes as they are.
func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}

// String returns the 40 hexadecimal digits of h.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is not set.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText returns the 40 hexadecimal digits of h.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what [ParseHash] reads.
func (h *Hash) UnmarshalText(text []byte) error {
	v, err := ParseHash(string(text))
	if err == nil {
		*h = v
	}
	return err
}

// ParseHashV2 reads an infohash written as 64 hexadecimal digits. The error
// matches [ErrInvalid].
func ParseHashV2(s string) (HashV2, error) {
	var h HashV2
	if len(s) == 2*len(h) {
		if _, err := hex.Decode(h[:], []byte(s)); err == nil {
			return h, nil
		}
	}
	return HashV2{}, fmt.Errorf("%w: infohash %s is not 64 hexadecimal digits", ErrInvalid, quote(s))
}

// String returns the 64 hexadecimal digits of h.
func (h HashV2) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is not set.
func (h HashV2) IsZero() bool { return h == HashV2{} }

// MarshalText returns the 64 hexadecimal digits of h.
func (h HashV2) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what [ParseHashV2] reads.
func (h *HashV2) UnmarshalText(text []byte) error {
	v, err := ParseHashV2(string(text))
	if err == nil {
		*h = v
	}
	return err
}

// Truncated returns the first 20 bytes of h, which stand for it in handshakes,
// trackers and the DHT (BEP 52).
func (h HashV2) Truncated() Hash { return Hash(h[:20]) }

// Hashes is the identity of a torrent: the infohash of either version of the
// protocol, or both. It is comparable. A version that is not known is zero.
type Hashes struct {
	V1 Hash
	V2 HashV2
}

// IsZero reports whether neither hash is set.
func (h Hashes) IsZero() bool { return h.V1.IsZero() && h.V2.IsZero() }

// Wire returns the 20 bytes to name the torrent by in handshakes and to
// trackers: V1 where it is known, else the truncated V2 (BEP 52).
func (h Hashes) Wire() Hash {
	if h.V1.IsZero() {
		return h.V2.Truncated()
	}
	return h.V1
}

// String returns the hexadecimal digits of V1 where it is known, else of V2.
func (h Hashes) String() string {
	if h.V1.IsZero() && !h.V2.IsZero() {
		return h.V2.String()
	}
	return h.V1.String()
}
