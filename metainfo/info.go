package metainfo

import (
	"fmt"
	"runtime"
	"unicode/utf8"

	"github.com/seed1734be99/starling/bencode"
)

const (
	// MaxSize is how large a .torrent or an info dictionary may be: 32 MiB.
	MaxSize = 32 << 20
	// MaxPieces is how many pieces a torrent may have.
	MaxPieces = 2_097_152
	// MaxPieceLength is how long a piece may be: 1 GiB.
	MaxPieceLength = 1 << 30
)

// Info is an info dictionary: what is shared, cut into pieces. It must not be
// changed.
type Info struct {
	Name        string // safe name of the file, or of the folder of all files
	RawName     string // the name as it is in the torrent; hostile
	PieceLength int64  // bytes of every piece but the last, which may be shorter
	Pieces      []byte // the hashes of the pieces, 20 bytes each
	Files       []File // at least one
	Multi       bool   // files in a folder, even if there is but one
	Private     bool   // peers only from the torrent's trackers (BEP 27)
	Source      string // a mark of the tracker's that makes the infohash its own
	MetaVersion int    // 2 if the torrent is a hybrid with BEP 52, otherwise 0 or 1

	layout *Layout
}

// A File is one file of a torrent.
type File struct {
	// Path are the components below the save folder, safe on the running system
	// and different from those of all other files. In a torrent of several files
	// the first one is Info.Name.
	Path []string
	// Raw is the path as it is in the torrent, without Info.RawName if there are
	// several files. Hostile; it may be missing in padding files.
	Raw    []string
	Length int64

	Pad        bool     // zeros that fill a piece; never created on disk (BEP 47)
	Executable bool     // BEP 47
	Hidden     bool     // BEP 47
	Symlink    bool     // a link to Target, of no length (BEP 47)
	Target     []string // as in the torrent, relative to its folder; hostile, never followed here
}

// infoKeys are cursors in front of the values of an info dictionary. A key that
// is missing has a cursor of kind None.
type infoKeys struct {
	name, nameUTF8, pieceLength, pieces, length, files bencode.Cursor
	private, source, metaVersion, attr, symlinkPath    bencode.Cursor
}

// at returns the cursor of a key, or nil for keys that mean nothing here.
func (k *infoKeys) at(key []byte) *bencode.Cursor {
	switch string(key) {
	case "name":
		return &k.name
	case "name.utf-8":
		return &k.nameUTF8
	case "piece length":
		return &k.pieceLength
	case "pieces":
		return &k.pieces
	case "length":
		return &k.length
	case "files":
		return &k.files
	case "private":
		return &k.private
	case "source":
		return &k.source
	case "meta version":
		return &k.metaVersion
	case "attr":
		return &k.attr
	case "symlink path":
		return &k.symlinkPath
	}
	return nil
}

// ParseInfo reads an info dictionary, be it from a .torrent or from peers
// (BEP 9). That its hash is right is for the caller to check. The Info keeps
// raw, which must not be changed afterwards. The error matches [ErrInvalid],
// [ErrTooLarge] or [ErrUnsupportedVersion], and mostly is a [*FieldError].
func ParseInfo(raw []byte) (*Info, error) { return parseInfo(raw, runtime.GOOS) }

func parseInfo(raw []byte, goos string) (*Info, error) {
	if len(raw) > MaxSize {
		return nil, tooLarge("info", "%d bytes, the limit is %d", len(raw), MaxSize)
	}
	c, err := bencode.NewTolerantCursor(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: info: %w", ErrInvalid, err)
	}
	if c.Kind() != bencode.Dict || raw[len(raw)-1] != 'e' {
		return nil, invalid("info", "not a dictionary")
	}
	var keys infoKeys
	for c.Enter(bencode.Dict); c.More(); {
		key, _ := c.Bytes()
		if at := keys.at(key); at != nil && at.Kind() == bencode.None {
			*at = c
		}
		c.Skip()
	}
	info := new(Info)
	if err := info.parsePieces(&keys); err != nil {
		return nil, err
	}
	if err := info.parseNames(&keys, raw, goos); err != nil {
		return nil, err
	}
	if v, ok := keys.private.Int(); ok {
		info.Private = v != 0 // BEP 27: 1
	}
	if b, ok := keys.source.Bytes(); ok {
		info.Source = printable(string(b))
	}
	if err := info.checkCount(); err != nil {
		return nil, err
	}
	return info, nil
}

// parsePieces reads the version, the length of pieces and their hashes.
func (i *Info) parsePieces(keys *infoKeys) error {
	// BEP 52: the version before anything else. Version 1 was never assigned,
	// and a torrent that claims it can only be one of BEP 3.
	if keys.metaVersion.Kind() != bencode.None {
		v, ok := keys.metaVersion.Int()
		switch {
		case !ok || v < 1 || v > 2:
			return &FieldError{Field: "info.meta version", Reason: "neither 1 nor 2", Err: ErrUnsupportedVersion}
		case v == 2 && keys.pieces.Kind() == bencode.None:
			return &FieldError{Field: "info.meta version", Reason: "a torrent of BEP 52 alone", Err: ErrUnsupportedVersion}
		}
		i.MetaVersion = int(v)
	}
	length, ok := keys.pieceLength.Int()
	switch {
	case !ok:
		return invalid("info.piece length", "missing or not an integer")
	case length <= 0:
		return invalid("info.piece length", "%d", length)
	case length > MaxPieceLength:
		return tooLarge("info.piece length", "%d, the limit is %d", length, MaxPieceLength)
	}
	pieces, ok := keys.pieces.Bytes()
	switch {
	case !ok:
		return invalid("info.pieces", "missing or not a string")
	case len(pieces)%len(Hash{}) != 0: // BEP 3: a multiple of 20.
		return invalid("info.pieces", "%d bytes are no multiple of %d", len(pieces), len(Hash{}))
	case len(pieces)/len(Hash{}) > MaxPieces:
		return tooLarge("info.pieces", "%d pieces, the limit is %d", len(pieces)/len(Hash{}), MaxPieces)
	}
	i.PieceLength, i.Pieces = length, pieces
	return nil
}

// parseNames reads the name and the files.
func (i *Info) parseNames(keys *infoKeys, raw []byte, goos string) error {
	name, ok := keys.name.Bytes()
	if utf8Name, valid := keys.nameUTF8.Bytes(); valid && len(utf8Name) > 0 && utf8.Valid(utf8Name) {
		name, ok = utf8Name, true
	}
	if !ok {
		return invalid("info.name", "missing or not a string")
	}
	i.RawName = string(name)
	switch i.RawName {
	case "", ".", "..":
		// Torrents without a name of their own must not meet in one folder.
		i.Name = SumHash(raw).String()
	default:
		i.Name = safeName(i.RawName, goos)
	}
	if keys.files.Kind() != bencode.None {
		i.Multi = true
		return i.parseFiles(keys.files, raw, goos)
	}
	// BEP 3: a length or files, but not neither.
	if keys.length.Kind() == bencode.None && keys.symlinkPath.Kind() == bencode.None {
		return invalid("info", "neither length nor files")
	}
	file := File{Path: []string{i.Name}, Raw: []string{i.RawName}}
	fields := fileKeys{length: keys.length, attr: keys.attr, symlinkPath: keys.symlinkPath}
	if err := fields.attributes(&file, -1); err != nil {
		return err
	}
	i.Files = []File{file}
	return nil
}

// checkCount compares what the files need with the pieces that are there.
func (i *Info) checkCount() error {
	l, err := NewLayout(i.PieceLength, i.Files)
	if err != nil {
		return fmt.Errorf("%w (info)", err)
	}
	if l.NumPieces() != i.NumPieces() {
		return invalid("info.pieces", "%d hashes for %d pieces", i.NumPieces(), l.NumPieces())
	}
	i.layout = l
	return nil
}

// NumPieces returns the number of pieces.
func (i *Info) NumPieces() int { return len(i.Pieces) / len(Hash{}) }

// PieceHash returns the hash of a piece. It panics if there is no such piece.
func (i *Info) PieceHash(piece int) Hash {
	return Hash(i.Pieces[piece*len(Hash{}) : (piece+1)*len(Hash{})])
}

// Length returns the bytes of all files together, padding files included.
func (i *Info) Length() int64 {
	var sum int64
	for k := range i.Files {
		sum += i.Files[k].Length
	}
	return sum
}

// Layout returns the arithmetic of the torrent's pieces. It is nil if the Info
// is not from this package and contradicts itself.
func (i *Info) Layout() *Layout {
	if i.layout != nil {
		return i.layout
	}
	l, err := NewLayout(i.PieceLength, i.Files)
	if err != nil {
		return nil
	}
	return l
}

// maxLength is the longest that a torrent can be, and so a file.
const maxLength int64 = MaxPieces * MaxPieceLength
