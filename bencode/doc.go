// Package bencode reads and writes bencoding, the serialization of BEP 3
// (strings, integers, lists and dictionaries), from sources that may be
// hostile.
//
// Every byte passes [Scan] first: an iterative scanner that allocates nothing
// and bounds the depth ([MaxDepth]), the number of items ([MaxItems]) and the
// length of every string (by what is really there). Only then the values are
// compared with the Go type they are to be read into, and only then they are
// read, by github.com/zeebo/bencode.
//
// # Strict and tolerant
//
// [Unmarshal] and [Scan] accept canonical bencoding alone: keys in ascending
// order of their bytes and none twice, integers and lengths without leading
// zeros, no -0, no integer beyond 64 bits, exactly one value. What Unmarshal
// accepts into an any is re-encoded by [Marshal] to the same bytes.
//
// [UnmarshalTolerant] is for what others made: .torrent files and the answers of
// trackers. It also accepts keys in any order, keys that occur twice (the first
// one counts, as in libtorrent), and one line end behind the value (\n or \r\n).
//
// [UnmarshalPrefix] reads a strict value that other bytes follow, such as the
// head of a metadata message (BEP 9).
//
// # Go types
//
// Integers go into Go integers that can hold them and into bool (0 or 1);
// strings into string and []byte; lists into slices; dictionaries into structs
// (exported fields, named by the tag `bencode:"name,omitempty"`) and maps with
// string keys; any value into any (int64, string, []any, map[string]any), into a
// [RawMessage], and into types that have UnmarshalBencode or UnmarshalText. All
// else is a [*TypeError], above all: an integer that is too large for its type,
// a list for an array or for a []byte. Keys a struct has no field for are
// ignored.
//
// When an error is returned, the value is as it was before. Otherwise integers,
// bools and strings of a struct whose keys are missing keep what they were;
// slices, maps, pointers and interfaces start empty, they are never merged with
// earlier contents.
//
// Memory grows in proportion to the input: an item of two bytes costs at most
// about 150 bytes in an any; in a slice it costs the size of the slice's
// elements, so that a list of large structs is better read with a [Cursor].
//
// # Without reflection
//
// A [Cursor] walks over a scanned value in place; [AppendString] and [AppendInt]
// write one. Large inputs, such as the file lists of torrents, are read that way.
//
// Functions may be called concurrently. Not here: reading from a stream, floats,
// integers beyond 64 bits.
package bencode
