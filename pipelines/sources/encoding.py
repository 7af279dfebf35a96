"""Bytes to text as The Stack v2 does it: any NUL means binary; UTF-8 strictly first, then a guess that must decode strictly."""

import codecs
import unicodedata

import cchardet


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
    guess = cchardet.detect(data)["encoding"]
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
