// Package simnet is a network in memory, for tests alone: hosts with addresses, TCP-like listeners and connections,
// UDP-like sockets, with latency, bandwidth and loss. It never touches a real socket.
//
// It is made for bubbles of testing/synctest: everything that waits does so on channels and timers, so the bubble's
// clock jumps, and a swarm that takes minutes is over in milliseconds. Make the [Net] inside the bubble that uses it.
// It works outside of bubbles as well, in real time. There is no goroutine in this package: data are stamped with the
// time of their arrival when they are written, and the reader waits for that time.
//
//	n := simnet.New(simnet.Options{})
//	a, b := n.Host(netip.MustParseAddr("10.0.0.1")), n.Host(netip.MustParseAddr("10.0.0.2"))
//	a.SetLink(simnet.Link{Latency: 20 * time.Millisecond, Up: 1 << 20})
//	l, err := b.Listen("tcp", ":6881")
//	c, err := a.DialContext(ctx, "tcp", "10.0.0.2:6881")
//
// [Host.Listen], [Host.ListenPacket] and [Host.DialContext] have the shapes of their namesakes in package net, and
// fit where a client takes a dialer and a listener. All of it is safe for concurrent use.
//
// How it differs from TCP: a segment is never lost or reordered, there is no slow start, the receiver's window is
// fixed and is opened again as soon as the reader has read, and closing with unread data sends no reset. Writes to a
// peer that has closed succeed until the news has arrived, and fail with ECONNRESET from then on. Addresses are
// literal; there are no names.
package simnet
