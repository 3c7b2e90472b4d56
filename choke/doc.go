// Package choke decides who may download from us.
//
// BitTorrent's currency is the unchoke: a peer that we unchoke may ask for blocks, all others wait. Who is unchoked is
// decided in rounds by a [Strategy], an interface with one method that sees a snapshot of all connected peers (a
// [Round]) and names those to be unchoked (a [Decision]). The client does the rest: it sends the messages, deals the
// bandwidth, and calls again.
//
// # Writing one
//
// A strategy of one's own is ten lines; see the example of [Strategy]. It sorts or counts the peers of the round as it
// likes, and answers with [Peers], or with Choices that carry a limit and a reason each. It is called
//
//   - once at the begin, when peers may be unchoked already ([Started]);
//   - every 10 s ([Tick]);
//   - when an upload slot falls free, or somebody becomes interested ([SlotFree]);
//   - 15 s after a peer has unchoked us ([Reciprocate]);
//   - when it asked to be, with Decision.Again ([Asked]).
//
// Whoever changes his mind at every one of these calls chokes and unchokes too quickly for TCP; the bundled strategies
// rank peers every 10 s, and fill in between what is free. Another strategy can be wrapped: see the example of
// [Default]. One that is an [Explainer] as well can tell why a peer waits.
//
//   - To test it: choketest.Run of package choke/choketest checks what a client relies on, with one line in a test.
//   - To see what it does to a swarm: package choke/sim and examples/swarmlab put it into thousands of simulated peers
//     beside the bundled ones.
//   - To use it: client.Config.Choker makes one for each torrent, client.Spec.Choker is for one torrent, and
//     Torrent.SetChoker exchanges it on the way. If it panics, hangs or names strangers, [Default] takes over, and the
//     download goes on.
//
// # Bundled
//
//   - [Default], one of the next two, as the torrent stands. It is what a client uses when nothing else is configured.
//   - [NewTitForTat] for downloading: those that send us the fastest, and one optimistic unchoke (BEP 3, "Choking and
//     Optimistic Unchoking").
//   - [NewSeeding] for a complete torrent: a set that turns over slowly, favouring those that we can send to the fastest.
//   - [NewRoundRobin] for a complete torrent: all get the same time.
//   - [NewByteBalance], after David Player's draft: amounts of data instead of rates, with a memory.
//   - [NewUnchokeEveryone], no choking at all, for comparison.
//
// They give a reason for each choice (the Why constants), are Explainers, and allocate nothing once they have seen some
// rounds of a torrent. A round of 1,000 peers takes well under a millisecond.
//
// Everything here is a decider: no I/O, no goroutine, no clock and no randomness but what the round brings. The same
// rounds with the same seed lead to the same decisions. A Strategy value serves one torrent and is not safe for
// concurrent use; the client never calls it twice at the same time.
//
// Not here: choosing among several torrents (the client deals the slots), and the limits of rates themselves.
package choke
