"""libtorrent as a client with limited rates: lt.py with two options before its own.

  limited.py --upload BYTES --download BYTES seed|leech ...

The limits are bytes per second; 0 is none. They count the protocol's bytes, but
not those of IP and TCP, as far as libtorrent can tell: others don't count them.
"""
import argparse
import sys

sys.dont_write_bytecode = True
import lt as plain

ap = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
ap.add_argument("--upload", type=int, required=True)
ap.add_argument("--download", type=int, required=True)
limits, sys.argv[1:] = ap.parse_known_args()

unlimited = plain.settings


def settings(a):
    s = unlimited(a)
    s["upload_rate_limit"] = limits.upload
    s["download_rate_limit"] = limits.download
    s["rate_limit_ip_overhead"] = False
    s["outgoing_interfaces"] = a.listen.rsplit(":", 1)[0]
    return s


plain.settings = settings
sys.exit(plain.main())
