package peerwire

import (
	"strconv"
	"strings"
)

// ClientName reads the name and version of a client out of a peer id, by the
// conventions of BEP 20: "qBittorrent 4.5.2", "BitTornado 0.3.18". The answer
// is printable and at most 32 bytes long. It is "" for an id that follows no
// known convention, and the bare code ("-XY1234-") for one that follows the most
// common of them with a code nobody has told us of. It is the peer's own
// claim; [ExtHandshake].V says more where there is one.
func ClientName(id [20]byte) string {
	for _, read := range []func(string) string{readDashed, readOdd, readMainline, readShadow} {
		if name := read(string(id[:])); name != "" {
			return name
		}
	}
	return ""
}

// azureusCodes are the two letters between the dash and the version of an
// Azureus-style id: those of BEP 20, then others in common use.
var azureusCodes = map[string]string{
	"AG": "Ares", "A~": "Ares", "AR": "Arctic", "AV": "Avicora", "AX": "BitPump", "AZ": "Azureus",
	"BB": "BitBuddy", "BC": "BitComet", "BF": "Bitflu", "BG": "BTG", "BR": "BitRocket", "BS": "BTSlave",
	"BX": "BittorrentX", "CD": "Enhanced CTorrent", "CT": "CTorrent", "DE": "Deluge", "DP": "Propagate",
	"EB": "EBit", "ES": "electric sheep", "FT": "FoxTorrent", "FW": "FrostWire", "FX": "Freebox",
	"GS": "GSTorrent", "HL": "Halite", "HN": "Hydranode", "KG": "KGet", "KT": "KTorrent", "LH": "LH-ABC",
	"LP": "Lphant", "LT": "libtorrent", "lt": "libTorrent", "LW": "LimeWire", "MO": "MonoTorrent",
	"MP": "MooPolice", "MR": "Miro", "MT": "MoonlightTorrent", "NX": "Net Transport", "PD": "Pando",
	"qB": "qBittorrent", "sG": "starling", "QD": "QQDownload", "QT": "Qt torrent example", "RT": "Retriever",
	"S~": "Shareaza beta", "SB": "Swiftbit", "SS": "SwarmScope", "ST": "SymTorrent", "st": "sharktorrent",
	"SZ": "Shareaza", "TN": "TorrentDotNET", "TR": "Transmission", "TS": "Torrentstorm", "TT": "TuoTu",
	"UL": "uLeecher!", "UT": "µTorrent", "UW": "µTorrent Web", "VG": "Vagaa", "WD": "WebTorrent Desktop",
	"WT": "BitLet", "WW": "WebTorrent", "WY": "FireTorrent", "XL": "Xunlei", "XT": "XanTorrent",
	"XX": "Xtorrent", "ZT": "ZipTorrent",

	"BI": "BiglyBT", "BT": "BitTorrent", "FD": "Free Download Manager", "FG": "FlashGet", "GT": "anacrolix",
	"PI": "PicoTorrent", "SD": "Xunlei", "UE": "µTorrent Embedded", "UM": "µTorrent Mac", "rQ": "rqbit",
}

// shadowCodes are the first letters of a Shadow-style id (BEP 20).
var shadowCodes = map[byte]string{
	'A': "ABC", 'O': "Osprey Permaseed", 'Q': "BTQueue", 'R': "Tribler", 'S': "Shadow",
	'T': "BitTornado", 'U': "UPnP NAT",
}

// readDashed reads ids that begin with a dash: Azureus-style "-AZ2060-", and
// the three of BEP 20 that look like it and are not.
func readDashed(id string) string {
	if id[0] != '-' {
		return ""
	}
	switch {
	case id[1:3] == "ML": // "-ML2.7.2-"
		if version, _, ok := strings.Cut(id[3:], "-"); ok && version != "" && len(version) <= 8 && only(version, "0123456789.") {
			return join("MLdonkey", version)
		}
	case id[1:4] == "BOW": // "-BOWA0C-"
		if only(id[4:7], alphanumeric) {
			return join("Bits on Wheels", id[4:7])
		}
	case id[1:3] == "G3": // a nickname follows
		return "G3 Torrent"
	}
	code, version := id[1:3], id[3:7]
	// FlashGet leaves out the second dash.
	if id[7] != '-' && code != "FG" || !only(code, alphanumeric+"~") || !only(version, alphanumeric) {
		return ""
	}
	name, ok := azureusCodes[code]
	if !ok {
		return "-" + code + version + "-"
	}
	switch {
	case code == "TR" && version[0] <= '3': // until 3.00 the version had two parts, the second of two digits
		return join(name, version[:1]+"."+version[1:3])
	case code == "BC" && only(version, "0123456789"): // "-BC0171-" is 1.71
		return join(name, strings.TrimLeft(version[:1], "0")+version[1:2]+"."+version[2:])
	}
	return join(name, dotted(version))
}

// readOdd reads the ids that BEP 20 lists one by one, and two more.
func readOdd(id string) string {
	switch {
	case strings.HasPrefix(id, "exbc"), strings.HasPrefix(id, "FUTB"):
		name := "BitComet"
		if id[6:10] == "LORD" {
			name = "BitLord"
		}
		return join(name, strconv.Itoa(int(id[4]))+"."+twoDigits(id[5]))
	case strings.HasPrefix(id, "XBT") && only(id[3:6], "0123456789") && (id[6] == 'd' || id[6] == '-'):
		name := join("XBT Client", id[3:4]+"."+id[4:5]+"."+id[5:6])
		if id[6] == 'd' {
			name += " debug"
		}
		return name
	case strings.HasPrefix(id, "OP") && only(id[2:6], "0123456789") && only(id[6:], "0123456789abcdef"):
		return join("Opera", "build "+id[2:6])
	case strings.HasPrefix(id, "AZ2500BT"):
		return "BitTyrant 1.1"
	case strings.HasPrefix(id, "346------"):
		return "TorrenTopia 1.90"
	case id[0] == 0 && (id[1] == 2 || id[1] == 3) && id[2:4] == "BS":
		return join("BitSpirit", strconv.Itoa(int(id[1])))
	case id[2:4] == "RS" && id[0] < 10 && id[1] < 100:
		return join("Rufus", strconv.Itoa(int(id[0]))+"."+strconv.Itoa(int(id[1])))
	case strings.HasPrefix(id, "TIX") && only(id[3:7], "0123456789") && id[7] == '-':
		return join("Tixati", strings.TrimLeft(id[3:4], "0")+id[4:5]+"."+id[5:7])
	}
	return ""
}

// readMainline reads "M4-3-6--", the style of the first client since version
// 4; "Q1-0-0--" is Queen Bee, "A2-1-36-0-" aria2.
func readMainline(id string) string {
	var name, rest string
	switch {
	case id[0] == 'M':
		name, rest = "BitTorrent", id[1:]
	case id[0] == 'Q':
		name, rest = "Queen Bee", id[1:]
	case strings.HasPrefix(id, "A2-"):
		name, rest = "aria2", id[3:]
	default:
		return ""
	}
	parts := strings.SplitN(rest, "-", 4)
	if len(parts) < 4 {
		return ""
	}
	for _, p := range parts[:3] {
		if p == "" || len(p) > 2 || !only(p, "0123456789") {
			return ""
		}
	}
	return join(name, strings.Join(parts[:3], "."))
}

// readShadow reads "S58B-----": a letter, up to five characters of version, dashes.
func readShadow(id string) string {
	name, ok := shadowCodes[id[0]]
	if !ok {
		return ""
	}
	version, rest, _ := strings.Cut(id[1:9], "-")
	// BEP 20 wants three dashes behind the version padded to five; some write
	// fewer, so two in all are enough.
	if version == "" || len(version) > 5 || rest == "" || rest[0] != '-' || !only(version, alphanumeric+".") {
		return ""
	}
	var parts []string
	for i := range len(version) {
		parts = append(parts, strconv.Itoa(digit(version[i])))
	}
	return join(name, strings.Join(parts, "."))
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// digit returns the value of a version character: A is 10, a 36, '.' 62.
func digit(c byte) int { return strings.IndexByte(alphanumeric+".", c) }

// dotted writes the four version characters as numbers. The fourth, often the
// mark of a test build, is left out when it is 0 or a letter.
func dotted(version string) string {
	s := strconv.Itoa(digit(version[0])) + "." + strconv.Itoa(digit(version[1])) + "." + strconv.Itoa(digit(version[2]))
	if version[3] >= '1' && version[3] <= '9' {
		s += "." + version[3:]
	}
	return s
}

func twoDigits(b byte) string {
	s := strconv.Itoa(int(b))
	if b < 10 {
		return "0" + s
	}
	return s
}

func join(name, version string) string { return name + " " + version }

// only reports whether every byte of s is one of set. It is true for "".
func only(s, set string) bool {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return false
		}
	}
	return true
}
