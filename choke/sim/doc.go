// Package sim runs swarms in virtual time, so that one can see what a choking strategy or an order of pieces does to a
// swarm before it is let loose on one.
//
// A [Scenario] says who takes part: classes of peers with their capacities, delays and strategies ([Class]), who of
// them seeds, who only takes, how they arrive and when they leave. [Run] simulates it and returns a [Report]: when
// who was complete, in units of the best that any strategy could do ([Scenario.Bound]) too; what was sent by whom; how
// well the upload capacity was used; how many copies of the file the seeds sent before every piece was outside (row
// P7); how many pieces were begun at a time (P8); what came in vain. The same scenario with the same Scenario.Seed
// gives the same report. [Repeat] runs it with several seeds.
//
// # Two models
//
// [Full] is the library itself: every peer is a torrent's state as the client has it, with its picker, pipelines of
// requests, outboxes and choking rounds, and they exchange the messages of the wire. Only what is around it is
// simulated: an uplink and a downlink for each peer, a delay, streams with windows that share the uplink block by
// block. Hashes are right without being looked at. A hundred peers take some seconds.
//
// [Flow] is for ten thousand. Peers keep what matters of that state: who has which piece, as far as he was told; the
// pieces begun, of which every connection has a share; choking rounds when the library would hold them, with the same
// snapshot. In between, bytes flow: rates are max-min fair over the capacities of senders and receivers, worked out
// anew where something changed, every 100 ms. Order and endgame are those of package piece, by shares of 64 KiB and
// more instead of blocks. What comes in vain in the endgame is estimated.
//
// The two agree within 10 % on mean and last completion (TestModelsAgree; mostly within 4 %), with two exceptions. Flow
// has no allowed-fast sets (BEP 6), which in a swarm with a single seed cost up to a whole copy of the file; see
// Scenario.NoAllowedFast. And it has no super-seeding (BEP 16).
//
// Full takes real memory for the pieces that are begun, and Flow some 50 KB a peer at 400 pieces and 40 connections.
//
// Not modelled: losses and slow start of TCP, delay by full queues, protocol overhead below TCP, dialling (a
// connection is there at once), wrong data, peers that cannot be reached, several torrents, limits that change.
//
// # Strategies
//
// A strategy is given by a maker, since each peer has its own. It is called as a client calls it, but in the
// goroutine of Run: one that panics is not caught, and one that names a stranger ends the run with an error. Time
// is Round.Now: a strategy that looks at a clock of its own sees nothing sensible.
package sim
