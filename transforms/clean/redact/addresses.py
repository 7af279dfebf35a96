r"""IP addresses: public ones, where what stands on both sides of four numbers says that they are an address.

Versions, object identifiers, numbers of sections and paths of drawings are four numbers too. So evidence is weighed: the numbers (versions
are small), what joins them (a port, a prefix length `/24`, a scheme `//`, a second address of a range), the nearest key or call on the
left, quotes, and the neighbours in the same list: an address beside them speaks for, other decimals against. Where a file quotes
addresses and no other dotted numbers, a quoted one is an address too: tests of networks have 1.2.3.4. IPv6 is in any notation of
RFC 4291, with an embedded IPv4 address, zone, brackets, port or prefix length.

Left are private and reserved addresses, and well-known DNS servers. Replaced by one of The Stack's fixed private addresses, the same for
the same value within a file.
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
    "8.20.247.20 94.140.14.14 94.140.15.15 2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001 "
    "2620:fe::fe 2620:119:35::35 2620:119:53::53".split()
)
PREFIXES = frozenset(("2000::", "2002::"))  # of all that is assigned, and of RFC 3056: nobody's
# One of them matches in each text with a find (scan.py).
ANCHORS = (
    rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
    rb"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]",
    rb"::[fF]{4}:[0-9A-Fa-f]",
    rb"64:[fF]{2}9[bB]::[0-9A-Fa-f]",
)
DOTS = re.compile(r"\.\d{1,3}\.\d")
QUAD = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", re.ASCII)
PAIR = re.compile(r":[0-9A-Fa-f]{0,4}:")
# 2000::/3 is all that is assigned so far (IANA), and `a::b` is an address too, and C++. Then RFC 4291, 2.5.5.2, and RFC 6052.
COLONS = re.compile(
    r"(?:[23][0-9A-Fa-f]{3}:|::[Ff]{4}:|64:[Ff]{2}9[Bb]::)[0-9A-Fa-f:]{0,45}+(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3}|(?:\.\d{1,3}){3})?+(?![\w:]|\.\d)"
)
LONGEST = 45  # characters of an address: six groups of four digits, and an embedded one of 15
SLICE = re.compile(r"\d{4}::\d*")
SLICES = re.compile(r"(?<!\w)\d{4}::\d*,\Z")
NEAR = 120  # characters on each side that are looked at
WORD = re.compile(r"[\w.-]*[\w.]")  # read from its end
BETWEEN = " \t\"'`=:(<>,[{~\\"  # what may stand between a key, call or word and its value
QUOTES = ("'", '"', "`")
APART = " \t\r\n,;|\"'`[](){}<>\\"  # what may stand between two values of a list
LONGEST_GAP = 24
OF_NETWORKS = re.compile(
    r"(?i)(?<![a-z])ip(?:v?4|v?6)?(?![a-z])|(?<![a-z])ip(?=addr|_|range|net|v)|addr|host(?!\w*version)|server|cidr|subnet|network|inet|gateway|peer|proxy|"
    r"dns|endpoint|listen|allow|deny|bind|remote|ping|ssh|rrdata|forwarded|route|connect(?!iv|or)|socket|resolv|whois|(?:next|first|last).?hop"
)
AT_ITS_END = re.compile(r"(?:[a-z0-9]|(?<![A-Z]))(?:Ip|IP)s?(?![a-z])|(?:^|[_.-])ips?(?:$|[_.-])")
OF_NUMBERS = re.compile(
    r"(?i)version|^v$|(?:^|[_.-])ver(?:$|[_.-])|revision|release|build(?=$|[_.-]|num|s$)|oid|identifier|section|chapter|clause|assembly|^rfc"
)
TOKEN = re.compile(r"[^\s,;|\"'`\[\](){}<>=\\]+")
CONJUNCTIONS = ("or", "and")
DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[-.]\d+)*[a-zA-Z]?")
RANGE_AFTER = re.compile(r"\s?(?:-|\u2013|\.\.\.?)\s?((?:\d{1,3}\.){3}\d{1,3})(?![\w]|\.\d)")
RANGE_BEFORE = re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})\s?(?:-|\u2013|\.\.\.?)\s?\Z")
# A path of a drawing (SVG), where 1.2.3 are three numbers.
DRAWN_BEFORE = re.compile(r"(?<![\d.])\d*\.\d+[,-](?:-?\d+[,-]){0,3}\Z")
DRAWN_AFTER = re.compile(r"[,-](?:-?\d+[,-]){0,3}\d*\.\d+(?![\d.])|\s\d*\.\d+[,-]-?\d*\.\d")
LOGIN = re.compile(r"//[^\s/]*@\Z|\b(?:ssh|scp|sftp|rsync)\b[^\n]*@\Z")
COMPARED = re.compile(r"[=~><!^]=\s?[\"']?\Z|[~^]\Z")
PORT = re.compile(r":\d{1,5}(?![\w.])")
PREFIX_LENGTH = re.compile(r"/(?:[0-9]|[12][0-9]|3[0-2])(?![\w.])")
NETMASK = re.compile(r"\s+(?:port|(?:net)?mask)\b")
REVERSED = re.compile(r"\.in-addr\.arpa", re.IGNORECASE)
GOES_ON = re.compile(r"[-+~_][\w]|\.[A-Za-z]")
ENDS = re.compile(r"(?:/\d{1,2}|:\d{1,5})\Z")
# Numbers with dots between quotes, and the first of a pair with a port: ("1.2.3.4", 80).
QUOTED = re.compile(r"([\"'`])(\d{1,9}(?:\.\d{1,9}){2,})\1", re.ASCII)
PORT_BESIDE = re.compile(r"([\"'`]),\s?[1-9]\d{1,4}\s?[,)\]]")
ENOUGH = 2  # evidence
SEVERAL = 2  # addresses that a file quotes
AMONG_THEM = 5  # evidence of a file that quotes several


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each public IP address, IPv4 first, each kind in order.

    >>> text = "host = '93.184.216.34'; version = '2.14.30.7'; curl http://[2a00:1450::200e]:80/"
    >>> [text[a:b] for a, b in find(text)]
    ['93.184.216.34', '2a00:1450::200e']
    """
    yield from _of_four(text)
    yield from _of_six(text)


def replacement(value: str, seed: int, file: str) -> str:
    """Return the private address that stands for `value` in a file."""
    choices = IPV6 if ":" in value else PRIVATE_IPV4
    return choices[seeds.uint64(seed, "ip_address", file, value) % len(choices)]


def _of_four(text: str) -> Iterator[tuple[int, int]]:
    dots, read, quotes = DOTS.search(text), 0, None
    while dots:
        start = dots.start()
        while start > read and start > dots.start() - 3 and text[start - 1].isdigit():
            start -= 1
        quad = QUAD.match(text, start)
        if quad and _begins(text, start) and is_public(quad.group()):
            score = _weighed(text, start, quad.end())
            if (
                ENOUGH - AMONG_THEM <= score < ENOUGH
                and text[start - 1 : start] in QUOTES
                and text[quad.end() : quad.end() + 1] == text[start - 1]
            ):
                quotes = _quotes_addresses(text) if quotes is None else quotes
                score += AMONG_THEM * quotes
            if score >= ENOUGH:
                yield quad.span()
        if quad:
            read = quad.end()
        else:  # the whole run of numbers is none
            read = dots.end()
            while read < len(text) and text[read] in "0123456789.":
                read += 1
        dots = DOTS.search(text, read)


def _begins(text: str, start: int) -> bool:
    """Say whether a number may begin here: not within a word or another number, but behind an escape (`\\n`)."""
    before = text[start - 1 : start]
    if before.isalnum():
        return before in "nrt" and text[start - 2 : start - 1] == "\\" and text[start - 3 : start - 2] != "\\"
    return before not in (".", "_")


def _weighed(text: str, start: int, end: int) -> int:
    return _evidence(text[max(0, start - NEAR) : start], text[start:end], text[end : end + NEAR])


def _quotes_addresses(text: str) -> bool:
    """Say whether a file quotes several addresses, and neither versions nor other numbers with dots."""
    sure = set[str]()
    for found in QUOTED.finditer(text):
        value = found[2]
        if not is_address(value):
            return False
        if value not in sure and (not is_public(value) or _weighed(text, *found.span(2)) >= ENOUGH):
            sure.add(value)
    return len(sure) >= SEVERAL


@functools.lru_cache(maxsize=1024)  # tables and logs repeat themselves
def _evidence(before: str, value: str, after: str) -> int:
    """Weigh what speaks for an address against what speaks for other numbers."""
    numbers = [int(number) for number in value.split(".")]
    high, middle = sum(number >= 100 for number in numbers), sum(number >= 32 for number in numbers)
    score = min(high, 2) + (high > 1) + (numbers[0] >= 32) + (middle > 1) + (middle > 2) - (middle == 0) - (len(value) == 7)
    named = _named(before)
    if named <= 0 and numbers[0] < 3 and numbers[1] < 40:
        score -= 2 + 2 * (numbers[:2] == [1, 3])  # an object identifier begins so (X.660), an organization's with 1.3
    score += named + _joined(before, after, value, named > 3)
    for gap, token in (_token(before[::-1], True), _token(after, False)):
        beside = _neighbour(token)
        score += max(beside, 0) if "\n" in gap else beside
    line = before.rpartition("\n")[2]
    if ENOUGH - 2 <= score < ENOUGH and -4 < named < 4 and not OF_NUMBERS.search(line):
        score += 2 * bool(OF_NETWORKS.search(line) or AT_ITS_END.search(line))
    return score


def _joined(before: str, after: str, value: str, is_named: bool) -> int:
    """Weigh the characters that touch the numbers on both sides."""
    score = 0
    last, first = before[-1:], after[:1]
    if last and first and last + first in ('""', "''", "``", "[]"):
        score += 1
    elif not is_named and last in (" ", "\t") and (not first or first in " \t.,;)/") and before[-2:-1].isalpha():
        score -= 2  # prose
    if before.endswith("//") or (last == "@" and LOGIN.search(before)):
        score += 7 if before.endswith("://") else 4
    elif last == "@":
        score += 2 * before[-2:-1].isspace()  # dig's server; else a login, or the version of a package
    elif COMPARED.search(before[-4:]) and not (is_named and last in QUOTES):
        score -= 3
    elif last in ("-", "/") and before[-2:-1].isalpha():
        score -= 2  # Name/1.2.3.4
    if first == ":" and (port := PORT.match(after)):
        score += 6 if last in QUOTES and after[port.end() :].startswith(last) else 2
    elif last in QUOTES and (pair := PORT_BESIDE.match(after)) and pair[1] == last and before[-2:-1] in ("(", "["):
        score += 6
    elif first == "/" and (length := PREFIX_LENGTH.match(after)):
        score += 6 if last in QUOTES and after[length.end() :].startswith(last) else 4
    elif first.isspace() and NETMASK.match(after):
        score += 4
    elif value.endswith(".0.0.0"):
        score -= 2  # a network, which is written with its length; or a version
    elif first == "." and REVERSED.match(after):
        score += 5 if is_public(".".join(value.split(".")[::-1])) else -9
    elif GOES_ON.match(after) and not RANGE_AFTER.match(after):
        score -= 4
    for other in (RANGE_AFTER.match(after), RANGE_BEFORE.search(before[-LONGEST_GAP:])):
        if other and other[1].split(".")[:2] == value.split(".")[:2]:
            score += 4
    if (last in (",", "-") and DRAWN_BEFORE.search(before[-LONGEST_GAP:])) or (
        first in (",", "-") and DRAWN_AFTER.match(after)
    ):
        score -= 4
    return score


def _named(before: str) -> int:
    """Weigh the name of the nearest key or call on the left, or the word there."""
    left = before.rstrip(BETWEEN)
    between = before[len(left) :]
    word = WORD.match(left[: -LONGEST_GAP * 2 : -1])
    if word and word.end() == 1 and between[:1] in ("'", '"'):  # of a literal: u'', b""
        left = left[:-1].rstrip(BETWEEN)
        between, word = before[len(left) :], WORD.match(left[: -LONGEST_GAP * 2 : -1])
    if word is None or len(between) > LONGEST_GAP:
        return 0
    name = word[0][::-1]
    if OF_NUMBERS.search(name):
        return -4
    return 4 if OF_NETWORKS.search(name) or AT_ITS_END.search(name) else -("(" in between and name[:1].isupper())


def _token(side: str, is_before: bool) -> tuple[str, str]:
    """Return what stands between the numbers and the next value on one side, which is read away from them, and that value."""
    rest = side
    for _ in range(2):
        rest = rest.lstrip(APART)
        token = TOKEN.match(rest, 0, 64)
        if token is None or len(side) - len(rest) > LONGEST_GAP or len(rest) == len(side):
            break
        word = token[0][::-1] if is_before else token[0]
        if word not in CONJUNCTIONS:
            return side[: len(side) - len(rest)], word
        rest = rest[token.end() :]
    return "", ""


def _neighbour(token: str) -> int:
    """Weigh what stands beside the numbers in the same list or line."""
    if not token or len(token) > 60 or not (token[0].isdigit() or token[0] in "-+.:" or token.count(":") > 1):
        return 0
    token = token.rstrip(".:")
    host = ENDS.sub("", token)
    if QUAD.fullmatch(host):
        numbers = [int(number) for number in host.split(".")]
        if max(numbers) < 256 and (len(host) < len(token) or not is_public(host) or sum(n >= 100 for n in numbers) > 1):
            return 3
        return 0
    if host.count(":") > 1 and is_address(host):
        return 3
    return -4 * ("." in token and DECIMAL.fullmatch(token) is not None)


def _of_six(text: str) -> Iterator[tuple[int, int]]:
    pair, read = PAIR.search(text), 0
    while pair:
        start, least = pair.start(), max(read, pair.start() - 4)
        while start > least and text[start - 1] in "0123456789abcdefABCDEF":
            start -= 1
        found = COLONS.match(text, start)
        if found and found.end() - start <= LONGEST and _is_whole(text, start, found.end()) and is_public(found.group()):
            yield found.span()
        read = max(pair.start() + 1, found.end() if found else 0)
        pair = PAIR.search(text, read)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Say whether these are all digits and colons here, and no slice of a sequence (`rows[2000::2]`)."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if (before.isalnum() and not (before in "nrt" and text[start - 2 : start - 1] == "\\")) or before in (":", ".", "_"):
        return False
    if SLICE.fullmatch(text, start, end):
        in_brackets = before == "[" and after == "]" and not re.match(r"[\w)\]]", text[start - 2 : start - 1] or " ")
        in_list = (after == "," and SLICE.match(text, end + 1)) or (before == "," and SLICES.search(text, start - 16, start))
        return in_brackets or bool(in_list) or after in ("/", "%") or (before in ("'", '"', "`") and after == before)
    return True


@functools.lru_cache(maxsize=4096)
def is_address(value: str) -> bool:
    """Say whether this is an IP address, public or not."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=4096)
def is_public(value: str) -> bool:
    """Say whether this is an address that anyone may reach, and no well-known DNS server.

    >>> is_public("93.184.216.34"), is_public("192.168.0.1"), is_public("::ffff:10.0.0.1"), is_public("8.8.8.8")
    (True, False, False, False)
    """
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (inside := _embedded(address)) is not None:
        return is_public(str(inside))
    if value.startswith("::") or value in PREFIXES:
        return False
    return address.is_global and not address.is_multicast and str(address) not in DNS_SERVERS


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one holds: mapped (RFC 4291) or for translation (RFC 6052)."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if int(address) >> 32 == 0x0064FF9B << 64 else None
