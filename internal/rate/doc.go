// Package rate keeps rolling rates: how many bytes a second went by during the last seconds.
//
// A [Meter] has no clock. Whoever counts hands the time in as a duration since a base of its own choosing (the
// start of the process, the zero of a simulation), so a meter runs a simulated hour in a microsecond and replays to
// the same numbers. It holds twelve buckets of five seconds, 120 bytes in all, allocates nothing, and its zero value
// is ready for use.
//
// Meters are not safe for concurrent use: they belong to whoever owns the state around them.
package rate
