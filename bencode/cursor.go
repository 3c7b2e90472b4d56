package bencode

// A Kind is one of the four kinds of values.
type Kind uint8

// None is what a Cursor says at the end of a list, a dictionary or the input.
const (
	None Kind = iota
	Int
	String
	List
	Dict
)

var kindNames = [...]string{"nothing", "integer", "string", "list", "dictionary"}

// String returns the name of k.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// A Cursor walks over a value in place, without allocating:
//
//	c, err := bencode.NewCursor(data)
//	if c.Enter(bencode.Dict) {
//		for c.More() {
//			key, _ := c.Bytes()
//			switch string(key) {
//			case "length":
//				length, ok = c.Int()
//			default:
//				c.Skip()
//			}
//		}
//	}
//
// The value was scanned when the cursor was made, so that walking cannot fail:
// a method that meets a value of another kind says so and skips the value. Not
// safe for concurrent use; a copy is a cursor of its own.
type Cursor struct {
	data []byte
	pos  int
}

// NewCursor scans data, which must be exactly one canonical value, and returns
// a cursor in front of it. The cursor and what it returns alias data. The error
// is a [*SyntaxError].
func NewCursor(data []byte) (Cursor, error) { return newCursor(data, strict) }

// NewTolerantCursor is [NewCursor] for what [UnmarshalTolerant] accepts. A key
// that occurs twice is seen twice.
func NewTolerantCursor(data []byte) (Cursor, error) { return newCursor(data, tolerant) }

func newCursor(data []byte, m mode) (Cursor, error) {
	n, err := scan(data, m)
	if err == nil {
		err = whole(data, n, m)
	}
	if err != nil {
		return Cursor{}, err
	}
	return Cursor{data: data[:n]}, nil
}

// Kind returns the kind of the value the cursor stands before, or [None] at an
// end. It does not move the cursor.
func (c *Cursor) Kind() Kind {
	if c.pos >= len(c.data) {
		return None
	}
	switch b := c.data[c.pos]; {
	case '0' <= b && b <= '9':
		return String
	case b == 'i':
		return Int
	case b == 'l':
		return List
	case b == 'd':
		return Dict
	}
	return None
}

// Offset returns the index in the input of the byte the cursor stands before.
func (c *Cursor) Offset() int { return c.pos }

// Enter moves into the list or dictionary the cursor stands before. If the value
// is of another kind than k, it is skipped and Enter returns false.
func (c *Cursor) Enter(k Kind) bool {
	if (k == List || k == Dict) && c.Kind() == k {
		c.pos++
		return true
	}
	c.Skip()
	return false
}

// More reports whether the list or dictionary entered has another element. At
// its end it moves behind it and returns false. In a dictionary the next two
// values are a key, read with Bytes, and what belongs to it.
func (c *Cursor) More() bool {
	if c.pos >= len(c.data) {
		return false
	}
	if c.data[c.pos] == 'e' {
		c.pos++
		return false
	}
	return true
}

// Bytes returns the string the cursor stands before and moves behind it. The
// bytes alias the input. If the value is no string, it is skipped and Bytes
// returns false.
func (c *Cursor) Bytes() ([]byte, bool) {
	if c.Kind() != String {
		c.Skip()
		return nil, false
	}
	start := c.pos
	stop := c.skipString()
	for c.data[start] != ':' {
		start++
	}
	return c.data[start+1 : stop : stop], true
}

// Int returns the integer the cursor stands before and moves behind it. If the
// value is no integer or does not fit into 64 bits with a sign, it is skipped
// and Int returns false.
func (c *Cursor) Int() (int64, bool) {
	if c.Kind() != Int {
		c.Skip()
		return 0, false
	}
	v, negative := c.number()
	switch {
	case negative:
		return -int64(v), true // of 1<<63 it is itself
	case v > 1<<63-1:
		return 0, false
	}
	return int64(v), true
}

// number returns the magnitude and the sign of the integer the cursor stands
// before and moves behind it.
func (c *Cursor) number() (v uint64, negative bool) {
	c.pos++
	for ; c.data[c.pos] != 'e'; c.pos++ {
		if b := c.data[c.pos]; b == '-' {
			negative = true
		} else {
			v = v*10 + uint64(b-'0')
		}
	}
	c.pos++
	return v, negative
}

// Skip moves behind the value the cursor stands before and returns its bytes,
// which alias the input. At an end it returns nil.
func (c *Cursor) Skip() RawMessage {
	if c.Kind() == None {
		return nil
	}
	start := c.pos
	for depth := 0; ; {
		switch b := c.data[c.pos]; b {
		case 'i':
			for c.data[c.pos] != 'e' {
				c.pos++
			}
			c.pos++
		case 'l', 'd':
			depth++
			c.pos++
		case 'e':
			depth--
			c.pos++
		default:
			c.skipString()
		}
		if depth == 0 {
			return RawMessage(c.data[start:c.pos:c.pos])
		}
	}
}

// skipString moves behind the string the cursor stands before and returns where
// that is.
func (c *Cursor) skipString() int {
	length := 0
	for ; c.data[c.pos] != ':'; c.pos++ {
		length = length*10 + int(c.data[c.pos]-'0')
	}
	c.pos += 1 + length
	return c.pos
}
