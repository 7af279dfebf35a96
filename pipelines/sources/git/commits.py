"""Commits of git repositories that changed one file: the text before, the subject, the text after (StarCoder's commits).

Two passes over the object store. The first walks from HEAD's commit over all parents and compares trees; it finds the one file of each
commit, and holds some 400 bytes a commit. The second reads the blobs in the order of the commits' ids. No work tree, graft or
replacement is looked at, and what is missing, as behind the end of a shallow clone, is a row.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from starmill.core import recipe
from starmill.core.errors import of_a_file
from starmill.core.names import AtLeast1, Place
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.git import refs, snapshots
from starmill.pipelines.sources.git.commits_text import Excerpt, entry
from starmill.pipelines.sources.git.history import (
    Change,
    Commit,
    Comparison,
    Lost,
    beyond,
    lost,
    newest_first,
    of_one_file,
    parse,
    row,
)
from starmill.pipelines.sources.git.objects import Budget, ObjectStore, ObjectTooLarge
from starmill.pipelines.sources.source import COUNTED, Counted, Entry, Limits, Options, Repository, Snapshot, label

LISTS = "git rev-list HEAD"
RECENT = 4096  # commits that are not read again when another child leads to them


@dataclass(frozen=True, kw_only=True)
class Commits(Options):
    """Commits that changed one file, of every git repository below the roots: before, subject, after."""

    kind: Literal["commits"] = "commits"  # always given
    roots: tuple[Place, ...]  # of checkouts and bare repositories with their history
    max_commits: AtLeast1 = 1_000_000  # at most so many commits of a repository, the newest from HEAD on
    per_file: AtLeast1 | None = 1  # for each file the newest so many commits that changed it (StarCoder: one); null: all
    show: Excerpt = Excerpt()  # how much of a file is in a record
    gives: ClassVar[tuple[str, ...]] = ("commit",)

    def places(self) -> tuple[str, ...]:
        """Return the roots."""
        return self.roots

    def inventory(self) -> list[Repository]:
        """Return every git repository below the roots, and the folders of files that are in none."""
        found = Folders(roots=self.roots).plan()
        return [
            replace(r, fingerprint=self._fingerprint(r.fingerprint))
            if r.place["form"] == "git"
            else replace(r, left_out="no_history")
            for r in found
        ]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return what is known of HEAD, and an entry for each commit that leads there."""
        root, folder = Path(repository.place["root"]), Path(repository.place["root"], repository.place["path"])
        try:
            head, branch, objects, budget = snapshots.opened(folder, root, limits)
            head, branch = repository.place.get("commit") or head, repository.place.get("branch") or branch
            with ObjectStore(objects, root, budget) as store:
                tip = _commit(store, head)
        except refs.Unreadable as error:
            return Snapshot(), iter([Entry(b"", None, error.reason, error.detail, kind="commit")])
        except (*snapshots.OF_A_STORE, OSError) as error:
            if isinstance(error, OSError):
                of_a_file(error, folder)
            return Snapshot(), iter(
                [Entry(b"", None, "unreadable_repository", f"{type(error).__name__}: {error}", kind="commit")]
            )
        shown = branch and branch.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        known = Snapshot(tip.tree, head, shown, tip.date, tip.committer_date)

        def entries() -> Iterator[Entry]:
            walk = Budget(budget.left // 2)  # so that the newest have their texts, however long the history is
            with ObjectStore(objects, root, walk) as store:
                commits, most = newest_first(_headers(store), tip), limits.max_names_bytes
                found, limit = of_one_file(commits, Comparison(store), self.max_commits, self.per_file, most)
            with ObjectStore(objects, root, Budget(budget.left // 2 + walk.left)) as store:
                yield from self._entries(store, found, limits)
            if limit:
                yield beyond(limit, self.count(repository, limits), len(found))

        return known, entries()

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many commits lead to HEAD; at least as many as can be read."""
        root, folder = Path(repository.place["root"]), Path(repository.place["root"], repository.place["path"])
        if repository.place["form"] != "git":
            return Folders(roots=self.roots).count(repository, limits)
        most, found = COUNTED * limits.max_files, 0
        try:
            head, _, objects, budget = snapshots.opened(folder, root, limits)
            with ObjectStore(objects, root, budget) as store:
                for _ in newest_first(_headers(store), _commit(store, repository.place.get("commit") or head)):
                    if found == most:
                        return Counted(most, False, LISTS, "commits")
                    found += 1
        except (refs.Unreadable, *snapshots.OF_A_STORE, OSError) as error:
            if isinstance(error, OSError):
                of_a_file(error, folder)
            return Counted(found, False, LISTS, "commits")
        return Counted(found, budget.left >= 0, LISTS, "commits")

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now."""
        if repository.place["form"] != "git":
            return repository.fingerprint
        return self._fingerprint(Folders(roots=self.roots).fingerprint(repository))

    def _fingerprint(self, of_git: str) -> str:
        # Behind the first word comes what a work tree holds, which is not read.
        return recipe.digest(of_git.partition(" ")[0], self.max_commits, self.per_file, self.show)

    def _entries(self, store: ObjectStore, found: Mapping[bytes, Change | Lost], limits: Limits) -> Iterator[Entry]:
        most = min(limits.max_file_bytes - 1, self.show.max_bytes)
        for own, change in ((own.hex(), change) for own, change in found.items()):
            if isinstance(change, Lost):
                yield row(own, change)
                continue
            what, named = "the commit", own
            try:
                commit = _commit(store, own)
                what, named = label(change.path)[0], change.after.blob
                after = store.read(named, "blob", most)
                named = change.before.blob if change.before else ""
                before = store.read(named, "blob", most) if named else b""
            except ObjectTooLarge as error:
                yield row(own, Lost("too_large", f"{what}: {error}"), error.size)
            except snapshots.OF_A_STORE as error:
                yield row(own, lost(error, f"{what}, object {named}"))
            else:
                yield entry(commit, change, before, after, self.show)


def _commit(store: ObjectStore, own: str) -> Commit:
    return parse(own, store.read(own, "commit", snapshots.MAX_META_BYTES))


def _headers(store: ObjectStore) -> Callable[[str], Commit]:
    """Return what reads commits without their messages, which a walk would hold."""
    return functools.lru_cache(RECENT)(lambda own: replace(_commit(store, own), message=b""))
