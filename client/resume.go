package client

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/seed1734be99/starling/bencode"
	"github.com/seed1734be99/starling/metainfo"
)

// A record is what one run of a client leaves for the next about a torrent:
// named sections, each a bencoded value of its own, so that one can be added
// or changed without the others noticing. Sections that this version does not
// know are kept. A record is never trusted over the disk.
//
// Format: a dictionary with format (1), infohash, sections, and behind it 32
// bytes, the SHA-256 of the dictionary.
//
// Nothing is recorded yet: a restart checks what is on disk.
type record struct {
	hash     metainfo.Hash
	sections map[string]bencode.RawMessage
}

const (
	recordFormat = 1
	maxRecord    = 64 << 20
)

// errRecord is found in every error of parseRecord: the record is of no use,
// and the data is to be checked.
var errRecord = errors.New("client: resume record can't be used")

type recordWire struct {
	Format   int                           `bencode:"format"`
	Infohash string                        `bencode:"infohash"`
	Sections map[string]bencode.RawMessage `bencode:"sections"`
}

// set encodes a section.
func (r *record) set(name string, v any) error {
	b, err := bencode.Marshal(v)
	if err != nil {
		return fmt.Errorf("client: resume section %s: %w", name, err)
	}
	if r.sections == nil {
		r.sections = make(map[string]bencode.RawMessage)
	}
	r.sections[name] = b
	return nil
}

// get decodes a section; false: there is none, or not of this kind.
func (r *record) get(name string, v any) bool {
	b, ok := r.sections[name]
	return ok && bencode.Unmarshal(b, v) == nil
}

// marshal returns the record as it is stored.
func (r *record) marshal() ([]byte, error) {
	b, err := bencode.Marshal(recordWire{recordFormat, string(r.hash[:]), r.sections})
	if err != nil {
		return nil, fmt.Errorf("client: resume record: %w", err)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// parseRecord reads a record of the torrent with that infohash. Damaged and
// foreign ones are refused whole.
func parseRecord(b []byte, want metainfo.Hash) (*record, error) {
	if len(b) < sha256.Size || len(b) > maxRecord {
		return nil, fmt.Errorf("%w: %d bytes", errRecord, len(b))
	}
	body := b[:len(b)-sha256.Size]
	if sha256.Sum256(body) != [sha256.Size]byte(b[len(body):]) {
		return nil, fmt.Errorf("%w: damaged", errRecord)
	}
	var w recordWire
	if err := bencode.Unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	if w.Format != recordFormat {
		return nil, fmt.Errorf("%w: format %d", errRecord, w.Format)
	}
	if w.Infohash != string(want[:]) {
		return nil, fmt.Errorf("%w: of another torrent", errRecord)
	}
	return &record{want, w.Sections}, nil
}
