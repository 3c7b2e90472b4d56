package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

// create makes the torrent and writes it.
func create(ctx context.Context, o *options, stdout io.Writer) error {
	out := o.out
	if out == "" {
		abs, err := filepath.Abs(o.path) // "." has a name too
		if err != nil {
			return err
		}
		out = filepath.Base(abs) + ".torrent"
	}
	if _, err := os.Lstat(out); err == nil { // known before hours of hashing
		return exists(out)
	}
	show := newProgress(stdout)
	m, err := metainfo.Build(ctx, o.path, metainfo.BuildOptions{
		PieceLength: int64(o.pieceLength), Private: o.private,
		Trackers: tiers(o.trackers), WebSeeds: o.webSeeds,
		CreatedBy: "starling/" + client.Version, Progress: show.set,
	})
	show.close()
	if err != nil {
		return err
	}
	if err := write(m, out); err != nil {
		return err
	}
	describe(stdout, m, out)
	return nil
}

// tiers makes each tracker a tier of its own: they are tried in their order (BEP 12).
func tiers(urls []string) [][]string {
	var ts [][]string
	for _, u := range urls {
		ts = append(ts, []string{u})
	}
	return ts
}

// write makes the file, which must not be there: it could be the data itself.
// A file that can't be written whole is removed.
func write(m *metainfo.MetaInfo, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(m.Write(f), f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

func exists(path string) error {
	return fmt.Errorf("%s is there already; remove it, or name another file with -o", path)
}

func describe(w io.Writer, m *metainfo.MetaInfo, out string) {
	i := m.Info
	for _, line := range [][2]string{
		{"file", out},
		{"name", i.Name},
		{"infohash", m.Hashes().String()},
		{"pieces", fmt.Sprintf("%d of %d bytes", i.NumPieces(), i.PieceLength)},
		{"length", fmt.Sprintf("%d bytes in %d files", i.Length(), len(i.Files))},
		{"magnet", m.Magnet().String()},
	} {
		fmt.Fprintf(w, "%-9s %s\n", line[0], printable(line[1]))
	}
}
