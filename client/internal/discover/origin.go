package discover

// Origin says how a peer became known.
type Origin uint8

// The origins of a peer.
const (
	OriginManual Origin = iota
	OriginTracker
	OriginIncoming
	OriginDHT
	OriginPEX
	OriginLSD
	OriginMagnet
	OriginResume
)

var originNames = [...]string{"manual", "tracker", "incoming", "dht", "pex", "lsd", "magnet", "resume"}

// String returns the origin's name.
func (o Origin) String() string {
	if int(o) < len(originNames) {
		return originNames[o]
	}
	return "unknown"
}
