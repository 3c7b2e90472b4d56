// Package server is a BitTorrent tracker to embed: an [http.Handler] and a UDP
// server that answer announces (BEP 3, 7, 15, 21, 23, 41) and scrapes (BEP 15,
// 48), over IPv4 and IPv6.
//
//	tracker, err := server.New(server.Config{})
//	conn, err := net.ListenPacket("udp", ":6969")
//	go tracker.ServeUDP(conn)                // announce URL udp://HOST:6969/announce
//	http.ListenAndServe(":6969", tracker)    // announce URL http://HOST:6969/announce
//
// Both know the same peers; any number of sockets may be served. The size of HTTP
// requests and how long they may take is the [http.Server]'s business: set its
// time-outs and MaxHeaderBytes. Nothing is logged.
//
// # What it keeps
//
// Everything is in memory, in bounds that [Config] sets. A peer takes about 40
// bytes and a torrent about 120; half of a peer's are its id (see
// [Config.NoPeerIDs]); the garbage collector's room comes on top. Peers are known
// by address and port. One that does not announce again for two intervals is
// forgotten, and so is a torrent without peers, after as long; the announces
// themselves clean up, there is no goroutine for it. A tracker that was restarted
// fills up again as its peers announce: no event of a peer that it does not know
// is an error.
//
// # Who may use it
//
// It tracks every torrent that anybody announces. [Server.SetAllowed] makes it
// one for a list of torrents, [Config.Check] may refuse any request, for instance
// one without a passkey in its URL.
//
// An announce for somebody else's address (ip=) is honoured only from loopback
// and from [Config.TrustIP]: otherwise anybody could send a swarm to a victim.
// Behind a reverse proxy everybody comes from the proxy's address, so it must add
// ip= itself and remove what the client sent.
//
// # HTTP
//
// Answers come in the compact form if the client asks for it with compact=1.
// BEP 23 suggests compact answers to all who do not object; but clients older
// than that form ask for nothing and understand only the first one. They are
// packed with gzip if the client can unpack it and that makes them smaller.
//
// # UDP
//
// Nobody can make the tracker send more to a false address than he sends himself:
// a packet without a valid connection id is answered only if it asks for one, or
// is an announce or a scrape, with an error that is shorter. Ids are good for two
// to four minutes, and until the tracker is restarted; the error lets clients ask
// for another one at once instead of waiting for 15 seconds. It is sent a
// thousand times a second at most. Peers are given of the family that the packet
// came over, as many as fit into an Ethernet frame.
//
// # The NAT check
//
// With [Config.NATCheck] the tracker connects to the address that an announce
// came from, at the port that it names, and sends the first 48 bytes of a
// handshake; the peer has 5 seconds to answer with its own for the same torrent.
// Until then the announce's answer waits (over UDP, others are answered
// meanwhile); if the check fails, the peer is told so and not taken in. There is
// none for completed and stopped, even of a peer that the tracker does not know
// (it may have been restarted since the peer was checked), and none for an address
// that a trusted network has reported with ip=, nor for link-local ones. Success is remembered for two intervals, failure for a
// minute. At most 100 checks are begun in a second and 64 are under way at once;
// beyond that, peers are let in unchecked. Peers that insist on encrypted
// connections fail.
package server
