package peerwire

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/seed1734be99/starling/bencode"
)

// ExtHandshakeID is the extended id of the extended handshake itself (BEP 10).
const ExtHandshakeID = 0

// Names of extensions, as they stand in ExtHandshake.M.
const (
	ExtMetadata   = "ut_metadata" // BEP 9
	ExtPEX        = "ut_pex"      // BEP 11
	ExtDontHave   = "lt_donthave" // BEP 54
	ExtUploadOnly = "upload_only" // libtorrent: a message that changes what the key of BEP 21 said
)

// What an extended handshake may bring at most. Every client in use stays far below.
const (
	MaxExtHandshakeLen = 64 << 10 // bytes of the payload
	maxExtensions      = 128      // names kept
	maxExtensionName   = 64       // bytes of a name; longer ones are ignored
	maxClientVersion   = 64       // bytes kept of v
	maxReqQ            = 1 << 16  // larger numbers count as this one
)

// ExtHandshake is the extended handshake (BEP 10). The zero value of a field
// means that the peer did not tell, or told nonsense.
type ExtHandshake struct {
	// M gives each extension the number under which its messages are to be sent
	// to the peer whose handshake this is. 0: switched off, the same as absent.
	M map[string]uint8
	// V is the client and its version: printable, at most 64 bytes.
	V string
	// P is the port the peer listens on, 1 to 65535.
	P int
	// ReqQ is how many requests the peer queues, 1 to 65536.
	ReqQ int
	// YourIP is our own address as the peer sees it. IPv4 and IPv6 are addresses
	// at which the peer says it can be reached too. All are the peer's word alone.
	YourIP netip.Addr
	IPv4   netip.Addr
	IPv6   netip.Addr
	// MetadataSize is the length of the info dictionary, 1 to MaxMetadataSize (BEP 9).
	MetadataSize int64
	// UploadOnly: the peer wants to download nothing (BEP 21).
	UploadOnly bool
	// Encryption: the peer prefers encrypted connections (the key "e"; BEP 11
	// passes it on as a flag).
	Encryption bool
}

// ParseExtHandshake reads the payload of an extended message with the id
// ExtHandshakeID. It keeps nothing of payload.
//
// Keys in any order, unknown keys, and known keys with values of the wrong type
// or out of range are no error: those values count as not told. What is no
// dictionary, or longer than MaxExtHandshakeLen, is a *ProtocolError.
func ParseExtHandshake(payload []byte) (ExtHandshake, error) {
	var h ExtHandshake
	err := h.Update(payload)
	return h, err
}

// Update reads a later handshake of the same peer into h. BEP 10 makes it
// additive: extensions it names are changed, 0 switches one off, and what it
// leaves out stays as it was. M is replaced, never changed in place, so copies
// of h stay as they are. Errors as for ParseExtHandshake, with h unchanged.
func (h *ExtHandshake) Update(payload []byte) error {
	if len(payload) > MaxExtHandshakeLen {
		return &ProtocolError{ID: MsgExtended, Reason: "handshake of " + strconv.Itoa(len(payload)) + " bytes"}
	}
	c, err := bencode.NewTolerantCursor(payload)
	if err != nil {
		return &ProtocolError{ID: MsgExtended, Reason: "handshake", Err: err}
	}
	if !c.Enter(bencode.Dict) {
		return &ProtocolError{ID: MsgExtended, Reason: "handshake is no dictionary"}
	}
	for c.More() {
		key, _ := c.Bytes()
		h.readKey(string(key), &c)
	}
	return nil
}

// readKey reads the value of a key, or skips it.
func (h *ExtHandshake) readKey(key string, c *bencode.Cursor) {
	switch key {
	case "m":
		h.readExtensions(c)
	case "v":
		if s, ok := c.Bytes(); ok {
			h.V = printable(string(s[:min(len(s), 4*maxClientVersion)]), maxClientVersion)
		}
	case "p":
		if n, ok := c.Int(); ok && n > 0 && n <= 65535 {
			h.P = int(n)
		}
	case "reqq":
		if n, ok := c.Int(); ok && n > 0 {
			h.ReqQ = int(min(n, maxReqQ))
		}
	case "yourip":
		if a, ok := readAddr(c); ok {
			h.YourIP = a
		}
	case "ipv4":
		if a, ok := readAddr(c); ok && a.Is4() {
			h.IPv4 = a
		}
	case "ipv6":
		if a, ok := readAddr(c); ok && a.Is6() {
			h.IPv6 = a
		}
	case "metadata_size":
		if n, ok := c.Int(); ok && n > 0 && n <= MaxMetadataSize {
			h.MetadataSize = n
		}
	case "upload_only":
		if n, ok := c.Int(); ok {
			h.UploadOnly = n != 0
		}
	case "e":
		if n, ok := c.Int(); ok {
			h.Encryption = n != 0
		}
	default:
		c.Skip()
	}
}

// readExtensions takes over the names of the dictionary m as far as there is room.
func (h *ExtHandshake) readExtensions(c *bencode.Cursor) {
	if !c.Enter(bencode.Dict) {
		return
	}
	next := make(map[string]uint8, min(len(h.M)+8, maxExtensions))
	maps.Copy(next, h.M)
	for c.More() {
		name, _ := c.Bytes()
		id, ok := c.Int()
		if !ok || id < 0 || id > 255 || len(name) > maxExtensionName {
			continue
		}
		if _, known := next[string(name)]; known || len(next) < maxExtensions {
			next[string(name)] = uint8(id)
		}
	}
	h.M = next
}

// AppendPayload appends the handshake as the payload of an extended message:
// a dictionary with sorted keys, without those that are zero. Give it to
// [AppendExtended] with ExtHandshakeID. "m" is always written, names that are
// switched off included.
func (h *ExtHandshake) AppendPayload(b []byte) []byte {
	b = append(b, 'd')
	if h.Encryption {
		b = appendIntKey(b, "e", 1)
	}
	if h.IPv4.Unmap().Is4() {
		b = appendAddrKey(b, "ipv4", h.IPv4)
	}
	if h.IPv6.Is6() && !h.IPv6.Is4In6() {
		b = appendAddrKey(b, "ipv6", h.IPv6)
	}
	b = append(bencode.AppendString(b, "m"), 'd')
	for _, name := range slices.Sorted(maps.Keys(h.M)) {
		b = appendIntKey(b, name, int64(h.M[name]))
	}
	b = append(b, 'e')
	if h.MetadataSize != 0 {
		b = appendIntKey(b, "metadata_size", h.MetadataSize)
	}
	if h.P != 0 {
		b = appendIntKey(b, "p", int64(h.P))
	}
	if h.ReqQ != 0 {
		b = appendIntKey(b, "reqq", int64(h.ReqQ))
	}
	if h.UploadOnly {
		b = appendIntKey(b, "upload_only", 1)
	}
	if h.V != "" {
		b = bencode.AppendString(bencode.AppendString(b, "v"), h.V)
	}
	if h.YourIP.IsValid() {
		b = appendAddrKey(b, "yourip", h.YourIP)
	}
	return append(b, 'e')
}

// readAddr reads an address of 4 or 16 bytes; IPv4 in IPv6 comes out as IPv4.
func readAddr(c *bencode.Cursor) (netip.Addr, bool) {
	s, _ := c.Bytes()
	a, ok := netip.AddrFromSlice(s)
	return a.Unmap(), ok
}

func appendIntKey(b []byte, key string, n int64) []byte {
	return bencode.AppendInt(bencode.AppendString(b, key), n)
}

func appendAddrKey(b []byte, key string, a netip.Addr) []byte {
	return bencode.AppendString(bencode.AppendString(b, key), a.Unmap().AsSlice())
}

// printable returns s without surrounding blanks, cut to at most limit bytes at
// a character boundary, with a question mark for whatever cannot be shown:
// control and format characters, unusual blanks, broken UTF-8.
func printable(s string, limit int) string {
	var out strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			r = '?'
		}
		if out.Len()+len(string(r)) > limit {
			break
		}
		out.WriteRune(r)
	}
	return strings.TrimSpace(out.String())
}
