package main

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// The sample data of the swarm at home: a folder with what torrents like to
// stumble over, the same bytes each time.
const sampleName = "starling sample"

var sampleFiles = []struct {
	path string // below the folder, with slashes
	size int64
}{
	{"large.bin", 17<<20 + 12345},
	{"medium.bin", 5 << 20},
	{"notes/bird.txt", 700}, // less than a block
	{"notes/empty", 0},
	{"songs/Star – 椋鳥.raw", 2<<20 - 1}, // ends inside a piece
}

var sampleSeed = [32]byte([]byte("a murmuration of starlings, 2026"))

// makeSample writes the sample below dir and returns its folder.
func makeSample(dir string) (string, error) {
	root := filepath.Join(dir, sampleName)
	random := rand.NewChaCha8(sampleSeed)
	for _, f := range sampleFiles {
		path := filepath.Join(root, filepath.FromSlash(f.path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return "", err
		}
		data := make([]byte, f.size)
		random.Read(data) // never fails
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return "", err
		}
	}
	return root, nil
}

// sampleSums are the SHA-256 sums of the sample's files as they lie in root.
func sampleSums(root string) ([][32]byte, error) {
	sums := make([][32]byte, len(sampleFiles))
	for i, f := range sampleFiles {
		sum, err := sumFile(filepath.Join(root, filepath.FromSlash(f.path)))
		if err != nil {
			return nil, err
		}
		sums[i] = sum
	}
	return sums, nil
}

func sumFile(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
