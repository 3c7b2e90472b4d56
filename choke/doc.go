// Package choke decides who may download from us.
//
// BitTorrent's currency is the unchoke: a peer that we unchoke may ask for blocks, all others wait. Who is unchoked is
// decided in rounds by a [Strategy], an interface with one method that sees a snapshot of all connected peers (a
// [Round]) and names those to be unchoked (a [Decision]). The client does the rest: it sends the messages, deals the
// bandwidth, and calls again. A strategy of one's own is ten lines; see the example of [Strategy].
//
// Bundled are:
//
//   - [NewTitForTat] for downloading: those that send us the fastest, and one optimistic unchoke (BEP 3, "Choking and
//     Optimistic Unchoking");
//   - [NewSeeding] for a complete torrent: a set that turns over slowly, favouring those that we can send to the fastest;
//   - [Default], which is the one or the other as the torrent stands. It is what a client uses when nothing else is
//     configured.
//
// Everything here is a decider: no I/O, no goroutine, no clock and no randomness but what the round brings. The same
// rounds with the same seed lead to the same decisions. A Strategy value serves one torrent and is not safe for
// concurrent use; the client never calls it twice at the same time.
//
// Not here: byte balance and other credit systems, and choosing among several torrents (the client deals the slots).
package choke
