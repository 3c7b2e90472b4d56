"""libtorrent as one client of the interoperability tests.

  lt.py hash FILE.torrent          print the infohash libtorrent sees
  lt.py seed|leech --listen IP:PORT --dir DIR [--peer IP:PORT]... [--trackers] [--defaults] FILE.torrent|MAGNET

seed prints READY once every piece is checked, and runs until SIGTERM; leech
ends with 0 when all is downloaded and closed. Without --defaults there is no
uTP. Runs with Debian's python3-libtorrent 2.0.
"""
import argparse
import signal
import sys
import time

import libtorrent as lt


def settings(a):
    s = {
        "listen_interfaces": a.listen,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True,
        "ssrf_mitigation": False,
        "min_announce_interval": 1,
        "alert_mask": lt.alert.category_t.all_categories
        & ~lt.alert.category_t.picker_log_notification
        & ~lt.alert.category_t.block_progress_notification
        & ~lt.alert.category_t.piece_progress_notification
        & ~lt.alert.category_t.file_progress_notification
        & ~lt.alert.category_t.stats_notification,
    }
    if not a.defaults:
        s["enable_outgoing_utp"] = False
        s["enable_incoming_utp"] = False
    return s


def parameters(a):
    if a.what.startswith("magnet:"):
        p = lt.parse_magnet_uri(a.what)
    else:
        with open(a.what, "rb") as f:
            p = lt.load_torrent_buffer(f.read())
    if not a.trackers:
        p.trackers = []
    p.save_path = a.dir
    peers = [x.rsplit(":", 1) for x in a.peer]
    p.peers = p.peers + [(ip, int(port)) for ip, port in peers]
    p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return p


def say_goodbye(ses, trackers):
    """Pauses, and waits until the tracker has answered the announce that says so:
    a session that is closed at once drops it, over UDP nearly always."""
    end = time.monotonic() + 3
    answers = 1 if trackers else 0
    if trackers:
        while time.monotonic() < end - 2:  # the one that says completed, if any
            time.sleep(0.05)  # not wait_for_alert: what it returns may be freed already
            if any(isinstance(al, lt.tracker_reply_alert) for al in ses.pop_alerts()):
                break
    ses.pause()
    while answers > 0 and time.monotonic() < end:
        time.sleep(0.05)  # not wait_for_alert: what it returns may be freed already
        for al in ses.pop_alerts():
            print("%.2f %s" % (time.monotonic(), al.message()), file=sys.stderr, flush=True)
            if isinstance(al, (lt.tracker_reply_alert, lt.tracker_error_alert)):
                answers -= 1


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("role", choices=["hash", "seed", "leech"])
    ap.add_argument("--listen", default="127.0.0.1:0")
    ap.add_argument("--dir", default=".")
    ap.add_argument("--peer", action="append", default=[])
    ap.add_argument("--trackers", action="store_true")
    ap.add_argument("--defaults", action="store_true")
    ap.add_argument("what")
    a = ap.parse_args()
    if a.role == "hash":
        with open(a.what, "rb") as f:
            print(lt.load_torrent_buffer(f.read()).ti.info_hash())
        return 0

    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    signal.signal(signal.SIGINT, lambda *_: over.append(1))
    ses = lt.session(settings(a))
    h = ses.add_torrent(parameters(a))
    ready = False
    code = 0
    while not over:
        time.sleep(0.05)  # not wait_for_alert: what it returns may be freed already
        bad = None
        for al in ses.pop_alerts():
            if isinstance(al, lt.piece_finished_alert):
                continue
            print("%.2f %s" % (time.monotonic(), al.message()), file=sys.stderr, flush=True)
            if isinstance(al, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
                bad = al.message()
        if bad:
            print("failed: " + bad, file=sys.stderr, flush=True)
            code = 1
            break
        st = h.status()
        if st.is_seeding and not ready:
            ready = True
            print("READY", flush=True)
            if a.role == "leech":
                break
    say_goodbye(ses, a.trackers)
    del h
    del ses  # waits until the files are closed
    return code


if __name__ == "__main__":
    sys.exit(main())
