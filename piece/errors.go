package piece

import "errors"

// ErrBitfield is found by errors.Is in what [FromWire] returns.
var ErrBitfield = errors.New("piece: bad bitfield")
