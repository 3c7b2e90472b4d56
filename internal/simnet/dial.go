package simnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// DialContext connects to a listener, which takes one way there and back. The network is tcp, tcp4 or tcp6, the
// address literal. Errors are *net.OpError, as from net.Dialer: ECONNREFUSED when the host does not listen there,
// ETIMEDOUT (after Options.ConnectTimeout) when there is no such host, the context's error when that ends first.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	c, err := h.dial(ctx, network, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return c, nil
}

func (h *Host) dial(ctx context.Context, network string, to netip.AddrPort) (*conn, error) {
	if err := checkFamily(network, "tcp", to.Addr()); err != nil {
		return nil, err
	}
	server := h.net.lookup(to.Addr())
	if server == nil {
		if err := sleep(ctx, h.net.opts.ConnectTimeout); err != nil {
			return nil, err
		}
		return nil, os.NewSyscallError("connect", syscall.ETIMEDOUT)
	}
	begin := time.Now()
	delay := way(h, server)
	l := server.listenerAt(to.Port())
	if l == nil {
		return nil, refused(ctx, 2*delay)
	}
	h.mu.Lock()
	from := h.portLocked()
	h.mu.Unlock()
	if from == 0 {
		return nil, os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)
	}
	client, accepted := newConns(h.net, h, server, from, to.Port())
	if !l.enqueue(ctx, accepted, begin.Add(delay)) {
		client.Close()
		accepted.Close()
		return nil, refused(ctx, time.Until(begin.Add(2*delay)))
	}
	if err := sleep(ctx, time.Until(begin.Add(2*delay))); err != nil {
		client.reset()
		client.Close()
		return nil, err
	}
	return client, nil
}

// refused is the error of a dial that nobody answers, when the refusal has come back.
func refused(ctx context.Context, after time.Duration) error {
	if err := sleep(ctx, after); err != nil {
		return err
	}
	return os.NewSyscallError("connect", syscall.ECONNREFUSED)
}

// sleep returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	pause(time.Now().Add(d), nil, ctx.Done())
	return ctx.Err()
}
