r"""The tags of XML or HTML, each with the text behind it, cut out of bytes that come in pieces: in linear time, and with no document type.

Well-formed XML has no raw `<` but where a tag begins, so a piece from one to the next is a tag with its text: what is wrong with one costs
that one, and a reader may begin anywhere. Nothing is declared, expanded or fetched: of entities the five of XML and numbers are known.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from starmill.pipelines.sources.lines import lines

# The name, the attributes, whose values may hold a `>`, the end, and the text. Possessive: no look back, no square.
TAG = re.compile(r"""(/?[A-Za-z][\w:.-]*+)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>(.*)""", re.DOTALL)
ATTRIBUTE = re.compile(r"""([A-Za-z_][\w:.-]*+)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
UNKNOWN = re.compile(r"&(?!(?:lt|gt|amp|quot|apos|#[0-9]{1,8}|#x[0-9A-Fa-f]{1,8});)")
NUMBER = re.compile(r"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,8}));")


class Malformed(ValueError):
    """What is no tag, or refers to an entity that XML does not know."""


class Tag(NamedTuple):
    """A tag: its name, with a slash where it ends an element, its attributes as they are written, and the text up to the next."""

    name: str
    attributes: str
    text: str


def pieces(chunks: Iterable[bytes], most: int) -> Iterator[tuple[bytes | None, int]]:
    """Yield what stands between each `<` and the next, with its size in bytes; None in place of one longer than `most` bytes."""
    found = lines(chunks, most, b"<")
    next(found, None)  # before the first tag
    yield from found


def tag(piece: bytes) -> Tag:
    r"""Return the tag of a piece. Raises Malformed, for what is not UTF-8 too.

    >>> tag(b'row Id="1" Body="a > b" />\n')
    Tag(name='row', attributes=' Id="1" Body="a > b" /', text='\n')
    """
    try:
        found = TAG.match(piece.decode())
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: {error.reason}") from None
    if not found:
        raise Malformed("no tag, or one that does not end")
    return Tag(*found.groups())


def attributes(written: str) -> dict[str, str]:
    """Return the attributes of a tag, as they are meant. Raises Malformed.

    >>> attributes(' Id="1" Body="&lt;p&gt;a &amp;amp; b&#xA;" /')
    {'Id': '1', 'Body': '<p>a &amp; b\\n'}
    """
    return {name: plain(double or single) for name, double, single in ATTRIBUTE.findall(written)}


def plain(text: str) -> str:
    """Return a text without entities; characters that XML does not have are left out. Raises Malformed for an unknown entity.

    >>> plain("&lt;b&gt; &#233;&#x0;&amp;lt;")
    '<b> é&lt;'
    """
    if "&" not in text:
        return text
    if unknown := UNKNOWN.search(text):
        raise Malformed(f"an entity that XML does not know: {text[unknown.start() : unknown.start() + 20]!r}")
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&apos;", "'")
    if "&#" in text:
        text = NUMBER.sub(_character, text)
    return text.replace("&amp;", "&")


def _character(number: re.Match[str]) -> str:
    code = int(number[1], 16) if number[1] else int(number[2])
    if code == 0x26:
        return "&amp;"  # its turn comes last
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return chr(code) if allowed else ""
