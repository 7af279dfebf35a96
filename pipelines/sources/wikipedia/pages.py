"""Pages of a MediaWiki dump (export-0.x XML), as they come: tags are cut out of the bytes, so a piece of a dump may be read by itself.

Many dumps are bzip2 of many streams, each of 100 whole pages (`multistream`): such a file is read in pieces, each from the first stream
that begins in it.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urlsplit

from starmill.pipelines.sources.tags import Malformed, attributes, pieces, plain, tag
from starmill.pipelines.sources.wikipedia.wikitext import FILES

STREAM = re.compile(rb"BZh[1-9]1AY&SY")  # how a stream of bzip2 begins, with its first block
CHUNK = 1 << 18
MAX_TEXT = 64 << 20  # bytes of a tag with its text, as stored; MediaWiki lets nobody write more than 2 MiB
MAX_NAMES = 64  # of these namespaces, with all their aliases
FILE_SPACES = ("6", "14")  # the numbers of the namespaces of files and categories


@dataclass
class Site:
    """What a dump says of its wiki: its host, and the names of the namespaces of files and categories, in lower case."""

    host: str = ""
    files: frozenset[str] = FILES


@dataclass
class Page:
    """One page: `stored` is the tag of its last revision's text, with the text, as stored, or None with the reason why."""

    title: str = ""
    space: str = ""
    is_redirect: bool = False
    stored: bytes | None = None
    size: int = 0
    reason: str | None = None
    detail: str | None = None

    @property
    def is_article(self) -> bool:
        """Whether it is a page of the main namespace, and no other name of one. What is not understood may be one."""
        return bool(self.reason) or (self.space == "0" and not self.is_redirect)

    def wikitext(self) -> str:
        """Return its text. Raises Malformed."""
        found = tag(self.stored or b"")
        return "" if found.attributes.endswith("/") else plain(found.text)


@dataclass
class Pages:
    """The pages of some bytes; once they end, what else was found in them."""

    chunks: Iterable[bytes]
    site: Site = field(default_factory=Site)
    is_wiki: bool = False  # a dump's first tag, or a page, was there
    is_whole: bool = False  # and its last tag
    declarations: int = 0  # of a document type, and comments
    inside: bool = False  # whether they end inside of a page

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages."""
        page: Page | None = None
        for piece, size in pieces(self.chunks, MAX_TEXT):
            if piece is None:
                if page:
                    page.reason, page.size = "too_large", size
                continue
            if piece.startswith(b"page>"):
                if page:  # the one before has no end
                    yield _malformed(page, "it has no end")
                page, self.is_wiki = Page(), True
            elif piece.startswith(b"/page>") and page:
                yield page if page.title else _malformed(page, "it has no title")
                page = None
            elif piece.startswith((b"text>", b"text ", b"text/")) and page:
                page.stored, page.size = piece, size
            elif page and not page.reason:
                _read(page, piece)
            elif piece.startswith(b"!"):
                self.declarations += 1
            elif not page:
                self._about(piece)
        self.inside = page is not None

    def _about(self, piece: bytes) -> None:
        if piece.startswith((b"mediawiki>", b"mediawiki ")):
            self.is_wiki = True
        elif piece.startswith(b"/mediawiki>"):
            self.is_whole = True
        elif piece.startswith((b"base>", b"dbname>", b"namespace ")):
            try:
                found = tag(piece)
                said = plain(found.text).strip()
                if found.name == "namespace" and attributes(found.attributes).get("key") in FILE_SPACES and said:
                    if len(self.site.files) < MAX_NAMES:
                        self.site.files |= {said[:255].lower()}
                elif found.name == "base":
                    self.site.host = urlsplit(said).hostname or self.site.host
                elif found.name == "dbname":
                    self.site.host = self.site.host or said
            except ValueError:  # nothing of it is needed
                pass


def _read(page: Page, piece: bytes) -> None:
    try:
        if piece.startswith(b"title>"):
            page.title = plain(tag(piece).text).strip()
        elif piece.startswith(b"ns>"):
            page.space = tag(piece).text.strip()
        elif piece.startswith((b"redirect ", b"redirect>", b"redirect/")):
            page.is_redirect = True
        elif piece.startswith(b"!"):
            _malformed(page, "a declaration or comment is in it")
    except Malformed as error:
        _malformed(page, str(error))


def _malformed(page: Page, detail: str) -> Page:
    page.reason, page.detail = page.reason or "malformed_page", page.detail or detail
    return page


def start(file: BinaryIO, at: int, upto: int) -> int | None:
    """Return where the first stream of bzip2 begins from `at` on and before `upto`, or None."""
    file.seek(at)
    held = b""
    while at < upto and (data := file.read(CHUNK)):
        held += data
        if found := STREAM.search(held):
            return at + found.start() if at + found.start() < upto else None
        at += max(0, len(held) - 9)
        held = held[-9:]
    return None


def is_multistream(file: BinaryIO) -> bool:
    """Say whether a file is bzip2 whose second stream, as of all multistream dumps, follows a short first one."""
    return start(file, 0, 1) == 0 and start(file, 1, 1 << 20) is not None


class Slice(io.RawIOBase):
    """Some bytes of a file, as a file."""

    def __init__(self, file: BinaryIO, first: int, last: int) -> None:
        """Show the bytes [first, last)."""
        self._file, self._first, self._size = file, first, last - first
        self.seek(0)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place from the start, or from the end."""
        self._at = offset if whence == io.SEEK_SET else self._size + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes."""
        left = self._size - self._at
        self._file.seek(self._first + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data
