package tracker

import "time"

// instant is a time: nanoseconds since the first that a schedule was told of,
// plus one. Zero is never.
type instant int64

// epoch is the time that instants count from: the first that it is asked about.
type epoch time.Time

func (e *epoch) at(now time.Time) instant {
	base := time.Time(*e)
	if base.IsZero() {
		base = now
		*e = epoch(now)
	}
	return instant(max(now.Sub(base), 0)) + 1
}

func (e *epoch) when(at instant) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Time(*e).Add(time.Duration(at - 1))
}

// earliest returns the earlier instant; zero stands for never.
func earliest(a, b instant) instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
