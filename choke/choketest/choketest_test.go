package choketest_test

import (
	"testing"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/choke/choketest"
)

var bundled = []struct {
	name   string
	create func() choke.Strategy
	exempt []choketest.Exemption
}{
	{"default", choke.Default, nil},
	{"titfortat", choke.NewTitForTat, nil},
	{"seeding", choke.NewSeeding, nil},
	{"roundrobin", choke.NewRoundRobin, nil},
	{"bytebalance", func() choke.Strategy { return choke.NewByteBalance(choke.ByteBalance{}) }, nil},
	{"everyone", choke.NewUnchokeEveryone, []choketest.Exemption{choketest.IgnoresSlots}},
}

func TestRun_Bundled(t *testing.T) {
	for _, b := range bundled {
		t.Run(b.name, func(t *testing.T) { choketest.Run(t, b.create, b.exempt...) })
	}
}

func TestNoAllocs_Bundled(t *testing.T) {
	for _, b := range bundled {
		t.Run(b.name, func(t *testing.T) { choketest.NoAllocs(t, b.create) })
	}
}
