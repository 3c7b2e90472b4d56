// Package conn is one connection to a peer: handshake, reader and writer.
//
// [Dial] and [Accept] make the handshake (BEP 3) within ten seconds. [Conn]
// then joins the swarm. Its reader is the goroutine that calls [Conn.Run]: it
// reads as much as there is into one buffer, hands all messages of a read to
// the swarm at once, and copies the blocks to the places that the swarm
// claimed for them. A writer goroutine exists only while there is something to
// send: control messages first, then runs of adjacent blocks, read from the
// storage with one read and sent with one vectored write.
//
// Limits are [Gate]s, which connections pass in a fixed order: the strategy's
// for this peer, that of each peer, the torrent's, the client's. Who finds too
// little stands in line, and everybody in it gets a block's worth in turn. A
// writer pays before it takes blocks out of the swarm's queue, so that cancels
// and chokes are obeyed while it waits, and control messages pass it. A reader
// pays for what it has read before it reads on, with no buffer but its own.
//
// A reader that waits for its peer holds 2 KiB; it borrows 32 or 256 KiB
// while blocks come. Before it would exceed the budget it stops reading, with
// no buffer, and TCP makes the peer wait.
package conn
