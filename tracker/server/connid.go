package server

import (
	"crypto/cipher"
	"encoding/binary"
	"net/netip"
)

// idWindow is how many seconds connection ids stay the same. One is accepted in
// its window and the next: for two to four minutes (BEP 15 asks for two).
const idWindow = 120

// connIDs makes and checks connection ids. They are stateless: a keyed function
// of the address and the time, so that only who receives at an address can have
// the address's id. The port is not in it, as some routers change it between two
// packets. Not safe for concurrent use.
type connIDs struct {
	block cipher.Block
	ip    [16]byte // enciphered
	id    [16]byte
}

// begin makes an address the one that the other methods are about.
func (c *connIDs) begin(ip netip.Addr) {
	c.ip = ip.As16()
	c.block.Encrypt(c.ip[:], c.ip[:])
}

// at returns the id for a window: a CBC-MAC of two blocks, the address and the
// window. All messages are of one length, as CBC-MAC wants it.
func (c *connIDs) at(window uint32) uint64 {
	c.id = c.ip
	w := binary.BigEndian.Uint32(c.id[:]) ^ window
	binary.BigEndian.PutUint32(c.id[:], w)
	c.block.Encrypt(c.id[:], c.id[:])
	return binary.BigEndian.Uint64(c.id[:])
}

func (c *connIDs) give(ip netip.Addr, now uint32) uint64 {
	c.begin(ip)
	return c.at(now / idWindow)
}

func (c *connIDs) valid(ip netip.Addr, now uint32, id uint64) bool {
	c.begin(ip)
	window := now / idWindow
	return c.at(window) == id || window > 0 && c.at(window-1) == id
}
