"""The articles of Wikipedia, or of another MediaWiki, from its XML dumps (`pages-articles`): the last revision of each as plain text.

Pages of other namespaces and redirects are counted. The texts are under CC BY-SA, whose attribution a record's repo_name and path give: the
wiki's host and the page's title, or, where that would be no path (`/dev/null`), the title as it stands in an address.
"""

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, ClassVar, Literal, cast
from urllib.parse import quote

from starmill.core.errors import of_a_file
from starmill.core.names import Place
from starmill.pipelines.sources.archives.inflate import Stream, opened
from starmill.pipelines.sources.dumps import COMPRESSED, Chunks, files, fingerprint_of, most
from starmill.pipelines.sources.source import (
    COUNTED,
    FREE_BYTES,
    Counted,
    Entry,
    Limits,
    Options,
    Repository,
    Snapshot,
    label,
    state_of,
    unique,
)
from starmill.pipelines.sources.tags import Malformed
from starmill.pipelines.sources.wikipedia import wikitext
from starmill.pipelines.sources.wikipedia.pages import Page, Pages, Site, Slice, is_multistream, start

DUMP = re.compile(rf"\.xml(?:-p[0-9]+p[0-9]+)?{COMPRESSED}\Z")
NAMED = re.compile(
    r"(?P<wiki>[a-z_]+wiki[a-z]*)-(?P<date>[0-9]{8})-pages-articles(?P<multi>-multistream)?(?P<part>[0-9]*\.xml(?:-p[0-9]+p[0-9]+)?)"
)
WHOLE = ".xml"  # and not a part of a dump, as `1.xml-p1p41242`
PIECE_BYTES = 64 << 20  # compressed, of a dump of many streams that are read together
HOLD = 32 << 20  # bytes of entries that wait until the stream's own checksum has agreed
HEAD = 1 << 18  # bytes, inflated, in which a dump says what wiki it is of


@dataclass(frozen=True, kw_only=True)
class Wikipedia(Options):
    """Articles of MediaWiki's dumps: `.xml`, plain, .gz, .bz2, .xz, .zst; of one wiki only the newest dump in the folder is read."""

    kind: Literal["wikipedia"] = "wikipedia"  # always given
    folder: Place  # of dumps, at any depth
    gives: ClassVar[tuple[str, ...]] = ("wikipedia",)

    def places(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)

    def inventory(self) -> list[Repository]:
        """Return the plan, and the files that are no dumps, or older than another one of the same wiki."""
        seen, planned = dict[str, int](), list[Repository]()
        found = [*files(self.folder, DUMP, "not_a_dump")]
        newest, taken = dict[str, tuple[str, str, bool]](), set[tuple[str, str]]()
        for wiki, dump, _ in filter(None, (_named(of.path) for of in found if not of.why)):
            newest[wiki] = max(dump, newest.get(wiki, dump))
        for of in found:
            if not of.why and (named := _named(of.path)):
                wiki, dump, part = named
                is_another = newest[wiki] != dump or (wiki, part) in taken
                of = of._replace(why="another_dump_of_the_wiki" if is_another else "")
                taken.add((wiki, part))
            if of.why:
                planned.append(of.left_out(seen))
                continue
            path, size, place = of.path, of.size, {"file": os.fsdecode(of.path)}
            name = unique(DUMP.sub("", of.shown) or of.shown, seen)
            at = range(0, size, PIECE_BYTES) if size > PIECE_BYTES and _multistream(os.fsdecode(path)) else [0]
            for number, first in enumerate(at):
                own = f"{name}/{number:05d}" if len(at) > 1 else name
                piece = place | ({"first": str(first)} if len(at) > 1 else {})
                made = fingerprint_of((of.state, piece.get("first")))
                planned.append(Repository(own, piece, min(PIECE_BYTES, size) if len(at) > 1 else size, made))
        return sorted(planned, key=lambda r: r.name)

    def notes(self) -> tuple[str, ...]:
        """Say what the texts' licence asks for."""
        return ("the texts are under CC BY-SA: keep repo_name and path with what is made of them, which name each one's page",)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the articles of a dump or a piece of one, in its order."""
        return Snapshot(), self._entries(repository.place, limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the dump has now."""
        place = repository.place
        return fingerprint_of((state_of(place["file"])[0], place.get("first")))

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many articles there are, by reading; of what is no dump, 1."""
        place = repository.place
        if repository.left_out in ("not_a_dump", "symlink", "not_a_regular_file", "unreadable"):
            return Counted(1, True, "find . ! -type d")
        found = 0
        try:
            with _stream(place, limits) as stream:
                found = sum(page.is_article for page in Pages(Chunks(stream)))
        except OSError as error:
            of_a_file(error, place["file"])
        return Counted(found, True, "grep -c '<ns>0</ns>'")

    def _entries(self, place: Mapping[str, str], limits: Limits) -> Iterator[Entry]:
        [kind] = self.gives
        try:
            site = _site(place["file"])
            with _stream(place, limits) as stream:
                yield from (replace(entry, kind=kind) for entry in _read(stream, site, limits.max_file_bytes, "first" in place))
        except OSError as error:
            yield Entry(b"", None, "unreadable_dump", of_a_file(error, place["file"]), kind=kind)


def _read(stream: Stream, site: Site, max_bytes: int, is_piece: bool) -> Iterator[Entry]:
    """Yield the articles that a stream's checksums have agreed on, as far as they can wait for them, and what was wrong."""
    chunks, waiting, held, others = (
        Chunks(stream),
        deque[tuple[int, Entry]](),
        0,
        {"redirects": 0, "pages of other namespaces": 0},
    )
    pages = Pages(chunks, site)
    for page in pages:
        if not page.is_article:
            others["redirects" if page.is_redirect else "pages of other namespaces"] += 1
            continue
        entry = _entry(page, pages.site, max_bytes)
        waiting.append((stream.at, entry))
        held += len(entry.data or b"")
        while waiting and (not stream.packed or waiting[0][0] <= stream.believed or held > HOLD):
            held -= len(waiting[0][1].data or b"")
            yield waiting.popleft()[1]
    problem = chunks.problem
    while waiting and waiting[0][0] <= stream.believed:
        yield waiting.popleft()[1]
    if stream.broken and problem:
        problem = replace(problem, detail=f"{problem.detail}; {len(waiting)} articles before it are not believed")
        waiting.clear()
    yield from (entry for _, entry in waiting)
    if problem:
        yield problem
    elif pages.inside or (pages.is_wiki and not pages.is_whole and not is_piece):
        yield Entry(b"", None, "truncated_dump", "it ends inside of a page" if pages.inside else "it has no end")
    elif not pages.is_wiki and not is_piece:
        yield Entry(b"", None, "not_a_wiki", "there is no <mediawiki> in it", size=stream.at)
    if pages.declarations:
        yield Entry(
            b"", None, "markup_declaration", f"{pages.declarations:,} declarations or comments; nothing of them is used"
        )
    for what, number in others.items():
        if number:
            yield Entry(b"", None, "not_an_article", f"{number:,} {what}")


def _entry(page: Page, site: Site, max_bytes: int) -> Entry:
    title = page.title
    path = (
        quote(title, safe="").replace(".", "%2E") if label(title.encode("utf-8", "replace"))[1] else title
    ).encode() or b"untitled"
    of = Entry(path, None, page.reason, page.detail, page.size, repo_name=site.host.encode() or None)
    if page.reason:
        return of
    if page.stored is None:
        return replace(of, reason="no_text", detail="no revision in it has a text")
    if page.size >= 8 * max_bytes:
        return replace(of, reason="too_large")
    try:
        text = wikitext.text(page.wikitext(), site.files)
    except Malformed as error:
        return replace(of, reason="malformed_page", detail=str(error))
    data = text.encode("utf-8", "replace")
    if not data:
        return replace(of, reason="no_text", detail="nothing in it is text")
    if len(data) >= max_bytes:
        return replace(of, reason="too_large", size=len(data))
    return replace(of, data=data + b"\n", size=0)


def _named(path: bytes) -> tuple[str, tuple[str, str, bool], str] | None:
    """Return the wiki of a dump by its name, which dump of that it is, the newest last and a whole one behind its parts, and its part."""
    found = NAMED.match(os.path.basename(os.fsdecode(path)))
    return (found["wiki"], (found["date"], found["multi"] or "", found["part"] == WHOLE), found["part"]) if found else None


def _multistream(file: str) -> bool:
    try:
        with opened(file) as stored:
            return is_multistream(stored)
    except OSError as error:
        of_a_file(error, file)
        return False  # reading it says what is wrong


@contextmanager
def _stream(place: Mapping[str, str], limits: Limits) -> Iterator[Stream]:
    """Open a dump, or a piece of one: the streams that begin in it."""
    with opened(place["file"]) as stored:
        size = os.fstat(stored.fileno()).st_size
        first, last = 0, size
        if "first" in place:
            end = int(place["first"]) + PIECE_BYTES
            found = start(stored, int(place["first"]), min(end, size))
            first = size if found is None else found
            last = size if found is None else start(stored, end, size) or size
        limit = most(
            last - first, FREE_BYTES + COUNTED * limits.max_inflated_bytes, limits.max_inflation
        )  # records are counted by ingest
        yield Stream(cast(BinaryIO, Slice(stored, first, last)), limit)


def _site(file: str) -> Site:
    """Return what a dump says of its wiki, at its start."""
    with opened(file) as stored:
        pages = Pages(Chunks(Stream(stored, 4 * HEAD), HEAD))
        for _ in pages:
            break
    return pages.site
