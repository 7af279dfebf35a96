"""`POST /attribute` and `POST /overlap`: which files of a release hold a text, and which spans of it are in the release at all.

`POST /attribution` says the latter as llm-vscode asks it: a `document`, and spans in units of UTF-16, as JavaScript counts.

A thread looks, one text at a time, so that writing goes on; where too many wait, a request is refused at once.
"""

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

from starmill.core.dataset import Workspace
from starmill.serving.bodies import Refused, read
from starmill.serving.service import Reply, Service
from starmill.serving.worker import Busy
from starmill.transforms.attribution.attribute import Attributor
from starmill.transforms.attribution.portrait import DATASET as PORTRAIT
from starmill.transforms.attribution.portrait import Portrait

T = TypeVar("T")
LONGEST = 100_000  # characters of a text
WAITING = 16  # texts


class Asked(Struct):
    """A text, and for /attribute how many files of a span to name, and how many to compare at most."""

    text: Annotated[str, Meta(max_length=LONGEST)]
    files: Annotated[int, Meta(ge=1, le=100)] = 10
    candidates: Annotated[int, Meta(ge=1, le=4000)] = 1000


class Document(Struct):
    """Of llm-vscode: what stands around the cursor."""

    document: Annotated[str, Meta(max_length=LONGEST)]


class Release:
    """The fingerprints of a finished workspace, and its portrait where it has one. Raises InputError where there are none."""

    def __init__(self, workspace: Workspace) -> None:
        """Look at a text of nothing known, so that what is missing is told now."""
        self._attributor = Attributor(workspace)
        self._portrait = Portrait(workspace) if workspace.manifest(PORTRAIT) is not None else None
        self._attributor("x" * 200)
        self._thread, self._waiting = ThreadPoolExecutor(1), 0

    def holds(self, asked: Asked) -> dict[str, Any]:
        """Return what is known of a text, as `starmill attribute --json` prints it."""
        return asdict(self._attributor(asked.text, asked.files, asked.candidates))

    def overlaps(self, asked: Asked) -> dict[str, Any]:
        """Return the spans of a text that are in the release, by its portrait. Raises Refused where it has none."""
        if self._portrait is None:
            raise Refused("the release has no portrait; `starmill portrait` makes one", None, 404)
        return {"characters": len(asked.text), "spans": [asdict(span) for span in self._portrait.overlaps(asked.text)]}

    async def answer(self, find: Callable[[Asked], T], asked: Asked) -> T:
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
