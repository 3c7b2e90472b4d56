// Package peerwire turns the bytes that two BitTorrent peers exchange into
// values and values into bytes. It implements the handshake and the messages
// of BEP 3, the fast extension (BEP 6), the extension protocol (BEP 10), the
// envelope of metadata exchange (BEP 9), and reads the names of clients out of
// their peer ids (BEP 20).
//
// It does no I/O, holds no lock and looks at no clock: the caller owns sockets,
// buffers and deadlines.
//
// # The wire
//
// A connection begins with a handshake in each direction,
//
//	<19><"BitTorrent protocol"><reserved 8><infohash 20><peer id 20>      68 bytes
//
// of which the first 48 bytes are enough to know the torrent and to answer
// ([Handshake.ParseHead]). Messages follow without end, all integers big-endian:
//
//	<length uint32>                                       keep-alive, length 0
//	<length uint32><id byte><payload, length-1 bytes>     everything else
//
//	choke 0, unchoke 1, interested 2, not interested 3    nothing
//	have 4, suggest 13, allowed fast 17                   <index>
//	bitfield 5                                            <bits>
//	request 6, cancel 8, reject 16                        <index><begin><length>
//	piece 7                                               <index><begin><block>
//	port 9                                                <port uint16>
//	have all 14, have none 15                             nothing
//	extended 20                                           <extended id byte><payload>
//
// # Reading
//
// Collect bytes in a buffer and call [Limits.Next] until it says that more are
// needed; [Limits.Need] tells how many make the next message whole. A
// [*ProtocolError] means that the peer broke the protocol and is to be dropped.
// A message that is refused is refused as soon as its length and its id are
// there, so nothing is ever allocated on a peer's word:
//
//	messages of fixed size    exactly that size
//	bitfield                  exactly one bit a piece when the number of pieces is known, else 256 KiB
//	piece                     8 bytes and a block of at most Limits.MaxBlock (128 KiB)
//	extended                  one byte and at most Limits.MaxExtended (1 MiB)
//	unknown ids               256 KiB; handed to the caller, who ignores them
//
// What a message means is left to the caller: whether an index exists, whether
// a request is sane, whether the fast extension was agreed on, whether a
// bitfield may come now, whether its spare bits are zero ([SpareBits]).
//
// # Writing
//
// The Append functions and [Message.Append] put one message behind the bytes
// they are given and return the longer slice, as append does.
//
// # Concurrency
//
// [Limits.Next], [Limits.Need] and all parsers may be called at once from any
// number of goroutines, as long as nobody changes the Limits or the bytes.
//
// Not implemented here: the payloads of peer exchange (BEP 11), of lt_donthave
// (BEP 54) and of ut_holepunch (BEP 55), and the hash messages of BEP 52, which
// come out as unknown messages. Encryption is in peerwire/mse.
package peerwire
