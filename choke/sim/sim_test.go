package sim

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/piece"
)

// small is a swarm that takes a moment in both models.
func small(m Model) Scenario {
	s := FlashCrowd(12).WithFreeRiders(0.2)
	s.Model, s.Pieces, s.Connections = m, 60, 8
	return s
}

func run(t *testing.T, s Scenario) *Report {
	t.Helper()
	r, err := Run(t.Context(), s)
	require.NoError(t, err)
	return r
}

func TestRun_TheSameTwice(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		t.Run(m.String(), func(t *testing.T) {
			s := small(m)
			s.ArrivalRate = 0.05
			s.Classes[1].SeedTime = 30 * time.Second
			one := run(t, s)
			require.Equal(t, one, run(t, s))
			s.Seed++
			require.NotEqual(t, one.All, run(t, s).All)
		})
	}
}

// Everybody gets the whole file, what is sent is received, and no capacity is passed.
func TestRun_NothingComesFromNothing(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		t.Run(m.String(), func(t *testing.T) {
			r := run(t, small(m))
			require.Equal(t, r.Leeches, r.Completed)
			var sent, received int64
			for _, p := range r.Peers {
				sent += p.Sent
				received += p.Received
				if !r.Classes[p.Class].Seed {
					require.Greater(t, p.Received, r.FileSize-16)
					require.Less(t, p.Received, r.FileSize+r.FileSize/20)
				}
			}
			require.Equal(t, sent, received)
			require.Equal(t, r.Received, received)
			require.Zero(t, r.Class("free-rider").Sent)
			for _, x := range r.Samples {
				require.LessOrEqual(t, x.Use, 1.02)
			}
			require.GreaterOrEqual(t, r.All.Last, r.Bound)
			require.GreaterOrEqual(t, r.SeedCopies, 0.999)
		})
	}
}

func TestRun_LimitEndsIt(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		s := small(m)
		s.Limit = time.Minute
		r := run(t, s)
		require.Zero(t, r.Completed)
		require.Equal(t, time.Minute, r.Length)
		require.Negative(t, r.SeedCopies)
		require.Negative(t, r.Peers[len(r.Peers)-1].Done)
	}
}

func TestRun_ContextEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for m := Flow; m <= Full; m++ {
		_, err := Run(ctx, small(m))
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err := Repeat(ctx, small(Flow), 3)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRun_Refuses(t *testing.T) {
	for name, change := range map[string]func(*Scenario){
		"no seed":        func(s *Scenario) { s.Classes = s.Classes[1:] },
		"nobody":         func(s *Scenario) { s.Classes = s.Classes[:1] },
		"no upload":      func(s *Scenario) { s.Classes[1].Up = 0 },
		"negative count": func(s *Scenario) { s.Classes[1].Count = -1 },
		"too many":       func(s *Scenario) { s.Classes[1].Count = mostPeers },
		"pieces":         func(s *Scenario) { s.Pieces = -1 },
		"many pieces":    func(s *Scenario) { s.Pieces = mostPieces + 1 },
		"length":         func(s *Scenario) { s.PieceLength = -1 },
		"connections":    func(s *Scenario) { s.Connections = -1 },
		"sample":         func(s *Scenario) { s.Sample = -1 },
		"arrival":        func(s *Scenario) { s.ArrivalRate = -1 },
		"no arrival":     func(s *Scenario) { s.ArrivalRate = math.NaN() },
		"limit":          func(s *Scenario) { s.Limit = -1 },
		"model":          func(s *Scenario) { s.Model = Full + 1 },
		"delay":          func(s *Scenario) { s.Classes[1].Delay = time.Hour },
		"super-seeding":  func(s *Scenario) { s.Classes[0].SuperSeed = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := small(Flow)
			change(&s)
			_, err := Run(t.Context(), s)
			require.ErrorIs(t, err, ErrScenario)
			_, err = s.Bound()
			require.ErrorIs(t, err, ErrScenario)
		})
	}
}

type stranger struct{}

func (stranger) Choose(*choke.Round) choke.Decision { return choke.Peers(1 << 40) }

func TestRun_StrategyThatNamesAStranger(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		_, err := Run(t.Context(), small(m).With(func() choke.Strategy { return stranger{} }))
		require.ErrorContains(t, err, "not in the round")
	}
}

func TestBound(t *testing.T) {
	s := Scenario{Pieces: 100, PieceLength: 1000, Classes: []Class{
		{Count: 1, Up: 100, Seed: true},
		{Count: 10, Up: 50, Down: 200},
	}}
	bound := func() float64 {
		d, err := s.Bound()
		require.NoError(t, err)
		return d.Seconds()
	}
	require.InDelta(t, 10*100_000/600.0, bound(), 1e-3, "N·F/(us+Σu)")
	s.Classes[1].Up = 10_000
	require.InDelta(t, 1000, bound(), 1e-3, "F/us")
	s.Classes[0].Up = 10_000
	require.InDelta(t, 500, bound(), 1e-3, "F/dmin")
	s.Classes[1].FreeRider = true
	require.InDelta(t, 500, bound(), 1e-3)
	s.Classes[1].Count = 100
	require.InDelta(t, 1000, bound(), 1e-3, "free-riders add nothing")
}

// An order of one's own is followed: in sequence, everybody waits for the same pieces and it takes longer.
func TestOrder_InSequenceIsSlower(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		s := FlashCrowd(20)
		s.Model, s.Pieces, s.NoAllowedFast = m, 100, true
		rarest := run(t, s)
		s.Classes[1].Order = piece.InOrder{}
		inOrder := run(t, s)
		t.Logf("%v: mean %.3f of the bound, in sequence %.3f", m, rarest.MeanSlowdown(), inOrder.MeanSlowdown())
		require.Greater(t, inOrder.MeanSlowdown(), 1.2*rarest.MeanSlowdown())
		s.Classes[1].Order = piece.RarestFirst{}
		require.Equal(t, rarest, run(t, s))
	}
}

// Choice.MaxRate holds, and the peers get no more than it.
type limited struct{}

func (limited) Choose(r *choke.Round) choke.Decision {
	var d choke.Decision
	for _, p := range r.Peers {
		d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID, MaxRate: 2000})
	}
	return d
}

func TestMaxRate(t *testing.T) {
	for m := Flow; m <= Full; m++ {
		s := Scenario{Model: m, Pieces: 8, PieceLength: 64 << 10, Classes: []Class{
			{Count: 1, Up: 1 << 20, Seed: true, Strategy: func() choke.Strategy { return limited{} }},
			{Count: 1, Up: 1 << 20},
		}}
		r := run(t, s)
		require.InEpsilon(t, float64(r.FileSize)/2000, r.All.Last.Seconds(), 0.1, m.String())
	}
}

func TestSpreadOf(t *testing.T) {
	reports, err := Repeat(t.Context(), small(Flow), 3)
	require.NoError(t, err)
	for i, r := range reports {
		require.Equal(t, uint64(i), r.Seed)
	}
	x := SpreadOf(reports, (*Report).Slowdown)
	require.LessOrEqual(t, x.Low, x.Median)
	require.LessOrEqual(t, x.Median, x.High)
	require.Zero(t, SpreadOf(nil, (*Report).Slowdown))
}
