package swarm

// Upload is a block asked of us.
type Upload struct {
	Piece, Begin, Length uint32
}

// Out is what a writer is to send: Control first, then the blocks of Run,
// which are adjacent in the torrent's address space beginning at Addr.
// The caller owns it and hands it in again.
type Out struct {
	Control []byte
	Run     []Upload
	Addr    int64
	Bytes   int   // of Run's blocks
	MaxRate int64 // bytes a second to this peer; 0: no limit of its own
}

// outbox is what waits to be sent to a peer: encoded control bytes, and
// requests of theirs. Never data.
type outbox struct {
	maxRate int64 // bytes a second that the strategy allows; 0: a fair share
	offered bool  // it was told of a piece that it does not have
	control []byte
	queue   []Upload // queue[head:] waits
	head    int
	cursor  int  // of the log of haves
	writing bool // a writer is there and will call Fill again
}

const (
	keptControl = 512      // a silent peer's outbox keeps no more than this
	mostControl = 64 << 10 // and a busy one no more than this
)

func (o *outbox) queued() int { return len(o.queue) - o.head }

// swap gives the writer what there is to be sent and takes its buffer, empty,
// for what comes next: so nothing is copied and two buffers do for ever.
func (o *outbox) swap(out *Out) {
	if len(o.control) == 0 {
		out.Control = out.Control[:0]
		return
	}
	out.Control, o.control = o.control, out.Control[:0]
}

// advance follows requests taken at the head.
func (o *outbox) advance() {
	if o.head == len(o.queue) {
		o.queue, o.head = o.queue[:0], 0
	} else if o.head > 256 && o.head > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.head:])
		o.queue, o.head = o.queue[:n], 0
	}
}

// cancel takes u out, and reports whether it was queued.
func (o *outbox) cancel(u Upload) bool {
	for i := o.head; i < len(o.queue); i++ {
		if o.queue[i] == u {
			o.queue = append(o.queue[:i], o.queue[i+1:]...)
			return true
		}
	}
	return false
}
