"""IP addresses: only public ones that `ipaddress` accepts, and that are neither a version number nor a well-known DNS server.

Replaced by one of The Stack's fixed private addresses, the same for the same value within a file.
"""

import functools
import ipaddress
import re
from collections.abc import Iterator

from starmill.core import seeds
from starmill.core.schema import PRIVATE_IPV4

# bigcode-dataset, pii redaction: the addresses used in place of those found, as core.schema.PRIVATE_IPV4 is.
IPV6 = (
    "fd00:c2b6:b24b:be67:2827:688d:e6a1:6a3b",
    "fd00:a516:7c1b:17cd:6d81:2137:bd2a:2c5b",
    "fc00:e968:6179::de52:7100",
    "fc00:db20:35b:7399::5",
    "fdf8:f53e:61e4::18",
)
DNS_SERVERS = frozenset(
    "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 76.76.19.19 76.223.122.150 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 8.26.56.26 "
    "8.20.247.20 94.140.14.14 94.140.15.15".split()
)
# One of them matches in each text with a find (scan.py).
ANCHORS = (rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", rb"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]")
QUAD = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
# A whole run of hexadecimal digits and colons: no address ends inside one. 2000::/3 is all that is assigned so far (IANA), and `a::b`
# is an address too, and C++.
COLONS = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]++(?![\w:.])")
LONGEST = 39  # characters of an address: eight groups of four digits
VERSION = re.compile(r"(?<![A-Za-z])(?:v|ver|version|release|build|rev|revision|section|chapter|oid)\W{0,4}$", re.IGNORECASE)
NETWORK_WORD = re.compile(r"(?:dns|server|host|addr|address|ip|ping|http|ssh|proxy|gateway|network)\W{0,4}$", re.IGNORECASE)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each public IP address, IPv4 first, each kind in order."""
    for pattern, cheap in ((QUAD, "."), (COLONS, ":")):
        if cheap in text:
            yield from ((m.start(), m.end()) for m in pattern.finditer(text) if _is_public(text, m))


def replacement(value: str, seed: int, file: str) -> str:
    """Return the private address that stands for `value` in a file."""
    choices = IPV6 if ":" in value else PRIVATE_IPV4
    return choices[seeds.uint64(seed, "ip_address", file, value) % len(choices)]


def _is_public(text: str, match: re.Match[str]) -> bool:
    value = match.group()
    if len(value) > LONGEST or not _is_global(value) or value in DNS_SERVERS:
        return False
    if ":" in value:
        return True
    # Only what stands right before it counts: a window of text would move when something else in it is redacted.
    before = text[max(0, match.start() - 20) : match.start()]
    if VERSION.search(before):
        return False
    # 1.2.3.4 is a version or a section number more often than a host.
    return len(value) > 7 or NETWORK_WORD.search(before) is not None


@functools.lru_cache(maxsize=4096)
def _is_global(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast
