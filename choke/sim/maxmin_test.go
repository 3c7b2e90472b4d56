package sim

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveRates fills all links at the same pace, and stops those whose limit, sender or receiver is used up.
func naiveRates(f *flow, flowing []int32, up, down []float64) []float64 {
	rates := make([]float64, len(flowing))
	stopped := make([]bool, len(flowing))
	up, down = append([]float64(nil), up...), append([]float64(nil), down...)
	for {
		ups, downs := make([]int, len(up)), make([]int, len(down))
		for k, h := range flowing {
			if !stopped[k] {
				ups[f.links[h].peer]++
				downs[f.links[h].owner]++
			}
		}
		step := math.Inf(1)
		for k, h := range flowing {
			if l := &f.links[h]; !stopped[k] {
				step = min(step, up[l.peer]/float64(ups[l.peer]), down[l.owner]/float64(downs[l.owner]))
				if x := f.links[l.twin].maxRate; x > 0 {
					step = min(step, x-rates[k])
				}
			}
		}
		if math.IsInf(step, 1) {
			return rates
		}
		for k, h := range flowing {
			if l := &f.links[h]; !stopped[k] {
				rates[k] += step
				up[l.peer] -= step
				down[l.owner] -= step
			}
		}
		for k, h := range flowing {
			l := &f.links[h]
			x := f.links[l.twin].maxRate
			if up[l.peer] < 1e-6 || down[l.owner] < 1e-6 || x > 0 && rates[k] > x-1e-6 {
				stopped[k] = true
			}
		}
	}
}

// Whatever comes and goes, the shares stay close to those of the dumb twin.
func TestMaxMin_AgainstProgressiveFilling(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const peers = 30
		f := new(flow)
		f.share.init(peers)
		up, down := make([]float64, peers), make([]float64, peers)
		for i := range peers {
			up[i], down[i] = float64(1+rng.IntN(8))*1000, float64(1+rng.IntN(8))*2000
			f.share.enter(i, up[i], down[i])
		}
		for range 200 {
			a, b := int32(rng.IntN(peers)), int32(rng.IntN(peers))
			n := int32(len(f.links))
			f.links = append(f.links, link{owner: a, peer: b, twin: n + 1, download: &download{inAt: -1}}, link{owner: b, peer: a, twin: n, download: &download{inAt: -1}})
			if rng.IntN(5) == 0 {
				f.links[n+1].maxRate = float64(rng.IntN(500) + 1)
			}
		}
		var flowing []int32
		for range 20 {
			for range 20 {
				h := int32(rng.IntN(len(f.links)/2)) * 2
				if f.links[h].inAt >= 0 {
					f.share.remove(f, h)
				} else {
					f.share.add(f, h)
				}
			}
			for range 20 { // several calls finish what one leaves over
				f.share.solve(f)
			}
			flowing = flowing[:0]
			for h := range f.links {
				if f.links[h].inAt >= 0 {
					flowing = append(flowing, int32(h))
				}
			}
			for k, want := range naiveRates(f, flowing, up, down) {
				require.InEpsilon(t, want, f.share.rate(f, flowing[k]), 0.03, "seed %d", seed)
			}
		}
	}
}
