"""What is looked up of an export, sorted by id and mapped into memory: trees, contents, heads. Built once, read by every process.

An index is a folder of plain arrays whose name is the digest of the export's files and their states, so that another export, or one
that changed, is another folder. It takes on the disk 32 bytes and the name for each directory entry, 44 for each directory, 49 for
each content. Building sorts in 64 pieces by the first bits of the ids, so that its memory is that of a piece and of one block.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from starmill.core import files
from starmill.core.errors import MachineError
from starmill.core.swhid import object_id
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject
from starmill.pipelines.sources.swh.heads import FIELDS, Head, heads
from starmill.pipelines.sources.swh.tables import ID, NO_ID, Export, ids, plain

FORMAT = 2  # of the folder; another one is built anew
PIECES = 64
LEVELS = 128  # of folders in folders that the size of a repository counts
EDGES = 1 << 20  # looked up or summed at once
LARGEST = 1 << 62
EMPTY_TREE = object_id("tree", b"")
FOLDER_MODE = 0o40000
CONTENT = np.dtype([("sha1", ID), ("length", "<i8"), ("state", "u1")])
RUN = np.dtype([("start", "<u8"), ("count", "<u8"), ("size", "<f8")])  # of the entries of a directory; bytes of its files
SPAN = np.dtype([("start", "<u8"), ("count", "<u8")])
ENTRY = np.dtype([("target", ID), ("mode", "<u4"), ("end", "<u8")])  # where its name ends in the file of all names
EDGE = np.dtype([("parent", ID), ("child", ID)])
ROWS = {"content": CONTENT, "run": RUN, "manifest": SPAN}
VISIBLE, HIDDEN, SKIPPED = "visible", "hidden", "skipped"
MAX_STATES = 250  # reasons why contents were skipped that are told apart
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Content:
    """What the export says of a blob: the name of its object in the store, its bytes, and its state (VISIBLE or why not)."""

    sha1: str
    length: int
    state: str


class Index:
    """An index of the disk. Raises OSError where it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        """Map its files into memory."""
        said = json.loads((folder / "index.json").read_text())
        self._states: list[str] = said["states"]
        self._ids = {name: _mapped(folder / f"{name}.ids", ID) for name in ROWS}
        self._rows = {name: _mapped(folder / f"{name}.rows", dtype) for name, dtype in ROWS.items()}
        self._entries = _mapped(folder / "entry.rows", ENTRY)
        self._names, self._manifests = (_mapped(folder / name, np.dtype("u1")) for name in ("names", "manifests"))
        with pa.memory_map(str(folder / "heads.arrow")) as file:
            self._heads = pa.ipc.open_file(file).read_all()

    def heads(self) -> Iterator[tuple[Head, int, dict[str, str]]]:
        """Yield every head, sorted by name, with the bytes of its files, and nothing of where it lies: it is found by its name."""
        for row in (row for block in self._heads.to_batches(10_000) for row in block.to_pylist()):
            size = row.pop("size")
            yield Head(**row), size, {}

    def below(self, head: Head) -> "Index":
        """Return the trees and contents below a head's root: those of all."""
        return self

    def head(self, name: str, part: str = "") -> tuple[Head, int] | None:
        """Return the head of a repository, by its name, and the bytes of its files."""
        names, low, high = self._heads.column("name"), 0, self._heads.num_rows
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if names[middle].as_py() < name else (low, middle)
        if low == self._heads.num_rows or names[low].as_py() != name:
            return None
        [row] = self._heads.slice(low, 1).to_pylist()
        size = row.pop("size")
        return Head(**row), size

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        """Return a tree as git has it: of the entries of a directory, or its raw manifest. Raises MissingObject, CorruptObject.

        Every one is held against its id, so that whatever an export says, it is a tree of git's: none holds itself.
        """
        own = bytes.fromhex(hex_id)
        tree = self._from_manifest(own) or self._from_entries(own)
        if tree is None:
            raise MissingObject(hex_id)
        if len(tree) > max_bytes:
            raise CorruptObject(f"a tree of {len(tree)} bytes")
        if object_id(kind, tree) != hex_id:
            raise CorruptObject("its entries do not hash to its id")
        return tree

    def _from_manifest(self, own: bytes) -> bytes | None:
        found = self._at("manifest", own)
        if not len(found):
            return None
        start, count = int(found[0]["start"]), int(found[0]["count"])
        return self._manifests[start : start + count].tobytes().partition(b"\0")[2]

    def _from_entries(self, own: bytes) -> bytes | None:
        runs = self._at("run", own)
        if not len(runs):
            return b"" if own.hex() == EMPTY_TREE else None  # which has no entries
        entries: dict[tuple[bytes, bytes], None] = {}  # an export may say a thing twice
        for start, count in ((int(r["start"]), int(r["count"])) for r in runs):
            rows = self._entries[start : start + count]
            ends = rows["end"].tolist()
            at = int(self._entries[start - 1]["end"]) if start else 0
            names = self._names[at : ends[-1]].tobytes()
            begins = [0, *(end - at for end in ends)]
            for i, (mode, target) in enumerate(zip(rows["mode"].tolist(), plain(rows["target"]), strict=True)):
                name = names[begins[i] : begins[i + 1]]
                order = name + b"/" if mode == FOLDER_MODE else name
                entries[order, b"%o %s\0%s" % (mode, name, target)] = None
        return b"".join(data for _, data in sorted(entries))

    def contents(self, wanted: Sequence[bytes]) -> list[Content | None]:
        """Return what the export says of blobs, None for one that it does not know."""
        at, found = lookup(self._ids["content"], np.array(wanted, ID))
        rows = self._rows["content"][np.where(found, at, 0)] if found.any() else np.zeros(len(wanted), CONTENT)
        facts = zip(plain(rows["sha1"]), rows["length"].tolist(), rows["state"].tolist(), found.tolist(), strict=True)
        return [Content(sha1.hex(), length, self._states[state]) if there else None for sha1, length, state, there in facts]

    def _at(self, table: str, own: bytes) -> Array:
        key = np.array([own], ID)
        start, end = (int(np.searchsorted(self._ids[table], key, side)[0]) for side in ("left", "right"))
        return self._rows[table][start:end]


def lookup(table: Array, wanted: Array) -> tuple[Array, Array]:
    """Return where ids stand in a sorted table (the first of equal ones), and whether they do."""
    # In their order, four times as fast: neighbours are looked for in the same pages, and are there too.
    starts = np.frombuffer(np.ascontiguousarray(wanted).tobytes(), "u1").reshape(-1, 20)[:, :8].copy().view(">u8").ravel()
    order = np.argsort(starts.astype("u8"))
    keys, at, found = wanted[order], np.empty(len(wanted), np.intp), np.zeros(len(wanted), bool)
    places = np.searchsorted(table, keys)
    at[order] = places
    if len(table):
        found[order] = table[np.minimum(places, len(table) - 1)] == keys
    return at, found


def _mapped(path: Path, dtype: np.dtype[Any]) -> Array:
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)


def ensure(export: Export, catalog: Path, verify: bool = False) -> Path:
    """Return the folder of the export's index, which is built where it is absent or damaged; one process builds, the others wait.

    `verify`: hold every byte of it against its digest. Raises InputError for a damaged export, MachineError.
    """
    export.require("directory_entry")
    place = catalog / index_name(export)
    if _is_whole(place, verify):
        return place
    catalog.mkdir(parents=True, exist_ok=True)
    with files.open_lock(place.with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(place, verify):
            made = place.with_suffix(".tmp")  # what a killed process left of it goes
            for folder in (made, place):
                if folder.exists():
                    shutil.rmtree(folder)
            made.mkdir()
            _build(export, made)
            made.rename(place)
    return place


def index_name(export: Export) -> str:
    """Return the name of the index of an export in its state."""
    return hashlib.sha256(f"{FORMAT} {export.state}".encode()).hexdigest()[:32]


def _is_whole(place: Path, verify: bool) -> bool:
    try:
        said = json.loads((place / "index.json").read_text())["files"]
        if any((place / name).stat().st_size != size for name, (size, _) in said.items()):
            return False
        return not verify or all(_digest(place / name) == digest for name, (_, digest) in said.items())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    except OSError as error:
        raise MachineError(
            f"{place}: {error}; the index of an export must be readable: mend it, or name another `catalog`"
        ) from error


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Sorted:
    """Rows with ids, added in any order and written sorted by them, of equal ids in the order of adding."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name, self._pieces = folder, name, folder / f"{name}.pieces"
        self._dtype = np.dtype([("id", ID), ("row", ROWS[name])])
        self._pieces.mkdir()
        self._files = [(self._pieces / f"{piece:02}").open("wb") for piece in range(PIECES)]

    def add(self, own: Array, rows: Array) -> None:
        both = np.empty(len(own), self._dtype)
        both["id"], both["row"] = own, rows
        pieces = np.frombuffer(own.tobytes(), "u1")[::20] // (256 // PIECES)
        order = np.argsort(pieces, kind="stable")
        both, ends = both[order], np.cumsum(np.bincount(pieces, minlength=PIECES))
        for piece, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if start < end:
                self._files[piece].write(both[start:end].data)

    def close(self) -> None:
        with open(self._folder / f"{self._name}.ids", "wb") as own, open(self._folder / f"{self._name}.rows", "wb") as rows:
            for file in self._files:
                file.close()
                piece = np.fromfile(file.name, self._dtype)
                piece = piece[np.argsort(piece["id"], kind="stable")]
                own.write(piece["id"].tobytes())
                rows.write(piece["row"].tobytes())
        shutil.rmtree(self._pieces)


def _build(export: Export, folder: Path) -> None:
    states = _contents(export, folder)
    _manifests(export, folder)
    _entries(export, folder)
    found = heads(export)
    roots = np.array([_own(head.directory) for head in found], ID)
    sizes = [min(int(size), LARGEST) for size in _sizes(folder, roots)]
    (folder / "edges").unlink()
    rows = sorted(
        ({**asdict(head), "size": size} for head, size in zip(found, sizes, strict=True)), key=lambda row: str(row["name"])
    )
    schema = pa.schema([*FIELDS, ("size", pa.int64())])
    with pa.ipc.new_file(str(folder / "heads.arrow"), schema) as file:
        file.write(pa.Table.from_pylist(rows, schema))
    made = {path.name: (path.stat().st_size, _digest(path)) for path in sorted(folder.iterdir())}
    # Nothing is synced: what a power cut leaves of it is held against its digests by the next plan.
    (folder / "index.json").write_text(json.dumps({"files": made, "states": states}))


def _own(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")[:20]
    except ValueError:
        return NO_ID


def _contents(export: Export, folder: Path) -> list[str]:
    """Write the table of contents; a blob that was skipped once and archived later is archived."""
    table, states = _Sorted(folder, "content"), {VISIBLE: 0, HIDDEN: 1, SKIPPED: 2}
    for name, last in (("content", "status"), ("skipped_content", "reason")):
        for block in export.blocks(name, ["sha1_git", "sha1", "length", last]):
            rows = np.zeros(block.num_rows, CONTENT)
            rows["sha1"] = ids(block.column("sha1"))
            rows["length"] = np.asarray(block.column("length").fill_null(0))
            said = block.column(last).dictionary_encode()
            shown = [(t or b"").decode("utf-8", "backslashreplace")[:200] for t in said.dictionary.to_pylist()]
            for text in shown:
                if name == "skipped_content" and text and len(states) < MAX_STATES:
                    states.setdefault(f"{SKIPPED}: {text}", len(states))
            # What is not visible is not handed out, whatever else it is called.
            known = [states.get(t, 1) if name == "content" else states.get(f"{SKIPPED}: {t}", 2) for t in shown]
            at = np.asarray(said.indices.fill_null(len(known)))
            rows["state"] = np.array([*known, 1 if name == "content" else 2], "u1")[at]
            table.add(ids(block.column("sha1_git")), rows)
    table.close()
    return list(states)


def _manifests(export: Export, folder: Path) -> None:
    table, at = _Sorted(folder, "manifest"), 0
    with open(folder / "manifests", "wb") as file:
        for block in export.blocks("directory", ["id", "raw_manifest"]):
            odd = block.filter(block.column("raw_manifest").is_valid())
            for own, data in zip(plain(ids(odd.column("id"))), odd.column("raw_manifest").to_pylist(), strict=True):
                file.write(data)
                table.add(np.array([own], ID), np.array([(at, len(data))], SPAN))
                at += len(data)
    table.close()


def _entries(export: Export, folder: Path) -> None:
    """Write all entries in their order, and what runs of them are a directory's: those of one lie together."""
    table, rows_before, bytes_before = _Sorted(folder, "run"), 0, 0
    known, lengths = _mapped(folder / "content.ids", ID), _mapped(folder / "content.rows", CONTENT)
    with (
        open(folder / "entry.rows", "wb") as rows_file,
        open(folder / "names", "wb") as names,
        open(folder / "edges", "wb") as edges,
    ):
        for block in export.blocks("directory_entry", ["directory_id", "name", "target", "perms"]):
            if not block.num_rows:
                continue
            own, rows = ids(block.column("directory_id")), np.zeros(block.num_rows, ENTRY)
            rows["target"] = ids(block.column("target"))
            rows["mode"] = np.asarray(block.column("perms").fill_null(0)) & 0xFFFFFFFF
            name = block.column("name").fill_null(b"")
            ends = np.frombuffer(name.buffers()[1], "<i8", len(name) + 1, name.offset * 8)
            names.write(memoryview(name.buffers()[2] or b"")[ends[0] : ends[-1]])
            rows["end"] = ends[1:] - ends[0] + bytes_before
            rows_file.write(rows.data)
            is_folder = rows["mode"] == FOLDER_MODE
            pairs = np.zeros(int(is_folder.sum()), EDGE)
            pairs["parent"], pairs["child"] = own[is_folder], rows["target"][is_folder]
            edges.write(pairs.data)
            sizes = _lengths(known, lengths, rows["target"], ~is_folder)
            starts = np.concatenate([[0], np.flatnonzero(own[1:] != own[:-1]) + 1])
            runs = np.zeros(len(starts), RUN)
            runs["start"], runs["count"] = starts + rows_before, np.diff([*starts, len(own)])
            runs["size"] = np.add.reduceat(sizes, starts)
            table.add(own[starts], runs)
            rows_before, bytes_before = rows_before + len(own), int(rows["end"][-1])
    table.close()


def _lengths(known: Array, lengths: Array, targets: Array, wanted: Array) -> Array:
    sizes = np.zeros(len(targets))
    at, found = lookup(known, targets[wanted])
    of = np.zeros(len(at))
    rows = lengths[at[found]]
    of[found] = np.where(rows["state"] == 0, np.maximum(rows["length"], 0), 0)  # of what is visible
    sizes[wanted] = of
    return sizes


def _sizes(folder: Path, roots: Array) -> Array:
    """Return the bytes of all files below each root, from the leaves up: one pass over the edges a level."""
    own, rows = _mapped(folder / "run.ids", ID), _mapped(folder / "run.rows", RUN)
    at, there = lookup(own, roots)
    found: list[Array] = []
    with open(folder / "edges", "rb") as file:
        while len(pairs := np.frombuffer(file.read(EDGES * EDGE.itemsize), EDGE)):
            child, known = lookup(own, pairs["child"])
            of = pairs["parent"][known]
            first = np.concatenate([[True], of[1:] != of[:-1]])[: len(of)]  # those of a directory lie together
            parent = np.repeat(lookup(own, of[first])[0], np.diff(np.append(np.flatnonzero(first), len(of))))
            found.append(parent.astype("<u8") << 32 | child[known].astype("<u8"))
    # What an export says twice counts once: doubled at each level, it would be a million times at the twentieth.
    edges = np.concatenate([np.empty(0, "<u8"), *found])
    del found
    edges.sort()
    edges = edges[np.concatenate([[True], edges[1:] != edges[:-1]])[: len(edges)]]
    base: Array = np.bincount(np.searchsorted(own, own), rows["size"], minlength=len(own))
    sizes = below = base  # of all files above a level, and of those on it alone
    for _ in range(LEVELS):
        if not len(edges):
            break
        below, over, holds = np.zeros(len(own)), below, np.zeros(len(own), bool)
        for some in range(0, len(edges), EDGES):
            parents, children = edges[some : some + EDGES] >> 32, edges[some : some + EDGES] & 0xFFFFFFFF
            lowest = int(parents[0])  # they are sorted, so that a piece touches few
            sums = np.bincount((parents - lowest).astype("<i8"), over[children])
            below[lowest : lowest + len(sums)] += sums
            holds[parents] = True
        below = np.minimum(below, float(LARGEST))
        sizes = np.minimum(sizes + below, float(LARGEST))
        # An edge to a directory that holds none of these leads no deeper: most go with the first levels.
        edges = np.concatenate([some[holds[some & 0xFFFFFFFF]] for some in np.array_split(edges, len(edges) // EDGES + 1)])
    found_sizes = np.zeros(len(roots))
    found_sizes[there] = sizes[at[there]]
    return found_sizes
