package bencode

// A RawMessage is one bencoded value kept as the bytes it came in, such as an
// info dictionary, whose hash covers exactly these bytes. It is copied out of
// the input and must be a valid value when it is encoded.
type RawMessage []byte

// MarshalBencode returns r itself. [Marshal] checks that it is a valid value.
func (r RawMessage) MarshalBencode() ([]byte, error) {
	if len(r) == 0 {
		return nil, &TypeError{Type: "bencode.RawMessage", Value: "an empty RawMessage"}
	}
	return r, nil
}

// UnmarshalBencode sets *r to a copy of b.
func (r *RawMessage) UnmarshalBencode(b []byte) error {
	*r = append((*r)[:0:0], b...)
	return nil
}
