package tracker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The stories in testdata/schedule, each one or more of the rules. Lines with >
// are what is expected.
func TestT2_StartedFirstThenNoEvent(t *testing.T)      { stories(t, "t2-*", 1) }
func TestT3_CompletedOnceUntilAnswered(t *testing.T)   { stories(t, "t3-*", 4) }
func TestT4_StoppedWhereKnown(t *testing.T)            { stories(t, "t4-*", 1) }
func TestT5_EachResumeIsASession(t *testing.T)         { stories(t, "t5-*", 1) }
func TestT7_Intervals(t *testing.T)                    { stories(t, "t7-*", 3) }
func TestT15_TiersInOrder(t *testing.T)                { stories(t, "t15-*", 4) }
func TestT17_EachFamilyByItself(t *testing.T)          { stories(t, "t17-*", 4) }
func TestT18_OneTrackerAtATime(t *testing.T)           { stories(t, "t18-*", 4) }
func TestT30_UnsupportedTrackersAreShown(t *testing.T) { stories(t, "t30-*", 2) }
func TestT31_CompleteAtStart(t *testing.T)             { stories(t, "t31-*", 1) }
func TestRT9_AHangGivesWay(t *testing.T)               { stories(t, "rt9-*", 2) }
func TestRT16_AllDeadThenOneComesBack(t *testing.T)    { stories(t, "rt16-*", 1) }
func TestRT17_StopWhileTheAnnounceHangs(t *testing.T)  { stories(t, "rt17-*", 1) }

// The last piece is written when the session is over already: the next one tells
// of the completion, once, to who was told of the download.
func TestT3_CompletedBehindStop(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a/"}}})
	tell := func(want Event) {
		t.Helper()
		due, ok, _ := s.Next(now)
		require.True(t, ok, "want %v", want)
		require.Equal(t, want, due.Event)
		s.Done(due, now, &Response{}, nil)
	}
	s.Start(now, false)
	tell(Started)
	s.Stop(now)
	s.Complete(now)
	tell(Stopped)
	s.Start(now, true)
	tell(Started)
	tell(Completed)
	s.Stop(now)
	tell(Stopped)
	s.Start(now, true)
	tell(Started)
	_, ok, _ := s.Next(now)
	require.False(t, ok)
}

// Whoever counts us since an earlier session is told Stopped, even if there was
// no time to tell it anything in the last one.
func TestT4_StoppedAcrossSessions(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, answered := range map[string]bool{"answered in time": true, "answered late": false} {
		s := NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a/"}}})
		s.Start(now, false)
		due, _, _ := s.Next(now)
		if answered {
			s.Done(due, now, &Response{}, nil)
		}
		for range 2 {
			s.Stop(now)
			s.Start(now, false)
		}
		s.Stop(now)
		if !answered {
			_, ok, _ := s.Next(now)
			require.False(t, ok, name)
			require.Zero(t, s.Done(due, now, &Response{}, nil), name)
		}
		due, ok, _ := s.Next(now)
		require.True(t, ok, name)
		require.Equal(t, Stopped, due.Event, name)
		s.Done(due, now, &Response{}, nil)
		_, ok, _ = s.Next(now)
		require.False(t, ok, "once")
	}
}

// Started waits for the farewell of the session before.
func TestT5_StartedBehindStopped(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a/"}}})
	s.Start(now, false)
	due, _, _ := s.Next(now)
	s.Done(due, now, &Response{}, nil)
	s.Stop(now)
	farewell, ok, _ := s.Next(now)
	require.True(t, ok)
	s.Start(now, false)
	_, ok, wake := s.Next(now)
	require.False(t, ok, "two announces to one tracker at once")
	require.Zero(t, wake, "until the farewell has ended")
	s.Done(farewell, now, &Response{}, nil)
	due, ok, _ = s.Next(now)
	require.True(t, ok)
	require.Equal(t, Started, due.Event)
}

func TestRT16_Backoff(t *testing.T) {
	s := NewSchedule(ScheduleConfig{})
	for fails, want := range map[int32]time.Duration{
		0: 30 * time.Second, 1: time.Minute, 6: 32 * time.Minute, 7: time.Hour, 8: time.Hour, 1 << 30: time.Hour,
	} {
		require.Equal(t, want, s.backoff(fails))
	}
	s.rnd = rand.New(rand.NewPCG(1, 2))
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := s.backoff(1)
		low, high = min(low, d), max(high, d)
	}
	require.GreaterOrEqual(t, low, 45*time.Second)
	require.Less(t, low, 46*time.Second)
	require.LessOrEqual(t, high, 75*time.Second)
	require.Greater(t, high, 74*time.Second)
}

// A day with a tracker that asks for absurd intervals: as the transports read
// them, and as they are if somebody hands them in unread.
func TestRT2_AnnouncesInADay(t *testing.T) {
	const day = 24 * 60
	for name, test := range map[string]struct {
		answer string
		want   int // announces from 0:00 to 23:59:59
	}{
		"zero":                   {"d8:intervali0e5:peers0:e", day},
		"negative":               {"d8:intervali-1e5:peers0:e", day},
		"missing":                {"d5:peers0:e", 2 * 24},
		"2^62":                   {"d8:intervali4611686018427387904e5:peers0:e", 1},
		"minimum above it":       {"d8:intervali60e12:min intervali7200e5:peers0:e", 12},
		"minimum of 2^62":        {"d8:intervali60e12:min intervali4611686018427387904e5:peers0:e", 1},
		"negative minimum":       {"d8:intervali600e12:min intervali-5e5:peers0:e", 6 * 24},
		"two hours, no minimum":  {"d8:intervali7200e5:peers0:e", 12},
		"half an hour, as usual": {"d8:intervali1800e5:peers0:e", 2 * 24},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := parseAnnounce([]byte(test.answer), minInterval)
			require.NoError(t, err)
			require.Equal(t, test.want, announcesInADay(t, resp))
		})
	}
	require.Equal(t, 1, announcesInADay(t, Response{Interval: 1<<63 - 1, MinInterval: 1<<63 - 1}))
	require.Equal(t, 2*24, announcesInADay(t, Response{Interval: -1, MinInterval: -1 << 63}))
}

func announcesInADay(t *testing.T, resp Response) (n int) {
	now := time.Unix(1_000_000, 0)
	end := now.Add(24 * time.Hour)
	s := NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a/"}}})
	s.Start(now, false)
	for now.Before(end) {
		due, ok, wake := s.Next(now)
		if !ok {
			require.True(t, wake.After(now))
			now = wake
			continue
		}
		n++
		s.Done(due, now, &resp, nil)
	}
	return n
}

// Every kind of URL that is of no use to us has a row, and is never tried.
func TestT30_UnsupportedKinds(t *testing.T) {
	long := "http://h/" + strings.Repeat("x", maxURL)
	s := NewSchedule(ScheduleConfig{
		Trackers: [][]string{{"wss://h/announce", "h", "http://", long, "http://[::1]/a", "http://127.0.0.1/a"}},
		Families: []Family{IPv4},
	})
	now := time.Unix(1, 0)
	s.Start(now, false)
	due, ok, _ := s.Next(now)
	require.True(t, ok)
	require.Equal(t, "http://127.0.0.1/a", due.URL)
	require.Equal(t, IPv4, due.Family)
	s.Done(due, now, nil, ErrMalformed)
	_, ok, _ = s.Next(now)
	require.False(t, ok)
	var errs []string
	for _, st := range s.Status()[:5] {
		require.True(t, st.Unsupported && st.Retired, st.URL)
		require.Len(t, st.Endpoints, 1)
		require.True(t, st.Endpoints[0].Unsupported)
		require.Equal(t, st.Err, st.Endpoints[0].Err)
		errs = append(errs, st.Err)
	}
	require.Equal(t, []string{
		"tracker scheme wss is not supported",
		"tracker URL without a scheme is not supported",
		"bad announce URL: no host",
		"bad announce URL: longer than 4096 bytes",
		"tracker is at an IPv6 address, which we do not use",
	}, errs)
	require.False(t, s.Status()[5].Unsupported)
}

// The endpoints of a tracker that is given as an address.
func TestT17_EndpointsOfAnAddress(t *testing.T) {
	for _, test := range []struct {
		url  string
		has  []Family
		want []Family
	}{
		{"http://h/", nil, []Family{AnyFamily}},
		{"http://1.2.3.4/", nil, []Family{AnyFamily}},
		{"http://[::1]/", []Family{IPv6, AnyFamily}, []Family{AnyFamily}},
		{"http://h/", []Family{IPv6, IPv4, IPv6, 77}, []Family{IPv4, IPv6}},
		{"http://1.2.3.4/", []Family{IPv4, IPv6}, []Family{IPv4}},
		{"udp://[2001:db8::1]:80/", []Family{IPv4, IPv6}, []Family{IPv6}},
		{"udp://[::ffff:1.2.3.4]:80/", []Family{IPv4, IPv6}, []Family{IPv4}},
		{"http://[fe80::1%25eth0]/", []Family{IPv4, IPv6}, []Family{IPv6}},
	} {
		s := NewSchedule(ScheduleConfig{Trackers: [][]string{{test.url}}, Families: test.has})
		now := time.Unix(1, 0)
		var before, asked, after []Family
		for _, ep := range s.Status()[0].Endpoints {
			before = append(before, ep.Family)
		}
		s.Start(now, false)
		for due, ok, _ := s.Next(now); ok; due, ok, _ = s.Next(now) {
			asked = append(asked, due.Family)
		}
		for _, ep := range s.Status()[0].Endpoints {
			after = append(after, ep.Family)
		}
		require.Equal(t, test.want, asked, test.url)
		require.Equal(t, test.want, before, test.url)
		require.Equal(t, test.want, after, test.url)
	}
}

// The counts shown are the newest ones; what they lack is filled in. Families of
// one tracker may have swarms of their own: the larger one is shown.
func TestT13_ScrapedCounts(t *testing.T) {
	now := time.Unix(1, 0)
	s := NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a"}}, Families: []Family{IPv4, IPv6}})
	shown := func() []int {
		st := s.Status()[0]
		return []int{st.Seeders, st.Leechers, st.Downloaded}
	}
	require.Equal(t, []int{-1, -1, -1}, shown())
	s.Scraped("http://a", 7, -5, math.MaxInt)
	require.Equal(t, []int{7, -1, math.MaxInt32}, shown())
	s.Scraped("http://a", 7, 8, 9)
	s.Start(now, false)
	for i, f := range []Family{IPv4, IPv6} {
		due, ok, _ := s.Next(now)
		require.True(t, ok)
		require.Equal(t, f, due.Family)
		s.Done(due, now, &Response{Complete: 1 + i, Incomplete: 6 - i, Downloaded: -1}, nil)
	}
	require.Equal(t, []int{2, 6, 9}, shown())
	require.Equal(t, 1, s.Status()[0].Endpoints[0].Seeders)
	s.Scraped("http://a", -1, 3, 4)
	require.Equal(t, []int{2, 3, 4}, shown())
}

// Calls at the wrong time, or twice.
func TestScheduleMisuse(t *testing.T) {
	now := time.Unix(1, 0)
	s := NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a"}}})
	s.Complete(now)
	s.Stop(now)
	s.Force(now)
	s.Scraped("http://b", 1, 2, 3)
	require.Zero(t, s.Done(Due{}, now, nil, nil))
	_, ok, wake := s.Next(now)
	require.False(t, ok)
	require.True(t, wake.IsZero())
	s.Start(now, false)
	s.Start(now, true)
	due, ok, _ := s.Next(now)
	require.True(t, ok)
	s.Done(due, now, nil, nil) // neither an answer nor an error
	s.Done(due, now, &Response{}, nil)
	require.Equal(t, 1, s.Status()[0].Fails)
	require.False(t, s.Status()[0].Started)

	// A clock that goes back, and one that stood at nothing.
	_, ok, _ = s.Next(now)
	require.False(t, ok)
	s.Force(now.Add(-time.Hour))
	_, ok, _ = s.Next(now.Add(-time.Hour))
	require.True(t, ok)
	s = NewSchedule(ScheduleConfig{Trackers: [][]string{{"http://a"}}})
	s.Start(time.Time{}, false)
	due, ok, _ = s.Next(time.Time{})
	require.True(t, ok)
	s.Done(due, time.Time{}, &Response{}, nil)
}

// What a schedule costs that has been told Started and waits for its interval.
func TestScheduleIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(entry{}), uintptr(64))
	require.LessOrEqual(t, unsafe.Sizeof(endpoint{}), uintptr(160))
	require.LessOrEqual(t, unsafe.Sizeof(Schedule{}), uintptr(144))
	s, now := idleSchedule(5)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, ok, wake := s.Next(now); ok || wake.IsZero() {
			t.Fatal("it is idle")
		}
	}))
}

// idleSchedule is one of a seeding torrent with n trackers, the first of which
// has answered.
func idleSchedule(n int) (*Schedule, time.Time) {
	var tiers [][]string
	for i := range n {
		tiers = append(tiers, []string{fmt.Sprintf("http://tracker%d.example:6969/announce", i)})
	}
	now := time.Unix(1_000_000, 0)
	s := NewSchedule(ScheduleConfig{Trackers: tiers, Families: []Family{IPv4, IPv6}})
	s.Start(now, true)
	for due, ok, _ := s.Next(now); ok; due, ok, _ = s.Next(now) {
		s.Done(due, now, &Response{Interval: time.Hour}, nil)
	}
	return s, now
}

func BenchmarkScheduleNext(b *testing.B) {
	for _, n := range []int{1, 5, 512} {
		b.Run(fmt.Sprintf("idle/trackers=%d", n), func(b *testing.B) {
			s, now := idleSchedule(n)
			b.ReportAllocs()
			for b.Loop() {
				s.Next(now)
			}
		})
	}
	b.Run("announce/trackers=5", func(b *testing.B) {
		s, now := idleSchedule(5)
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Hour)
			for due, ok, _ := s.Next(now); ok; due, ok, _ = s.Next(now) {
				s.Done(due, now, &Response{Interval: time.Hour}, nil)
			}
		}
	})
}

// BenchmarkScheduleMemory makes the schedules of idle torrents; B/op is what one
// takes, with what its making leaves behind as garbage.
func BenchmarkScheduleMemory(b *testing.B) {
	for _, n := range []int{1, 5} {
		b.Run(fmt.Sprintf("trackers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				idleSchedule(n)
			}
		})
	}
}
