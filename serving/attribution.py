"""`POST /attribute` and `POST /overlap`: which files of a release hold a text, and which spans of it are in the release at all.

`GET` and `POST /search` look for a text or an expression, `GET /in/{owner}` says what the release has of an owner: JSON, or a page for
who takes HTML.

`POST /attribution` says the latter as llm-vscode asks it: a `document`, and spans in units of UTF-16, as JavaScript counts.

A thread looks, one text at a time, so that writing goes on; where too many wait, a request is refused at once.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, UsageError
from starmill.reports import owner as owners
from starmill.serving import pages
from starmill.serving.bodies import Refused, read
from starmill.serving.service import Reply, Service
from starmill.serving.worker import Busy
from starmill.transforms.attribution.attribute import Attributor
from starmill.transforms.attribution.portrait import DATASET as PORTRAIT
from starmill.transforms.attribution.portrait import Portrait
from starmill.transforms.attribution.search import Asked as Wanted
from starmill.transforms.attribution.search import Searcher, compiled
from starmill.transforms.attribution.trigrams import DATASET as TRIGRAMS

T = TypeVar("T")
Q = TypeVar("Q")
LONGEST = 100_000  # characters of a text
WAITING = 16  # texts
SECONDS = 5  # of a search
READ = 256 << 20  # bytes of text that a search reads
MOST_OWNERS = 256
STEPS = 1000  # of an expression: RE2 takes 20 nanoseconds a step and byte at worst
OWNER = re.compile(r"[\w.~-]{1,100}", re.ASCII)
Names = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=32)]


class Asked(Struct):
    """A text, and for /attribute how many files of a span to name, and how many to compare at most."""

    text: Annotated[str, Meta(max_length=LONGEST)]
    files: Annotated[int, Meta(ge=1, le=100)] = 10
    candidates: Annotated[int, Meta(ge=1, le=4000)] = 1000


class Document(Struct):
    """Of llm-vscode: what stands around the cursor."""

    document: Annotated[str, Meta(max_length=LONGEST)]


class Search(Struct, kw_only=True):
    """A text to find, or an expression; and how many files, matches of each and lines around them to tell."""

    pattern: Annotated[str, Meta(min_length=1, max_length=1000)]
    regex: bool = False
    ignore_case: bool = False
    languages: Names = []
    licences: Names = []
    files: Annotated[int, Meta(ge=1, le=50)] = 10
    matches: Annotated[int, Meta(ge=1, le=20)] = 3
    context: Annotated[int, Meta(ge=0, le=10)] = 2


class Release:
    """The fingerprints of a finished workspace, and its portrait where it has one. Raises InputError where there are none."""

    def __init__(self, workspace: Workspace) -> None:
        """Look at a text of nothing known, so that what is missing is told now."""
        self._attributor = Attributor(workspace)
        self._portrait = Portrait(workspace) if workspace.manifest(PORTRAIT) is not None else None
        self._attributor("x" * 200)
        self._searcher = Searcher(workspace) if workspace.manifest(TRIGRAMS) is not None else None
        self._workspace, self._owners = workspace, dict[str, list[owners.Repository]]()
        self._thread, self._waiting = ThreadPoolExecutor(1), 0

    def holds(self, asked: Asked) -> dict[str, Any]:
        """Return what is known of a text, as `starmill attribute --json` prints it."""
        return asdict(self._attributor(asked.text, asked.files, asked.candidates))

    def overlaps(self, asked: Asked) -> dict[str, Any]:
        """Return the spans of a text that are in the release, by its portrait. Raises Refused where it has none."""
        if self._portrait is None:
            raise Refused("the release has no portrait; `starmill portrait` makes one", None, 404)
        return {"characters": len(asked.text), "spans": [asdict(span) for span in self._portrait.overlaps(asked.text)]}

    def search(self, asked: Search) -> dict[str, Any]:
        """Return what `starmill search --json` prints, as far as SECONDS and READ allow. Raises Refused."""
        if self._searcher is None:
            raise Refused("the release has no trigrams; `starmill index --search` makes them", None, 404)
        wanted = Wanted(**msgspec.structs.asdict(asked), bytes=READ)
        try:
            if compiled(wanted)[0].programsize > STEPS:
                raise Refused(f"pattern: more than {STEPS:,} steps; give one with fewer repetitions", "pattern")
            end = time.monotonic() + SECONDS
            return asdict(self._searcher(wanted, lambda: time.monotonic() > end))
        except UsageError as error:
            raise Refused(str(error), "pattern") from None

    def of_owner(self, name: str) -> list[owners.Repository]:
        """Return the repositories of an owner. The last MOST_OWNERS who were asked for are kept."""
        key = name.casefold()
        if key not in self._owners:
            if len(self._owners) >= MOST_OWNERS:
                self._owners.pop(next(iter(self._owners)))
            self._owners[key] = owners.repositories(self._workspace, name)
        return self._owners[key]

    def digest(self) -> str:
        """Return that of the release."""
        manifest = self._workspace.manifest(owners.RELEASE)
        if manifest is None:
            raise InputError(f"{self._workspace.root}: the release is gone")
        return manifest.digest

    async def answer(self, find: Callable[[Q], T], asked: Q) -> T:
        """Return what `find` returns, from the thread. Raises Busy where too many wait for it."""
        if self._waiting >= WAITING:
            raise Busy(f"{self._waiting} texts wait to be looked up")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, find, asked)
        finally:
            self._waiting -= 1


async def attribute(service: Service, body: bytes) -> Reply:
    """POST /attribute."""
    release: Release = service.release
    return await release.answer(release.holds, read(body, Asked))


async def overlap(service: Service, body: bytes) -> Reply:
    """POST /overlap."""
    release: Release = service.release
    return await release.answer(release.overlaps, read(body, Asked))


async def attribution(service: Service, body: bytes) -> Reply:
    """POST /attribution."""
    release: Release = service.release
    text = read(body, Document).document
    found = await release.answer(release.overlaps, Asked(text))
    units = [0, *itertools.accumulate(1 + (ord(character) > 0xFFFF) for character in text)]
    return {"spans": [[units[span["start"]], units[span["end"]]] for span in found["spans"]]}


async def search(service: Service, body: bytes) -> Reply:
    """POST /search."""
    release: Release = service.release
    return await release.answer(release.search, read(body, Search))


async def search_page(service: Service, request: Request) -> Response:
    """GET /search?q=: the page, or JSON for who takes no HTML. Fields are those of the body of POST, with `language` and `licence`."""
    release: Release = service.release
    given = {key: value for key, value in request.query_params.items() if value}
    if not _takes_html(request):
        return JSONResponse(await release.answer(release.search, _asked(given)))
    if "q" not in given:
        return pages.search(given, None)
    try:
        return pages.search(given, await release.answer(release.search, _asked(given)))
    except Refused as error:
        return pages.search(given, None, str(error), error.status)


async def owner_page(service: Service, request: Request) -> Response:
    """GET /in/{owner}: repositories, files, bytes, licences, and a request to be left out."""
    release: Release = service.release
    name = str(request.path_params["owner"])
    if not OWNER.fullmatch(name):
        raise Refused("owner: letters, digits and .~_- alone, as before the / in a repository's name", "owner")
    found = await release.answer(release.of_owner, name)
    if _takes_html(request):
        return pages.owner(name, found, release.digest())
    repositories = [asdict(one) for one in found]
    return JSONResponse({"owner": name, "repositories": repositories, "request": owners.request(name, found, release.digest())})


def _takes_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _asked(given: dict[str, str]) -> Search:
    """Return the search of an address. Raises Refused."""
    names = {"languages": given.get("language"), "licences": given.get("licence")}
    known = {key: value for key, value in given.items() if key in ("regex", "ignore_case", "files", "matches", "context")}
    fields = {"pattern": given.get("q", ""), **known, **{key: [value] for key, value in names.items() if value}}
    try:
        return msgspec.convert(fields, Search, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(str(error)) from None
