package metainfo

import (
	"errors"
	"fmt"
)

// The errors of this package match one of these by errors.Is.
var (
	// ErrNotTorrent: the bytes are no .torrent at all.
	ErrNotTorrent = errors.New("metainfo: not a torrent")
	// ErrInvalid: a .torrent, an info dictionary or a magnet link is malformed
	// or contradicts itself.
	ErrInvalid = errors.New("metainfo: invalid")
	// ErrTooLarge: a limit of this package is exceeded; the text names it.
	ErrTooLarge = errors.New("metainfo: too large")
	// ErrUnsupportedVersion: the torrent is of a version of the protocol that
	// is not implemented (BEP 52 without a BEP 3 part, or newer).
	ErrUnsupportedVersion = errors.New("metainfo: unsupported version of the protocol")
	// ErrUnsafeName: Build met a name that could not be kept as it is when the
	// torrent is used.
	ErrUnsafeName = errors.New("metainfo: unsafe file name")
)

// A FieldError says which key of a .torrent or of an info dictionary is at
// fault, and why. It unwraps to one of the errors above.
type FieldError struct {
	Field  string // such as "info.piece length" or "info.files[3].path"
	Reason string
	Err    error
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%v: %s: %s", e.Err, e.Field, e.Reason)
}

// Unwrap returns the kind of the fault, such as [ErrInvalid].
func (e *FieldError) Unwrap() error { return e.Err }

func invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...), Err: ErrInvalid}
}

func tooLarge(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...), Err: ErrTooLarge}
}

// quote returns the beginning of a hostile string, escaped.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%+q...", s[:most])
	}
	return fmt.Sprintf("%+q", s)
}
