package bencode

import (
	"bytes"
	"math"
)

const (
	// MaxDepth is how deep lists and dictionaries may be nested.
	MaxDepth = 100
	// MaxItems is how many items one value may consist of: every integer,
	// string, key, list and dictionary is one. As an item takes at least two
	// bytes, small inputs are bounded by their length.
	MaxItems = 2_000_000
)

// Scan checks that data begins with one value in canonical form and returns its
// length; bytes behind it are not looked at. It allocates nothing unless it
// fails, does not recurse, and looks at each byte at most once. The error is a
// [*SyntaxError].
func Scan(data []byte) (n int, err error) { return scan(data, strict) }

// ScanTolerant is [Scan] but for the keys of dictionaries, which may come in any
// order and more than once.
func ScanTolerant(data []byte) (n int, err error) { return scan(data, tolerant) }

// mode says what is accepted.
type mode bool

const (
	strict   mode = false
	tolerant mode = true
)

// frame is an open list or dictionary.
type frame struct {
	dict     bool
	hasKey   bool // a key has been read whose value comes next
	lastKey  int  // where the latest key begins, -1 if there is none
	lastStop int  // and ends
}

func scan(data []byte, m mode) (int, error) {
	var stack [MaxDepth]frame
	depth, items, pos := 0, 0, 0
	for {
		if pos >= len(data) {
			return 0, &SyntaxError{pos, "the input ends where a value or the end of a list should be"}
		}
		c := data[pos]
		if depth > 0 {
			f := &stack[depth-1]
			switch {
			case c == 'e':
				if f.hasKey {
					return 0, &SyntaxError{pos, "a key without a value"}
				}
				pos++
				depth--
				if depth == 0 {
					return pos, nil
				}
				continue
			case f.hasKey:
				f.hasKey = false
			case f.dict:
				if c < '0' || c > '9' {
					return 0, &SyntaxError{pos, "a key that is not a string"}
				}
				start, stop, reason := scanString(data, pos)
				if reason != "" {
					return 0, &SyntaxError{pos, reason}
				}
				if m == strict && f.lastKey >= 0 {
					switch bytes.Compare(data[f.lastKey:f.lastStop], data[start:stop]) {
					case 0:
						return 0, &SyntaxError{pos, "a key that was there before"}
					case 1:
						return 0, &SyntaxError{pos, "a key out of order"}
					}
				}
				f.hasKey, f.lastKey, f.lastStop = true, start, stop
				pos = stop
				if items++; items > MaxItems {
					return 0, &SyntaxError{pos, "more items than the limit of 2000000"}
				}
				continue
			}
		}
		if items++; items > MaxItems {
			return 0, &SyntaxError{pos, "more items than the limit of 2000000"}
		}
		var reason string
		switch {
		case '0' <= c && c <= '9':
			at := pos
			if _, pos, reason = scanString(data, pos); reason != "" {
				return 0, &SyntaxError{at, reason}
			}
		case c == 'i':
			at := pos
			if pos, reason = scanInt(data, pos); reason != "" {
				return 0, &SyntaxError{at, reason}
			}
		case c == 'l' || c == 'd':
			if depth == MaxDepth {
				return 0, &SyntaxError{pos, "nested deeper than the limit of 100"}
			}
			stack[depth] = frame{dict: c == 'd', lastKey: -1}
			depth++
			pos++
			continue
		default:
			return 0, &SyntaxError{pos, "a byte that begins no value"}
		}
		if depth == 0 {
			return pos, nil
		}
	}
}

// scanString returns where the bytes of the string at pos begin and end. The
// byte at pos is a digit.
func scanString(data []byte, pos int) (start, stop int, reason string) {
	length, i := 0, pos
	for ; i < len(data); i++ {
		c := data[i]
		if c == ':' {
			if data[pos] == '0' && i > pos+1 {
				return 0, 0, "a length with a leading zero"
			}
			i++
			if length > len(data)-i {
				return 0, 0, "a string longer than the rest of the input"
			}
			return i, i + length, ""
		}
		if c < '0' || c > '9' {
			return 0, 0, "a length that is not a number"
		}
		if length > (math.MaxInt-9)/10 { // only with 32-bit integers
			return 0, 0, "a string longer than the rest of the input"
		}
		if length = length*10 + int(c-'0'); length > len(data) {
			return 0, 0, "a string longer than the rest of the input"
		}
	}
	return 0, 0, "the input ends within the length of a string"
}

// scanInt returns where the integer at pos ends. The byte at pos is an i.
func scanInt(data []byte, pos int) (stop int, reason string) {
	i := pos + 1
	limit := uint64(math.MaxUint64)
	negative := i < len(data) && data[i] == '-'
	if negative {
		i++
		limit = -math.MinInt64
	}
	first := i
	var v uint64
	for ; i < len(data); i++ {
		c := data[i]
		if c == 'e' {
			break
		}
		if c < '0' || c > '9' {
			return 0, "an integer with something else than digits"
		}
		d := uint64(c - '0')
		if v > (limit-d)/10 {
			return 0, "an integer beyond 64 bits"
		}
		v = v*10 + d
	}
	switch {
	case i == len(data):
		return 0, "the input ends within an integer"
	case i == first:
		return 0, "an integer without digits"
	case data[first] == '0' && i > first+1:
		return 0, "an integer with a leading zero"
	case data[first] == '0' && negative:
		return 0, "an integer of minus zero"
	}
	return i + 1, ""
}

// whole checks that nothing but what the mode allows follows the value of n
// bytes at the beginning of data.
func whole(data []byte, n int, m mode) error {
	rest := data[n:]
	if len(rest) == 0 || m == tolerant && (string(rest) == "\n" || string(rest) == "\r\n") {
		return nil
	}
	return &SyntaxError{n, "bytes behind the value"}
}
