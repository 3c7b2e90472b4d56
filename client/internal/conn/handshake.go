package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/seed1734be99/starling/peerwire"
)

// HandshakeTimeout bounds a whole handshake (RW3).
const HandshakeTimeout = 10 * time.Second

// Errors of a handshake.
var (
	ErrSelf        = errors.New("connected to ourselves")
	ErrUnknown     = errors.New("unknown torrent")
	ErrOtherPeerID = errors.New("the peer is not the one that the tracker named") // W18
)

// Dialer is how connections are made; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects and makes the handshake: ours, then theirs is awaited before
// anything else is sent (RW30). With want not nil the other peer id must be it
// (W18).
func Dial(ctx context.Context, d Dialer, address string, ours peerwire.Handshake, want *[20]byte) (net.Conn, peerwire.Handshake, error) {
	var theirs peerwire.Handshake
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, theirs, err
	}
	theirs, err = dialed(ctx, nc, ours)
	switch {
	case err != nil:
	case theirs.InfoHash != ours.InfoHash:
		err = ErrUnknown
	case theirs.PeerID == ours.PeerID:
		err = ErrSelf
	case want != nil && theirs.PeerID != *want:
		err = ErrOtherPeerID
	}
	if err != nil {
		nc.Close()
		return nil, theirs, err
	}
	return nc, theirs, nil
}

func dialed(ctx context.Context, nc net.Conn, ours peerwire.Handshake) (peerwire.Handshake, error) {
	stop := bound(ctx, nc)
	defer stop()
	var b [peerwire.HandshakeLen]byte
	if _, err := nc.Write(ours.Append(b[:0])); err != nil {
		return peerwire.Handshake{}, fmt.Errorf("handshake: %w", err)
	}
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		return peerwire.Handshake{}, fmt.Errorf("handshake: %w", err)
	}
	return peerwire.ParseHandshake(b[:])
}

// Accept makes the handshake on a connection that came in. lookup answers for
// the torrent asked for; nothing is sent for an unknown one (RW2). We answer
// as soon as 48 bytes are there (W8): a tracker that checks for NAT sends no
// more. On error the connection is closed.
func Accept(ctx context.Context, nc net.Conn, lookup func(infohash [20]byte) (peerwire.Handshake, bool)) (theirs, ours peerwire.Handshake, err error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	stop := bound(ctx, nc)
	defer stop()
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	var b [peerwire.HandshakeLen]byte
	if _, err = io.ReadFull(nc, b[:peerwire.HandshakeHead]); err != nil {
		return theirs, ours, fmt.Errorf("handshake: %w", err)
	}
	if err = theirs.ParseHead(b[:peerwire.HandshakeHead]); err != nil {
		return theirs, ours, err
	}
	ours, ok := lookup(theirs.InfoHash)
	if !ok {
		return theirs, ours, ErrUnknown
	}
	if _, err = nc.Write(ours.Append(nil)); err != nil {
		return theirs, ours, fmt.Errorf("handshake: %w", err)
	}
	if _, err = io.ReadFull(nc, b[peerwire.HandshakeHead:]); err != nil {
		return theirs, ours, fmt.Errorf("handshake: %w", err)
	}
	copy(theirs.PeerID[:], b[peerwire.HandshakeHead:])
	if theirs.PeerID == ours.PeerID {
		return theirs, ours, ErrSelf
	}
	return theirs, ours, nil
}

// bound gives nc the deadline of ctx, and makes its end interrupt nc. The
// function that it returns takes both back.
func bound(ctx context.Context, nc net.Conn) (stop func()) {
	if t, ok := ctx.Deadline(); ok {
		nc.SetDeadline(t)
	}
	cancel := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if cancel() {
			nc.SetDeadline(time.Time{})
		}
	}
}
