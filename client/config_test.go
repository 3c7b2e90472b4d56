package client_test

import (
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
)

// TestConfigNamesTheField: what contradicts itself is refused with the field's
// name, before anything is bound.
func TestConfigNamesTheField(t *testing.T) {
	for field, cfg := range map[string]client.Config{
		"MaxPeers":             {MaxPeers: -2},
		"MaxPeersPerTorrent":   {MaxPeersPerTorrent: -2},
		"MaxHandshakes":        {MaxHandshakes: -1},
		"MaxRequests":          {MaxRequests: -1},
		"UploadSlots":          {UploadSlots: -1},
		"UploadLimit":          {UploadLimit: -1},
		"DownloadLimit":        {DownloadLimit: -1},
		"Reconnect":            {Reconnect: -time.Second},
		"ReconnectRefused":     {ReconnectRefused: -time.Second},
		"Workers":              {Workers: -1},
		"Trackers.MinInterval": {Trackers: client.TrackerConfig{MinInterval: -1}},
		"Memory":               {Memory: client.MinMemory - 1},
	} {
		_, err := client.New(cfg)
		require.ErrorContains(t, err, "Config."+field+":")
	}
}

// TestW15_Listen: one port, the first free one of a range, none, and what is
// wrong with an address.
func TestW15_Listen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	last := min(port+20, 65535)
	c, err := client.New(client.Config{Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)+"-"+strconv.Itoa(last))})
	if port < last { // else the range is the taken port alone
		require.NoError(t, err)
		require.Greater(t, c.Port(), port)
		require.LessOrEqual(t, c.Port(), last)
		require.NoError(t, c.Close())
	}
	_, err = client.New(client.Config{Listen: taken.Addr().String()})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	c, err = client.New(client.Config{Listen: "none"})
	require.NoError(t, err)
	require.Zero(t, c.Port())
	require.NoError(t, c.Close())
	for _, bad := range []string{"127.0.0.1", "127.0.0.1:9-8", "127.0.0.1:0-5", "127.0.0.1:x", "nowhere.invalid:1"} {
		_, err := client.New(client.Config{Listen: bad})
		require.ErrorContains(t, err, bad)
	}
}
