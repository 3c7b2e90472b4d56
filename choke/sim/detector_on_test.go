//go:build race

package sim

// detector: the race detector makes simulations ten times as slow, and there is one goroutine to look at.
const detector = true
