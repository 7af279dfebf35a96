"""Mirrors of repositories, in whose objects the commits of pull requests lie: `git clone --mirror` fetches refs/pull/*/head with the rest.

A commit is found by its id, and no reference is read. What is missing of a pull request, or damaged, leaves it without files.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from starmill.core.errors import of_a_file, one_line
from starmill.pipelines.sources import encoding
from starmill.pipelines.sources.gharchive.pulls import Files, Show, shown
from starmill.pipelines.sources.git import refs, snapshots
from starmill.pipelines.sources.git.objects import (
    Budget,
    BudgetSpent,
    CorruptObject,
    MissingObject,
    ObjectStore,
    ObjectTooLarge,
    inside,
)
from starmill.pipelines.sources.source import Limits

MAX_HEADS = 100  # commits of one pull request
MAX_CHANGED = 1_000  # files that one head changes
MAX_FOLDERS = 10_000  # that are compared for it
MAX_CHARS = 1_000_000  # of a file; a longer one is not shown (StarCoder2, section 2.3)
PULL_FOLDERS = 100_000  # and for all heads of a pull request
MAX_TREE = 8 << 20  # bytes of a folder's entries, which are held while they are compared: some 200,000 of them
MOST_AFTER = 16  # times `max_chars` that all heads together may hold of a pull request's files
# That may be inflated for one pull request: so much, of what a repository has left a share, but never less than a pull request
# mostly needs. So a hostile one leaves what the others need, and hundreds of them do.
PULL_BYTES, PULL_SHARE, LEAST_BYTES = 1 << 30, 64, 16 << 20
# Why a pull request has no files, or not those of all its heads.
LOST: dict[type, str] = {
    MissingObject: "missing_object",
    CorruptObject: "corrupt_object",
    ObjectTooLarge: "too_large",
    BudgetSpent: "too_much_to_compare",
}
Tree = dict[tuple[bytes, bool], tuple[int, str]]


def find(folder: str, name: str) -> Path | None:
    """Return where the mirror of owner/name lies below a folder: `owner/name.git` or `owner/name`. None where there is none.

    A name is an event's, and a link may lie there: nothing outside of the folder is a mirror.
    """
    for place in (inside(Path(folder, f"{name}.git"), folder), inside(Path(folder, name), folder)):
        if place is not None and place.is_dir():
            return place
    return None


def names(folder: str) -> set[str]:
    """Return the names of all that may be mirrors below a folder. Raises OSError."""
    owners = [owner.name for owner in os.scandir(folder) if owner.is_dir()]
    return {f"{owner}/{found.name.removesuffix('.git')}" for owner in owners for found in os.scandir(Path(folder, owner))}


def looks(folder: str | None, name: str) -> tuple[str, str]:
    """Return a fingerprint of a mirror, which changes as objects come, and its state, which also does as they are mended.

    Both are empty where there is none. Raises MachineError.
    """
    place = find(folder, name) if folder else None
    return ("", "") if place is None else snapshots.look(place, Path(str(folder)))[1:3]


class _TooMuch(Exception):
    """The files of a pull request hold more than may be shown of one."""


class Mirror:
    """One mirror, open. Use as a context manager; without a folder, and of a folder that is no repository, it has nothing."""

    def __init__(self, folder: str | None, name: str, limits: Limits, show: Show) -> None:
        """Find the mirror of a repository; its objects are mapped when the first pull request asks."""
        self._root, self._place = Path(folder or ""), find(folder, name) if folder else None
        self._limits, self._show = limits, show
        self._stack = ExitStack()
        self._store: ObjectStore | None = None
        self._budget, self._left = Budget(), limits.max_inflated_bytes
        self._folders = Budget()
        self.lost: tuple[str, str] | None = None  # of the last pull request: why it has not all its files, and what said so

    def __enter__(self) -> "Mirror":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unmap the objects."""
        self._stack.close()
        self._store = None

    def files(self, thread: str, base: str, heads: Sequence[str]) -> Files | None:
        """Return what is shown of a pull request's files; None where the base or all heads are missing, or no file is on both sides.

        `lost` says then why some are not known; of a repository without a mirror nothing is lost.
        """
        self.lost, store = None, self._opened()
        if store is None or not base or not heads:
            return None
        before: dict[str, str] = {}
        after: dict[str, dict[str, str]] = {}
        self._folders = Budget(PULL_FOLDERS)
        self._budget.left = most = min(self._left, max(LEAST_BYTES, min(PULL_BYTES, self._left // PULL_SHARE)))
        try:
            with self._losing(f"base {base:.40}"):
                tree, room = _tree_of(store, base), MOST_AFTER * self._show.max_chars
                for head in [*dict.fromkeys(heads)][:MAX_HEADS]:
                    with self._losing(f"head {head:.40}"):
                        after[head] = self._changed(store, tree, _tree_of(store, head), before, room)
                        room -= sum(map(len, after[head].values()))
        except _TooMuch:
            self.lost = (
                "too_large",
                f"more than max_chars={self._show.max_chars} of files, or {MOST_AFTER} times as many of all heads",
            )
            return None
        finally:
            self._left -= most - max(0, self._budget.left)
        made = shown(thread, before, after, self._show)
        return made if made.windows else None

    @contextmanager
    def _losing(self, what: str) -> Iterator[None]:
        """Leave out what cannot be read, and keep why; of several heads the first."""
        try:
            yield
        except snapshots.OF_A_STORE as error:
            reason = next(reason for cls, reason in LOST.items() if isinstance(error, cls))
            self.lost = self.lost or (reason, f"{what}: {one_line(error)}")

    def _opened(self) -> ObjectStore | None:
        if self._store is None and self._place is not None:
            try:
                _, common = refs.git_directory(self._place, self._root)
                folders = refs.object_folders(common / "objects", self._root)
            except (refs.Unreadable, OSError) as error:
                if isinstance(error, OSError):
                    of_a_file(error, self._place)
                self._place = None
                return None
            self._store = self._stack.enter_context(ObjectStore(folders, self._root, self._budget))
        return self._store

    def _changed(self, store: ObjectStore, base: str, head: str, before: dict[str, str], room: int) -> dict[str, str]:
        """Return the files that a head has otherwise than the base, by path; of the same, add those of the base to `before`.

        Raises _TooMuch once these are larger than is shown of a pull request, or those of the head than `room`, in characters.
        """
        found: dict[str, str] = {}
        held = sum(map(len, before.values()))
        for path, one, other in _pairs(store, base, head, self._folders):
            shown_path = path.decode("utf-8", "backslashreplace")
            if (old := before.get(shown_path) or self._text(store, one)) and (new := self._text(store, other)) is not None:
                held += 0 if shown_path in before else len(old)
                room -= len(new)
                if held > self._show.max_chars or room < 0:
                    raise _TooMuch
                before[shown_path], found[shown_path] = old, new
        return found

    def _text(self, store: ObjectStore, blob: str) -> str | None:
        try:
            data = store.read(blob, "blob", self._limits.max_file_bytes - 1)
        except ObjectTooLarge:  # which is no damage: the other files of its head are shown
            return None
        if encoding.judge(data, self._limits.max_file_bytes) not in (None, "empty"):
            return None
        decoded = encoding.decode(data)
        return decoded[0] if decoded and len(decoded[0]) <= MAX_CHARS else None


def _tree_of(store: ObjectStore, commit: str) -> str:
    if not refs.HEX.fullmatch(commit):
        raise CorruptObject(f"commit {commit[:80]!r}")
    return snapshots.fields_of(store.read(commit, "commit", snapshots.MAX_META_BYTES))["tree"]


def _pairs(store: ObjectStore, base: str, head: str, left: Budget) -> Iterator[tuple[bytes, str, str]]:
    """Yield path and blobs of the regular files that both trees have, and have differently. BudgetSpent: too many."""
    due, folders, changed = [(b"", base, head)], 0, 0
    while due:
        prefix, one, other = due.pop()
        folders += 1
        left.take(1)
        was, now = _entries(store, one), _entries(store, other)
        for key in sorted(was.keys() & now.keys()):
            (name, is_folder), (mode, old), (new_mode, new) = key, was[key], now[key]
            if old == new or len(prefix + name) > snapshots.MAX_PATH:
                continue
            if is_folder:
                if prefix.count(b"/") < snapshots.MAX_DEPTH:
                    due.append((prefix + name + b"/", old, new))
            elif stat.S_ISREG(mode) and stat.S_ISREG(new_mode):
                changed += 1
                yield prefix + name, old, new
            if changed > MAX_CHANGED or folders > MAX_FOLDERS:
                raise BudgetSpent(f"more than {MAX_CHANGED} changed files, or {MAX_FOLDERS} folders")


def _entries(store: ObjectStore, tree: str) -> Tree:
    data = store.read(tree, "tree", MAX_TREE)
    return {
        (name, stat.S_ISDIR(int(mode, 8))): (int(mode, 8), own.hex()) for mode, name, own in snapshots.TREE_ENTRY.findall(data)
    }
