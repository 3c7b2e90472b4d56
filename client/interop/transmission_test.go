//go:build linux

package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// transmission can't be told a peer, and unchokes at its tick of 10 s.
var transmission = &client{
	name: "transmission", programs: []string{"transmission-daemon"}, noEmpty: true,
	seed: transmissionSeed, leech: transmissionLeech,
}

func transmissionSeed(t *testing.T, ctx context.Context, j job) *process {
	t.Helper()
	d := startTransmission(t, ctx, j)
	d.until(t, ctx, "transmission seeds", func(s transmissionStatus) bool { return s.complete() && s.Status == 6 })
	return d.process
}

func transmissionLeech(t *testing.T, ctx context.Context, j job) func() {
	t.Helper()
	d := startTransmission(t, ctx, j)
	return func() {
		t.Helper()
		d.until(t, ctx, "transmission's download", transmissionStatus.complete)
		if !d.end(syscall.SIGTERM) { // what it has not written yet, it writes now
			t.Error("transmission-daemon had to be killed")
		}
	}
}

// daemon is a transmission-daemon and its RPC.
type daemon struct {
	*process
	url     string
	session string
	http    http.Client
}

func startTransmission(t *testing.T, ctx context.Context, j job) *daemon {
	t.Helper()
	conf := t.TempDir()
	rpc := newPort()
	settings := map[string]any{
		"rpc-bind-address": "127.0.0.1", "rpc-port": rpc, "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
		"bind-address-ipv4": j.at.Addr().String(), "bind-address-ipv6": "::1", "peer-port": j.at.Port(),
		"download-dir": j.dir, "dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false,
		"port-forwarding-enabled": false, "message-level": 2, "ratio-limit-enabled": false, "idle-seeding-limit-enabled": false,
	}
	if j.at.Addr().Is6() { // with an IPv4 address it would announce from that alone
		settings["bind-address-ipv4"], settings["bind-address-ipv6"] = "0.0.0.0", j.at.Addr().String()
	}
	b, err := json.Marshal(settings)
	if err == nil {
		err = os.WriteFile(filepath.Join(conf, "settings.json"), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{
		process: start(t, "transmission-daemon", "-f", "-g", conf),
		url:     fmt.Sprintf("http://127.0.0.1:%d/transmission/rpc", rpc),
		http:    http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	d.await(t, ctx, "transmission's RPC", func() bool { return listens(rpc) })
	d.listening(t, ctx, j.at)
	if err := d.call(ctx, "torrent-add", map[string]any{"filename": j.what, "download-dir": j.dir}, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

type transmissionStatus struct {
	Status        int
	LeftUntilDone int64
	TotalSize     int64
	Metadata      float64 `json:"metadataPercentComplete"`
	Error         int
	ErrorString   string
}

func (s transmissionStatus) complete() bool {
	return s.Metadata == 1 && s.TotalSize > 0 && s.LeftUntilDone == 0 && (s.Status == 5 || s.Status == 6)
}

// until polls the daemon's only torrent.
func (d *daemon) until(t *testing.T, ctx context.Context, what string, ok func(transmissionStatus) bool) {
	t.Helper()
	const localError = 3 // 1 and 2 are the tracker's, and may pass
	var last transmissionStatus
	d.await(t, ctx, what, func() bool {
		var list struct{ Torrents []transmissionStatus }
		fields := map[string]any{"fields": []string{"status", "leftUntilDone", "totalSize", "metadataPercentComplete", "error", "errorString"}}
		if err := d.call(ctx, "torrent-get", fields, &list); err != nil || len(list.Torrents) != 1 {
			return false
		}
		last = list.Torrents[0]
		if last.Error == localError {
			t.Fatalf("transmission: %s", last.ErrorString)
		}
		return ok(last)
	})
}

func (d *daemon) call(ctx context.Context, method string, args, result any) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": args})
	if err != nil {
		return err
	}
	for range 2 { // the first answer is a 409 with the id that is wanted
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("X-Transmission-Session-Id", d.session)
		resp, err := d.http.Do(req)
		if err != nil {
			return err
		}
		answer := struct {
			Result    string
			Arguments any
		}{Arguments: result}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusConflict {
			d.session = resp.Header.Get("X-Transmission-Session-Id")
			continue
		}
		if err != nil {
			return err
		}
		if !strings.EqualFold(answer.Result, "success") {
			return fmt.Errorf("transmission: %s: %s", method, answer.Result)
		}
		return nil
	}
	return errors.New("transmission: no session id")
}
