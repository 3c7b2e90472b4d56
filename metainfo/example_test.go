package metainfo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed1734be99/starling/metainfo"
)

func ExampleBuild() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hello.txt")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	m, err := metainfo.Build(context.Background(), path, metainfo.BuildOptions{
		Trackers: [][]string{{"http://127.0.0.1:6969/announce"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Info.Name, m.Info.NumPieces(), m.Info.Length())
	fmt.Println(m.Magnet())
	// Output:
	// hello.txt 1 5
	// magnet:?xt=urn:btih:0eb2d544ef0c9ae3c0fbba90a71cd742a44aa81d&dn=hello.txt&xl=5&tr=http%3A%2F%2F127.0.0.1%3A6969%2Fannounce
}

func ExampleLayout_Spans() {
	l, err := metainfo.NewLayout(16, []metainfo.File{{Length: 10}, {Length: 30}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range l.Spans(nil, l.Offset(0, 0), l.PieceSize(0)) {
		fmt.Printf("bytes %d to %d of the piece: file %d from %d\n", s.At, s.At+s.Length, s.File, s.Offset)
	}
	// Output:
	// bytes 0 to 10 of the piece: file 0 from 0
	// bytes 10 to 16 of the piece: file 1 from 0
}

func ExampleParse() {
	m, err := metainfo.Parse([]byte("d8:announce30:http://127.0.0.1:6969/announce4:infod6:lengthi5e4:name5:a.txt12:piece lengthi16384e6:pieces20:01234567890123456789ee"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Info.Name, m.Info.Length(), m.Hashes(), m.Trackers())

	_, err = metainfo.Parse([]byte("<html>"))
	fmt.Println(errors.Is(err, metainfo.ErrNotTorrent), err)
	// Output:
	// a.txt 5 8694d6007ae15e276cbda435c410f6e2b6bd6f76 [[http://127.0.0.1:6969/announce]]
	// true metainfo: not a torrent: bencode: byte 0: a byte that begins no value
}
