"""Bytes to text: UTF-8 strictly, UTF-16 and UTF-32 where certain, else the encoding in which the bytes read like a language; or none.

The last is a guess, and is taken only where every other text that the bytes could be is far less likely (letters.py), and where what
was read is no worse than text in that language is. A wrong text is worse than none: what stays in doubt is no text. UTF-8 with some
damaged bytes is no other encoding.
"""

import codecs
import math
import re
import unicodedata
from collections import Counter

from starmill.pipelines.sources import letters

UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
ASCII = bytes(range(128))
BEYOND = re.compile(rb"[\x80-\xff]")
RUN = re.compile(r"([^\x00-\x7f])\1{7}")  # of a letter: a frame drawn in an encoding of DOS, or memory that nobody wrote
MARKS = (  # UTF-32's first: UTF-16's begins one of them
    (codecs.BOM_UTF32_LE, "UTF-32LE"),
    (codecs.BOM_UTF32_BE, "UTF-32BE"),
    (codecs.BOM_UTF16_LE, "UTF-16LE"),
    (codecs.BOM_UTF16_BE, "UTF-16BE"),
)
EMPTY = (b"", codecs.BOM_UTF8, *(mark for mark, _ in MARKS))
TYPED = frozenset("\t\n\r\f\v\x1b\x1a")  # controls that a text has
LATIN = frozenset(("LATIN", "MICRO", "FEMININE", "MASCULINE"))  # first words of letters' names
EAST = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH"))
THAI = "CP874"  # whose letters lie where UTF-8 has the bytes of characters: a word is often the form of some, of ones in use it hardly is
HEAD = 256  # bytes: UTF-16 and UTF-32 without a BOM have zeros among the first of them, or are not certain
SAMPLE = (
    4 << 10
)  # bytes of lines beyond ASCII that a guess is made from: of more, pairs of bytes come again and weigh less than characters
LINE = 2000  # of them at most in one line
DOUBT = 5.0  # nats between the likeliest text and all others together: one in 150


def judge(data: bytes, max_bytes: int) -> str | None:
    """Return why these bytes cannot be text: empty, too_large, nul_bytes; None if they may be. A BOM alone is empty."""
    if len(data) <= 4 and data in EMPTY:
        return "empty"
    if len(data) >= max_bytes:
        return "too_large"
    return "nul_bytes" if b"\0" in data and _wide(data) is None else None


def decode(data: bytes) -> tuple[str, str] | None:
    """Return (text, encoding) of bytes that `judge` lets pass, or None if no encoding surely gives text.

    The name is one by which Python reads the bytes again, UTF-16BE for instance. A BOM is kept out of the text.
    """
    return unicode(data) or _guessed(data)


def unicode(data: bytes) -> tuple[str, str] | None:
    """Return (text, encoding) of what is UTF-8, UTF-16 or UTF-32, else None. UTF-8 is named "UTF-8", whatever of it is ASCII."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _wide(data)
    if data.find(b"\0", 0, HEAD) >= 0:  # in others there is none, as `judge` saw
        return _wide(data)
    if b"\x1b" in data and b"\x1b$" in data and (japanese := _read(data, "ISO-2022-JP")) and "\x1b" not in japanese[0]:
        return japanese
    return text.removeprefix("\ufeff"), "UTF-8"


def _wide(data: bytes) -> tuple[str, str] | None:
    """Return the text of UTF-16 or UTF-32: with a BOM if it is valid, without one if its characters are those of a text."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return _read(data[len(mark) :], name, marked=True)
    shape = _shape(data[:HEAD]) and _shape(data)
    read = _read(data, shape) if shape else None
    if read is None:
        return None
    text = read[0]
    used = set(text)
    plain = [c for c in text if c < "\x7f"]
    scripts = {unicodedata.name(c, "?").split()[0].split("-")[0] for c in used if c.isalpha()} - LATIN
    like_text = {" ", "\n"} & used and len(used) >= 8 and len(text) >= 12 and len(plain) >= max(3, len(text) / 20)
    return read if like_text and (len(scripts) < 2 or scripts <= EAST) else None


def _shape(data: bytes) -> str | None:
    """Return the encoding without a BOM whose zeros these are: of ASCII in UTF-32 three in four bytes, in UTF-16 every other one."""
    zeros = [data[at::4].count(0) for at in range(4)]
    units = len(data) // 4
    for name, (a, _, c, d) in (("UTF-32LE", zeros), ("UTF-32BE", zeros[::-1])):
        if units and len(data) % 4 == 0 and d == units and 2 * c > units > 4 * a:
            return name
    low, high = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if len(data) % 2 or not max(low, high) > 8 * min(low, high):  # a common character, one in Chinese, has a zero as well
        return None
    return "UTF-16LE" if high > low else "UTF-16BE"


def _read(data: bytes, name: str, marked: bool = False) -> tuple[str, str] | None:
    """Return the strictly decoded text and the name, unless there are characters in it that no one types.

    These are controls other than white space, and code points that are not assigned or private: a wrong guess shows in them. A BOM
    vouches for private ones, and for characters above the first plane that this Python is too old to know.
    """
    try:
        text = data.decode(name)
        text.encode()  # a codec that gives lone surrogates gives no text
    except UnicodeError:
        return None
    for c in set(text):
        category = unicodedata.category(c)
        if category == "Cc" and c not in TYPED:
            return None
        if category in ("Cn", "Co") and not (marked and (category == "Co" or c > "\uffff")):
            return None
    return text, name


def _guessed(data: bytes) -> tuple[str, str] | None:
    """Return the text in the encoding of before Unicode in which it reads like a language, if there is one, and one alone."""
    in_use, shaped = _utf8_shares(data)
    if in_use > 0.5:
        return None
    sample, others, whole = _sample(data)
    best = _likeliest(sample, whole)
    if best is None or (shaped >= 0.75 and best != THAI):
        return None
    if others:  # of bytes that the sample has not, in which encodings of the same sample may differ
        last = _likeliest(others + sample, whole)
        if last is None or sample.decode(last, "replace") != sample.decode(best, "replace"):
            return None
        best = last
    read = _read(data, best)
    return None if read is None or any(c.isalpha() for c in RUN.findall(read[0])) else read


def _likeliest(sample: bytes, whole: bool) -> str | None:
    """Return the encoding in which lines read best, if it is good, and far better than every one that gives another text."""
    found = letters.readings(sample, whole)
    if not found or found[0].cost > found[0].most:
        return None
    best = found[0]
    others: dict[str, float] = {}
    for one in found:
        if one.text != best.text:
            others[one.text] = max(others.get(one.text, 0.0), math.exp(best.cost - one.cost))
    return best.encoding if sum(others.values()) < math.exp(-DOUBT) else None


def _utf8_shares(data: bytes) -> tuple[float, float]:
    """Return which shares of the bytes beyond ASCII are UTF-8: as characters in use, and as any.

    It is damaged UTF-8 above a half of the first, or from three quarters of the second on. By chance some bytes are.
    """
    high = len(data.translate(None, ASCII))
    if not high:  # nulls that are in no text
        return 1.0, 1.0
    found = Counter(UTF8_CHARACTER.findall(data))
    used = letters.characters()
    known = sum(len(c) * n for c, n in found.items() if c.decode("utf-8", "replace") in used)
    return known / high, sum(len(c) * n for c, n in found.items()) / high


def _sample(data: bytes) -> tuple[bytes, bytes, bool]:
    """Return lines that are not all ASCII, up to SAMPLE bytes, and whether the last of them is whole; between the two, one later line of
    each byte beyond ASCII that none of them has. Linear, however long a line is.
    """
    lines, size, at, whole = list[bytes](), 0, 0, True
    while size < SAMPLE and (match := BEYOND.search(data, at)):
        start = max(data.rfind(b"\n", max(at, match.start() - LINE), match.start()) + 1, at, match.start() - LINE)
        end = data.find(b"\n", match.start(), start + SAMPLE)
        whole = end >= 0 or start + SAMPLE >= len(data)
        at = end + 1 if end >= 0 else min(len(data), start + SAMPLE)
        lines.append(data[start:at])
        size += at - start
    sample, others = b"".join(lines), list[bytes]()
    for byte in sorted(set(data[at:].translate(None, ASCII)).difference(sample)):
        found = data.find(bytes([byte]), at)
        start, end = data.rfind(b"\n", max(0, found - LINE), found) + 1, data.find(b"\n", found, found + LINE)
        if start and end >= 0:  # no line that is cut
            others.append(data[start : end + 1])
    return sample, b"".join(others), whole
