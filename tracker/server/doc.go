// Package server is a small BitTorrent tracker to embed: an [http.Handler] that
// answers announces (BEP 3, 7, 23) and scrapes (BEP 48), over IPv4 and IPv6.
//
//	tracker, err := server.New(server.Config{})
//	http.ListenAndServe(":6969", tracker)    // announce URL http://HOST:6969/announce
//
// It keeps everything in memory, in bounds that [Config] sets, and starts no
// goroutine. It tracks every torrent that anybody announces. Peers are known by
// address and port; one that does not announce again for two intervals is
// forgotten, and so is a torrent without peers.
//
// Answers come in the compact form if the client asks for it with compact=1.
// BEP 23 suggests compact answers to all who do not object; but clients older
// than that form ask for nothing and understand only the first one.
//
// An announce for somebody else's address (ip=) is honoured only from loopback
// and from [Config.TrustIP]: otherwise anybody could send a swarm to a victim.
//
// Not here yet: UDP (BEP 15), checking that peers can be reached, lists of
// allowed torrents.
package server
