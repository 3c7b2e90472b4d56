package metainfo

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed1734be99/starling/bencode"
)

// MetaInfo is a .torrent: an info dictionary and what one is told beside it.
// The fields beside Info and InfoBytes may be changed before [MetaInfo.Marshal].
type MetaInfo struct {
	Info      *Info  // what InfoBytes say
	InfoBytes []byte // the info dictionary as it was found; not to be changed

	Announce     string     // one tracker (BEP 3)
	AnnounceList [][]string // trackers in tiers, which come first (BEP 12)
	URLList      []string   // web seeds (BEP 19)
	Nodes        []string   // of the DHT, as host:port (BEP 5)
	CreationDate time.Time  // zero if it is not known
	Comment      string
	CreatedBy    string
	// Extra are all other keys with their values as they were found. Among them
	// are "httpseeds" (BEP 17) and "piece layers" (BEP 52).
	Extra map[string]bencode.RawMessage

	hashes Hashes // of InfoBytes, if they were parsed
}

// Load reads a .torrent, which may be [MaxSize] bytes long, up to the end of r.
// Errors are those of r and of [Parse].
func Load(r io.Reader) (*MetaInfo, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("metainfo: %w", err)
	}
	return Parse(b)
}

// LoadFile reads the .torrent of that name. Errors name the file; they are those
// of package os and of [Parse].
func LoadFile(path string) (*MetaInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("metainfo: %w", err)
	}
	defer f.Close()
	m, err := Load(f)
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return m, nil
}

// Parse reads a .torrent: a dictionary with an info dictionary in it, and maybe
// one line end behind it. Nothing of b is kept. The error matches
// [ErrNotTorrent], or is one of [ParseInfo].
func Parse(b []byte) (*MetaInfo, error) {
	if len(b) > MaxSize {
		return nil, tooLarge("torrent", "more than %d bytes", MaxSize)
	}
	c, err := bencode.NewTolerantCursor(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTorrent, err)
	}
	if c.Kind() != bencode.Dict {
		return nil, fmt.Errorf("%w: a bencoded %s", ErrNotTorrent, c.Kind())
	}
	values := make(map[string]bencode.Cursor)
	for c.Enter(bencode.Dict); c.More(); {
		key, _ := c.Bytes()
		if _, again := values[string(key)]; !again {
			values[string(key)] = c
		}
		c.Skip()
	}
	info, ok := values["info"]
	if !ok {
		return nil, fmt.Errorf("%w: a dictionary without info", ErrNotTorrent)
	}
	m, err := New(slices.Clone(info.Skip()))
	if err != nil {
		return nil, err
	}
	m.parseRest(values)
	return m, nil
}

// New returns the MetaInfo of an info dictionary that came by itself, such as
// one that peers sent (BEP 9), without trackers. That its hash is right is for
// the caller to check. It keeps info, which must not be changed afterwards.
// Errors are those of [ParseInfo].
func New(info []byte) (*MetaInfo, error) {
	i, err := ParseInfo(info)
	if err != nil {
		return nil, err
	}
	return &MetaInfo{Info: i, InfoBytes: info, hashes: Hashes{V1: SumHash(info)}}, nil
}

// parseRest reads the keys beside info. Values of the wrong type are ignored.
func (m *MetaInfo) parseRest(values map[string]bencode.Cursor) {
	for key, c := range values {
		switch key {
		case "info":
		case "announce":
			m.Announce = address(&c)
		case "announce-list":
			m.AnnounceList = tiers(c)
		case "url-list":
			m.URLList = addresses(c)
		case "nodes":
			m.Nodes = nodes(c)
		case "creation date":
			const year9999 = 253402300799
			if v, ok := c.Int(); ok && 0 < v && v <= year9999 {
				m.CreationDate = time.Unix(v, 0).UTC()
			}
		case "comment", "comment.utf-8":
			m.Comment = text(values["comment"], values["comment.utf-8"])
		case "created by", "created by.utf-8":
			m.CreatedBy = text(values["created by"], values["created by.utf-8"])
		default:
			if m.Extra == nil {
				m.Extra = make(map[string]bencode.RawMessage)
			}
			m.Extra[key] = slices.Clone(c.Skip())
		}
	}
}

// text reads text that is for people, from preferred if that is a string. It may
// have several lines but no other control characters.
func text(c, preferred bencode.Cursor) string {
	b, ok := preferred.Bytes()
	if !ok {
		b, _ = c.Bytes()
	}
	lines := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// address reads a URL, or "" where there is none. It may still be junk.
func address(c *bencode.Cursor) string {
	b, _ := c.Bytes()
	s := strings.TrimSpace(string(b))
	if s != printable(s) {
		return ""
	}
	return s
}

// addresses reads a list of URLs, or a single one (BEP 19).
func addresses(c bencode.Cursor) []string {
	var list []string
	add := func() {
		if s := address(&c); s != "" {
			list = append(list, s)
		}
	}
	if c.Kind() != bencode.List {
		add()
		return list
	}
	for c.Enter(bencode.List); c.More(); {
		add()
	}
	return list
}

// tiers reads an announce-list (BEP 12). An address that is in no tier is taken
// for a tier of its own; tiers without an address are left out.
func tiers(c bencode.Cursor) [][]string {
	if c.Kind() != bencode.List {
		return nil
	}
	var list [][]string
	for c.Enter(bencode.List); c.More(); {
		if tier := addresses(c); len(tier) > 0 {
			list = append(list, tier)
		}
		c.Skip()
	}
	return list
}

// nodes reads addresses of DHT nodes: lists of a host and a port (BEP 5).
func nodes(c bencode.Cursor) []string {
	if c.Kind() != bencode.List {
		return nil
	}
	var list []string
	for c.Enter(bencode.List); c.More(); {
		pair := c
		c.Skip()
		if !pair.Enter(bencode.List) {
			continue
		}
		host := address(&pair)
		port, ok := pair.Int()
		if host != "" && ok && 0 < port && port <= math.MaxUint16 {
			list = append(list, net.JoinHostPort(host, strconv.FormatInt(port, 10)))
		}
	}
	return list
}

// Hashes returns the identity of the torrent. V2 is not set, not even for a
// hybrid, since only its BEP 3 part is used.
func (m *MetaInfo) Hashes() Hashes {
	if m.hashes.IsZero() && len(m.InfoBytes) > 0 {
		return Hashes{V1: SumHash(m.InfoBytes)}
	}
	return m.hashes
}

// Trackers returns the trackers in tiers, in the order of the torrent: those of
// AnnounceList, or if there are none, Announce (BEP 12). It is a copy without
// empty addresses and tiers. There may be thousands of them.
func (m *MetaInfo) Trackers() [][]string {
	var list [][]string
	for _, tier := range m.AnnounceList {
		tier = slices.DeleteFunc(slices.Clone(tier), func(s string) bool { return s == "" })
		if len(tier) > 0 {
			list = append(list, tier)
		}
	}
	if len(list) == 0 && m.Announce != "" {
		list = append(list, []string{m.Announce})
	}
	return list
}

// Magnet returns a link to the torrent with its name, size, trackers and web
// seeds.
func (m *MetaInfo) Magnet() Magnet {
	link := Magnet{Hashes: m.Hashes(), Trackers: slices.Concat(m.Trackers()...), WebSeeds: slices.Clone(m.URLList)}
	if m.Info != nil {
		link.Name = printable(m.Info.RawName)
		link.Length = m.Info.Length()
	}
	return link
}

// Marshal returns the .torrent: keys sorted, the info dictionary byte by byte as
// it is in InfoBytes. Fields without a value are left out. The error is
// [ErrInvalid] if InfoBytes or a value of Extra is not one bencoded value.
func (m *MetaInfo) Marshal() ([]byte, error) {
	values := make(map[string][]byte, len(m.Extra)+8)
	for key, raw := range m.Extra {
		values[key] = raw
	}
	str := func(key, s string) {
		delete(values, key)
		if s != "" {
			values[key] = bencode.AppendString(nil, s)
		}
	}
	str("announce", m.Announce)
	str("comment", m.Comment)
	str("created by", m.CreatedBy)
	list := func(key string, n int, element func(b []byte, i int) []byte) {
		delete(values, key)
		if n == 0 {
			return
		}
		b := []byte{'l'}
		for i := range n {
			b = element(b, i)
		}
		values[key] = append(b, 'e')
	}
	list("announce-list", len(m.AnnounceList), func(b []byte, i int) []byte {
		b = append(b, 'l')
		for _, s := range m.AnnounceList[i] {
			b = bencode.AppendString(b, s)
		}
		return append(b, 'e')
	})
	list("url-list", len(m.URLList), func(b []byte, i int) []byte { return bencode.AppendString(b, m.URLList[i]) })
	list("nodes", len(m.Nodes), func(b []byte, i int) []byte { return appendNode(b, m.Nodes[i]) })
	delete(values, "creation date")
	if !m.CreationDate.IsZero() {
		values["creation date"] = bencode.AppendInt(nil, m.CreationDate.Unix())
	}
	values["info"] = m.InfoBytes

	keys := make([]string, 0, len(values))
	size := 2
	for key, v := range values {
		if n, err := bencode.ScanTolerant(v); err != nil || n != len(v) {
			return nil, invalid(key, "not one bencoded value")
		}
		keys = append(keys, key)
		size += len(key) + len(v) + 8
	}
	slices.Sort(keys)
	out := append(make([]byte, 0, size), 'd')
	for _, key := range keys {
		out = bencode.AppendString(out, key)
		out = append(out, values[key]...)
	}
	return append(out, 'e'), nil
}

// appendNode appends the list of host and port of a DHT node (BEP 5). What is
// not of that form is left out.
func appendNode(b []byte, node string) []byte {
	host, port, err := net.SplitHostPort(node)
	if err != nil {
		return b
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return b
	}
	b = append(b, 'l')
	b = bencode.AppendString(b, host)
	b = bencode.AppendInt(b, int64(n))
	return append(b, 'e')
}

// Write writes what [MetaInfo.Marshal] returns.
func (m *MetaInfo) Write(w io.Writer) error {
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("metainfo: write: %w", err)
	}
	return nil
}
