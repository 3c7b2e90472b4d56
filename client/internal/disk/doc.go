// Package disk holds the workers that hash, write and read for all torrents
// of a client: a bounded pool, shared, so that an idle torrent costs no
// goroutine.
//
// A torrent is a [Source] of jobs. [Pool.Kick] says that it may have some;
// workers pull one job at a time, go round over the sources, and hand each
// result back. They never wait on each other.
package disk
