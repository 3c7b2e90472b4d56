package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The two models agree within 10 % on when peers complete: four scenarios, four runs each.
func TestModelsAgree(t *testing.T) {
	for name, scenario := range map[string]func(n int) Scenario{
		"flash crowd": FlashCrowd,
		"classes":     MixedCrowd,
		"free-riders": func(n int) Scenario {
			s := FlashCrowd(n).WithFreeRiders(0.2)
			s.Classes[0].Up = 4 * mbit
			s.Classes[1].SeedTime = time.Minute
			return s
		},
		"coming and going": func(n int) Scenario {
			s := FlashCrowd(n)
			s.ArrivalRate = 0.1
			s.Classes[1].SeedTime = -1
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "coming and going" {
				long(t)
			}
			s := scenario(40)
			s.Pieces = 200
			s.NoAllowedFast = true
			if *large {
				s = scenario(100)
				s.NoAllowedFast = true
			}
			agree(t, s, 4)
		})
	}
}

func agree(t *testing.T, s Scenario, runs int) {
	flow, err := Repeat(t.Context(), s, runs)
	require.NoError(t, err)
	s.Model = Full
	full, err := Repeat(t.Context(), s, runs)
	require.NoError(t, err)
	for _, x := range []struct {
		what   string
		figure func(*Report) float64
	}{
		{"mean", (*Report).MeanSlowdown},
		{"last", (*Report).Slowdown},
	} {
		var a, b float64
		for i := range runs {
			a += x.figure(flow[i]) / float64(runs)
			b += x.figure(full[i]) / float64(runs)
		}
		t.Logf("%s: flow %.3f, full %.3f: %+.1f %%", x.what, a, b, 100*(a/b-1))
		require.InEpsilon(t, b, a, 0.1, x.what)
	}
	for i := range runs {
		t.Logf("copies of the seed: flow %.2f, full %.2f; partials %.1f, %.1f; at endgame %.1f, %.1f; wasted %.2f %%, %.2f %%; riders %.2f %.2f", flow[i].SeedCopies, full[i].SeedCopies,
			flow[i].Partials, full[i].Partials, flow[i].PartialsEndgame, full[i].PartialsEndgame, 100*flow[i].WasteShare(), 100*full[i].WasteShare(), flow[i].RiderDelay(), full[i].RiderDelay())
	}
}
