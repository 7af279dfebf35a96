"""Hours of GHArchive as rows and problems, line by line: what whoever sorts them has in common.

An hour is opened anew for each look, because one whose last member is cut off is read again up to the member before.
"""

import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from starmill.core.storage import Storage
from starmill.pipelines.sources.gharchive import events as gharchive_events
from starmill.pipelines.sources.gharchive import hours as gharchive_hours
from starmill.pipelines.sources.gharchive.events import Row
from starmill.pipelines.sources.gharchive.hours import File, NoEvents


class Hour(NamedTuple):
    """A file of the dump; another `state` is another hour."""

    name: str
    state: str


class Problem(NamedTuple):
    """What is lost of an hour: a line, or for line 0 more than lines."""

    line: int
    reason: str
    detail: str
    size: int


class Listed(NamedTuple):
    """A file of a listing: the hour, the name that the store has it by, and its bytes there."""

    hour: Hour
    file: str
    size: int


def listed(storage: Storage, max_hour_bytes: int) -> list[Listed]:
    """Return what lies in a folder of hours, by name. Raises OSError for a folder of this machine that is absent."""
    if storage.is_local:
        os.listdir(storage.root)  # an absent folder is an error, not an empty one
    found = ((quote(os.fsencode(f.name)), f) for f in storage.listing(""))  # no sort holds a name that is not UTF-8
    return sorted(
        Listed(Hour(name, f"{file.size} {file.modified} {max_hour_bytes}"), file.name, file.size) for name, file in found
    )


def found(file: File, members: int | None, max_bytes: int) -> Iterator[tuple[list[Row], list[Problem], int]]:
    """Yield the rows and the problems of some lines, and their bytes. Raises gharchive_hours.Cut.

    `members`: of a gzip file, only so many are read. What is no hour ends in a problem of line 0.

    >>> import io
    >>> [(rows, [p.reason for p in problems]) for rows, problems, _ in found(io.BytesIO(b'{"id":'), None, 99)]
    [([], ['bad_event'])]
    """
    before = 0
    try:
        for block in gharchive_hours.blocks(file, members, max_bytes):
            rows, problems, size, count = list[Row](), list[Problem](), 0, 1
            if isinstance(block, int):
                problems.append(Problem(before + 1, "line_too_long", f"more than {gharchive_hours.MAX_LINE:,} bytes", block))
            else:
                ends = block.count(b"\n")
                count, size = ends + (not block.endswith(b"\n")), len(block) - ends
                for line, detail, of in gharchive_events.add_all(block, count, rows):
                    problems.append(Problem(before + line, "bad_event", detail, of))
            before += count
            yield rows, problems, size
    except NoEvents as error:
        yield [], [Problem(0, error.reason, str(error), 0)], 0


def cut(error: gharchive_hours.Cut) -> Problem:
    """Return the problem of an hour that is read up to a damaged member."""
    detail = f"member {error.whole + 1}: {error}; the {error.whole} before it are read"
    return Problem(0, "cut_member", detail, 0)


class _NoFile:
    """Stands for what lies among the hours and is no file."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def read(self, size: int) -> bytes:
        raise NoEvents(self._reason, "no link is followed, and no pipe waited for")


class Looks:
    """Opens an hour again and again, and closes what it opened."""

    def __init__(self, storage: Storage, name: str) -> None:
        """Keep where the hour lies."""
        self._storage, self._name, self._open = storage, name, list[Any]()

    def __enter__(self) -> Iterator[Any]:
        """Return what opens it at each `next`."""
        return self._again()

    def __exit__(self, *of: object) -> None:
        """Close it."""
        while self._open:
            self._open.pop().__exit__(None, None, None)

    def _again(self) -> Iterator[Any]:
        while True:
            self.__exit__()
            if self._storage.is_local:
                mode = os.lstat(os.path.join(self._storage.root, self._name)).st_mode
                if not stat.S_ISREG(mode):
                    yield _NoFile("symlink" if stat.S_ISLNK(mode) else "not_a_regular_file")
                    continue
            self._open.append(self._storage.open(self._name))
            yield self._open[-1].__enter__()
