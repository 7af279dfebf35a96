"""Software Heritage: the main branch of each origin of a graph export, its files from the content store.

Three steps, each on its own: heads (which revision, heads.py), paths (what its trees hold, index.py) and blobs (their
bytes, contents.py). Trees and blobs are held against git's ids, so that what comes out is what git has, or a row that says why
not. The index of an export is for one machine: up to some 200 million entries of directories; a larger export has a catalog
(catalog.py), which gives the same. Nothing of an export is executed or used as a path.
"""

import functools
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from starmill.core import files
from starmill.core.errors import InputError, MachineError
from starmill.core.names import AtLeast0, Place, Positive
from starmill.pipelines.sources.git import snapshots
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, timestamp
from starmill.pipelines.sources.swh.catalog import Below, Catalog, opened
from starmill.pipelines.sources.swh.contents import Asking, AtOnce, NoContent, Wanted, fetched, store
from starmill.pipelines.sources.swh.heads import Head, is_id
from starmill.pipelines.sources.swh.index import HIDDEN, VISIBLE, Content, Index, ensure, index_name
from starmill.pipelines.sources.swh.tables import again, export


@dataclass(frozen=True, kw_only=True)
class SoftwareHeritage(Options):
    """A graph export of Software Heritage with its content store; a repository is an origin, `owner/name` of GitHub."""

    kind: Literal["swh"] = "swh"  # always given
    export: Place  # the folder or fsspec URL that holds directory_entry/, content/ and the other tables, ORC or Parquet
    contents: (
        Place  # the folder or URL of the contents, each named by its SHA-1: https://softwareheritage.s3.amazonaws.com/content
    )
    requests: AtOnce = 16  # so many requests to the content store at a time, in each worker
    requests_per_second: Positive | None = (
        None  # at most so many requests to the content store, in each worker process; null: no limit
    )
    misses: Place | None = (
        None  # the folder that lists for later runs what a remote store does not have; null: known for one run
    )
    ask_again: AtLeast0 = 0  # another number asks the store again: repositories that lost contents are read once more
    catalog: Place | None = (
        None  # the folder or URL that `starmill catalog` writes, or the folder of an index; null: starmill/swh in the user's caches
    )

    def places(self) -> tuple[str, ...]:
        """Return the export and the contents, where they are folders."""
        return tuple(place for place in (self.export, self.contents) if "://" not in place)

    def inventory(self) -> list[Repository]:
        """Return every origin. Raises InputError for an export that is damaged or incomplete, MachineError."""
        if self.catalog is not None and "://" not in self.catalog:
            files.refuse_below_file("catalog", self.catalog)
        self._asking.refuse_absent()
        store(self._asking).forget()
        index, key = self._index(verify=True)
        state = f"{key} {self._asking.state()}"
        return [_repository(head, size, state, place) for head, size, place in index.heads()]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return what is known of the revision, and its files."""
        try:
            index, _ = self._index()
        except InputError as error:
            return Snapshot(), iter([Entry(b"", None, "unreadable_repository", str(error))])
        found = index.head(repository.name, repository.place.get("part", ""))
        if found is None:
            return Snapshot(), iter([Entry(b"", None, "no_snapshot", "the export has no such origin any more")])
        head, _ = found
        if head.reason or not is_id(head.directory):
            detail = head.detail or f"its directory is {head.directory!r}, no id"
            return Snapshot(), iter([Entry(b"", None, head.reason or "unreadable_repository", detail)])
        told = (head.date, head.committed, head.created)
        dated, committed, created = (None if seconds is None else timestamp(seconds) for seconds in told)
        try:
            below = index.below(head)
            leaves = paths(below, str(head.directory), limits)
        except (MissingObject, CorruptObject) as error:
            detail = f"{type(error).__name__}: {error}: directory {head.directory}"
            return Snapshot(), iter([Entry(b"", None, "unreadable_repository", detail)])
        facts = (head.github, head.stars, head.forks, head.license, created, head.language)
        return Snapshot(head.directory, head.revision, head.branch, dated, committed, *facts), self._entries(
            below, leaves, limits.max_file_bytes
        )

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files the revision has."""
        try:
            index, _ = self._index()
        except InputError:
            return Counted(0, False, "the table directory_entry")
        found = index.head(repository.name, repository.place.get("part", ""))
        if found is None or found[0].reason or not is_id(found[0].directory):
            return Counted(0, False, "the table snapshot_branch")
        root = str(found[0].directory)
        return snapshots.Count(index.below(found[0]), limits)(
            [root], f"the table directory_entry, from directory_id {root} on,"
        )

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now."""
        try:
            found = self._index()[0].head(repository.name, repository.place.get("part", ""))
        except InputError:
            return ""
        return _repository(*found, "", {}).fingerprint if found else ""

    def take_counts(self) -> dict[str, int]:
        """Return what the content store was asked."""
        return store(self._asking).take_counts()

    def index(self) -> tuple[Index, str]:
        """Return the index of the whole export and its name, made first where it is absent. Raises InputError, MachineError."""
        found, name = self._index()
        if not isinstance(found, Index):
            raise InputError(
                f"{self.catalog}: a catalog has the trees of heads alone, and commits need all: name another folder as `catalog`"
            )
        return found, name

    def indexes(self) -> Path:
        """Return the folder of the indexes."""
        return Path(self.catalog) if self.catalog else _default_catalog()

    def texts(self, blobs: list[snapshots.Leaf], max_file_bytes: int) -> Iterator[Entry]:
        """Return an entry for each of these blobs, in their order, wherever they lie."""
        return self._entries(self.index()[0], blobs, max_file_bytes)

    @property
    def _asking(self) -> Asking:
        return Asking(self.contents, self.requests, self.requests_per_second, self.misses, self.ask_again)

    def _index(self, verify: bool = False) -> tuple[Index | Catalog, str]:
        """Return the index and the name of the export's state; `verify`: after a look at every file and every byte of the index."""
        files_of = (export if verify else again)(self.export)
        if self.catalog is not None and (made := opened(self.catalog, files_of, verify)) is not None:
            return made, index_name(files_of)
        place = ensure(files_of, Path(self.catalog) if self.catalog else _default_catalog(), verify)
        try:
            return _opened(place, (place / "index.json").stat().st_ino), place.name
        except OSError as error:
            raise MachineError(f"{place}: {error}; the index of an export must stay while it is read: run again") from error

    def _entries(self, below: Index | Below, leaves: list[snapshots.Leaf], max_file_bytes: int) -> Iterator[Entry]:
        known = below.contents([leaf.object_id for leaf in leaves])
        judged = [_judged(leaf, content, max_file_bytes) for leaf, content in zip(leaves, known, strict=True)]
        wanted = [what if isinstance(what, Wanted) else None for what in judged]
        given = fetched(store(self._asking), wanted, max_file_bytes)
        for leaf, what, data in zip(leaves, judged, given, strict=True):
            path = leaf.path.rstrip(b"/")
            if isinstance(what, Entry):
                yield what
            elif isinstance(data, NoContent):
                yield Entry(path, None, data.reason, str(data), what.length or 0)
            else:
                yield Entry(path, data)


def paths(below: Index | Below, root: str, limits: Limits) -> list[snapshots.Leaf]:
    """Return what a directory holds, in the order of the paths. Raises MissingObject or CorruptObject for the directory itself."""
    return sorted(snapshots.walk(below, root, limits), key=lambda leaf: leaf.path)


def _judged(leaf: snapshots.Leaf, content: Content | None, max_file_bytes: int) -> Entry | Wanted:
    """Return what to ask the store for, or why it is not asked."""
    path, own = leaf.path.rstrip(b"/"), leaf.object_id.hex()
    if reason := leaf.reason or snapshots.ODD.get(stat.S_IFMT(leaf.mode)):
        return Entry(path, None, reason, leaf.detail or (f"commit {own}" if reason == "submodule" else None))
    if content is None:
        return Entry(path, None, "missing_content", f"blob {own} is in no table of the export")
    if content.state != VISIBLE:
        reason = "hidden_content" if content.state == HIDDEN else "skipped_content"
        return Entry(path, None, reason, f"blob {own}: {content.state}", content.length)
    if content.length >= max_file_bytes:
        return Entry(path, None, "too_large", f"blob {own}", content.length)
    return Wanted(content.sha1, own, max(0, content.length))


def _repository(head: Head, size: int, state: str, place: dict[str, str]) -> Repository:
    facts = [value for name, value in asdict(head).items() if name not in ("origin", "name")]
    fingerprint = hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()
    return Repository(head.name, {"origin": head.origin, **place}, size, fingerprint, state)


def _default_catalog() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / "swh"


@functools.lru_cache(maxsize=2)
def _opened(place: Path, made: int) -> Index:
    """Open an index once a process; `made` is another number once it was built again."""
    return Index(place)
