"""Keys and other secrets: a table of shapes that their issuers chose to be recognisable, and assignments of random-looking values.

Each shape has a literal that must be in the text before its pattern runs, so a file without secrets costs a substring search per row.
What only looks random is left: hashes in the neighbourhood of the word, UUIDs, sequences, templates.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

# literal that must occur, pattern (group 1, if any, is the secret).
SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (literal, re.compile(pattern))
    for literal, pattern in (
        ("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
        ("ASIA", r"\bASIA[0-9A-Z]{16}\b"),
        ("gh", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
        ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
        ("glpat-", r"\bglpat-[A-Za-z0-9_-]{20,64}\b"),
        ("xox", r"\bxox[abeprs]-[A-Za-z0-9-]{10,250}\b"),
        ("hooks.slack.com", r"hooks\.slack\.com/services/(T[A-Za-z0-9_]{8,12}/B[A-Za-z0-9_]{8,12}/[A-Za-z0-9_]{20,32})"),
        ("k_live_", r"\b[rs]k_live_[0-9A-Za-z]{20,247}\b"),
        ("AIza", r"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("ya29.", r"\bya29\.[0-9A-Za-z_-]{20,512}"),
        ("sk-", r"\bsk-(?:proj-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{32,200}\b"),
        ("hf_", r"\bhf_[A-Za-z]{34}\b"),
        ("SG.", r"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}\b"),
        ("SK", r"\bSK[0-9a-f]{32}\b"),
        ("npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("pypi-", r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000}"),
        ("eyJ", r"\beyJ[A-Za-z0-9_-]{10,2000}+\.eyJ[A-Za-z0-9_-]{10,4000}+\.[A-Za-z0-9_-]{10,1000}\b"),
        ("AccountKey=", r"AccountKey=([A-Za-z0-9+/]{86}==)"),
        ("key-", r"\bkey-[0-9a-f]{32}\b"),
    )
)
ANCHORS = (rb"[A-Za-z0-9_-]",)
PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----")
NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9+/=\s:,.\\n-]")
KEY_CHARS = range(64, 20_001)  # between the two lines
ASSIGNMENT = re.compile(
    r"(?i)(?:api|access|auth|client|secret|private|encryption|account)[_-]?(?:key|token|secret|id)?['\"]?\s{0,3}(?:=|:|:=|=>)\s{0,3}"
    r"['\"]([A-Za-z0-9+/_=-]{16,128})['\"]"
)
ASSIGNED_WORDS = ("key", "Key", "KEY", "token", "Token", "TOKEN", "secret", "Secret", "SECRET")
HASH_WORDS = re.compile(r"sha\d*|md5|hash|digest|checksum|fingerprint|integrity|commit", re.IGNORECASE)
HASH_CHARS = len("fingerprint")  # the longest of these
UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
MIN_ENTROPY = 3.5  # bits per character; English words in camelCase stay below


def find(text: str, shapes: tuple[tuple[str, re.Pattern[str]], ...] = SHAPES) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each secret, shape by shape."""
    for literal, pattern in shapes:
        if literal in text:
            for match in pattern.finditer(text):
                group = 1 if pattern.groups else 0
                if _is_random(match.group(group)):
                    yield match.span(group)
    yield from _private_keys(text)
    if any(word in text for word in ASSIGNED_WORDS):
        line, read, hashes = (
            0,
            0,
            False,
        )  # where the line of the last match begins, how far it was read, whether it speaks of hashes
        for match in ASSIGNMENT.finditer(text):
            newline = text.rfind("\n", read, match.start()) + 1
            if newline:
                line, read, hashes = newline, newline, False
            hashes = hashes or HASH_WORDS.search(text, max(line, read - HASH_CHARS), match.end()) is not None
            read = match.end()
            if not hashes and _is_assigned_secret(match.group(1)):
                yield match.span(1)


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each private key in PEM. Each search goes on where the last one ended: time is linear in the text."""
    end = foreign = 0  # the next -----END, and the next character that no key has
    begin = PRIVATE_KEY.search(text)
    while begin:
        first = begin.end()
        if end < first + KEY_CHARS[0]:
            end = text.find("-----END", first + KEY_CHARS[0])
            if end == -1:
                return
        if foreign < first:
            found = NOT_IN_A_KEY.search(text, first)
            foreign = found.start() if found else len(text)
        is_key = end - first in KEY_CHARS and foreign >= end
        if is_key:
            yield begin.start(), end + len("-----END")
        begin = PRIVATE_KEY.search(text, end + len("-----END") if is_key else begin.start() + 1)


def entropy(value: str) -> float:
    """Return Shannon's entropy of the characters, in bits per character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def _is_random(value: str) -> bool:
    # The placeholders of documentation: one character over and over, or the alphabet in its order.
    body = value.rsplit("_", 1)[-1].rsplit("-", 1)[-1].lower()
    return len(set(body)) >= 6 and not any(run in body for run in ("123456789", "abcdefgh", "xxxx", "0000000", "example"))


def _is_assigned_secret(value: str) -> bool:
    if UUID.fullmatch(value) or not _is_random(value):
        return False
    kinds = any(c.isdigit() for c in value) + any(c.isupper() for c in value) + any(c.islower() for c in value)
    return kinds >= 2 and any(c.isdigit() for c in value) and entropy(value) >= MIN_ENTROPY
