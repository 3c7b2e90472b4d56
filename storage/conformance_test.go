package storage_test

import (
	"testing"

	"github.com/seed1734be99/starling/storage"
	"github.com/seed1734be99/starling/storage/storagetest"
)

func TestFilesConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Storage { return storage.NewFiles(t.TempDir()) })
}

// With one handle for everything, the pool turns over at every file.
func TestFilesConformanceOneHandle(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		s := storage.NewFiles(t.TempDir())
		s.MaxOpen = 1
		return s
	})
}

func TestMemoryConformance(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Storage { return storage.NewMemory() })
}
