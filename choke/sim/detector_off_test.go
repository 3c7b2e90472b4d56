//go:build !race

package sim

const detector = false
