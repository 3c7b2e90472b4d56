package peerwire

// ProtocolError says that the other side broke the protocol. The connection it
// came from should be closed; the torrent and the other peers are not at fault.
// Found with errors.As.
type ProtocolError struct {
	ID     ID     // the message at fault; MsgHandshake for the handshake
	Reason string // bounded and printable, whatever the peer sent
	Err    error  // what lay behind it, such as a *bencode.SyntaxError; may be nil
}

// Error implements error.
func (e *ProtocolError) Error() string {
	s := "peerwire: " + e.ID.String() + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *ProtocolError) Unwrap() error { return e.Err }
