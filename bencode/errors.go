package bencode

import (
	"fmt"
	"strings"
)

// A SyntaxError says where the input stops being what bencoding (or, in strict
// mode, its canonical form) allows.
type SyntaxError struct {
	Offset int    // index of the byte at fault
	Reason string // what is wrong there
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("bencode: byte %d: %s", e.Offset, e.Reason)
}

// A TypeError says that a value, though well formed, does not fit the Go type
// it was to be read into, or that a Go value cannot be written.
type TypeError struct {
	Offset int    // index of the value in the input; 0 when encoding
	Type   string // the Go type
	Value  string // the value, described: "integer 300", "list", ...
	Err    error  // the cause, if there is another one; may be nil
}

func (e *TypeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bencode: %s does not fit %s", e.Value, e.Type)
	if e.Offset > 0 {
		fmt.Fprintf(&b, " (byte %d)", e.Offset)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause, which may be nil.
func (e *TypeError) Unwrap() error { return e.Err }
