// Package piece decides which blocks of a torrent to ask whom for.
//
// It holds three things: [Bitfield], a set of pieces over the bytes that
// travel on the wire (BEP 3, "bitfield"); [Block], the unit of a request; and
// [Picker], which knows what every peer has, what we have, want, asked for and
// received, and hands out blocks.
//
// # Words
//
// A piece is needed when it is wanted and not had. A needed piece is untouched
// until a block of it is asked for or arrives; then it is begun, a partial,
// until all its blocks are received (it is whole, and being hashed) and
// [Picker.SetHave] or [Picker.Fail] tells how that ended. A block of a partial
// is free, asked of one or more peers, or received.
//
// # Order of choice
//
// [Picker.Next] serves an asker, as far as the asker has the piece:
//
//  1. blocks of partials that were given up by somebody (choke, reject,
//     time-out), so that what was begun is finished;
//  2. the partial it took blocks from last, in runs of consecutive blocks;
//  3. the partial with the fewest blocks missing, the oldest of these;
//  4. an untouched piece: any, as long as we have no piece at all, then one of
//     the rarest, ties broken at random;
//  5. in the endgame (BEP 3: all that is missing is asked for) blocks asked of
//     others: the least often asked first, in a random order for each asker.
//
// A new piece is begun only by an asker for whom no partial has a free block.
// That is what bounds the number of partials: those with free blocks are few
// as soon as peers have pieces in common, and those without are at most as
// many as there are requests outstanding. There is no fixed maximum, because
// at a maximum partials whose sources have left would stop everybody else.
//
// # How to call it
//
// Make a Picker, tell it what is there with [Picker.SetHave], add peers as
// they come with [Picker.AddPeer] or [Picker.AddSeed]. For every request sent
// there is one Next before, and one [Picker.Receive] or [Picker.Release]
// after. When [Picker.Complete] says so, hash the piece and call SetHave or
// Fail.
//
// Nothing here does I/O, reads a clock or starts a goroutine, and the only
// randomness is the generator handed in: equal calls give equal answers. A
// Picker is not safe for concurrent use. Indices and blocks that no torrent
// has are ignored, so they may come from a peer unchecked.
//
// Not here yet: priorities and deadlines, sequential picking, partials kept
// apart by whether a seed touched them, exchangeable strategies.
package piece
