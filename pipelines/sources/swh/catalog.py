"""A catalog of an export, made by `starmill catalog` on any number of machines, as a source reads it: what index.py gives, of one root.

A part holds the roots of some first bits, sorted, in small row groups: of a repository, a reader opens those that hold its root.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import Workspace, at_once, part_path
from starmill.core.errors import InputError, MachineError, one_line
from starmill.core.storage import Storage
from starmill.core.swhid import object_id
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject, NotFollowed
from starmill.pipelines.sources.swh.heads import Head
from starmill.pipelines.sources.swh.index import EMPTY_TREE, Content, lookup
from starmill.pipelines.sources.swh.tables import ID, Export

MADE = "catalog.json"
AGAIN = "run `starmill catalog` with the same recipe"


@dataclass(frozen=True)
class Made:
    """What `catalog.json` says of a finished catalog: the state of its export, its parts, and the digest of its last dataset."""

    state: str
    buckets: int
    digest: str


@dataclass(frozen=True)
class Catalog:
    """A finished catalog."""

    workspace: Workspace
    made: Made

    def heads(self) -> Iterator[tuple[Head, int, dict[str, str]]]:
        """Yield every head, sorted by name, with the bytes of its files and where it lies."""
        found: list[tuple[Head, int, dict[str, str]]] = []
        paths = [part_path("repositories", part) for part in range(self.made.buckets)]
        for part, table in enumerate(at_once(self.workspace.table, paths)):
            for row in table.to_pylist():
                size = row.pop("size")
                found.append((Head(**row), size, {"part": str(part)}))
        yield from sorted(found, key=lambda row: row[0].name)

    def head(self, name: str, part: str) -> tuple[Head, int] | None:
        """Return the head of a repository, and the bytes of its files."""
        rows = _heads(self, int(part)) if part.isdecimal() else {}
        return rows.get(name)

    def below(self, head: Head) -> "Below":
        """Return what lies below a head's root."""
        root = bytes.fromhex(str(head.directory))
        part = int.from_bytes(root[:2]) * self.made.buckets >> 16
        return Below(self, part, root)


@dataclass(frozen=True)
class Below:
    """The trees and contents below one root."""

    catalog: Catalog
    part: int
    root: bytes

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        """Return a tree as git has it. Raises MissingObject, CorruptObject for one that is too long or does not hash to its id."""
        own = bytes.fromhex(hex_id)
        for group in self._groups("trees", own, own):
            rows = group.of(self.root)
            [at], [there] = lookup(group.ids[rows], np.array([own], ID))
            if there:
                tree: bytes | None = group.table.column("tree")[rows.start + int(at)].as_py()
                if tree is None:
                    raise NotFollowed("below more roots than this catalog follows")
                if len(tree) > max_bytes:
                    raise CorruptObject(f"a tree of {len(tree)} bytes")
                if object_id(kind, tree) != hex_id:
                    raise CorruptObject("its entries do not hash to its id")
                return tree
        if hex_id == EMPTY_TREE:
            return b""
        raise MissingObject(hex_id)

    def contents(self, wanted: Sequence[bytes]) -> list[Content | None]:
        """Return what the export says of blobs, None for one that it does not know."""
        asked, found = np.array(wanted, ID), list[Content | None]([None] * len(wanted))
        for group in self._groups("blobs", min(wanted), max(wanted)) if wanted else ():
            rows = group.of(self.root)
            at, there = lookup(group.ids[rows], asked)
            facts = group.table.slice(rows.start, rows.stop - rows.start).take(pa.array(at[there]))
            columns = (facts.column(name).to_pylist() for name in ("sha1", "length", "state"))
            for i, sha1, length, state in zip(np.flatnonzero(there).tolist(), *columns, strict=True):
                found[i] = Content(sha1.hex(), length, state.decode())
        return found

    def _groups(self, dataset: str, *asked: bytes) -> Iterator["Group"]:
        first, last, least, most = _bounds(self.catalog, dataset, self.part)
        low, high, root = np.array([*asked, self.root], ID)
        # Rows are sorted by root, then by id: of a group of one root, the ids say whether it is asked.
        chosen = (first <= root) & (root <= last) & ((first != last) | ((least <= high) & (low <= most)))
        for number in np.flatnonzero(chosen).tolist():
            yield _group(self.catalog, dataset, self.part, number)


@dataclass(frozen=True)
class Group:
    """A row group: its rows, and their roots and ids."""

    table: pa.Table
    roots: "npt.NDArray[np.bytes_]"
    ids: "npt.NDArray[np.bytes_]"

    def of(self, root: bytes) -> slice:
        """Return the rows of a root."""
        key = np.array([root], ID)
        return slice(*(int(np.searchsorted(self.roots, key, side)[0]) for side in ("left", "right")))


def opened(url: str, export: Export, verify: bool) -> Catalog | None:
    """Return the catalog in a folder or at a URL; None for a folder where none was begun. `verify`: compare its files with their digests.

    Raises InputError for one that is not finished, or of another state of the export, MachineError for one that is damaged.
    """
    workspace = Workspace(url)
    made = workspace.load(MADE, Made)
    if made is None:
        if workspace.is_local and not workspace.last_run().stages:
            return None
        raise InputError(f"{url}: no catalog is finished there; {AGAIN}")
    if made.state != export.state:
        raise InputError(f"{url}: this catalog is of another state of {export.url}; {AGAIN}")
    if verify:
        _verify(workspace, made)
    return Catalog(workspace, made)


def _verify(workspace: Workspace, made: Made) -> None:
    manifest = workspace.manifest("repositories")
    if manifest is None or manifest.digest != made.digest:
        raise InputError(f"{workspace.url}: the catalog and its manifest are of two runs; {AGAIN}")
    for _, output in workspace.torn(manifest.parts):
        raise MachineError(f"{workspace.path(output.path)}: absent or cut off; {AGAIN}")
    if workspace.is_local:  # of a bucket, its own checksums are believed
        outputs = [output for part in manifest.parts for output in part.outputs]
        for output, digest in zip(outputs, at_once(lambda o: workspace.sha256(o.path), outputs, requests=4), strict=True):
            if digest != output.sha256:
                workspace.disbelieve(output.path, digest, output.sha256)  # so that it is made again
                raise MachineError(f"{workspace.path(output.path)}: not as it was published; {AGAIN}")


@functools.lru_cache(maxsize=64)
def _heads(catalog: Catalog, part: int) -> dict[str, tuple[Head, int]]:
    rows = _read(catalog.workspace, part_path("repositories", part), None).to_pylist()
    return {row["name"]: (Head(**{k: v for k, v in row.items() if k != "size"}), row["size"]) for row in rows}


@functools.lru_cache(maxsize=1024)
def _bounds(catalog: Catalog, dataset: str, part: int) -> "npt.NDArray[np.bytes_]":
    """Return the first and last roots of the row groups of a part, and their least and greatest ids: four rows."""
    path = part_path(dataset, part)
    try:
        with catalog.workspace.open(path) as file:
            told = pq.read_metadata(file)
            groups = [told.row_group(i) for i in range(told.num_row_groups)]
            stats = [(g.column(0).statistics, g.column(1).statistics) for g in groups]
            ends = [(root.min, root.max, own.min, own.max) for root, own in stats]
    except (pa.ArrowException, OSError) as error:
        raise _damaged(catalog.workspace, path, error) from error
    return np.array(ends, ID).reshape(-1, 4).T


@functools.lru_cache(maxsize=64)
def _group(catalog: Catalog, dataset: str, part: int, number: int) -> Group:
    table = _read(catalog.workspace, part_path(dataset, part), number)
    roots, own = (np.frombuffer(b"".join(table.column(name).to_pylist()), ID) for name in ("root", "id"))
    return Group(table, roots, own)


def _read(storage: Storage, path: str, group: int | None) -> pa.Table:
    try:
        with storage.open(path) as file:
            table = pq.ParquetFile(file)
            return (table.read() if group is None else table.read_row_group(group)).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(storage, path, error) from error


def _damaged(storage: Storage, path: str, error: Exception) -> MachineError:
    return MachineError(f"{storage.path(path)}: {one_line(error)}; {AGAIN}")
