"""A workspace's dataset as a folder that the `datasets` library, a hub and Croissant's readers load: `starmill publish`.

    README.md                                  the card, with a configuration for each kind of record and each language
    croissant.json                             Croissant metadata, with the sha256 of each file
    data/<kind>/<language>/00000-<key>.parquet the rows of dataset/, in its order
    swhids/<kind>/<language>/00000-<key>.txt.gz  the SWHID of each row of the file of the same name
    notices/00000-<key>.parquet                licence and copyright texts (reports/notices.py)
    starmill.json                              what is there, with digests

The plan is made from the manifest alone: which parts give which file. The key in a file's name digests those parts, so that a file
that is there by its name was made, and a second run makes and sends only what differs. All files grow in one pass over the parts; each
holds no more than a row group in memory. Nothing here depends on time, on the machine or on which files were there.
"""

import gzip
import hashlib
import json
import re
import resource
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core.dataset import Manifest, Sidecar, Workspace
from starmill.core.errors import MachineError
from starmill.core.schema import DATASET
from starmill.core.swhid import swhid
from starmill.reports import notices
from starmill.reports.query import RAW, Labels
from starmill.reports.targets import MARK, Folder, Held, Hub

FORMAT = 1  # of what the files hold; another number makes all of them anew
FILE_BYTES = 1 << 30  # of text in a file: a few hundred megabytes of Parquet
GROUP_BYTES, GROUP_ROWS = 8 << 20, 20_000  # of a row group
SMALLEST_GROUP, GROUPS = 1 << 20, 16  # bytes; of a small file: what is rare shall not fill the memory
MADE = re.compile(r"(?:data|swhids|notices)/(?:.+/)?\d{5,}-[0-9a-f]{12}\.(?:parquet|txt\.gz)")
NO_LANGUAGE = "no-language"


@dataclass(frozen=True)
class File:
    """A file of data: of which kind and language, from which parts, and how many rows and bytes of text it will have."""

    path: str
    kind: str
    language: str
    parts: tuple[int, ...]
    rows: int
    text_bytes: int

    @property
    def swhids(self) -> str:
        """The file beside it with the SWHIDs of its rows."""
        return f"swhids{self.path.removeprefix('data').removesuffix('.parquet')}.txt.gz"


@dataclass(frozen=True)
class Made:
    """A file of the set: `made` in this run, or there before."""

    path: str
    bytes: int
    sha256: str
    rows: int | None
    made: bool


@dataclass(frozen=True)
class Plan:
    """What a set will have, what of it is there, and what will be removed."""

    files: tuple[File, ...]
    notices: tuple[notices.Group, ...]
    there: dict[str, Held]
    stale: tuple[str, ...]


def folder_name(name: str, taken: Sequence[str] = ()) -> str:
    """Return the folder of a language: what file systems, URLs and patterns of files take as it is.

    >>> [folder_name(n) for n in ("C++", "C#", "F*", "Cap'n Proto", "", "..")]
    ['C++', 'C-Sharp', 'F-Star', 'Cap_n_Proto', 'no-language', '__']
    """
    made = re.sub(r"[^A-Za-z0-9.+_-]", "_", name.replace("#", "-Sharp").replace("*", "-Star"))[:80] or NO_LANGUAGE
    made = re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), made)
    if made.lower() in {other.lower() for other in taken} or (name and made == NO_LANGUAGE):
        made = f"{made}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return made


def folders(names: Sequence[str]) -> dict[str, str]:
    """Return a folder for each name, of which no two are alike."""
    made: dict[str, str] = {}
    for name in sorted(set(names)):
        made[name] = folder_name(name, [*made.values()])
    return made


def plan_data(manifest: Manifest, file_bytes: int = FILE_BYTES) -> list[File]:
    """Return the files of data: of a kind and language the parts in order, cut at parts after `file_bytes` bytes of text."""
    sums: dict[tuple[str, str], list[tuple[Sidecar, int, int]]] = defaultdict(list)
    for part in manifest.parts:
        here: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for count in part.counts:
            if not count.reason:
                here[count.kind, count.language][0] += count.files
                here[count.kind, count.language][1] += count.bytes
        for key, (rows, size) in here.items():
            if rows:
                sums[key].append((part, rows, size))
    kinds = folders([kind for kind, _ in sums])
    languages = {kind: folders([language for of, language in sums if of == kind]) for kind in kinds}
    return [
        file
        for kind, language in sorted(sums)
        for file in _cut(f"data/{kinds[kind]}/{languages[kind][language]}", kind, language, sums[kind, language], file_bytes)
    ]


def _cut(folder: str, kind: str, language: str, found: list[tuple[Sidecar, int, int]], file_bytes: int) -> Iterator[File]:
    mine: list[tuple[Sidecar, int, int]] = []
    number = 0
    for at, one in enumerate(found):
        mine.append(one)
        rows, size = sum(n for _, n, _ in mine), sum(n for _, _, n in mine)
        if size >= file_bytes or at == len(found) - 1:
            made_of = [o.sha256 for part, _, _ in mine for o in part.outputs if o.path.startswith(f"{part.dataset}/")]
            said = [
                f"data {FORMAT} {GROUP_BYTES} {GROUP_ROWS} {SMALLEST_GROUP} {GROUPS}",
                DATASET.to_string(),
                kind,
                language,
                *made_of,
            ]
            key = hashlib.sha256("\n".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:12]
            parts = tuple(part.part for part, _, _ in mine)
            yield File(f"{folder}/{number:05d}-{key}.parquet", kind, language, parts, rows, size)
            number, mine = number + 1, []


def plan(workspace: Workspace, manifest: Manifest, target: Folder | Hub, file_bytes: int, with_notices: bool) -> Plan:
    """Return what is to be done. Raises InputError for a target with files of others, and without records to take notices from."""
    files = plan_data(manifest, file_bytes)
    gathered = notices.plan(workspace, manifest, file_bytes) if with_notices else []
    there = {name: held for name, held in target.there().items() if held.sha256 or not MADE.fullmatch(name)}
    wanted = {name for file in files for name in (file.path, file.swhids)} | {group.path for group in gathered}
    stale = tuple(name for name in there if MADE.fullmatch(name) and name not in wanted)
    return Plan(tuple(files), tuple(gathered), there, stale)


def publish(
    workspace: Workspace,
    planned: Plan,
    target: Folder | Hub,
    cards: Callable[[Sequence[Made]], dict[str, bytes]],
    labels: Labels = RAW,
    told: Callable[[str], None] = lambda line: None,
) -> list[Made]:
    """Make what is not there; return all files. `cards`: the small files that describe those, by path; the README comes from it.

    Raises MachineError for a part that is not what its sidecar says, and where the target fails.
    """
    held, done = planned.there, dict[str, Made]()
    with target.staging() as staging:
        if MARK not in held:  # so that a run that is killed may go on
            target.put(MARK, _mark(()))

        def put(relative: str, staged: Path, rows: int | None) -> None:
            with open(staged, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            made = Made(relative, staged.stat().st_size, sha256, rows, True)
            target.put_file(relative, staged)
            done[relative] = made
            told(f"{relative}  {made.bytes:,} bytes")

        missing = [file for file in planned.files if not {file.path, file.swhids} <= {*held}]
        _write(workspace, missing, staging, put)
        for group in planned.notices:
            if group.path not in held:
                staged = staging / group.path.replace("/", "-")
                notices.write(workspace, group, staged, labels)
                put(group.path, staged, None)
        rows = {name: file.rows for file in planned.files for name in (file.path, file.swhids)}
        wanted = [*rows, *(group.path for group in planned.notices)]
        kept = {name: held[name] for name in wanted if name not in done}
        done |= {n: Made(n, h.bytes, h.sha256, rows.get(n), False) for n, h in kept.items()}
        made = [done[name] for name in sorted(wanted)]
        small = cards(made)
        described = [Made(n, len(d), hashlib.sha256(d).hexdigest(), None, True) for n, d in sorted(small.items())]
        for name, data in (*sorted(small.items()), (MARK, _mark([*made, *described]))):
            target.put(name, data)
        target.finish(planned.stale)
    return [*made, *described]


def _mark(files: Sequence[Made]) -> bytes:
    listed = {f.path: {"bytes": f.bytes, "sha256": f.sha256} | ({} if f.rows is None else {"rows": f.rows}) for f in files}
    return (json.dumps({"format": 1, "files": listed}, indent=1, sort_keys=True) + "\n").encode()


@dataclass
class _Writer:
    """A file of data and the one of its SWHIDs, as they grow. A row group is cut by the file's own rows, and by nothing else."""

    file: File
    staged: tuple[Path, Path]
    held: list[pa.RecordBatch] = field(default_factory=list)
    held_bytes: int = 0
    held_rows: int = 0
    rows: int = 0

    def __post_init__(self) -> None:
        self.parquet = pq.ParquetWriter(self.staged[0], DATASET, compression="zstd", compression_level=3)

    def add(self, rows: pa.RecordBatch) -> None:
        self.held.append(rows)
        self.held_bytes += pc.sum(rows.column("length_bytes")).as_py() or 0
        self.held_rows += rows.num_rows
        self.rows += rows.num_rows
        most = min(GROUP_BYTES, max(SMALLEST_GROUP, self.file.text_bytes // GROUPS))
        if self.held_bytes >= most or self.held_rows >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.held:
            table = pa.Table.from_batches(self.held).combine_chunks()
            self.parquet.write_table(table, row_group_size=table.num_rows)
            ids = "".join(f"{swhid('cnt', i)}\n" for i in table.column("content_id").to_pylist() if i)
            with open(self.staged[1], "ab") as file:  # a member of gzip for each row group: no second file stays open
                file.write(gzip.compress(ids.encode(), compresslevel=6, mtime=0))
            self.held, self.held_bytes, self.held_rows = [], 0, 0

    def close(self) -> None:
        self.flush()
        self.parquet.close()


def _write(workspace: Workspace, files: Sequence[File], staging: Path, put: Callable[[str, Path, int | None], None]) -> None:
    """Make these files in one pass over their parts, in order; each is put as soon as its last part is read."""
    by_part: dict[int, dict[tuple[str, str], File]] = defaultdict(dict)
    for file in files:
        for part in file.parts:
            by_part[part][file.kind, file.language] = file
    writers: dict[str, _Writer] = {}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # each kind and language has a file that grows
    open_files = 100 + len({(file.kind, file.language) for file in files})
    if hard == resource.RLIM_INFINITY or soft < open_files:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(soft, open_files if hard == resource.RLIM_INFINITY else min(open_files, hard)), hard)
        )
    try:
        for part in sorted(by_part):
            for block in notices.verified(workspace, "dataset", part):
                for key, rows in _by_kind_and_language(block.cast(DATASET)):
                    if (wanted := by_part[part].get(key)) is not None:
                        if wanted.path not in writers:
                            names = (wanted.path.replace("/", "-"), wanted.swhids.replace("/", "-"))
                            writers[wanted.path] = _Writer(wanted, (staging / names[0], staging / names[1]))
                        writers[wanted.path].add(rows)
            for file in by_part.pop(part).values():
                if file.parts[-1] == part:
                    _finish(workspace, file, writers.pop(file.path, None), put)
    finally:
        for writer in writers.values():
            writer.close()


def _finish(workspace: Workspace, file: File, writer: _Writer | None, put: Callable[[str, Path, int | None], None]) -> None:
    if writer is not None:
        writer.close()
    rows = writer.rows if writer is not None else 0
    if writer is None or rows != file.rows:
        raise MachineError(
            f"{workspace.root}: dataset/ has {rows:,} records of {file.kind} in {file.language or 'no language'} where its manifest says "
            f"{file.rows:,}; run again, so that it is made anew"
        )
    put(file.swhids, writer.staged[1], rows)
    put(file.path, writer.staged[0], rows)


def _by_kind_and_language(block: pa.RecordBatch) -> Iterator[tuple[tuple[str, str], pa.RecordBatch]]:
    kinds, languages = (pc.fill_null(block.column(name), "") for name in ("kind", "language"))
    both = pc.binary_join_element_wise(kinds, languages, "\0")
    for key in sorted(both.unique().to_pylist()):
        kind, _, language = key.partition("\0")
        yield (kind, language), block.filter(pc.equal(both, key))


def data(planned: Plan, target: str, made: Sequence[Made] | None = None) -> dict[str, Any]:
    """Return what is planned, or what was made, as plain data, for JSON."""
    if made is None:
        files = [
            *(
                {"path": f.path, "rows": f.rows, "text_bytes": f.text_bytes, "there": f.path in planned.there}
                for f in planned.files
            ),
            *({"path": f.swhids, "rows": f.rows, "there": f.swhids in planned.there} for f in planned.files),
            *({"path": g.path, "there": g.path in planned.there} for g in planned.notices),
        ]
        return {"to": target, "files": files, "remove": list(planned.stale)}
    return {"to": target, "files": [vars(one) for one in made], "removed": list(planned.stale)}
