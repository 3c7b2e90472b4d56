package main

import (
	"fmt"
	"io"

	"github.com/seed1734be99/starling/tracker/server"
)

// writeMetrics writes a tracker's numbers as Prometheus reads them.
func writeMetrics(w io.Writer, st server.Stats) {
	gauge := func(name, labels, help string, n int) { metric(w, name, labels, help, "gauge", uint64(n)) }
	counter := func(name, labels, help string, n uint64) { metric(w, name, labels, help, "counter", n) }
	gauge("tracker_swarms", "", "Torrents that are tracked.", st.Swarms)
	gauge("tracker_peers", `{family="ipv4"}`, "Peers in all torrents.", st.IPv4)
	gauge("tracker_peers", `{family="ipv6"}`, "", st.IPv6)
	gauge("tracker_seeds", "", "Peers that have everything.", st.Seeds)
	for i, help := range []string{"Announces answered.", "Scrapes answered.", "Requests refused."} {
		name := []string{"tracker_announces_total", "tracker_scrapes_total", "tracker_failures_total"}[i]
		value := func(r server.Requests) uint64 { return [...]uint64{r.Announces, r.Scrapes, r.Failures}[i] }
		counter(name, `{transport="http"}`, help, value(st.HTTP))
		counter(name, `{transport="udp"}`, "", value(st.UDP))
	}
	counter("tracker_udp_connects_total", "", "Connection ids given out.", st.UDP.Connects)
	counter("tracker_udp_ignored_total", "", "Packets that were not answered.", st.UDP.Ignored)
	counter("tracker_forgotten_peers_total", "", "Peers that went silent.", st.Forgotten)
	counter("tracker_nat_checks_total", "", "Connections made to check peers.", st.NATChecks)
	counter("tracker_nat_failures_total", "", "Peers that could not be reached.", st.NATFailures)
}

// metric writes one value; the first of a name with its help.
func metric(w io.Writer, name, labels, help, kind string, n uint64) {
	if help != "" {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	fmt.Fprintf(w, "%s%s %d\n", name, labels, n)
}
