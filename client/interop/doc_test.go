// Package interop_test lets the example programs and other BitTorrent clients
// download from each other, each a process of its own, and compares every file
// by SHA-256. They find each other by trackers of others (opentracker, and
// bittorrent-tracker from npm) and by ours.
//
// Nothing here knows the client's internals: the subject is the pair of built
// programs examples/download and examples/seed, by their documented flags. Where
// these are too patient, a client of the library is embedded; scrapes are made
// with the library's tracker.Client besides.
//
// TestMain runs the test binary again in a network namespace that holds only
// loopback (`unshare -n` as root, `unshare -rn` otherwise), so nothing can leave
// the machine. There, 198.51.100.0/24 and some addresses of IPv6 are put on lo:
// some clients refuse peers in 127/8 or treat private ranges in a special way.
// Every client gets an address and a port of its own from newAddr or newAddr6;
// the subject always listens on the address that the kernel picks for unbound
// sockets, with a port of its own.
//
// A test whose client, or the namespace, is missing is skipped with a sentence.
//
//	STARLING_REQUIRE_CLIENTS=1   such a skip is a failure; and the slow clients (aria2, transmission,
//	                             ctorrent), which are left out otherwise, are run
//	STARLING_LARGE=1             also the case of 1 GiB
//	STARLING_NODE_TRACKER=DIR    folder whose node_modules has bittorrent-tracker; made with
//	                             npm install --ignore-scripts --prefix DIR bittorrent-tracker@11.2.3
//	STARLING_MIXED=N             measures a mixed swarm N times with each kind of seed, some 50 s a time
//	STARLING_CROWD=1             compares twenty of our clients with what the simulator says of them
//	STARLING_PROGRAMS=DIR        take download, seed, create and tracker from DIR instead of building them
//	STARLING_INTEROP_AS=NAME     put another client (libtorrent) in the subject's place, to try the
//	                             other side of every test without us
//
// What a Debian system needs: aria2 transmission-daemon python3-libtorrent
// opentracker rtorrent ctorrent iproute2 util-linux nodejs npm.
package interop_test
