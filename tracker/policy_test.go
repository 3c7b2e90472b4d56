package tracker

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRT11_DefaultPolicy(t *testing.T) {
	for _, test := range []struct {
		url, addr string
		want      error
	}{
		{"http://h.example/x", "", nil},
		{"http://h.example/x", "1.2.3.4", nil},
		{"http://h.example/x", "192.168.1.1", nil},
		{"http://h.example/x", "fd00::1", nil},
		{"http://h.example/x", "2a00::1", nil},
		// Local ones: only what trackers are asked for.
		{"http://h.example/x", "127.0.0.1", errLocalPath},
		{"http://h.example/x", "127.9.9.9", errLocalPath},
		{"https://h.example/x", "::1", errLocalPath},
		{"http://h.example/x", "::ffff:127.0.0.1", errLocalPath},
		{"http://h.example/x", "64:ff9b::7f00:1", errLocalPath},
		{"http://h.example/x", "2002:7f00:1::1", errLocalPath},
		{"http://h.example/x", "169.254.169.254", errLocalPath},
		{"http://h.example/x", "fe80::1", errLocalPath},
		{"http://h.example/x", "fe80::1%eth0", errLocalPath},
		{"http://127.0.0.1/x", "", errLocalPath},
		{"http://localhost/x", "", errLocalPath},
		{"http://LocalHost./x", "", errLocalPath},
		{"http://a.localhost/x", "", errLocalPath},
		{"http://127.0.0.1", "", errLocalPath},
		{"http://127.0.0.1/announce", "", nil},
		{"http://127.0.0.1/announce.php?x", "", nil},
		{"http://127.0.0.1/announce/passkey", "", nil},
		{"http://127.0.0.1/scrape?x", "", nil},
		{"http://127.0.0.1/x/announce", "", errLocalPath},
		{"http://127.0.0.1/x?/announce", "", errLocalPath},
		{"http://127.0.0.1//announce", "", errLocalPath},
		{"http://127.0.0.1/%61nnounce", "", errLocalPath},
		{"http://127.0.0.1/announce/../x", "", errLocalPath},
		{"http://127.0.0.1/announce/%2e%2e/x", "", errLocalPath},
		{"http://127.0.0.1/announce%2f..%2fx", "", errLocalPath},
		{"http://127.0.0.1/announce/..;a/x", "", errLocalPath},
		{"http://127.0.0.1/announce/%252e%252e/x", "", errLocalPath},
		{"http://127.0.0.1/announce\\..\\x", "", errLocalPath},
		{"udp://h.example:1/x", "127.0.0.1", nil},
		{"udp://h.example:1/x", "169.254.1.1", nil},
		// Nobody's.
		{"http://h.example/announce", "0.0.0.0", errNoHost},
		{"http://h.example/announce", "::", errNoHost},
		{"udp://h.example:1", "224.0.0.1", errNoHost},
		{"udp://h.example:1", "ff02::1", errNoHost},
		{"udp://h.example:1", "255.255.255.255", errNoHost},
		{"udp://h.example:1", "::ffff:255.255.255.255", errNoHost},
		{"http://0.0.0.0/announce", "", errNoHost},
		// RT12: look-alikes.
		{"http://h\u00e9.example/announce", "", errLookAlike},
		{"http://h%C3%A9.example/announce", "", errLookAlike},
		{"http://xn--h-bga.example/announce", "1.2.3.4", errLookAlike},
		{"udp://a.XN--p1ai:1", "1.2.3.4", errLookAlike},
		{"http://axn--b.example/announce", "1.2.3.4", nil},
	} {
		u, err := url.Parse(test.url)
		require.NoError(t, err)
		h := Hop{URL: u}
		if test.addr != "" {
			h.Addr = netip.MustParseAddr(test.addr)
		}
		require.Equal(t, test.want, DefaultPolicy(h), "%s %s", test.url, test.addr)
	}
}

func TestRT12_LookAlikes(t *testing.T) {
	sent := false
	c := udpClient(func(to string, packet []byte) []datagram { sent = true; return obliging(to, packet) })
	for _, where := range []string{"http://h\u00e9.example/announce", "udp://xn--four:6969"} {
		_, err := c.Announce(t.Context(), where, Request{})
		require.ErrorAs(t, err, new(*PolicyError))
		require.ErrorIs(t, err, errLookAlike)
	}
	require.False(t, sent)
	// It is a default: who wants them can have them.
	c = answering(200, "d8:intervali60ee")
	c.Policy = anywhere
	_, err := c.Announce(t.Context(), "http://xn--h-bga.example/announce", Request{})
	require.NoError(t, err)
}

func TestReach(t *testing.T) {
	for a, want := range map[string]reach{
		"1.1.1.1": reachPublic, "2606:4700::1111": reachPublic, "64:ff9b::101:101": reachPublic, "2002:101:101::": reachPublic,
		"10.1.1.1": reachInternal, "172.16.0.1": reachInternal, "192.168.0.1": reachInternal, "100.64.0.1": reachInternal,
		"192.0.2.1": reachInternal, "0.1.2.3": reachInternal, "240.0.0.1": reachInternal, "fc00::1": reachInternal, "fec0::1": reachInternal,
		"::1.2.3.4": reachInternal, "64:ff9b::a01:101": reachInternal,
		"127.0.0.1": reachLocal, "::1": reachLocal, "169.254.0.1": reachLocal, "fe80::1": reachLocal,
		"0.0.0.0": reachNobody, "::": reachNobody, "239.1.1.1": reachNobody, "ff0e::1": reachNobody,
	} {
		require.Equal(t, want, reachOf(netip.MustParseAddr(a)), a)
	}
	require.Equal(t, reachPublic, reachOf(netip.Addr{}))
}
