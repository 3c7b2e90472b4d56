package metainfo

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxMagnet is how long a magnet link may be, in bytes.
	maxMagnet = 1 << 20
	// maxParams is how many parameters it may have.
	maxParams = 4096
	// maxRanges is how many ranges of files it may select.
	maxRanges = 4096
)

// Magnet is a magnet link (BEP 9): the identity of a torrent and hints where
// to find its metadata.
type Magnet struct {
	Hashes   Hashes
	Name     string     // dn: to be shown until the metadata is there; not safe as a file name
	Trackers []string   // tr
	WebSeeds []string   // ws
	Peers    []string   // x.pe, as host:port
	Select   []Range    // so: the files that are wanted, all if empty (BEP 53)
	Length   int64      // xl: the bytes of all files; 0 if it is not known
	Extra    url.Values // all other parameters
}

// Range is a range of files by their numbers, which begin with 0.
type Range struct{ First, Last int } // both inclusive

// ParseMagnet reads a magnet link. It needs at least one infohash (xt): of BEP 3
// in hexadecimal or base32, of BEP 52 as a multihash, and not two different ones
// of a kind. Numbered parameters ("tr.1") count as what they are numbered of.
// Optional parameters that make no sense are ignored, but for a selection of
// files, since more would be downloaded than is wanted. The error matches
// [ErrInvalid] or [ErrTooLarge].
func ParseMagnet(s string) (Magnet, error) {
	const scheme = "magnet:?"
	if len(s) > maxMagnet {
		return Magnet{}, tooLarge("magnet", "%d bytes, the limit is %d", len(s), maxMagnet)
	}
	s = strings.TrimSpace(s)
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return Magnet{}, invalid("magnet", "%s is no magnet link", quote(s))
	}
	var m Magnet
	params := 0
	for part := range strings.SplitSeq(s[len(scheme):], "&") {
		if part == "" {
			continue
		}
		if params++; params > maxParams {
			return Magnet{}, tooLarge("magnet", "more than %d parameters", maxParams)
		}
		key, value, _ := strings.Cut(part, "=")
		if err := m.add(unescape(key), unescape(value)); err != nil {
			return Magnet{}, err
		}
	}
	if m.Hashes.IsZero() {
		return Magnet{}, invalid("magnet", "no infohash of BitTorrent")
	}
	return m, nil
}

// unescape resolves escapes. Where one is malformed, all stay as they are.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// add takes one parameter.
func (m *Magnet) add(key, value string) error {
	name := strings.ToLower(key)
	if base, number, ok := strings.Cut(name, "."); ok && isNumber(number) {
		name = base
	}
	switch name {
	case "xt":
		return m.addTopic(key, value)
	case "so":
		return m.addSelection(value)
	case "dn":
		if m.Name == "" {
			m.Name = printable(value)
		}
	case "tr":
		m.Trackers = appendAddress(m.Trackers, value)
	case "ws":
		m.WebSeeds = appendAddress(m.WebSeeds, value)
	case "x.pe":
		if host, port, err := net.SplitHostPort(value); err == nil && host != "" && host == printable(host) {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
				m.Peers = append(m.Peers, net.JoinHostPort(host, strconv.FormatUint(n, 10)))
			}
		}
	case "xl":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			m.Length = n
		}
	default:
		m.addExtra(key, value)
	}
	return nil
}

func (m *Magnet) addExtra(key, value string) {
	if m.Extra == nil {
		m.Extra = make(url.Values)
	}
	m.Extra.Add(key, value)
}

// addTopic takes an exact topic, which is an infohash or something that other
// networks know.
func (m *Magnet) addTopic(key, value string) error {
	urn := strings.ToLower(value)
	switch {
	case strings.HasPrefix(urn, "urn:btih:"):
		h, err := ParseHash(urn[len("urn:btih:"):])
		if err != nil {
			return err
		}
		if !m.Hashes.V1.IsZero() && m.Hashes.V1 != h {
			return invalid("magnet", "two different infohashes")
		}
		m.Hashes.V1 = h
	case strings.HasPrefix(urn, "urn:btmh:"):
		// A multihash: code 0x12 (SHA-256), length 0x20, the hash.
		text, ok := strings.CutPrefix(urn[len("urn:btmh:"):], "1220")
		if !ok {
			return invalid("magnet", "%s is no multihash of SHA-256", quote(value))
		}
		h, err := ParseHashV2(text)
		if err != nil {
			return err
		}
		if !m.Hashes.V2.IsZero() && m.Hashes.V2 != h {
			return invalid("magnet", "two different infohashes")
		}
		m.Hashes.V2 = h
	default:
		m.addExtra(key, value)
	}
	return nil
}

// addSelection takes a list of file numbers and ranges, such as 0,2,4-6 (BEP 53).
func (m *Magnet) addSelection(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		if part == "" {
			continue
		}
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 31)
		last, err2 := strconv.ParseUint(to, 10, 31)
		if err1 != nil || err2 != nil || last < first {
			return invalid("magnet", "so: %s is no range of files", quote(part))
		}
		if len(m.Select) == maxRanges {
			return tooLarge("magnet", "so: more than %d ranges", maxRanges)
		}
		m.Select = append(m.Select, Range{int(first), int(last)})
	}
	return nil
}

// Selects reports whether the link asks for a file of the torrent, by its number.
func (m *Magnet) Selects(file int) bool {
	for _, r := range m.Select {
		if r.First <= file && file <= r.Last {
			return true
		}
	}
	return len(m.Select) == 0
}

func appendAddress(list []string, s string) []string {
	if s = strings.TrimSpace(s); s == "" || s != printable(s) {
		return list
	}
	return append(list, s)
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// String returns the link. [ParseMagnet] reads the same Magnet from it, if it is
// one that ParseMagnet could have returned.
func (m Magnet) String() string {
	b := []byte("magnet:?")
	add := func(key, value string) {
		if b[len(b)-1] != '?' {
			b = append(b, '&')
		}
		b = append(b, key...)
		b = append(b, '=')
		b = append(b, value...)
	}
	if !m.Hashes.V1.IsZero() {
		add("xt", "urn:btih:"+m.Hashes.V1.String())
	}
	if !m.Hashes.V2.IsZero() {
		add("xt", "urn:btmh:1220"+m.Hashes.V2.String())
	}
	if m.Name != "" {
		add("dn", escape(m.Name))
	}
	if m.Length > 0 {
		add("xl", strconv.FormatInt(m.Length, 10))
	}
	for _, s := range m.Trackers {
		add("tr", escape(s))
	}
	for _, s := range m.WebSeeds {
		add("ws", escape(s))
	}
	for _, s := range m.Peers {
		add("x.pe", strings.NewReplacer("%3A", ":", "%5B", "[", "%5D", "]").Replace(escape(s)))
	}
	if len(m.Select) > 0 {
		ranges := make([]string, len(m.Select))
		for i, r := range m.Select {
			ranges[i] = strconv.Itoa(r.First)
			if r.Last != r.First {
				ranges[i] = fmt.Sprintf("%d-%d", r.First, r.Last)
			}
		}
		add("so", strings.Join(ranges, ","))
	}
	for _, key := range slices.Sorted(maps.Keys(m.Extra)) {
		for _, s := range m.Extra[key] {
			add(escape(key), escape(s))
		}
	}
	return string(b)
}

// escape is [url.QueryEscape] but for blanks, since not every program takes a
// plus for one.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
