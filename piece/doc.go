// Package piece decides which blocks of a torrent to ask whom for.
//
// It holds: [Bitfield], a set of pieces over the bytes that travel on the wire
// (BEP 3, "bitfield"); [Block], the unit of a request; [Picker], which knows
// what every peer has, what we have, want, asked for and received, and hands
// out blocks; [Order], with which priorities, deadlines and the order of
// pieces are set, a [Strategy] of one's own among them; and [SuperSeed], the
// choice of what to reveal while super-seeding (BEP 16).
//
// # Words
//
// A piece is needed when it is wanted and not had. A needed piece is untouched
// until a block of it is asked for or arrives; then it is begun, a partial,
// until all its blocks are received (it is whole, and being hashed) and
// [Picker.SetHave] or [Picker.Fail] tells how that ended. A block of a partial
// is free, asked of one or more peers, or received. A partial is open as long
// as something of it may be asked for. A seeder is a peer that has everything.
//
// # Order of choice
//
// [Picker.Next] serves an asker, as far as the asker has the piece:
//
//  1. pieces with a deadline ([Order.SetDeadlines]), the most urgent first of
//     those that the asker can send in time or that it is as quick to send as
//     anybody; near the deadline also blocks that a slower peer was asked for;
//  2. by priority ([Order.SetPriority]), the higher one first, and within it
//     files that are near completion, as far as [Order.SetFinish] says so;
//  3. within these by what the next section says: a partial or a new piece;
//  4. of partials of one kind those of which somebody gave blocks up (choke,
//     reject, time-out), then the one the asker was at, in runs of consecutive
//     blocks, then the one with the fewest blocks missing, then the oldest;
//  5. of untouched pieces any, as long as we have no piece at all (P2), then
//     one of the rarest, ties broken at random (P1), but for those that the
//     asker suggests (BEP 6);
//  6. in the endgame (BEP 3: all that is missing is asked for) blocks asked of
//     others: the least often asked first, in a random order for each asker.
//     Before that an asker who would be idle gets blocks that a peer was asked
//     for that is four times slower, or counts as idle itself (P4, P6).
//
// # Partials and seeders
//
// The rule is the last one of the original client's author (P3). Finishing
// partials gives everybody whole pieces to pass on soon; but with one slow
// seeder the swarm is as quick as new pieces leave it, and that time is lost
// for what others could send as well. So it depends on who is asked:
//
//   - Of a peer that is not a seeder partials are always asked for first,
//     those before others that a seeder was asked for some of.
//   - Of a seeder those partials are asked for first that a seeder was asked
//     for some of already. The others are not preferred: they and the
//     untouched pieces come in the order of rarity, and only of equally rare
//     ones the partial comes first.
//   - A partial that a seeder is asked for a block of, at any time, is one that
//     a seeder was asked for from then on.
//   - As long as we have no piece, and for slow peers, partials come first
//     whoever is asked.
//
// A piece is thus begun by an asker for whom no partial has a free block, or by
// a seeder for a rarer one. That alone keeps partials few; the limit of open
// ones, 4 and half as many as there are peers, is for peers that leave, or
// choke us, half-way. When it is reached, seeders finish partials as all others
// do, and an asker who has nothing of any partial is given an untouched piece
// only when it is idle, one at a time. There is no fixed maximum for that,
// because at a maximum partials whose sources have left would stop everybody
// else. (Partials of which all is asked for are not limited: they are as many
// as the requests outstanding make, about one for each active peer. With 15
// clients and 450 pieces a client has 1 to 8 at the endgame, and at most 14 at
// any time, where rarest first alone makes 47: TestP8_PartialsAtEndgame.)
//
// In the order of another [Strategy] its rank stands for the rarity. One that
// is [Strict], as [InOrder] is, is obeyed for partials too, and the rule for
// seeders is not applied.
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
package piece
