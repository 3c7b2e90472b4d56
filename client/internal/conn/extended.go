package conn

import (
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

// extended handles an extended message (BEP 10): parsed here, outside of the
// lock.
func (c *Conn) extended(id uint8, payload []byte) error {
	var eff swarm.Effects
	switch id {
	case peerwire.ExtHandshakeID:
		if err := c.ext.Update(payload); err != nil {
			return err
		}
		if c.ext.P > 0 && !c.listens && c.t.Listens != nil {
			c.listens = true
			c.t.Listens(c, c.ext.P)
		}
		c.t.Swarm.ExtHandshake(c.id, c.ext, time.Now(), &eff)
	case LocalMetadata:
		m, err := peerwire.ParseMetadataMsg(payload)
		if err != nil {
			return err
		}
		c.t.Swarm.Metadata(c.id, m, time.Now(), &eff)
	default:
		if c.t.Extended != nil {
			c.t.Extended(c, id, payload)
		}
		return nil
	}
	c.t.Carry(&eff, c)
	return nil
}
