"""Bytes to text as The Stack v2 does it: any NUL means binary; UTF-8 strictly first, then a guess that must decode strictly.

Two cases come before the guess, whose detector knows running text and errs on code with a few other characters: UTF-8 with some damaged
bytes is no other encoding, and a lone `©`, `°C` or an accented letter in a word is Windows-1252, of which Latin-1's text is a part.
"""

import codecs
import re
import unicodedata

import cchardet

UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
ASCII = bytes(range(128))
# What Western text has beyond ASCII, in Windows-1252: signs that stand alone, apostrophes, letters of a word.
SIGNS = rb"\x80\x82\x84-\x87\x8b\x93-\x97\x99\x9b\xa0-\xa9\xab-\xb9\xbb-\xbf\xd7\xf7"
LETTERS = rb"\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xaa\xba\xc0-\xd6\xd8-\xf6\xf8-\xff"
SIGN = re.compile(
    rb"(?<![A-Za-z\x80-\xff])[" + SIGNS + rb"](?![\x80-\xff])|(?<![\x80-\xff])[" + SIGNS + rb"](?![A-Za-z\x80-\xff])"
)
WESTERN = re.compile(
    SIGN.pattern + rb"|(?<=[A-Za-z])[\x91\x92](?=[A-Za-z\xc0-\xff])|(?<![A-Za-z])[\x91\x92]|[\x91\x92](?![A-Za-z])"
    rb"|(?<=[A-Za-z])[" + LETTERS + rb"]{1,2}(?![\x80-\xff])|(?<![\x80-\xff])[" + LETTERS + rb"]{1,2}(?=[A-Za-z])"
    rb"|(?<![A-Za-z\x80-\xff])[\xc0\xe0](?![A-Za-z\x80-\xff])"  # the French word
)
# Guesses that hold where letters alone are in question: Western, Turkish and Central European words look alike.
NEIGHBOURS = frozenset(
    {"ISO-8859-2", "WINDOWS-1250", "ISO-8859-9", "WINDOWS-1254", "ISO-8859-15", "ISO-8859-1", "WINDOWS-1252"}
)


def judge(data: bytes, max_bytes: int) -> str | None:
    """Return why these bytes cannot be text: empty, too_large, nul_bytes; None if they may be. A BOM alone is empty."""
    if not data or data == codecs.BOM_UTF8:
        return "empty"
    if len(data) >= max_bytes:
        return "too_large"
    return "nul_bytes" if b"\0" in data else None


def decode(data: bytes) -> tuple[str, str] | None:
    """Return (text, encoding), or None if no encoding gives text. UTF-8 is named "UTF-8"; a BOM is kept out of the text."""
    try:
        return data.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass
    high = len(data.translate(None, ASCII))
    if 2 * (len(data) - len(UTF8_CHARACTER.sub(b"", data))) > high:  # random pairs of two-byte encodings seldom are UTF-8
        return None
    guess = cchardet.detect(data)["encoding"]
    neighbour = (guess or "").upper() in NEIGHBOURS
    western = (SIGN if neighbour else WESTERN).sub(b"", data).isascii()
    if western:
        guess = "WINDOWS-1252"
    if not guess or guess.upper() in {"UTF-8", "UTF-8-SIG"}:
        return None
    try:
        text = data.decode(guess)
        text.encode()  # a codec that gives lone surrogates gives no text
    except (UnicodeError, LookupError):
        return None
    # A wrong guess shows in characters that no one types: controls other than white space, and unassigned code points.
    strange = any(unicodedata.category(c) in {"Cc", "Cn", "Co"} and c not in "\t\n\r\f\v\x1b\x1a" for c in set(text))
    return None if strange else (text, guess.upper())
