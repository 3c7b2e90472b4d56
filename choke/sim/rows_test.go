package sim

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
)

// go test ./choke/sim -large -timeout 30m -v    runs the larger swarms; the figures of all strategies come from examples/swarmlab.
var large = flag.Bool("large", false, "run the larger swarms")

// long marks a test that takes some seconds.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() || detector {
		t.Skip("takes some seconds")
	}
}

// bundled returns the maker of a bundled strategy.
func bundled(t *testing.T, name string) func() choke.Strategy {
	for _, b := range Bundled() {
		if b.Name == name {
			return b.New
		}
	}
	t.Fatalf("no strategy %q", name)
	return nil
}

// scarce is a swarm in which upload capacity is what everybody waits for: the origin is no bottleneck, and who is
// complete leaves a minute later.
func scarce(peers int) Scenario {
	s := FlashCrowd(peers)
	s.Classes[0].Up = 4 * mbit
	s.Classes[1].SeedTime = time.Minute
	return s
}

func TestBundled_CompleteAFlashCrowd(t *testing.T) {
	for _, b := range Bundled() {
		t.Run(b.Name, func(t *testing.T) {
			s := FlashCrowd(30).With(b.New)
			s.Pieces = 100
			r := run(t, s)
			require.Equal(t, 30, r.Completed)
			require.Less(t, r.Slowdown(), 3.0)
		})
	}
}

// The default is within 1.35 of the lower bound.
func TestDefault_NearTheBound(t *testing.T) {
	long(t)
	peers, runs := 60, 2
	if *large {
		peers, runs = 1000, 10
	}
	for name, s := range map[string]Scenario{"equals": FlashCrowd(peers), "classes": MixedCrowd(peers)} {
		t.Run(name, func(t *testing.T) {
			reports, err := Repeat(t.Context(), s, runs)
			require.NoError(t, err)
			last := SpreadOf(reports, (*Report).Slowdown)
			t.Logf("%d peers, %d runs: last %.3f (%.3f to %.3f) of the bound, copies of the seed %.3f", peers, runs, last.Median, last.Low, last.High,
				SpreadOf(reports, func(r *Report) float64 { return r.SeedCopies }).Median)
			require.Less(t, last.Median, 1.35)
		})
	}
}

// P7: what a single origin sends until every piece is outside, in copies of the file. One is perfect; more than that
// everybody waits for.
func TestP7_SeedSendsLittleMoreThanACopy(t *testing.T) {
	long(t)
	for m := Flow; m <= Full; m++ {
		t.Run(m.String(), func(t *testing.T) {
			s := FlashCrowd(40)
			s.Model, s.NoAllowedFast = m, true
			r := run(t, s)
			t.Logf("%.3f copies", r.SeedCopies)
			require.Less(t, r.SeedCopies, 1.3)
		})
	}
}

// P7: a seed that shows each peer one piece at a time (BEP 16) comes close to one copy.
func TestP7_SuperSeedSendsACopy(t *testing.T) {
	long(t)
	s := FlashCrowd(40)
	s.Model, s.Pieces = Full, 200
	s.Classes[0].SuperSeed = true
	r := run(t, s)
	t.Logf("%.3f copies; last %.3f of the bound", r.SeedCopies, r.Slowdown())
	require.Less(t, r.SeedCopies, 1.05)
	require.Less(t, r.Slowdown(), 1.2)
}

// P8: 15 clients, 450 pieces. "Over 50 partials at endgame" with the picker of that time; a third of it is aimed at.
func TestP8_FewPartialsAtEndgame(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		t.Run(m.String(), func(t *testing.T) {
			s := FlashCrowd(15)
			s.Model, s.Pieces = m, 450
			r := run(t, s)
			t.Logf("%.1f partials at endgame, %.1f in the mean", r.PartialsEndgame, r.Partials)
			require.LessOrEqual(t, r.PartialsEndgame, 17.0)
			require.Positive(t, r.PartialsEndgame)
		})
	}
}

// C7: Bram's answer to the draft was that balances lose against rates. True where everybody waits for the origin: the
// draft's many small exchanges let a piece take longer to get on, so the origin sends more of them twice. Where
// upload capacity alone counts they are equal.
func TestC7_ByteBalanceLosesWhereTheOriginIsSlow(t *testing.T) {
	long(t)
	for _, c := range []struct {
		name        string
		s           Scenario
		least, most float64 // balance in units of rates, mean completion
	}{
		{"equals", FlashCrowd(60), 1.05, 1.5},
		{"classes", MixedCrowd(60), 1.05, 1.5},
		{"scarce", scarce(60), 0.9, 1.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			rates := run(t, c.s)
			balance := run(t, c.s.With(bundled(t, "bytebalance")))
			t.Logf("mean: rates %.3f, balance %.3f of the bound; copies of the seed: %.2f, %.2f; partials: %.1f, %.1f", rates.MeanSlowdown(), balance.MeanSlowdown(),
				rates.SeedCopies, balance.SeedCopies, rates.Partials, balance.Partials)
			x := balance.MeanSlowdown() / rates.MeanSlowdown()
			require.Greater(t, x, c.least)
			require.Less(t, x, c.most)
		})
	}
}

// C14: a new algorithm works among itself, and for the few that use it among the deployed one.
func TestC14_AmongItselfAndAmongTheDefault(t *testing.T) {
	long(t)
	for _, b := range Bundled()[1:] {
		t.Run(b.Name, func(t *testing.T) {
			s := FlashCrowd(50)
			s.Pieces = 200
			s.Classes[0].Up = 4 * mbit
			all := run(t, s.With(b.New))
			few := run(t, s.WithShare(0.1, "new", func(c *Class) { c.Strategy = b.New }))
			deployed, mine := few.Class("leech"), few.Class("new")
			t.Logf("100 %%: mean %.3f, last %.3f of the bound; 10 %%: mean %.3f, the others %.3f", all.MeanSlowdown(), all.Slowdown(), ratio(mine.Mean, few.Bound), ratio(deployed.Mean, few.Bound))
			require.Equal(t, 50, all.Completed)
			require.Equal(t, 5, mine.Completed)
			require.Less(t, all.Slowdown(), 2.0)
			require.Less(t, ratio(mine.Mean, deployed.Mean), 1.5)
		})
	}
}

// Who gives nothing gets it later, where capacity is scarce.
func TestFreeRiders_PayForIt(t *testing.T) {
	long(t)
	delay := make(map[string]float64)
	for _, b := range Bundled() {
		r := run(t, scarce(60).With(b.New).WithFreeRiders(0.2))
		delay[b.Name] = r.RiderDelay()
		t.Logf("%s: contributors %.2f of the bound, free-riders %.2f times as long", b.Name, ratio(r.Class("leech").Mean, r.Bound), r.RiderDelay())
	}
	require.Greater(t, delay["default"], 1.5)
	require.Less(t, delay["everyone"], 1.1)
}
