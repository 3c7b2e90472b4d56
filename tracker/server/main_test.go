package server

import (
	"testing"

	"github.com/seed1734be99/starling/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
