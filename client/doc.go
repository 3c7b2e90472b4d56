// Package client is a BitTorrent client to be embedded: it downloads and
// seeds any number of torrents over one listening port, within one budget of
// memory, connections and rates.
//
//	c, err := client.New(client.Config{Dir: "downloads"})
//	…
//	defer c.Close()
//	t, err := c.AddFile("debian.torrent")
//	…
//	err = t.Wait(ctx) // every wanted piece is verified and written
//
// [New] binds the listening port and starts a handful of goroutines; nothing
// is sent before a torrent is added. Adding returns at once, a magnet link
// without metadata too: what happens then is seen with [Torrent.Stats],
// [Torrent.Events] and [Torrent.Wait]. Everything that methods return is a
// plain value, safe to keep. All methods are safe for concurrent use, and none
// calls back into the program while a lock is held.
//
// What a program brings itself: where data lies ([storage.Storage]), who is
// uploaded to ([choke.Strategy]), how connections are made ([Network]), the
// HTTP client and the logger.
//
// Implemented here, together with the packages below it: BEP 3, 6, 9, 10, 12,
// 15, 20, 23, 27, 31, 41, and parts of 7, 21 and 47. Of version 2 (BEP 52) a
// hybrid torrent is used by its version 1 part.
//
// Not there yet: DHT, peer exchange, local discovery, encryption, uTP, web
// seeds, file selection, resume records (a restart checks the data again).
package client
