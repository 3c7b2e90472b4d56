package storage_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/storage"
)

// Two files, written as one piece and found on disk.
func ExampleFiles() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	layout, err := metainfo.NewLayout(16<<10, []metainfo.File{
		{Path: []string{"greetings", "hello"}, Length: 5},
		{Path: []string{"greetings", "world"}, Length: 6},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := storage.NewFiles(dir).Open(storage.Spec{Name: "greetings", Layout: layout})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	if _, err := t.WriteAt([]byte("Hello world"), layout.Offset(0, 0)); err != nil {
		fmt.Println(err)
		return
	}

	world, _ := os.ReadFile(filepath.Join(dir, "greetings", "world"))
	fmt.Printf("%q\n", world)
	// Output: " world"
}

// Powers beyond reading and writing are asked for once, when a torrent is opened.
func ExampleProber() {
	layout, _ := metainfo.NewLayout(16<<10, []metainfo.File{{Path: []string{"a"}, Length: 100}})
	t, _ := storage.NewMemory().Open(storage.Spec{Name: "a", Layout: layout})
	defer t.Close()

	prober, can := t.(storage.Prober)
	fmt.Println(can, prober.Present(0, 100))
	_, _ = t.WriteAt(make([]byte, 100), 0)
	fmt.Println(prober.Present(0, 100))
	// Output:
	// true false
	// true
}
