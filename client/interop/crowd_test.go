//go:build linux

package interop_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed1734be99/starling/choke/sim"
	library "github.com/seed1734be99/starling/client"
)

const envCrowd = "STARLING_CROWD" // set to 1: TestCrowdAsSimulated is run

// The crowd. 160 MiB at 2.75 MiB/s take 58 s at least.
const (
	crowdLeeches = 20
	crowdUp      = 128 << 10
	crowdSeedUp  = 256 << 10
	crowdPieces  = 64
	crowdPiece   = 128 << 10
)

// crowdScenario is the same for the simulator. The real clients deal upload slots
// by their limit, which makes 8 for a leech and 12 for the seed. Nobody's downlink
// is limited, and loopback has no delay. The simulator must put each peer into a
// network of 24 bits of its own, as is done here: in one, all have the same
// allowed-fast set, and need half as long again.
func crowdScenario(seed uint64) sim.Scenario {
	return sim.Scenario{
		Model: sim.Full, Pieces: crowdPieces, PieceLength: crowdPiece, Connections: crowdLeeches, Seed: seed,
		Classes: []sim.Class{
			{Count: 1, Seed: true, Up: crowdSeedUp, Delay: -1, Slots: 12, KnownLimit: true},
			{Count: crowdLeeches, Up: crowdUp, Delay: -1, Slots: 8, KnownLimit: true},
		},
	}
}

// TestCrowdAsSimulated: twenty real clients with limited rates are complete when
// the simulator's model Full says, within 20 %.
func TestCrowdAsSimulated(t *testing.T) {
	if os.Getenv(envCrowd) != "1" {
		t.Skipf("takes two minutes: only with %s=1 go test ./client/interop/ -run TestCrowdAsSimulated -v", envCrowd)
	}
	if noNamespace != "" {
		unavailable(t, noNamespace)
	}
	needPrograms(t)
	mean, last := realCrowd(t)

	const runs = 5
	reports, err := sim.Repeat(t.Context(), crowdScenario(1), runs)
	if err != nil {
		t.Fatal(err)
	}
	var simMean, simLast time.Duration
	for _, r := range reports {
		t.Logf("simulated: mean %.1f s, last %.1f s; the seed sent %.2f copies until all was out; wasted %.2f %%",
			r.All.Mean.Seconds(), r.All.Last.Seconds(), r.SeedCopies, 100*r.WasteShare())
		simMean += r.All.Mean / runs
		simLast += r.All.Last / runs
	}
	for _, x := range []struct {
		what      string
		real, sim time.Duration
	}{{"mean", mean, simMean}, {"last", last, simLast}} {
		off := x.sim.Seconds()/x.real.Seconds() - 1
		t.Logf("%s: real %.1f s, simulated %.1f s: %+.1f %%", x.what, x.real.Seconds(), x.sim.Seconds(), 100*off)
		if off < -0.2 || off > 0.2 {
			t.Errorf("%s: the model is off by %.0f %%", x.what, 100*off)
		}
	}
}

// realCrowd lets the clients download, each connected to each from the start,
// and tells when they were complete.
func realCrowd(t *testing.T) (mean, last time.Duration) {
	t.Helper()
	ctx := within(t, 4*time.Minute)
	p := makePayload(t, oneFile("crowd.bin", crowdPieces*crowdPiece, crowdPiece))
	var everybody []*embeddedClient
	var before []string // to be dialled: so there is one connection between any two
	began := time.Now()
	for i := range 1 + crowdLeeches {
		at := farAddr(t)
		cfg := library.Config{
			Dir: t.TempDir(), Listen: at.String(), UploadLimit: crowdUp, Memory: library.MinMemory,
			MaxPeersPerTorrent: crowdLeeches, MaxHandshakes: crowdLeeches,
		}
		if i == 0 {
			cfg.Dir, cfg.UploadLimit = p.dir, crowdSeedUp
		}
		e := newEmbedded(t, cfg, p.torrent, before...)
		if i == 0 {
			if err := e.torrent.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			began = time.Now()
		}
		everybody, before = append(everybody, e), append(before, at.String())
	}
	seed, leeches := everybody[0], everybody[1:]
	took, errs := make([]time.Duration, len(leeches)), make([]error, len(leeches))
	var wg sync.WaitGroup
	for i, e := range leeches {
		wg.Go(func() {
			errs[i] = e.torrent.Wait(ctx)
			took[i] = time.Since(began)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var sent, wasted int64
	for _, e := range leeches {
		st := e.torrent.Stats()
		sent += st.Uploaded
		wasted += st.Wasted
	}
	slices.Sort(took)
	for _, d := range took {
		mean += d / time.Duration(len(took))
	}
	last = took[len(took)-1]
	t.Logf("real: mean %.1f s, last %.1f s; the seed sent %.2f copies in all, the leeches %.2f each; wasted %.2f %%\n%s",
		mean.Seconds(), last.Seconds(), copies(seed.torrent.Stats().Uploaded), copies(sent)/crowdLeeches,
		100*copies(wasted)/crowdLeeches, fmt.Sprint(took))
	return mean, last
}

// copies is a number of bytes in units of the crowd's payload.
func copies(n int64) float64 { return float64(n) / (crowdPieces * crowdPiece) }
