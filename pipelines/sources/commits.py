"""Commits of git repositories that changed one file: the text before, the subject, the text after (StarCoder's commits).

Two passes over the object store. The first walks from HEAD's commit over all parents and compares trees; it finds the one file of each
commit, and holds some 400 bytes a commit. The second reads the blobs in the order of the commits' ids. No work tree, graft or
replacement is looked at, and what is missing, as behind the end of a shallow clone, is a row.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from starmill.core import recipe
from starmill.core.errors import of_a_file
from starmill.core.names import AtLeast0, AtLeast1, Place, Seed, Share
from starmill.pipelines.sources import git, gitrefs
from starmill.pipelines.sources.commits_text import Form, entry
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.gitobjects import Budget, BudgetSpent, ObjectStore, ObjectTooLarge
from starmill.pipelines.sources.history import Change, Commit, Comparison, Lost, lost, newest_first, parse
from starmill.pipelines.sources.source import COUNTED, Counted, Entry, Limits, Options, Repository, Snapshot, label

LISTS = "git rev-list HEAD"
MAX_UTF8 = 4  # bytes of a character
RECENT = 4096  # commits that are not read again when another child leads to them


@dataclass(frozen=True, kw_only=True)
class Commits(Options):
    """Commits that changed one file, of every git repository below the roots: before, subject, after."""

    kind: Literal["commits"] = "commits"  # always given
    roots: tuple[Place, ...]  # of checkouts and bare repositories with their history
    max_commits: AtLeast1 = 1_000_000  # of a repository, the newest from HEAD on
    per_file: AtLeast1 | None = 1  # the newest so many that changed a file (StarCoder: one); null: all
    max_chars: AtLeast1 = 100_000  # of a file before and after its commit (StarCoder)
    whole_rate: Share = 0.2  # share of the commits whose whole file is shown (StarCoder)
    context_lines: AtLeast0 = 32  # at most so many, at random, above and below the changed lines of the others (StarCoder)
    seed: Seed = 0  # of both choices
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

    def plan(self) -> list[Repository]:
        """Return every git repository below the roots. Raises OSError for a root."""
        return [r for r in self.inventory() if not r.left_out]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return what is known of HEAD, and an entry for each commit that leads there."""
        root, folder = Path(repository.place["root"]), Path(repository.place["root"], repository.place["path"])
        try:
            head, branch, objects, budget = git.opened(folder, root, limits)
            head, branch = repository.place.get("commit") or head, repository.place.get("branch") or branch
            with ObjectStore(objects, root, budget) as store:
                tip = _commit(store, head)
        except gitrefs.Unreadable as error:
            return Snapshot(), iter([Entry(b"", None, error.reason, error.detail, kind="commit")])
        except (*git.OF_A_STORE, OSError) as error:
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
                found, limit = self._history(store, tip, limits)
            with ObjectStore(objects, root, Budget(budget.left // 2 + walk.left)) as store:
                yield from self._entries(store, found, limits)
            if limit:
                left = self.count(repository, limits).less(len(found))
                yield Entry(b"", None, limit[0], f"{limit[1]}; without a row are {left}", kind="commit")

        return known, entries()

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many commits lead to HEAD; at least as many as can be read."""
        root, folder = Path(repository.place["root"]), Path(repository.place["root"], repository.place["path"])
        if repository.place["form"] != "git":
            return Folders(roots=self.roots).count(repository, limits)
        most, found = COUNTED * limits.max_files, 0
        try:
            head, _, objects, budget = git.opened(folder, root, limits)
            with ObjectStore(objects, root, budget) as store:
                for _ in newest_first(_headers(store), _commit(store, repository.place.get("commit") or head)):
                    if found == most:
                        return Counted(most, False, LISTS, "commits")
                    found += 1
        except (gitrefs.Unreadable, *git.OF_A_STORE, OSError) as error:
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
        options = self.max_commits, self.per_file, self.max_chars, self.whole_rate, self.context_lines, self.seed
        return recipe.digest(of_git.partition(" ")[0], *options)

    def _history(
        self, store: ObjectStore, tip: Commit, limits: Limits
    ) -> tuple[dict[bytes, Change | Lost], tuple[str, str] | None]:
        """Return what each commit changed, by its id in order, and the limit beyond which there are more, with its reason."""
        found, newest, names = dict[bytes, Change | Lost](), dict[bytes, tuple[int, str]](), 0
        limit: tuple[str, str] | None = None
        compare = Comparison(store)
        for commit, parents in newest_first(_headers(store), tip):
            if len(found) == self.max_commits:
                limit = "too_many_commits", f"more than max_commits={self.max_commits}"
                break
            if names > limits.max_names_bytes:
                limit = "too_many_commits", f"paths of more than max_names_bytes={limits.max_names_bytes}"
                break
            made = compare(commit, parents)
            if isinstance(made, Change):
                newer, last = newest.get(made.path, (0, ""))
                names += 0 if newer else len(made.path)
                if newer == self.per_file:
                    made = Lost("older_commit", f"commit {last} is newer")
                else:
                    newest[made.path] = newer + 1, commit.own
            found[bytes.fromhex(commit.own)] = made
            if isinstance(made, Lost) and made.reason == git.REASONS[BudgetSpent]:
                limit = made.reason, "more than max_inflated_bytes or max_inflation of the repository"
                break
        return dict(sorted(found.items())), limit

    def _entries(self, store: ObjectStore, found: dict[bytes, Change | Lost], limits: Limits) -> Iterator[Entry]:
        form = Form(self.max_chars, self.whole_rate, self.context_lines, self.seed)
        most = min(limits.max_file_bytes - 1, MAX_UTF8 * self.max_chars)
        for own, change in ((own.hex(), change) for own, change in found.items()):
            path = f"commit/{own}".encode()
            if isinstance(change, Lost):
                yield Entry(path, None, change.reason, change.detail, kind="commit")
                continue
            what, blob = "the commit", own
            try:
                commit = _commit(store, own)
                what, blob = label(change.path)[0], change.after.blob
                after = store.read(blob, "blob", most)
                blob = change.before.blob if change.before else ""
                before = store.read(blob, "blob", most) if blob else b""
            except ObjectTooLarge as error:
                yield Entry(path, None, "too_large", f"{what}: {error}", error.size, kind="commit")
            except git.OF_A_STORE as error:
                said = lost(error, f"{what}, object {blob}")
                yield Entry(path, None, said.reason, said.detail, kind="commit")
            else:
                yield entry(commit, change, before, after, form)


def _commit(store: ObjectStore, own: str) -> Commit:
    return parse(own, store.read(own, "commit", git.MAX_META_BYTES))


def _headers(store: ObjectStore) -> Callable[[str], Commit]:
    """Return what reads commits without their messages, which a walk would hold."""
    return functools.lru_cache(RECENT)(lambda own: replace(_commit(store, own), message=b""))
