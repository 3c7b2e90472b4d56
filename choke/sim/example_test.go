package sim_test

import (
	"context"
	"fmt"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/choke/sim"
)

// Which strategy makes free-riders wait? Forty peers, a fifth of them free-riders, that leave as soon as they are
// complete.
func Example() {
	crowd := sim.FlashCrowd(40).WithFreeRiders(0.2)
	crowd.Pieces = 100
	crowd.Classes[0].Up *= 4       // of the seed
	crowd.Classes[1].SeedTime = -1 // leave at once
	for _, strategy := range []func() choke.Strategy{choke.Default, choke.NewUnchokeEveryone} {
		report, err := sim.Run(context.Background(), crowd.With(strategy))
		if err != nil {
			panic(err)
		}
		fmt.Println(report.RiderDelay() > 1.3)
	}
	// Output:
	// true
	// false
}
