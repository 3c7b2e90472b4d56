// Package block lends out the buffers that blocks pass through, and bounds
// how many bytes of them there are.
//
// A [Pool] has one limit in bytes for everything it has lent out and
// everything it keeps for reuse. [Pool.Get] never waits: it answers nil when
// the limit is reached, so that it can be called with a lock held. Who can
// wait, and holds neither lock nor buffer, calls [Pool.Wait].
//
// Buffers are kept by size class (powers of two from 256 bytes to 1 MiB) and
// a buffer counts with the size of its class. Whoever got a buffer gives it
// back with [Pool.Put], exactly once, and does not touch it afterwards.
//
// All methods are safe for concurrent use. The pool's mutex is a leaf: no
// other lock is taken while it is held.
package block
