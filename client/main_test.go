package client_test

import (
	"os"
	"testing"

	"github.com/seed1734be99/starling/internal/leakcheck"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(idlersVariable); spec != "" {
		os.Exit(idlers(spec)) // this process is only the peers of a test
	}
	leakcheck.Main(m)
}
