"""E-mail and IP addresses: recall of planted ones, and MB/s beside presidio's recognizers and RE2 with BigCode's shapes.

    .venv/bin/python benchmarks/people.py [--megabytes 40] [--input DIR ...] [--write]

Planted: random addresses in the places where people write them (PLACES_*), each in a line of real code; a find counts where it is exactly
the address. Speed: the finders alone over each file's text, CPU time of one process, the best of three rounds, the sides in turn; MB are
10^6 bytes of text. Files are this machine's standard library and packages, or those below --input: a draw that the seed fixes. What the
finders find in them is counted, and looked at by a person: docs/redaction.md has the counts.
"""

import argparse
import datetime
import ipaddress
import itertools
import os
import platform
import random
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import re2
import report
from measure import texts
from presidio_analyzer.predefined_recognizers import IpRecognizer

from starmill.transforms.clean.redact import addresses, emails

# bigcode-dataset, pii: the shapes of SantaCoder's rules, without their delimiters.
BIGCODE_EMAIL = r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,62}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}"
BIGCODE_IP = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
PLACES_EMAIL = (
    "# Author: Jane Doe <{}>",
    " * @author {}",
    'email = "{}"',
    "  maintainer: {}",
    '<a href="mailto:{}">',
    "MAIL_TO={}",
    '["{}", "x"]',
    "Signed-off-by: Jane <{}>",
    "// contact {} for help",
    r'printf("mail {}\n");',
    r'"To:\n{}\n"',
    "=item Jane E<lt>{}E<gt>",
    r"\fB{}\fR",
    "Jane Doe ({})",
    "{}:hunter2",
    "- [jane](mailto:{})",
    "'{}' => 1,",
    "%3C{}%3E",
    r"\u003c{}\u003e",
    "联系{}吧",
    "-- by {}",
    "{},",
    "user={}&x=1",
)
PLACES_IP = (
    "host = '{}'",
    "ssh root@{}",
    "curl http://{}/status",
    "https://{}:8443/x",
    "HOST={}",
    "  - {}\n  - 10.0.0.1",
    'connect(("{}", 8080))',
    "ping -c 3 {}",
    "nameserver {}",
    '{} - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200',
    "allow {};",
    "deny from {}",
    "bind {}:53",
    '{{"ip": "{}", "port": 80}}',
    "<host>{}</host>",
    "inet {}/22 brd",
    "postgres://u:p@{}:5432/db",
    "Failed password for root from {} port 22",
    "iptables -A INPUT -s {} -j DROP",
    "db.host={}",
    "{}/16",
    "# prod server {}",
    "My IP address is {}.",
    "listen {}:80;",
    'remote_addr="{}"',
    r"\n{}\n",
    "X-Forwarded-For: {}, 10.1.2.3",
    "server {} weight=5;",
    "scp f user@{}:/tmp",
    "(`{}`)",
    "dig @{} example.org",
    "nslookup x.org {}",
)
DOMAINS = (
    "corp-x.com",
    "mail.uni-bonn.de",
    "real.co.uk",
    "firma.com.py",
    "tech.so",
    "firma.md",
    "b\u00fccherladen.de",
    "xn--bcherladen-9db.de",
    "corp.io",
)
PLANTED = 40  # of each place and notation


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=40, help="of the sample (default: 40)")
    parser.add_argument("--input", nargs="+", default=[sysconfig.get_paths()[n] for n in ("stdlib", "purelib")], metavar="DIR")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    paths = sorted(
        p for folder in options.input for p in Path(folder).rglob("*") if p.is_file() and p.suffix not in (".pyc", ".so")
    )
    random.Random(0).shuffle(paths)
    files, size = list[str](), 0
    for _, text in texts(paths):
        files.append(text)
        size += len(text.encode())
        if size > options.megabytes * 1e6:
            break
    report.tell("people", itertools.chain(heading(), planted_table(), speed_table(files, size)), options.write)


def heading() -> Iterator[str]:
    """Yield when and where this is measured."""
    yield f"## {datetime.date.today()}, {report.processor()}, one core of {os.cpu_count()}, Python {platform.python_version()}"
    yield ""
    yield "`benchmarks/people.py`; MB/s of CPU time of one process, the best of three rounds."
    yield ""


def planted_table() -> Iterator[str]:
    """Yield the recall of planted addresses, by notation."""
    rng = random.Random(1)
    yield "| planted | | found | recall |"
    yield "|---|---:|---:|---:|"
    for name, places, draw, find in (
        ("e-mail addresses", PLACES_EMAIL, email, emails.find),
        ("IPv4 addresses", PLACES_IP, four, addresses.find),
        ("IPv6 addresses, any notation", PLACES_IP, six, addresses.find),
    ):
        found = total = 0
        for place in places:
            for _ in range(PLANTED):
                value = draw(rng)
                written = f"[{value}]" if ":" in value and ("//{}" in place or "@{}:" in place or "{}:" in place) else value
                text = f"import os\n\n{place.replace('{{', '{').replace('}}', '}').replace('{}', written)}\nx = 1\n"
                found += value in [text[a:b] for a, b in find(text)]
                total += 1
        yield f"| {name}, {len(places)} places | {total:,} | {found:,} | {found / total:.4f} |"
    yield ""


def email(rng: random.Random) -> str:
    """Return an address that nobody has."""
    names = ("jane", "j.doe", "jane_doe", "jane-doe", "jd+code", "j2", "JaneDoe", "x")
    return f"{rng.choice(names)}{rng.randrange(100)}@{rng.choice(DOMAINS)}"


def four(rng: random.Random) -> str:
    """Return a public address of version 4."""
    while not addresses.is_public(found := str(ipaddress.IPv4Address(rng.getrandbits(32)))):
        pass
    return found


def six(rng: random.Random) -> str:
    """Return a public address of version 6 in one of its notations: short, full, capitals, with an address of version 4 in it."""
    if rng.random() < 0.25:
        return f"::ffff:{four(rng)}"
    value = rng.choice((0x2600, 0x2A00, 0x2404, 0x2804)) << 112 | rng.getrandbits(96 if rng.random() < 0.5 else 32)
    found = ipaddress.IPv6Address(value)
    return rng.choice((str(found), found.exploded, str(found).upper()))


def speed_table(files: Sequence[str], size: int) -> Iterator[str]:
    """Yield the rates over the files, and how much each side finds."""
    ip = IpRecognizer()
    mail, dotted = re2.compile(BIGCODE_EMAIL), re2.compile(BIGCODE_IP)
    small = files[: max(1, len(files) // 20)]
    small_size = sum(len(text.encode()) for text in small)
    yield f"| {len(files):,} files of the standard library and packages, {size / 1e6:.0f} MB | MB/s | finds a MB |"
    yield "|---|---:|---:|"
    sides: dict[str, tuple[Callable[[str], int], Sequence[str], int]] = {
        "e-mail addresses": (lambda text: sum(1 for _ in emails.find(text)), files, size),
        "BigCode's shape in RE2": (lambda text: sum(1 for _ in mail.finditer(text)), files, size),
        "IP addresses": (lambda text: sum(1 for _ in addresses.find(text)), files, size),
        "BigCode's shape of IPv4 in RE2": (lambda text: sum(1 for _ in dotted.finditer(text)), files, size),
        "presidio's IpRecognizer (a twentieth of the files)": (
            lambda text: len(ip.analyze(text, ["IP_ADDRESS"], None)),
            small,
            small_size,
        ),  # type: ignore[arg-type]
    }
    best = dict.fromkeys(sides, float("inf"))
    finds = dict.fromkeys(sides, 0)
    for _ in range(3):
        for name, (run, over, _) in sides.items():
            begun = time.process_time()
            finds[name] = sum(map(run, over))
            best[name] = min(best[name], time.process_time() - begun)
    for name, (_, _, of) in sides.items():
        yield f"| {name} | {of / 1e6 / best[name]:,.0f} | {finds[name] / (of / 1e6):.2f} |"


if __name__ == "__main__":
    main()
