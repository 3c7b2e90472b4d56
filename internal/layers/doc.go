// Package layers holds no code but one test: which package may import which, and what from outside. Imports point
// down only. The test reads the import lists of the whole module, on every system's files, without building anything.
//
// Whoever adds a package adds a line to the table in layers_test.go.
package layers
