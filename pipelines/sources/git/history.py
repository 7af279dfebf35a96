"""The history of a repository: its commits, newest first from a head on, and the one file that a commit changed.

Two trees are compared from the root down, only where their ids differ, and only until a second changed file shows: so a commit of a large
repository costs a few small trees. Nothing is believed of an object but what its id was held against.
"""

import heapq
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from starmill.pipelines.sources.git.objects import BudgetSpent, CorruptObject, Trees
from starmill.pipelines.sources.git.refs import HEX
from starmill.pipelines.sources.git.snapshots import (
    MAX_DEPTH,
    MAX_META_BYTES,
    MAX_PATH,
    OF_A_STORE,
    TREE_ENTRY,
    date_of,
    fields_of,
)
from starmill.pipelines.sources.source import Counted, Entry

MAX_PARENTS = 10_000  # of a commit; the largest merge of Linux has 66
MAX_COMPARED = 1000  # folders of one commit; without a file, as no git makes them, they might have each other billions of times
CACHED = 4 << 20  # bytes of trees that are kept: a commit's trees are those of its child's parent
REASONS: dict[type, str] = {BudgetSpent: "inflates_too_far", LookupError: "missing_object"}
Entries = frozenset[tuple[bytes, bytes, bytes]]  # of a tree: mode, name, id


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, its message as it is, and the encoding that it states: ids are git's, dates may be unknown."""

    own: str
    tree: str
    parents: tuple[str, ...]
    date: datetime | None
    committer_date: datetime | None
    message: bytes = b""
    encoding: str = ""


class Side(NamedTuple):
    """A file before or after a commit: git's mode and the id of the blob."""

    mode: int
    blob: str


@dataclass(frozen=True, slots=True)
class Change:
    """The only file that a commit changed; `before` is None where the commit added it."""

    path: bytes
    before: Side | None
    after: Side


class Lost(NamedTuple):
    """Why a commit is no record, and what there is to say of it."""

    reason: str
    detail: str | None = None


def parse(own: str, data: bytes) -> Commit:
    """Return the commit of an object's bytes, as git reads it: its parents follow the tree. Raises CorruptObject."""
    fields = fields_of(data)
    parents: list[str] = []
    for line in data.partition(b"\n\n")[0].split(b"\n")[1:]:
        key, _, parent = line.partition(b" ")
        if key != b"parent":
            break
        parents.append(parent.decode("ascii", "replace"))
        if not HEX.fullmatch(parents[-1]) or len(parents) > MAX_PARENTS:
            raise CorruptObject(f"a commit whose parent {len(parents)} is no id, or one too many")
    dates = date_of(fields.get("author", "")), date_of(fields.get("committer", ""))
    message = data.partition(b"\n\n")[2].partition(b"\0")[0]
    return Commit(own, fields["tree"], tuple(parents), *dates, message, fields.get("encoding", ""))


def newest_first(read: Callable[[str], Commit], tip: Commit) -> Iterator[tuple[Commit, list[Commit | Lost]]]:
    """Yield each commit that leads to the tip, once, with its parents; the order is that of their dates, as `git log` has it.

    A parent that cannot be read is Lost, and nothing behind it is reached.
    """
    seen, due = {tip.own}, [(_age(tip), tip.own, tip)]
    while due:
        _, _, commit = heapq.heappop(due)
        parents: list[Commit | Lost] = []
        for own in commit.parents:
            try:
                parent = read(own)
            except OF_A_STORE as error:
                parents.append(lost(error, f"its parent, commit {own}"))
                continue
            parents.append(parent)
            if own not in seen:
                seen.add(own)
                heapq.heappush(due, (_age(parent), own, parent))
        yield commit, parents


def _age(commit: Commit) -> float:
    return -(commit.committer_date.replace(tzinfo=UTC).timestamp() if commit.committer_date else 0.0)


def lost(error: Exception, what: str) -> Lost:
    """Return the reason of what a store did not give."""
    reason = next((r for kind, r in REASONS.items() if isinstance(error, kind)), "corrupt_object")
    return Lost(reason, f"{what}: {error}" if reason == "corrupt_object" else what)


class Comparison:
    """Compares commits with their parents, over trees that are read once while they are near each other in history."""

    def __init__(self, store: Trees) -> None:
        """Read from this store."""
        self._store, self._known, self._held = store, dict[str, tuple[Entries, int]](), 0

    def __call__(self, commit: Commit, parents: list[Commit | Lost]) -> Change | Lost:
        """Return the one file that the commit changed, or why there is none."""
        if unread := next((parent for parent in parents if isinstance(parent, Lost)), None):
            return unread
        if len(parents) > 1:
            return Lost("merge")
        before = next((parent.tree for parent in parents if isinstance(parent, Commit)), None)
        try:
            return self._changed(before, commit.tree)
        except OF_A_STORE as error:
            return lost(error, f"a tree of {commit.own} or of its parent")

    def _changed(self, before: str | None, after: str | None) -> Change | Lost:
        due = [(b"", before, after, 0)]
        found: tuple[bytes, Side | None, Side | None] | None = None
        compared = 0
        while due:
            prefix, old, new, depth = due.pop()
            compared += 1
            if depth > MAX_DEPTH or compared > MAX_COMPARED:
                return Lost("too_deep", f"{prefix[:MAX_PATH]!r}, after {compared} folders")
            was, now = self._tree(old), self._tree(new)
            sides: dict[tuple[bytes, bool], list[Side | None]] = {}
            for at, entries in enumerate((was - now, now - was)):
                for mode, name, own in entries:
                    # A folder and a file of one name are two things, as they are to git.
                    side = Side(_canonical(int(mode, 8)), own.hex())
                    pair = sides.setdefault((name, stat.S_ISDIR(side.mode)), [None, None])
                    if pair[at] is not None:
                        raise CorruptObject(f"a tree with two entries of one name, {name[:80]!r}")
                    pair[at] = side
            for (name, is_folder), (one, other) in sides.items():
                path = prefix + name + b"/" * is_folder
                if one == other:  # the mode was written in another way
                    continue
                if is_folder:
                    due.append((path, one and one.blob, other and other.blob, depth + 1))
                elif found is not None:
                    return Lost("several_files")
                else:
                    found = path, one, other
        return _judged(*found) if found else Lost("no_change")

    def _tree(self, own: str | None) -> Entries:
        if own is None:
            return frozenset()
        if (known := self._known.get(own)) is not None:
            return known[0]
        data = self._store.read(own, "tree", MAX_META_BYTES)
        entries = TREE_ENTRY.findall(data)
        if sum(len(mode) + len(name) + 22 for mode, name, _ in entries) != len(data):
            raise CorruptObject("a tree that is cut off")
        made = frozenset(entries)
        self._known[own] = made, len(data)
        self._held += len(data)
        while self._held > CACHED and len(self._known) > 1:
            self._held -= self._known.pop(next(iter(self._known)))[1]
        return made


def _canonical(mode: int) -> int:
    """Return the mode as git compares it: of a file only whether its owner may execute it."""
    if stat.S_ISREG(mode):
        return 0o100755 if mode & 0o100 else 0o100644
    return stat.S_IFMT(mode) if stat.S_ISLNK(mode) or stat.S_ISDIR(mode) else 0o160000


def _judged(path: bytes, before: Side | None, after: Side | None) -> Change | Lost:
    if len(path) > MAX_PATH:
        return Lost("hostile_path", f"a path of {len(path)} bytes")
    for side in (before, after):
        if side is not None and not stat.S_ISREG(side.mode):
            return Lost("symlink" if stat.S_ISLNK(side.mode) else "submodule")
    if after is None:
        return Lost("file_deleted")
    if before is not None and before.blob == after.blob:
        return Lost("mode_change")
    return Change(path, before, after)


def of_one_file(
    commits: Iterable[tuple[Commit, list[Commit | Lost]]],
    compare: Comparison,
    max_commits: int,
    per_file: int | None,
    max_names_bytes: int,
) -> tuple[dict[bytes, Change | Lost], Lost | None]:
    """Return what each commit of a history changed, by its id in their order, and the limit beyond which there are more, if any.

    Of the commits that changed one file alone the first `per_file` are kept, which are its newest; the others are `older_commit`.
    """
    found, newest, names = dict[bytes, Change | Lost](), dict[bytes, tuple[int, str]](), 0
    limit: Lost | None = None
    for commit, parents in commits:
        if len(found) == max_commits or names > max_names_bytes:
            full = f"max_commits={max_commits}" if len(found) == max_commits else f"max_names_bytes={max_names_bytes} of paths"
            limit = Lost("too_many_commits", f"more than {full}")
            break
        made = compare(commit, parents)
        if isinstance(made, Change):
            newer, last = newest.get(made.path, (0, ""))
            names += 0 if newer else len(made.path)
            if newer == per_file:
                made = Lost("older_commit", f"commit {last} is newer")
            else:
                newest[made.path] = newer + 1, commit.own
        found[bytes.fromhex(commit.own)] = made
        if isinstance(made, Lost) and made.reason == REASONS[BudgetSpent]:
            limit = Lost(made.reason, "more than max_inflated_bytes or max_inflation of the repository")
            break
    return dict(sorted(found.items())), limit


def beyond(limit: Lost, count: Counted, listed: int) -> Entry:
    """Return the row of the commits beyond a limit, which have none."""
    return Entry(b"", None, limit.reason, f"{limit.detail}; without a row are {count.less(listed)}", kind="commit")


def row(own: str, why: Lost, size: int = 0) -> Entry:
    """Return the row of a commit that is no record."""
    return Entry(f"commit/{own}".encode(), None, why.reason, why.detail, size, kind="commit")
