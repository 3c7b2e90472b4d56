package sim

import (
	"context"
	"errors"
)

var errMemory = errors.New("sim: a peer asked for more than its memory holds")

// Run simulates a scenario. It takes one processor, and ends early when the context does. The error matches
// [ErrScenario] where the scenario makes no sense; a strategy that names a peer it was not shown is an error too, and
// one that panics does so here.
func Run(ctx context.Context, s Scenario) (*Report, error) {
	s, err := s.complete()
	if err != nil {
		return nil, err
	}
	if s.Model == Full {
		return runFull(ctx, &s)
	}
	return runFlow(ctx, &s)
}
