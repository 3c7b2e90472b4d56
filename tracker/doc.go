// Package tracker talks to BitTorrent trackers: it announces and scrapes over
// HTTP, HTTPS (BEP 3, 7, 21, 23, 24, 31, 48) and UDP (BEP 15, 41), and decides
// when to announce what to which of a torrent's trackers (BEP 12).
//
// There are three layers; use the lowest that does the job:
//
//   - [Client] makes one announce or scrape and returns the answer. Its zero value
//     works. It is safe for concurrent use; thousands of UDP announces share a
//     socket.
//   - [Schedule] is a decider: told the time and what came of earlier announces,
//     it says what to announce next. It does no I/O, has no clock and no lock,
//     and replays: the same calls give the same decisions.
//   - [Announcer] is one goroutine around a Schedule and a Client: it keeps one
//     torrent announced until it is closed.
//
// A program that only wants peers once:
//
//	var c tracker.Client
//	resp, err := c.Announce(ctx, "udp://tracker.example:6969/announce", tracker.Request{
//		InfoHash: hash, PeerID: id, Port: 6881, Left: size,
//		Event: tracker.Started, NumWant: -1,
//	})
//
// Both are bounded whatever the other side does: one deadline for everything
// from name resolution to the last byte, [MaxBody] bytes of answer (counted
// before and after unpacking), [MaxPeers] peers, five redirects, intervals between
// one minute and one day. Texts of trackers are cut and escaped before anybody
// sees them. Errors never show more of a tracker's URL than its host: there may be
// a passkey in the rest.
//
// Trackers are named by torrents and magnet links, which may come from anybody:
// [DefaultPolicy] says which ones are not asked, [Client.Policy] replaces it.
//
// Not here: websocket trackers, which are answered with [*UnsupportedError].
package tracker
