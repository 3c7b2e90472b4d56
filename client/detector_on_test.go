//go:build race

package client_test

// withRace: the race detector makes stacks larger.
const withRace = true
