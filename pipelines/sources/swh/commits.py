"""Commits of a Software Heritage export that changed one file: as those of git repositories (commits.py), with texts of the content store.

From HEAD's revision the walk goes over `revision_history`. Trees are those of the export's index, each held against its id, and so are the
texts; what a revision says of itself is what the export says of it.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Literal

from starmill.core import recipe
from starmill.core.errors import InputError
from starmill.core.names import AtLeast0, AtLeast1, Place, Positive
from starmill.pipelines.sources.git import snapshots
from starmill.pipelines.sources.git.commits_text import Excerpt, entry
from starmill.pipelines.sources.git.history import Change, Commit, Comparison, Lost, beyond, newest_first, of_one_file, row
from starmill.pipelines.sources.git.objects import Budget, BudgetSpent, Trees
from starmill.pipelines.sources.source import COUNTED, Counted, Entry, Limits, Options, Repository, Snapshot, label
from starmill.pipelines.sources.swh.contents import AtOnce
from starmill.pipelines.sources.swh.history import Revisions, ensure
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.swh.tables import again

AT_ONCE = 500  # commits whose contents are looked up together
RECENT = 4096  # revisions that are not read again when another child leads to them
SPENT = Lost("inflates_too_far", "beyond max_inflated_bytes of the repository")
LISTS = "the table revision_history, from id {} on,"


@dataclass(frozen=True, kw_only=True)
class SoftwareHeritageCommits(Options):
    """Commits that changed one file, of the main branch of each origin of a graph export; a repository is an origin."""

    kind: Literal["swh-commits"] = "swh-commits"  # always given
    export: Place  # as of the kind swh, with the table revision_history
    contents: Place  # the folder or URL of the contents, as of the kind swh
    requests: AtOnce = 16  # so many requests to the content store at a time, in each worker
    requests_per_second: Positive | None = (
        None  # at most so many requests to the content store, in each worker process; null: no limit
    )
    misses: Place | None = (
        None  # the folder that lists for later runs what a remote store does not have; null: known for one run
    )
    ask_again: AtLeast0 = 0  # another number asks the store again: repositories that lost contents are read once more
    catalog: Place | None = None  # the folder of the export's indexes; null: starmill/swh in the user's caches
    max_commits: AtLeast1 = 1_000_000  # at most so many commits of a repository, the newest from HEAD on
    per_file: AtLeast1 | None = 1  # for each file the newest so many commits that changed it (StarCoder: one); null: all
    show: Excerpt = Excerpt()  # how much of a file is in a record
    gives: ClassVar[tuple[str, ...]] = ("commit",)

    def places(self) -> tuple[str, ...]:
        """Return the export and the contents, where they are folders."""
        return self._files.places()

    def inventory(self) -> list[Repository]:
        """Return every origin. Raises InputError for an export that is damaged or incomplete, MachineError."""
        self._revisions()  # which refuses what has no history, before anything is looked at twice
        found = self._files.plan()
        return [replace(r, fingerprint=self._fingerprint(r.fingerprint)) for r in found]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return what is known of HEAD's revision, and an entry for each commit that leads there."""
        try:
            (index, _), place = self._files.index(), self._revisions()
            found = index.head(repository.name)
            if found is None or found[0].reason or not found[0].revision:
                reason, detail = (
                    (found[0].reason, found[0].detail) if found else ("no_snapshot", "the export has no such origin any more")
                )
                return Snapshot(), iter(
                    [Entry(b"", None, reason or "no_revision", detail or "HEAD is a directory", kind="commit")]
                )
            with Revisions(place) as revisions:
                tip = revisions.read(found[0].revision)
        except (InputError, *snapshots.OF_A_STORE) as error:
            return Snapshot(), iter(
                [Entry(b"", None, "unreadable_repository", f"{type(error).__name__}: {error}", kind="commit")]
            )
        known = Snapshot(tip.tree, tip.own, found[0].branch, tip.date, tip.committer_date)

        def entries() -> Iterator[Entry]:
            budget = Budget(limits.max_inflated_bytes // 2)
            with Revisions(place) as revisions:
                commits, compare = newest_first(_headers(revisions), tip), Comparison(_Bounded(index, budget))
                changes, limit = of_one_file(commits, compare, self.max_commits, self.per_file, limits.max_names_bytes)
                yield from self._entries(revisions, changes, limits, Budget(limits.max_inflated_bytes // 2 + budget.left))
            if limit:
                yield beyond(limit, self.count(repository, limits), len(changes))

        return known, entries()

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many revisions lead to HEAD's."""
        found, head = 0, "HEAD"
        try:
            (index, _), place = self._files.index(), self._revisions()
            known = index.head(repository.name)
            head = (known[0].revision if known else None) or head
            with Revisions(place) as revisions:
                for _ in newest_first(_headers(revisions), revisions.read(head)):
                    if found == COUNTED * limits.max_files:
                        return Counted(found, False, LISTS.format(head), "commits")
                    found += 1
        except (InputError, *snapshots.OF_A_STORE):
            return Counted(found, False, LISTS.format(head), "commits")
        return Counted(found, True, LISTS.format(head), "commits")

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now."""
        return self._fingerprint(self._files.fingerprint(repository))

    def take_counts(self) -> dict[str, int]:
        """Return what the content store was asked."""
        return self._files.take_counts()

    @property
    def _files(self) -> SoftwareHeritage:
        own = {field.name for field in fields(self)} - {"kind"}
        return SoftwareHeritage(**{f.name: getattr(self, f.name) for f in fields(SoftwareHeritage) if f.name in own})

    def _revisions(self) -> Path:
        return ensure(again(self.export), self._files.indexes(), self._files.index()[1])

    def _fingerprint(self, of_files: str) -> str:
        return recipe.digest(of_files, self.max_commits, self.per_file, self.show) if of_files else ""

    def _entries(
        self, revisions: Revisions, changes: Mapping[bytes, Change | Lost], limits: Limits, budget: Budget
    ) -> Iterator[Entry]:
        most, due = min(limits.max_file_bytes, self.show.max_bytes + 1), iter(changes.items())
        while some := list(itertools.islice(due, AT_ONCE)):
            if budget.left < 0:  # then the store is not asked
                some = [(own, SPENT if isinstance(change, Change) else change) for own, change in some]
            given = self._files.texts(
                [leaf for _, change in some if isinstance(change, Change) for leaf in _sides(change)], most
            )
            for own, change in some:
                if isinstance(change, Lost):
                    yield row(own.hex(), change)
                    continue
                sides = list(itertools.islice(given, len(_sides(change))))
                if bad := next((side for side in sides if side.data is None), None):
                    detail = f"{label(change.path)[0]}: {bad.detail}"
                    yield row(own.hex(), Lost(bad.reason or "missing_content", detail), bad.size)
                    continue
                after, before = (side.data or b"" for side in (*sides, Entry(b"", b""))[:2])
                try:
                    budget.take(len(after) + len(before))
                except BudgetSpent:
                    yield row(own.hex(), SPENT)
                    continue
                yield entry(revisions.read(own.hex()), change, before, after, self.show)


def _sides(change: Change) -> list[snapshots.Leaf]:
    """Return the blobs of a change: after, and before where there is one."""
    sides = (change.after, change.before)
    return [snapshots.Leaf(change.path, side.mode, bytes.fromhex(side.blob)) for side in sides if side is not None]


def _headers(revisions: Revisions) -> Callable[[str], Commit]:
    """Return what reads revisions without their messages, which a walk would hold."""
    return functools.lru_cache(RECENT)(lambda own: replace(revisions.read(own), message=b""))


class _Bounded:
    """Trees of an index, whose bytes are counted."""

    def __init__(self, index: Trees, budget: Budget) -> None:
        self._index, self._budget = index, budget

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        """Return a tree. Raises MissingObject, CorruptObject or BudgetSpent."""
        data = self._index.read(hex_id, kind, max_bytes)
        self._budget.take(len(data))
        return data
