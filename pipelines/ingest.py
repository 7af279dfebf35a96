"""Ingest: plan the parts of a dump and read one. A repository is never split over parts, so what concerns one is local to a part."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa

from starmill.core import schema, swhid
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, part_path
from starmill.pipelines.ledger import Ledger
from starmill.pipelines.sources import folders, git, packages
from starmill.pipelines.sources.repository import Entry, Repository, Snapshot
from starmill.transforms import encoding
from starmill.transforms.beam import PartRef

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Which repositories, and how they become parts. `packages`: this interpreter's; `folders`: those below `roots`."""

    kind: Literal["packages", "folders"] = "packages"
    roots: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()  # patterns of repository names (fnmatch)
    max_repositories: int | None = None
    max_file_bytes: int = 10 << 20  # The Stack v2: 10 MiB, uncompressed
    part_bytes: int = 256 << 20  # of content, by the source's own estimate
    block_bytes: int = 8 << 20  # of content in a row group

    def __post_init__(self) -> None:
        """Refuse sizes that no part could have."""
        for name in ("max_file_bytes", "part_bytes", "block_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")


def plan(source: Source) -> list[str]:
    """Return the parts: each the JSON of its repositories, sorted by name and packed in order to about `part_bytes`."""
    if source.kind == "packages":
        repositories = packages.plan(source.exclude, source.max_repositories)
    else:
        named = folders.plan(source.roots)
        chosen = [r for r in named if not any(PurePosixPath(r.name).match(e) for e in source.exclude)]
        repositories = chosen[: source.max_repositories]
    parts: list[list[Repository]] = []
    filled = source.part_bytes
    for repository in repositories:
        if filled + repository.size_bytes > source.part_bytes or not parts:
            parts.append([])
            filled = 0
        parts[-1].append(repository)
        filled += repository.size_bytes
    return [json.dumps([asdict(r) for r in part]) for part in parts]


def repositories_of(plan: str) -> list[Repository]:
    """Return the repositories of a part's plan."""
    return [Repository(**r) for r in json.loads(plan)]


def part_key_material(plan: str) -> str:
    """Return what identifies a part's input: names and fingerprints, not places."""
    return json.dumps([(r.name, r.fingerprint) for r in repositories_of(plan)])


@dataclass(frozen=True)
class IngestPart:
    """A part's repositories -> files/part-k, dropped/ingest/part-k."""

    workspace: Workspace
    source: Source

    def __call__(self, ref: PartRef) -> Sidecar:
        """Read every file of the part's repositories and publish them, one file in memory at a time."""
        ledger = Ledger("ingest", ref.part, ref.key, {})
        files = ParquetPart(schema.FILES)
        kept: list[Row] = []
        lost: list[Row] = []
        held = 0
        for row in (row for repository in repositories_of(ref.plan) for row in self._rows(repository)):
            if "reason" in row:
                lost.append(row)
            else:
                kept.append(row)
                held += row["length_bytes"]
            if held >= self.source.block_bytes or len(lost) >= 10_000:
                _flush(ledger, files, kept, lost)
                kept, lost, held = [], [], 0
        _flush(ledger, files, kept, lost)
        ledger.add(part_path("files", ref.part), files.close(), files.rows)
        return ledger.commit(self.workspace)

    def _rows(self, repository: Repository) -> Iterator[Row]:
        reader = {"packages": packages.read, "folder": folders.read, "git": git.read}[repository.kind]
        seen: set[str] = set()
        try:
            snapshot, entries = reader(repository, self.source.max_file_bytes)
            for entry in entries:
                path, n = entry.path, 2
                while path in seen:  # two hostile names may look alike once they are printable
                    path, n = f"{entry.path}~{n}", n + 1
                seen.add(path)
                yield self._row(repository.name, path, snapshot, entry)
        except Exception as error:  # one repository's trouble is not the part's
            yield _lost(repository.name, "/", "read", f"error:ingest:{type(error).__name__}", str(error)[:500])

    def _row(self, repo_name: str, path: str, snapshot: Snapshot, entry: Entry) -> Row:
        if entry.data is None:
            return _lost(repo_name, path, "read", str(entry.reason), entry.detail, entry.size)
        ids = {"blob_id": swhid.blob_id(entry.data), "content_id": swhid.content_id(entry.data)}
        reason = encoding.judge(entry.data, self.source.max_file_bytes)
        decoded = None if reason else encoding.decode(entry.data)
        if decoded is None:
            return _lost(repo_name, path, "decode", reason or "undecodable", None, entry.size) | ids
        text, src_encoding = decoded
        return {
            "repo_name": repo_name,
            "path": path,
            **ids,
            **snapshot.columns(),
            "star_events_count": 0,
            "fork_events_count": 0,
            "src_encoding": src_encoding,
            "extension": PurePosixPath(path).suffix[1:] or None,
            "length_bytes": len(text.encode()),
            "content": text,
        }


def _lost(repo_name: str, path: str, step: str, reason: str, detail: str | None, size: int = 0) -> Row:
    said = {"stage": "ingest", "step": step, "reason": reason, "detail": detail}
    return {**said, "repo_name": repo_name, "path": path, "length_bytes": size}


def _flush(ledger: Ledger, files: ParquetPart, kept: list[Row], lost: list[Row]) -> None:
    block = pa.RecordBatch.from_pylist(kept, schema=schema.FILES)
    ledger.keep(block)
    files.write(block)
    if lost:
        ledger.drop([pa.RecordBatch.from_pylist(lost, schema=schema.DROPPED)])
