package client

import (
	"github.com/seed1734be99/starling/client/internal/conn"
	"github.com/seed1734be99/starling/peerwire"
)

// extension is a kind of message behind BEP 10's handshake. receive is called
// by the connection's reader, one message at a time for each peer; payload is
// valid during the call. nil: the connection handles it itself.
type extension struct {
	name    string
	receive func(t *Torrent, c *conn.Conn, payload []byte)
	private bool // spoken in private torrents too (BEP 27)
}

// extensions are all that we speak. The place in the list, plus one, is the
// number that peers are told to use.
var extensions = [...]extension{
	conn.LocalMetadata - 1: {name: peerwire.ExtMetadata, private: true},
}

// offer is what the extended handshake says of our extensions.
func (p *peering) offer() map[string]uint8 {
	info := p.t.Info()
	m := make(map[string]uint8, len(extensions))
	for i, e := range extensions {
		if e.private || info == nil || !info.Private {
			m[e.name] = uint8(i + 1)
		}
	}
	return m
}

// extended hands a message to its extension. Numbers that we never gave out
// are ignored (RX2).
func (p *peering) extended(c *conn.Conn, id uint8, payload []byte) {
	if i := int(id) - 1; i >= 0 && i < len(extensions) && extensions[i].receive != nil {
		extensions[i].receive(p.t, c, payload)
	}
}
