"""From the origins of an export to the revision of each one's main branch: visits, snapshots, branches, releases, revisions.

HEAD of a snapshot is an alias, whose target is the name of a branch in hexadecimal digits; some old ones are a revision. Where it
leads nowhere, the default branch that GHArchive tells of the repository, `refs/heads/main` and `refs/heads/master` follow. Tables are
read whole, block by block; what is kept is what the origins need.
"""

import binascii
import functools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starmill.pipelines.sources.source import label, unique
from starmill.pipelines.sources.swh.tables import Export

MAIN = (b"HEAD", b"refs/heads/main", b"refs/heads/master")
TOLD = ("repo", "last", "branch", "license", "created", "language", "stars", "forks")  # of the table gharchive, beside the name
STATUSES = (b"partial", b"full")  # the better one is the last
HEX = frozenset("0123456789abcdef")
MAX_CHAIN = 5  # aliases of aliases, and releases of releases
MAX_URL = 4096  # bytes that are shown of a longer one
URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/@]*@)?([^/]+)/+(.*?)(?:\.git)?/*", re.DOTALL)
NUMBERS = re.compile(r"(?:~[0-9]+)+\Z")
Target = tuple[bytes, bytes]  # its type, and its id in hexadecimal digits


@dataclass(frozen=True)
class Head:
    """What is known of an origin's main branch; `reason` and `detail` say why there is none. Ids are hexadecimal, dates seconds.

    From `github` on: what GHArchive tells of the repository, where the export has it.
    """

    origin: str
    name: str = ""
    branch: str | None = None
    revision: str | None = None
    directory: str | None = None
    date: int | None = None
    committed: int | None = None
    reason: str = ""
    detail: str = ""
    github: int | None = None
    stars: int = 0
    forks: int = 0
    license: str | None = None
    created: int | None = None
    language: str | None = None


INTEGERS = ("date", "committed", "github", "stars", "forks", "created")
FIELDS = [(name, pa.int64() if name in INTEGERS else pa.string()) for name in Head.__dataclass_fields__]  # of a table of heads


def heads(export: Export, share: tuple[int, int] = (0, 1)) -> list[Head]:
    """Return the head of every origin, sorted by its URL, each with a name of its own. Raises InputError, MachineError.

    `share`: the number of one part of the origins, and of how many; those of one name are in one part.
    """
    snapshots = _snapshots(export, share)
    told = _told(export, snapshots)
    defaults: dict[bytes, set[bytes]] = {}
    for origin in told:
        if told[origin]["branch"]:
            defaults.setdefault(snapshots[origin], set()).add(b"refs/heads/" + told[origin]["branch"])
    branches = _Branches(export, {s for s in snapshots.values() if s}, defaults)
    releases = _releases(export, {target for (_, (kind, target)) in branches.found.values() if kind == b"release"})
    found: list[Head] = []
    for origin, snapshot in sorted(snapshots.items()):
        head = _with_facts(Head(_text(origin[:MAX_URL])), told.get(origin))
        if not snapshot:
            head = replace(head, reason="no_snapshot", detail="no visit of it ended in a snapshot")
        elif snapshot not in branches.found:
            head = replace(head, reason="no_main_branch", detail=branches.why[snapshot])
        else:
            head = _peeled(head, *branches.found[snapshot], releases)
        found.append(head)
    return _named(_with_revisions(export, found))


def _snapshots(export: Export, share: tuple[int, int]) -> dict[bytes, bytes]:
    """Return the last full snapshot of each origin; the last partial one where none is full; nothing where no visit gave one."""
    best: dict[bytes, tuple[int, int, int, bytes]] = {}
    mine = functools.lru_cache(1 << 16)(lambda url: share[1] == 1 or zlib.crc32(_family(url)) % share[1] == share[0])
    for block in export.blocks("origin", ["url"]):
        best |= {url: (-1, 0, 0, b"") for url in block.column("url").to_pylist() if url is not None and mine(url)}
    for block in export.blocks("origin_visit_status", ["origin", "visit", "status", "snapshot"], ["date"]):
        for origin, visit, status, snapshot, date in zip(*(c.to_pylist() for c in block.columns), strict=True):
            if origin is None or not mine(origin):
                continue
            known = snapshot and status in STATUSES
            this = (STATUSES.index(status), date or 0, visit or 0, snapshot) if known else (-1, 0, 0, b"")
            best[origin] = max(this, best.get(origin, this))
    return {origin: snapshot for origin, (*_, snapshot) in best.items()}


def _told(export: Export, origins: Iterable[bytes]) -> dict[bytes, dict[str, Any]]:
    """Return what GHArchive tells of origins, where the export has it: of several of one name what was told last."""
    if not export.paths("gharchive"):
        return {}
    of: dict[str, list[bytes]] = {}
    for origin in origins:
        of.setdefault(name_of(_text(origin[:MAX_URL])).lower(), []).append(origin)
    found: dict[bytes, dict[str, Any]] = {}
    for block in export.blocks("gharchive", ["name", *TOLD]):
        for row in block.to_pylist():
            for origin in of.get(_text(row.pop("name") or b"").lower(), ()):
                found[origin] = max(found.get(origin, row), row, key=lambda row: (row["last"] or b"", row["repo"] or b""))
    return found


def _with_facts(head: Head, told: Mapping[str, Any] | None) -> Head:
    if told is None:
        return head
    repo, created = told["repo"] or b"", None
    with suppress(ValueError, OverflowError):
        created = int(datetime.fromisoformat(_text(told["created"] or b"")).timestamp())
    license_id, language = (None if told[name] is None else _text(told[name]) for name in ("license", "language"))
    return replace(
        head,
        github=int(repo) if repo.isdigit() and len(repo) < 19 else None,
        stars=told["stars"] or 0,
        forks=told["forks"] or 0,
        license=license_id,
        created=created,
        language=language,
    )


def _family(url: bytes) -> bytes:
    """Return the name of an origin without the number that tells it from others of this name."""
    return NUMBERS.sub("", name_of(_text(url[:MAX_URL]))).encode("utf-8", "surrogatepass")


class _NotAskedYet(LookupError):
    """A branch of a name that no pass over the table has asked for."""


class _Branches:
    """The main branch of each snapshot: `found` is its name and what it points to, `why` why a snapshot has none."""

    def __init__(self, export: Export, snapshots: set[bytes], defaults: Mapping[bytes, set[bytes]]) -> None:
        self._defaults = defaults
        self._rows: dict[bytes, dict[bytes, Target]] = {snapshot: {} for snapshot in snapshots}
        self._asked: set[bytes] = set()
        self.found: dict[bytes, tuple[bytes, Target]] = {}
        self.why: dict[bytes, str] = {}
        due, names = snapshots, {*MAIN}
        while names:
            self._ask(export, names)
            names = set()
            for snapshot in due:
                try:
                    self._resolve(snapshot)
                except _NotAskedYet as error:
                    names.add(error.args[0])
            due = due - {*self.found} - {*self.why}

    def _ask(self, export: Export, names: set[bytes]) -> None:
        self._asked |= names
        wanted = pa.array(sorted(names), pa.large_binary())
        for block in export.blocks("snapshot_branch", ["snapshot_id", "name", "target", "target_type"]):
            # By name first: nearly all branches are pull requests and tags.
            kept = block.filter(pc.is_in(block.column("name"), value_set=wanted))
            for snapshot, name, target, kind in zip(*(c.to_pylist() for c in kept.columns), strict=True):
                if snapshot in self._rows and target is not None and kind is not None:
                    of = self._rows[snapshot]
                    of[name] = min(of.get(name, (kind, target)), (kind, target))

    def _resolve(self, snapshot: bytes) -> None:
        said = []
        for name in (MAIN[0], *sorted(self._defaults.get(snapshot, ())), *MAIN[1:]):
            found = self._follow(snapshot, name)
            if not isinstance(found, str):
                self.found[snapshot] = found
                return
            said.append(found)
        self.why[snapshot] = "; ".join(said)

    def _follow(self, snapshot: bytes, name: bytes) -> tuple[bytes, Target] | str:
        """Return the branch that a name leads to, or why it leads to none."""
        way, rows = [name], self._rows[snapshot]
        while True:
            if name not in self._asked:
                raise _NotAskedYet(name)
            if name not in rows:
                return f"no branch {' -> '.join(map(_shown, way))}"
            kind, target = rows[name]
            if kind != b"alias":
                known = kind in (b"revision", b"release", b"directory")
                return (name, (kind, target)) if known else f"{_shown(name)} is a {_shown(kind)}"
            try:
                name = binascii.unhexlify(target)
            except binascii.Error:
                return f"{_shown(name)} is an alias of {_shown(target)}, no name in hexadecimal digits"
            way.append(name)
            if name in way[:-1] or len(way) > MAX_CHAIN + 1:
                what = "a circle" if name in way[:-1] else f"a chain of more than {MAX_CHAIN}"
                return f"{what} of aliases: {' -> '.join(map(_shown, way))}"


def _releases(export: Export, wanted: set[bytes]) -> dict[bytes, Target]:
    """Return what the releases point to, and those that releases point to."""
    found: dict[bytes, Target] = {}
    for _ in range(MAX_CHAIN):
        wanted = wanted - {*found}
        if not wanted:
            break
        for block in _of(export, "release", wanted, ["id", "target", "target_type"]):
            for own, target, kind in zip(*(c.to_pylist() for c in block.columns), strict=True):
                found[own] = min(found.get(own, (kind or b"", target or b"")), (kind or b"", target or b""))
        wanted = {target for own in wanted if own in found for kind, target in [found[own]] if kind == b"release"}
    return found


def _peeled(head: Head, branch: bytes, target: Target, releases: Mapping[bytes, Target]) -> Head:
    head, (kind, own) = replace(head, branch=_text(branch)), target
    for _ in range(MAX_CHAIN + 1):
        if kind != b"release":
            break
        if own not in releases:
            return replace(head, reason="missing_revision", detail=f"release {_shown(own)} is not in the export")
        kind, own = releases[own]
    if kind == b"directory":
        return replace(head, directory=_text(own))
    if kind != b"revision":
        return replace(head, reason="no_main_branch", detail=f"{_shown(branch)} leads to a {_shown(kind)} {_shown(own)}")
    return replace(head, revision=_text(own))


def _with_revisions(export: Export, found: Sequence[Head]) -> Iterator[Head]:
    wanted = {head.revision.encode() for head in found if head.revision}
    facts: dict[str, tuple[str, int | None, int | None]] = {}
    for block in _of(export, "revision", wanted, ["id", "directory"], ["date", "committer_date"]):
        for own, directory, date, committed in zip(*(c.to_pylist() for c in block.columns), strict=True):
            facts[own.decode()] = (_text(directory or b""), date, committed)
    for head in found:
        if head.revision is None:
            yield head
        elif head.revision in facts:
            directory, date, committed = facts[head.revision]
            yield replace(head, directory=directory, date=date, committed=committed)
        else:
            yield replace(head, reason="missing_revision", detail=f"revision {head.revision[:40]} is not in the export")


def _of(
    export: Export, table: str, wanted: set[bytes], columns: Sequence[str], dates: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table whose `id` is wanted."""
    if wanted:
        values = pa.array(sorted(wanted), pa.large_binary())
        for block in export.blocks(table, columns, dates):
            yield block.filter(pc.is_in(block.column("id"), value_set=values))


def _named(found: Iterable[Head]) -> list[Head]:
    seen: dict[str, int] = {}
    return [replace(head, name=unique(name_of(head.origin), seen)) for head in found]


def is_id(text: str | None) -> bool:
    """Say whether a text is an id of 40 hexadecimal digits."""
    return text is not None and len(text) == 40 and HEX.issuperset(text)


def name_of(url: str) -> str:
    """Return the name of a repository: `owner/name` on GitHub, with the host before it elsewhere.

    >>> name_of("https://github.com/pallets/flask.git"), name_of("https://gitlab.com/inkscape/inkscape/")
    ('pallets/flask', 'gitlab.com/inkscape/inkscape')
    """
    parts = URL.fullmatch(url)
    name = url if parts is None else parts[2] if parts[1].lower() == "github.com" else f"{parts[1].lower()}/{parts[2]}"
    return label(name.encode())[0][1:] or "unnamed"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _shown(name: bytes) -> str:
    return _text(name[:80])
