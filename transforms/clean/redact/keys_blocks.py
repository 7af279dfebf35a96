"""Private keys in every dress that people paste them in: PEM, OpenPGP, SSH2 and PuTTY; whole lines, strings put together, arrays, comments.

From the line that begins a key on, all that can belong to it is read: base64, header lines, and what code puts around lines of text
(quotes, plus signs, commas, brackets, comment leaders, `\\n`). The key goes from its first line to the end of its last, or to its
last base64 where the last line is missing. A line that begins a key and has no key behind it (a parser's constant, documentation) stays.
"""

import re

from starmill.transforms.clean.redact.keys_checks import decoded, der_length
from starmill.transforms.clean.redact.keys_gibberish import surprise

BEGIN = re.compile(rb"-{4,5} ?BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
PUTTY = re.compile(rb"Private-Lines: [0-9]{1,4}")
ANCHORS = (rb"PRIVATE KEY(?: BLOCK)? ?----", rb"Private-Lines: [0-9]")
END = re.compile(rb"-{4,5} ?END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}|-----END")
# What stands between lines of base64: white space, escapes, and the syntax of strings, arrays and comments.
BETWEEN = re.compile(
    rb"(?:[\s\"'`,;()\[\]{}<>|&#*.:_%!$@~?=]|\\(?:r\\n|[nrt0\"'\\]|\r?\n)?|//(?=\s)|\+(?=[\s\"'=])|/(?=[*\s])|--?(?!-))*+"
)
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]|\\/)++={0,2}+")
HEADER = re.compile(
    rb"(?:Version|Comment|Proc-Type|DEK-Info|Hash|Charset|MessageID|Subject|x-cryptlib-[a-z-]{1,20}|Encryption|Public-Lines|Key-Derivation"
    rb"|Argon2-[A-Za-z]{1,12}|Private-MAC)\\?: ?[^\n\\]{0,200}"
)
# What of code may stand before the next string: a prefix, a call, an assignment that adds.
WORD = re.compile(
    rb"(?:String|str|b|u|r|f|L|dnl|REM|rem|echo)(?=[\"'\s])|br(?= ?/?>)|[A-Za-z_$][\w.$]{0,40}(?=\s?(?:\(|\+=|\.=)\s?[\"'])"
)
MOST_BYTES = 20_000  # of a key
FEWEST = 64  # characters of base64 that are a key: an Ed25519 key in PEM has that many
LINE = 40  # characters of base64 that a line of a key has, but for its last
LAST = re.compile(rb"=?[A-Za-z0-9+/]{1,63}={0,2}(?![A-Za-z0-9+/])")  # a short line, or a checksum of OpenPGP


def block(data: bytes, begin: re.Match[bytes]) -> tuple[int, int] | None:
    """Return the (start, end) of the private key that a first line begins, or None if none stands behind it.

    >>> key = b"-----BEGIN PRIVATE KEY-----\\\\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\\\\n-----END"
    >>> [block(text, BEGIN.search(text)) for text in (key, key[:27], key[:27] + b" and a key behind it")]
    [(0, 103), None, None]
    """
    at = last = begin.end()
    stop = min(len(data), begin.end() + MOST_BYTES)
    found: list[bytes] = []
    size = 0
    while at < stop:
        at = _behind(data, at, stop)
        if END.match(data, at):
            break
        if header := HEADER.match(data, at, stop) or WORD.match(data, at, stop):
            at = header.end()
            continue
        line = BASE64.match(data, at, stop)
        if not line or (line.end() - at < LINE and not (found and _is_last(data, line, size, stop))):
            break
        found.append(line.group())
        size += line.end() - at
        at = last = line.end()
    end = END.match(data, at)
    if size < FEWEST or not _is_key(b"".join(found).replace(b"\\", b"")):
        return None
    return begin.start(), end.end() if end else last


def putty(data: bytes, begin: re.Match[bytes]) -> tuple[int, int] | None:
    """Return the (start, end) of the private lines of a key as PuTTY writes it."""
    found = block(data, begin)
    return (begin.end() + 1, found[1]) if found else None


def _behind(data: bytes, at: int, stop: int) -> int:
    between = BETWEEN.match(data, at, stop)
    return between.end() if between else at


def _is_last(data: bytes, line: re.Match[bytes], size: int, stop: int) -> bool:
    """Say whether a short line is a key's last: the key ends behind it, or it makes base64 whole and looks like base64."""
    whole = (size + len(line.group())) % 4 == 0 and (line.group().endswith(b"=") or surprise(line.group()) > 6.5)
    return whole or _ends(data, line.end(), stop)


def _ends(data: bytes, at: int, stop: int) -> bool:
    """Say whether the key ends behind a short line: by its last line, a checksum of OpenPGP, PuTTY's next field, or the text's end."""
    for _ in range(2):
        at = _behind(data, at, stop)
        if END.match(data, at) or data.startswith(b"Private-MAC", at) or at == len(data):
            return True
        line = LAST.match(data, at, stop)
        if not line:
            return False
        at = line.end()
    return False


def _is_key(text: bytes) -> bool:
    data = decoded(text[:64])
    length = der_length(data)
    return (length is not None and length > 40) or len(set(text)) >= 20
