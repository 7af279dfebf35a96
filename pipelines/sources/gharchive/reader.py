"""GHArchive: the hours of what happened on GitHub, of which issues and pull requests become records.

Hours are sorted by repository, thread and time, in one of two ways that give the same records. For one machine, a plan reads each new
hour once into a file (index.py), and a repository is read from there. For more hours, `starmill threads` sorts them on any runner
(sorted.py), and what is planned and read at once is a bucket, `gharchive/threads/<number>`, whose records are of many
repositories. An hour that is damaged is a repository of its own, `gharchive/hours/<file>`, whose rows tell what was lost.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from starmill.core import recipe, seeds
from starmill.core.errors import InputError
from starmill.core.names import AtLeast1, Bytes, Place
from starmill.core.storage import Storage
from starmill.pipelines.sources.gharchive import index as indexes
from starmill.pipelines.sources.gharchive import mirrors as pulls_mirrors
from starmill.pipelines.sources.gharchive import sorted as sorting
from starmill.pipelines.sources.gharchive.events import Facts
from starmill.pipelines.sources.gharchive.mirrors import Mirror
from starmill.pipelines.sources.gharchive.pulls import Show
from starmill.pipelines.sources.gharchive.reading import Hour, Looks, Problem, listed
from starmill.pipelines.sources.gharchive.sorted import Known
from starmill.pipelines.sources.gharchive.threads import PULL, Said, Texts, entry
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, unique

HOURS = "gharchive/hours/"  # how the name of an hour begins: of three parts, as no repository's is
BUCKETS = "gharchive/threads/"  # and that of a bucket of repositories
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
    index: Place | None = (
        None  # a file of this machine in which the events are sorted; made where it is missing, and taken up again
    )
    threads: Place | None = None  # or, for more hours: the folder or URL into which `starmill threads` sorts them
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
        if (self.index is None) is (self.threads is None):
            raise ValueError(
                "index and threads: one of the two must be given, a file of this machine or where `starmill threads` sorts"
            )
        for name, place in (("index", self.index), ("threads", self.threads)):
            if place:
                indexes.check(name, place, self.hours, is_file=name == "index")

    def places(self) -> tuple[str, ...]:
        """Return the folder of the hours, where it is one of this machine, and that of the mirrors."""
        mirrors = (self.repositories,) if self.repositories else ()
        return mirrors if "://" in self.hours else (self.hours, *mirrors)

    @property
    def reads_this_machine(self) -> bool:
        """An index is a file of this machine, wherever the hours are."""
        return self.index is not None or "://" not in str(self.threads) or bool(self.places())

    def inventory(self) -> list[Repository]:
        """Return the repositories of the index, of which new hours are read first, or the buckets of what was sorted.

        Raises NotThere, InputError and MachineError.
        """
        hours = listed(storage := Storage(self.hours), self.max_hour_bytes)
        if self.index is None:
            return self._buckets([found.hour for found in hours])
        files = {found.hour.name: found.file for found in hours}
        os.makedirs(os.path.dirname(os.path.abspath(self.index)), exist_ok=True)
        with indexes.opened(self.index, write=True) as index:
            for hour in indexes.prepare(index, [found.hour for found in hours]):
                with Looks(storage, files[hour.name]) as looks:
                    indexes.take(index, hour, looks, self.max_hour_bytes)
            seen: dict[str, int] = {}
            planned = []
            # Of several repositories that had one name after each other, the last keeps it.
            for found in sorted(indexes.repositories(index), key=lambda f: (f.last, f.key), reverse=True):
                name = unique(found.name, seen)
                place = {"index": os.path.abspath(self.index), "repo": found.key}
                mirror = pulls_mirrors.looks(self.repositories, name)
                planned.append(Repository(name, place, found.bytes, self._fingerprint(found.digest + mirror[0]), mirror[1]))
            for found in indexes.damaged_hours(index):
                place = {"index": os.path.abspath(self.index), "hour": found.name}
                planned.append(Repository(HOURS + found.name, place, found.bytes, self._fingerprint(found.digest)))
        return sorted(planned, key=lambda r: r.name)

    def _buckets(self, hours: Sequence[Hour]) -> list[Repository]:
        found = sorting.opened(str(self.threads))
        found.check(hours)
        planned = []
        for bucket, size in found.buckets():
            name, place = f"{BUCKETS}{bucket:05}", {"bucket": str(bucket)}
            planned.append(Repository(name, place, size, *self._of_bucket(found, bucket)))
        for hour, part, size, digest in found.damaged_hours():
            place = {"hour": hour, "part": str(part)}
            planned.append(Repository(HOURS + hour, place, size, self._fingerprint(digest)))
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
        if self.index is None:
            return Snapshot(), self._of_hour(self._problems(place)) if "hour" in place else self._of_buckets(place, limits)
        try:
            with indexes.opened(place["index"]) as index:
                facts = _snapshot(index, place["repo"]) if "repo" in place else Snapshot()
        except (FileNotFoundError, InputError) as error:
            return Snapshot(), iter([indexes.without(error, self.gives[0])])
        return facts, self._entries(repository.name, place, limits)

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many issues and pull requests a repository or bucket has."""
        place = repository.place
        if self.index is None:
            names = self._problems(place) if "hour" in place else sorting.opened(str(self.threads)).names(int(place["bucket"]))
            return Counted(sum(1 for _ in names), True, "a reader of Parquet, in what starmill threads made,")
        with indexes.opened(place["index"]) as index:
            if "hour" in place:
                lost = sum(1 for _ in indexes.problems(index, place["hour"]))
                return Counted(lost, True, "select * from problems in its index")
            return Counted(indexes.count(index, place["repo"]), True, "select distinct thread from events in its index")

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository or hour has now: a run beside this one may have taken other hours in."""
        place = repository.place
        try:
            if self.index is None:
                found = sorting.opened(str(self.threads))
                if "bucket" in place:
                    return self._of_bucket(found, int(place["bucket"]))[0]
                return next((self._fingerprint(said[3]) for said in found.damaged_hours() if said[0] == place["hour"]), "")
            with indexes.opened(place["index"]) as index:
                if "repo" not in place:
                    hour = next(indexes.damaged_hours(index, place["hour"]), None)
                    return self._fingerprint(hour.digest) if hour else ""
                one = next(indexes.repositories(index, place["repo"]), None)
        except (FileNotFoundError, InputError):
            return ""
        return self._fingerprint(one.digest + pulls_mirrors.looks(self.repositories, repository.name)[0]) if one else ""

    def _of_bucket(self, found: sorting.Sorted, bucket: int) -> tuple[str, str]:
        """Return the fingerprint of a bucket, in which any new hour has something, and the state of its mirrors."""
        mirrors = list[tuple[str, str]]()
        if self.repositories:
            mirrored = pulls_mirrors.names(self.repositories)
            names = sorted({known.name for known in found.repositories(bucket)} & mirrored)
            mirrors = [pulls_mirrors.looks(self.repositories, name) for name in names]
        said = [fingerprint for fingerprint, _ in mirrors]
        made = self._fingerprint(recipe.digest(found.made.digest, bucket, self.include, self.exclude, *said))
        return made, recipe.digest(*(state for _, state in mirrors)) if mirrors else ""

    def _unwanted(self, name: str) -> str:
        # What is left out of a bucket are repositories, as it is read.
        return "" if name.startswith(BUCKETS) else super()._unwanted(name)

    def _problems(self, place: Mapping[str, str]) -> Iterator[Problem]:
        return sorting.opened(str(self.threads)).problems(place["hour"], int(place["part"]))

    def _of_hour(self, problems: Iterable[Problem]) -> Iterator[Entry]:
        for n, problem in enumerate(problems):
            path = f"line/{problem.line:012d}/{n}".encode() if problem.line else b""
            yield Entry(path, None, problem.reason, problem.detail, problem.size, self.gives[0])

    def _of_buckets(self, place: Mapping[str, str], limits: Limits) -> Iterator[Entry]:
        """Yield the entries of a bucket: its repositories by their ids, each with its threads by name."""
        found, bucket = sorting.opened(str(self.threads)), int(place["bucket"])
        names = found.names(bucket) if self.sample else iter(())
        pulls = groupby((repo for repo, thread in names if thread.startswith(PULL)), key=str)
        repo, many = next(((repo, sum(1 for _ in some)) for repo, some in pulls), ("", 0))
        known = found.repositories(bucket)
        for own, threads in groupby(found.threads(bucket), key=lambda thread: thread[0]):
            of = next(one for one in known if one.repo == own)
            if reason := super()._unwanted(of.name):
                said = f"{of.bytes:,} bytes in {sum(1 for _ in threads):,} issues and pull requests"
                yield Entry(b"", None, reason, said, of.bytes, self.gives[0], repo_name=of.name.encode())
                continue
            while self.sample and repo and repo < own:
                repo, many = next(((repo, sum(1 for _ in some)) for repo, some in pulls), ("", 0))
            share = self._share(many if repo == own else 0) if self.sample else 1.0
            facts = _snapshot_of(of).columns()
            with Mirror(self.repositories, of.name, limits, self.files) as mirror:
                for entry in self._threads(of.name, ((thread, events) for _, thread, events in threads), share, limits, mirror):
                    yield replace(entry, repo_name=of.name.encode(), facts=facts)

    def _threads(
        self, name: str, threads: Iterable[tuple[str, Iterator[Said]]], share: float, limits: Limits, mirror: Mirror
    ) -> Iterator[Entry]:
        """Yield the entries of a repository, of whose pull requests a share is taken."""
        for thread, events in threads:
            if thread.startswith(PULL) and share < 1 and seeds.uniform(self.files.seed, "pull", name, thread) >= share:
                said = f"of so many pull requests of one repository {share:.1%} are taken"
                yield Entry(thread.encode(), None, "not_sampled", said, kind="pull_request")
            elif thread:
                mirror.lost = None
                yield self._entry(thread, events, limits.max_file_bytes, mirror)
                if mirror.lost:
                    yield Entry(f"{thread}/files".encode(), None, *mirror.lost, kind="pull_request")

    def _fingerprint(self, digest: str) -> str:
        return recipe.digest(digest, self.since, self.until, self.max_lines, self.last_lines, self.files, self.sample)

    def _entries(self, name: str, place: Any, limits: Limits) -> Iterator[Entry]:
        mirror = Mirror(self.repositories, name, limits, self.files)
        try:
            with indexes.opened(place["index"]) as index, mirror:
                if "hour" in place:
                    yield from self._of_hour(indexes.problems(index, place["hour"]))
                    return
                share = self._share(indexes.count(index, place["repo"], PULL)) if self.sample else 1.0
                yield from self._threads(name, indexes.threads(index, place["repo"]), share, limits, mirror)
        except (FileNotFoundError, InputError) as error:
            yield indexes.without(error, self.gives[0])

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


def _snapshot(index: Any, repo: str) -> Snapshot:
    stars = forks = 0
    facts = Facts()
    for thread, events in indexes.threads(index, repo):
        if thread:
            break
        for said in events:
            stars += said.event.what == "star"
            forks += said.event.what == "fork"
            facts = said.event.facts or facts
    said_of = (facts.default_branch, facts.license, facts.created_at, facts.language)
    return _snapshot_of(Known(repo, "", "", *said_of, 0, 0, stars, forks))


def _snapshot_of(known: Known) -> Snapshot:
    number = int(known.repo) if known.repo.isdecimal() and len(known.repo) < 19 else None
    created = None
    with suppress(ValueError):
        created = datetime.fromisoformat(known.created or "").replace(tzinfo=None)
    return Snapshot(
        github_id=number,
        star_events_count=known.stars,
        fork_events_count=known.forks,
        branch_name=known.branch and f"refs/heads/{known.branch}",
        gha_license_id=known.license,
        gha_created_at=created,
        gha_language=known.language,
    )
