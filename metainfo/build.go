package metainfo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed1734be99/starling/bencode"
)

// BuildOptions say what [Build] writes beside names and hashes. The zero value
// is good: all is chosen, or left out.
type BuildOptions struct {
	Name         string                  // of the file or folder; "": as it is on disk
	PieceLength  int64                   // 0: chosen by [AutoPieceLength]
	Private      bool                    // BEP 27
	Source       string                  // written into the info dictionary
	Trackers     [][]string              // in tiers (BEP 12)
	WebSeeds     []string                // BEP 19
	Comment      string                  // free text
	CreatedBy    string                  // the program that made it; "": none is named
	CreationDate time.Time               // zero: none, so that equal files make an equal torrent
	Progress     func(done, total int64) // called with the bytes hashed, never twice at once, from several goroutines
	Workers      int                     // how many pieces are hashed at once; 0: as many as there are CPUs
}

// AutoPieceLength returns the piece length that [Build] chooses for so many
// bytes: the smallest power of two from 16 KiB on that makes at most 2048
// pieces, but not more than 16 MiB unless there would be too many pieces.
func AutoPieceLength(length int64) int64 {
	const aim, most = 2048, 16 << 20
	n := int64(16 << 10)
	for n < most && length > aim*n || n < MaxPieceLength && length > MaxPieces*n {
		n *= 2
	}
	return n
}

// Build makes a torrent of a file, or of all regular files below a folder in
// the order of their names. Symbolic links below path, devices and empty folders
// are left out; links are not followed, so nothing outside of path gets in. path
// itself may be a link.
//
// Names that [SafeName] would change, and names that clash on some systems, are
// refused with [ErrUnsafeName], since the files could not be found again by the
// torrent's paths. Files that change while they are hashed are an error. Build
// returns the cause of ctx when that ends. Other errors are those of package os,
// [ErrInvalid] (no files, a bad piece length) and [ErrTooLarge].
func Build(ctx context.Context, path string, o BuildOptions) (*MetaInfo, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("metainfo: build: %w", err)
	}
	name := o.Name
	if name == "" {
		name = filepath.Base(root)
	}
	if SafeName(name) != name {
		return nil, fmt.Errorf("%w: %s", ErrUnsafeName, quote(name))
	}
	files, multi, err := collect(ctx, root, name)
	if err != nil {
		return nil, fmt.Errorf("metainfo: build %s: %w", path, err)
	}
	var total int64
	for i := range files {
		if files[i].Length > maxLength-total {
			return nil, tooLarge(path, "more than %d bytes", maxLength)
		}
		total += files[i].Length
	}
	if o.PieceLength == 0 {
		o.PieceLength = AutoPieceLength(total)
	}
	layout, err := NewLayout(o.PieceLength, files)
	if err != nil {
		return nil, err
	}
	if layout.NumPieces()*len(Hash{}) > MaxSize {
		return nil, tooLarge(path, "%d pieces of %d bytes", layout.NumPieces(), o.PieceLength)
	}
	h := hasher{layout: layout, root: root, multi: multi, progress: o.Progress}
	pieces, err := h.run(ctx, o.Workers)
	if err != nil {
		return nil, fmt.Errorf("metainfo: build %s: %w", path, err)
	}
	m, err := New(appendInfo(nil, name, files, multi, pieces, &o))
	if err != nil {
		return nil, err
	}
	// What reads the torrent must look where the files are.
	for i := range files {
		if got, want := m.Info.Files[i].Path, files[i].Path; strings.Join(got, "/") != strings.Join(want, "/") {
			return nil, fmt.Errorf("%w: %s would become %s", ErrUnsafeName,
				quote(strings.Join(want, "/")), quote(strings.Join(got, "/")))
		}
	}
	m.describe(&o)
	return m, nil
}

// collect lists the files of a torrent with their paths and lengths. The first
// component of the paths is name.
func collect(ctx context.Context, root, name string) (files []File, multi bool, err error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, false, err
	}
	if info.Mode().IsRegular() {
		return []File{{Path: []string{name}, Length: info.Size()}}, false, nil
	}
	if !info.IsDir() {
		return nil, false, fmt.Errorf("%w: neither a file nor a folder", ErrInvalid)
	}
	// A separator at the end makes the walk enter a folder that is a link.
	err = filepath.WalkDir(root+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		parts := strings.Split(rel, string(filepath.Separator))
		files = append(files, File{Path: append([]string{name}, parts...), Length: info.Size()})
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%w: no files", ErrInvalid)
	}
	return files, true, err
}

// appendInfo appends the info dictionary, its keys in order.
func appendInfo(b []byte, name string, files []File, multi bool, pieces []byte, o *BuildOptions) []byte {
	str := bencode.AppendString[string]
	b = append(b, 'd')
	if multi {
		b = append(str(b, "files"), 'l')
		for i := range files {
			b = str(append(b, 'd'), "length")
			b = bencode.AppendInt(b, files[i].Length)
			b = append(str(b, "path"), 'l')
			for _, part := range files[i].Path[1:] {
				b = str(b, part)
			}
			b = append(b, "ee"...)
		}
		b = append(b, 'e')
	} else {
		b = bencode.AppendInt(str(b, "length"), files[0].Length)
	}
	b = str(str(b, "name"), name)
	b = bencode.AppendInt(str(b, "piece length"), o.PieceLength)
	b = bencode.AppendString(str(b, "pieces"), pieces)
	if o.Private {
		b = bencode.AppendInt(str(b, "private"), 1)
	}
	if o.Source != "" {
		b = str(str(b, "source"), o.Source)
	}
	return append(b, 'e')
}

// describe sets what stands beside the info dictionary.
func (m *MetaInfo) describe(o *BuildOptions) {
	m.AnnounceList, m.Comment, m.CreatedBy = o.Trackers, o.Comment, o.CreatedBy
	m.AnnounceList = m.Trackers()
	if len(m.AnnounceList) > 0 {
		m.Announce = m.AnnounceList[0][0]
	}
	if len(m.AnnounceList) == 1 && len(m.AnnounceList[0]) == 1 {
		m.AnnounceList = nil // Announce says it all
	}
	m.URLList = append(m.URLList, o.WebSeeds...)
	if !o.CreationDate.IsZero() {
		m.CreationDate = o.CreationDate.UTC().Truncate(time.Second)
	}
}

// errChanged says that a file is not as long as it was.
var errChanged = errors.New("the file changed while it was read")
