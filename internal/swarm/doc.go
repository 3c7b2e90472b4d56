// Package swarm is one torrent's state: its peers, what they have, what is
// asked of whom, the pieces that are being received, and the counters. It
// does no I/O, starts no goroutine and reads no clock; a recorded list of its
// inputs replays to the same decisions, and a simulated swarm runs on it
// unchanged.
//
// [Swarm] is bare and not safe for concurrent use. [Guarded] is it together
// with the torrent's only mutex, and everybody outside uses that. Its doors:
//
//   - [Guarded.Join] and [Guarded.Leave] when a connection is made or lost;
//   - [Guarded.Batch] with all messages that one read brought. Blocks are
//     claimed: each gets its place in a slab, or none when it is not wanted.
//     The reader copies outside the lock, then calls [Guarded.Landed];
//   - [Guarded.Fill] when a writer pulls what is to be sent to its peer;
//   - [Guarded.NextJob] and [Guarded.JobDone] for the disk workers;
//   - [Guarded.Tick] about once a second;
//   - [Guarded.Snapshot] and [Guarded.Apply] around a choking round.
//
// What is neither bytes nor a job comes back as [Effects], carried out after
// unlock.
//
// A piece is missing, partial (it has a landing: slabs in memory, blocks on
// disk that are not verified yet), with a worker (hashed, then written), had.
// It is announced, counted and served only when its write has returned.
//
// Inside, a Swarm is a list of states, one file each, that own what their
// names say: members (who is connected), having (who has which pieces),
// asking (the pipelines of requests), receiving (landings and slabs), the
// jobQueue and the check of the disk, sending (the outboxes), choking, and
// metadata. They find each other through the Swarm.
//
// Words: a slab is a contiguous buffer of at most 1 MiB of one piece, 64
// blocks; a landing is a piece being received; a claim is a place in a slab
// that a reader is copying to; to evict a slab is to write what it holds to
// its place, unverified, and give its memory back.
package swarm
