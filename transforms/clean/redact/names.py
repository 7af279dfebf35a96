"""Names, user names and passwords, which no pattern knows, by a token-classification model such as StarPII (StarCoder, section 4).

Only texts with an anchor are sent: a word with which people name somebody or give a password (`author`, `passwd`, `signed`), or an @.
What the model finds is redacted by the rules of StarCoder's pipeline (bigcode-dataset, pii/ner): no value of three characters or fewer, a
name of two words or more, a key of more than eight characters that is gibberish, an IP address that is public and no well-known DNS
server's. A user name stays unless a recipe says otherwise.
"""

import ipaddress
import re
from collections.abc import Iterable

import pyarrow as pa

from starmill.core.schema import SCORE_DIGITS
from starmill.transforms.clean.redact import keys_gibberish, scan, tagging

Find = tuple[int, int, str, float]  # start, end, kind, score
# Over bytes, without borders: texts in which a person's name, a user's or a password could be.
WORDS = (
    "author copyright copr maintain creat writt develop contribut credit thanks owner contact signed review report assign person employee "
    "customer client member student teacher first.?name last.?name full.?name sur.?name user login account passw passph pwd credential "
    "secret auth connect"
).split()
CASED = (b"@", rb"\([cC]\)", "©".encode(), rb"[Bb]y:? [A-Z]", rb"(?:Mr|Mrs|Ms|Dr|Prof|Dear|Hi|Hello|Hey),?\.? [A-Z]")
ANCHORS = (*(f"(?i){word}".encode() for word in WORDS), *CASED)
PATTERN = re.compile(b"|".join((*(f"(?i:{word})".encode() for word in WORDS), *CASED)))
SHORTEST, SHORTEST_KEY = 4, 9  # characters
MIN_SURPRISE = 6.0  # bits per character (keys_gibberish.py): words take 4 to 6
TWO_WORDS = re.compile(r"\S[ \t.'’-]+\S")
DNS_SERVERS = frozenset(
    "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 76.76.19.19 76.223.122.150 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 8.26.56.26 "
    "8.20.247.20 94.140.14.14 94.140.15.15".split()
)


def find(texts: pa.Array, model: tagging.Model, kinds: Iterable[str]) -> dict[int, list[Find]]:
    """Return what a model finds of these kinds in a block's texts, and may be redacted, by row."""
    asked = rows_to_ask(texts)
    told = tagging.spans(model, [texts[row].as_py() for row in asked])
    wanted, found = frozenset(kinds), {}
    for row, spans in zip(asked, told, strict=True):
        text = texts[row].as_py()
        kept = [
            (start, end, kind, round(score, SCORE_DIGITS))
            for start, end, kind, score in spans
            if kind in wanted and is_redacted(text[start:end], kind)
        ]
        if kept:
            found[row] = kept
    return found


def rows_to_ask(texts: pa.Array) -> list[int]:
    """Return the rows of the texts that could hold a name, a user name or a password.

    >>> rows_to_ask(pa.array(["x = 1", "# Author: Jane Doe", None]))
    [1]
    """
    hit = (row for row, _ in scan.rows_with_hits(texts, [DETECTOR])) if scan.HAS_HYPERSCAN else range(len(texts))
    # A hit may begin in the row before: what is asked of a text must not depend on what stands beside it.
    return [row for row in hit if (text := texts[row].as_py()) and PATTERN.search(text.encode())]


DETECTOR = scan.Detector("NAME", lambda text: iter(()), lambda: ANCHORS)


def is_redacted(value: str, kind: str) -> bool:
    """Say whether a value that a model calls so is taken out.

    >>> is_redacted("Jane Doe", "NAME"), is_redacted("Jane", "NAME"), is_redacted("8.8.8.8", "IP_ADDRESS")
    (True, False, False)
    """
    if len(value) < SHORTEST:
        return False
    if kind == "NAME":
        return TWO_WORDS.search(value) is not None
    if kind == "KEY":
        return len(value) >= SHORTEST_KEY and is_gibberish(value)
    if kind == "IP_ADDRESS":
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return address.is_global and not address.is_multicast and value not in DNS_SERVERS
    return True


def is_gibberish(value: str) -> bool:
    """Say whether a value looks drawn at random: it has a digit, and its characters follow each other as those of words do not."""
    data = value.encode()
    mixed = any(c.isdigit() for c in value) and not value.isdigit()
    return mixed and keys_gibberish.surprise(data) >= MIN_SURPRISE and not keys_gibberish.is_placeholder(data)
