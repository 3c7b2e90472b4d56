// Package discover knows where peers come from: trackers, what the program
// names, who connects. [Candidates] is the one list of a torrent's known
// addresses, with back-off and bans; [Trackers] is the torrent's trackers.
package discover
