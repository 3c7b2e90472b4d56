package tracker

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// RT1: any bytes as the body of an announce's answer.
func FuzzRT1_HTTPResponse(f *testing.F) {
	id := strings.Repeat("i", 20)
	for _, seed := range []string{
		"d8:intervali1800e5:peersld2:ip9:127.0.0.17:peer id20:" + id + "4:porti6881eeee",
		"d8:completei1e10:incompletei2e8:intervali1800e12:min intervali60e5:peers6:abcdef6:peers618:abcdefghijklmnopqr10:tracker id1:x15:warning message1:ye",
		"d14:failure reason3:abc8:retry in5:nevere", "d7:failure1:x8:retry ini5ee", "de", "", "d8:interval4:1800e\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseAnnounce(body, minInterval)
		if err != nil {
			requireShort(t, err.Error())
			return
		}
		requireBounded(t, r)
	})
}

// RT1: any bytes as the body of a scrape's answer.
func FuzzRT1_ScrapeResponse(f *testing.F) {
	x := strings.Repeat("x", 20)
	for _, seed := range []string{
		"d5:filesd20:" + x + "d8:completei11e10:downloadedi13772e11:downloadersi3e10:incompletei19e4:name3:abceee",
		"d5:filesd20:" + x + "i5e2:yydeee", "d5:filesde5:flagsd20:min_request_intervali60eee", "d14:failure reason1:xe", "d5:filesle", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, asked := range [][][20]byte{nil, {[20]byte([]byte(x)), {}}} {
			r := ScrapeResponse{Files: make(map[[20]byte]ScrapeFile)}
			if err := parseScrape(body, asked, minInterval, &r); err != nil {
				requireShort(t, err.Error())
				continue
			}
			requireScrapeBounded(t, r)
		}
	})
}

// RT1: any datagram is ignored, or ends the exchange cleanly.
func FuzzRT1_UDPResponse(f *testing.F) {
	packet := make([]byte, 16)
	for _, seed := range []string{
		connectAnswer, announceAnswer, "00000002 T 00000001 00000002 00000003", "00000003 T 616263", "00000001 T", "",
	} {
		f.Add(reply(packet, seed), true)
		f.Add(reply(packet, seed), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, ours bool) {
		if len(b) >= announceRespLen {
			requireBounded(t, parseUDPAnnounce(b, ours, minInterval))
		}
		requireShort(t, udpFailure(b).Error())
		// The whole exchange: the bytes, with the right transaction id or as they
		// are, before each answer and instead of the last.
		for _, scrape := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			sent := 0
			c := udpClient(func(to string, packet []byte) []datagram {
				if sent++; sent > 1 {
					defer cancel() // nothing more will come
				}
				answer := append([]byte{}, b...)
				if ours && len(answer) >= answerLen {
					copy(answer[4:], packet[12:16])
				}
				if sent == 1 {
					return append([]datagram{{to, answer}}, obliging(to, packet)...)
				}
				return []datagram{{to, answer}}
			})
			if scrape {
				got, err := c.Scrape(ctx, "udp://192.0.2.1:6969", goldenHash, hashOf("x"))
				if err == nil {
					requireScrapeBounded(t, got)
				} else {
					requireShort(t, err.Error())
				}
			} else {
				got, err := c.Announce(ctx, "udp://192.0.2.1:6969", Request{})
				if err == nil {
					requireBounded(t, got)
				} else {
					requireShort(t, err.Error())
				}
			}
			cancel()
			require.Nil(t, c.udp.sockets[0])
			require.Zero(t, c.udp.active)
		}
	})
}
