"""GHArchive: the hours of what happened on GitHub, of which issues and pull requests become records.

A plan reads each new hour once, into an index that is sorted by repository, thread and time (index.py); a repository is read
from there. An hour that is damaged is a repository of its own, `gharchive/hours/<file>`, whose rows tell what was lost.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from msgspec import Meta

from starmill.core import recipe, seeds
from starmill.core.errors import InputError
from starmill.core.names import AtLeast1, Bytes, Place
from starmill.core.storage import Storage
from starmill.pipelines.sources.gharchive import index as indexes
from starmill.pipelines.sources.gharchive import mirrors as pulls_mirrors
from starmill.pipelines.sources.gharchive.hours import NoEvents
from starmill.pipelines.sources.gharchive.index import Hour
from starmill.pipelines.sources.gharchive.mirrors import Mirror
from starmill.pipelines.sources.gharchive.pulls import Show
from starmill.pipelines.sources.gharchive.threads import PULL, Said, Texts, entry
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, unique

HOURS = "gharchive/hours/"  # how the name of an hour begins: of three parts, as no repository's is
# From this day on, events of pull requests have neither title nor text.
CUT = "2025-10-07"
Day = Annotated[
    str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?)?\Z", description="a day, as 2023-07-26, or nothing")
]


@dataclass(frozen=True, kw_only=True)
class GHArchive(Options):
    """Issues and pull requests of GHArchive's hours; a repository's name is the last that it had."""

    kind: Literal["gharchive"] = "gharchive"  # always given
    hours: Place  # a folder or URL of hours, as 2015-01-01-15.json.gz
    index: Place  # a file of this machine in which the events are sorted; made where it is missing, and taken up again
    since: Day = ""  # events before this day are not read
    until: Day = CUT  # and none from this day on; StarCoder2: 2023-07-26
    max_hour_bytes: Bytes = 64 << 30  # inflated, of one hour
    max_lines: AtLeast1 = (
        100  # of one text (StarCoder2); a longer one loses its middle, and in a pull request one of more than 80
    )
    last_lines: AtLeast1 = 20  # which stay of it
    repositories: Place | None = (
        None  # a folder of mirrors, owner/name.git, for the files of pull requests; none: without files
    )
    files: Show = Show()  # how much of them is shown
    sample: bool = False  # whether of a repository with many pull requests fewer are taken, as in StarCoder2
    gives: ClassVar[tuple[str, ...]] = ("issue", "pull_request")

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot work."""
        if self.last_lines >= self.max_lines:
            raise ValueError(f"last_lines={self.last_lines}: must be below max_lines={self.max_lines}")
        if "://" in self.index:
            raise ValueError(f"index={self.index}: must be a file of this machine")
        if "://" not in self.hours and os.path.abspath(self.index).startswith(os.path.join(os.path.abspath(self.hours), "")):
            raise ValueError(f"index={self.index}: must not lie among the hours, where it would be one")

    def places(self) -> tuple[str, ...]:
        """Return the folder of the hours, where it is one of this machine, and that of the mirrors."""
        mirrors = (self.repositories,) if self.repositories else ()
        return mirrors if "://" in self.hours else (self.hours, *mirrors)

    @property
    def reads_this_machine(self) -> bool:
        """The index is a file of this machine, wherever the hours are."""
        return True

    def inventory(self) -> list[Repository]:
        """Read the hours that are new into the index; return the repositories in it. Raises NotThere, InputError and MachineError."""
        storage = Storage(self.hours)
        if storage.is_local:
            os.listdir(self.hours)  # an absent folder is an error, not an empty one
        files = {
            quote(os.fsencode(found.name)): found for found in storage.listing("")
        }  # an index holds no name that is not UTF-8
        hours = [Hour(name, f"{found.size} {found.modified} {self.max_hour_bytes}") for name, found in files.items()]
        os.makedirs(os.path.dirname(os.path.abspath(self.index)), exist_ok=True)
        with indexes.opened(self.index, write=True) as index:
            for hour in indexes.prepare(index, hours):
                with _Looks(storage, files[hour.name].name) as looks:
                    indexes.take(index, hour, looks, self.max_hour_bytes)
            seen: dict[str, int] = {}
            planned = []
            # Of several repositories that had one name after each other, the last keeps it.
            for found in sorted(indexes.repositories(index), key=lambda f: (f.last, f.key), reverse=True):
                name = unique(found.name, seen)
                place = {"index": os.path.abspath(self.index), "repo": found.key}
                planned.append(Repository(name, place, found.bytes, self._of(found.digest, name)))
            for found in indexes.damaged_hours(index):
                place = {"index": os.path.abspath(self.index), "hour": found.name}
                planned.append(Repository(HOURS + found.name, place, found.bytes, self._fingerprint(found.digest)))
        return sorted(planned, key=lambda r: r.name)

    def notes(self) -> tuple[str, ...]:
        """Say which hours and days are read, and what a dump after the cut cannot have."""
        found = Storage(self.hours).listing("")
        size = sum(hour.size for hour in found) / 1e6
        days = f"{len(found):,} hours, {size:,.1f} MB, of them events since {self.since or 'the first'} until {self.until or 'the last'}"
        if self.until and self.until <= CUT:
            return (days,)
        return days, f"pull requests opened from {CUT} on have no text in GHArchive, and are dropped as no_text"

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return what events say of a repository, and its issues and pull requests; of an hour what it lost."""
        place = repository.place
        try:
            with indexes.opened(place["index"]) as index:
                facts = _snapshot(index, place["repo"]) if "repo" in place else Snapshot()
        except (FileNotFoundError, InputError) as error:
            return Snapshot(), iter([self._without_index(error)])
        return facts, self._entries(repository.name, place, limits)

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many issues and pull requests a repository has."""
        place = repository.place
        with indexes.opened(place["index"]) as index:
            if "hour" in place:
                lost = sum(1 for _ in indexes.problems(index, place["hour"]))
                return Counted(lost, True, "select * from problems in its index")
            return Counted(indexes.count(index, place["repo"]), True, "select distinct thread from events in its index")

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository or hour has now: a run beside this one may have taken other hours in."""
        place = repository.place
        try:
            with indexes.opened(place["index"]) as index:
                if "repo" not in place:
                    hour = next(indexes.damaged_hours(index, place["hour"]), None)
                    return self._fingerprint(hour.digest) if hour else ""
                found = next(indexes.repositories(index, place["repo"]), None)
        except (FileNotFoundError, InputError):
            return ""
        return self._of(found.digest, repository.name) if found else ""

    def _of(self, digest: str, name: str) -> str:
        """Return the fingerprint of a repository."""
        return self._fingerprint(digest + (pulls_mirrors.state(self.repositories, name) if self.repositories else ""))

    def _fingerprint(self, digest: str) -> str:
        return recipe.digest(digest, self.since, self.until, self.max_lines, self.last_lines, self.files, self.sample)

    def _entries(self, name: str, place: Any, limits: Limits) -> Iterator[Entry]:
        mirror = Mirror(self.repositories, name, limits, self.files)
        try:
            with indexes.opened(place["index"]) as index, mirror:
                if "hour" in place:
                    for n, problem in enumerate(indexes.problems(index, place["hour"])):
                        path = f"line/{problem.line:012d}/{n}".encode() if problem.line else b""
                        yield Entry(path, None, problem.reason, problem.detail, problem.size, self.gives[0])
                    return
                share = self._share(indexes.count(index, place["repo"], PULL)) if self.sample else 1.0
                for thread, events in indexes.threads(index, place["repo"]):
                    if thread.startswith(PULL) and share < 1 and seeds.uniform(self.files.seed, "pull", name, thread) >= share:
                        said = f"of so many pull requests of one repository {share:.1%} are taken"
                        yield Entry(thread.encode(), None, "not_sampled", said, kind="pull_request")
                    elif thread:
                        yield self._entry(thread, events, limits.max_file_bytes, mirror)
        except (FileNotFoundError, InputError) as error:
            yield self._without_index(error)

    def _without_index(self, error: Exception) -> Entry:
        reason = "missing_index" if isinstance(error, FileNotFoundError) else "unreadable_index"
        return Entry(b"", None, reason, str(error), kind=self.gives[0])

    @staticmethod
    def _share(pulls: int) -> float:
        """Return the share that is taken of a repository with so many pull requests (the released code; a repository has 100 then).

        There they are counted behind its filters, which here come later.
        """
        return 0.8007 - 0.0007 * pulls if pulls <= 1000 else 100 / pulls

    def _entry(self, thread: str, events: Iterator[Said], max_bytes: int, mirror: Mirror) -> Entry:
        seen = [0, 0]
        texts = Texts(self.max_lines, self.last_lines)

        def wanted() -> Iterator[Said]:
            for said in events:
                early, late = said.time < self.since, bool(self.until) and said.time >= self.until
                seen[0] += not (early or late)
                seen[1] += early or late
                if not (early or late):
                    yield said

        made = entry(thread, wanted(), texts, max_bytes, lambda base, heads: mirror.files(thread, base, heads))
        if not seen[0]:
            said = f"{seen[1]} events, all before since={self.since!r} or from until={self.until!r} on"
            return replace(made, reason="outside_time", detail=said)
        return made


class _NoFile:
    """Stands for what lies among the hours and is no file."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def read(self, size: int) -> bytes:
        raise NoEvents(self._reason, "no link is followed, and no pipe waited for")


class _Looks:
    """Opens an hour again and again, and closes what it opened."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name, self._open = storage, name, list[Any]()

    def __enter__(self) -> Iterator[Any]:
        return self._again()

    def __exit__(self, *of: object) -> None:
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


def _snapshot(index: Any, repo: str) -> Snapshot:
    stars = forks = 0
    facts = None
    for thread, events in indexes.threads(index, repo):
        if thread:
            break
        for said in events:
            stars += said.event.what == "star"
            forks += said.event.what == "fork"
            facts = said.event.facts or facts
    number = int(repo) if repo.isdecimal() and len(repo) < 19 else None
    known = Snapshot(github_id=number, star_events_count=stars, fork_events_count=forks)
    if facts is None:
        return known
    created = None
    with suppress(ValueError):
        created = datetime.fromisoformat(facts.created_at or "").replace(tzinfo=None)
    branch = facts.default_branch and f"refs/heads/{facts.default_branch}"
    return replace(known, branch_name=branch, gha_license_id=facts.license, gha_created_at=created, gha_language=facts.language)
