"""Ingest: plan the parts of a dump and read one. A repository is never split over parts, so what concerns one is local to a part."""

import fnmatch
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa

from starmill.core import recipe, schema, swhid
from starmill.core.dataset import Manifest, ParquetPart, Sidecar, Workspace, at_once, part_number, part_path
from starmill.core.document import CODE
from starmill.core.errors import InputError, MachineError, StarmillError, is_of_the_machine, one_line, printable
from starmill.pipelines.sources import encoding, folders, git, packages
from starmill.pipelines.sources.source import Entry, Repository, Snapshot
from starmill.pipelines.stages.ledger import Ledger
from starmill.pipelines.stages.stage import Build, Options, Stage
from starmill.transforms.beam import PartRef, ProcessParts, references
from starmill.transforms.step import raise_if_broken

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Which repositories, and how they become parts. `packages`: this interpreter's; `folders`: those below `roots`."""

    kind: Literal["packages", "folders"] = "packages"  # where repositories are from
    roots: tuple[str, ...] = ()  # folders of checkouts or bare repositories, for `folders`
    include: tuple[str, ...] = ()  # patterns of repository names (fnmatch); none: all
    exclude: tuple[str, ...] = ()  # and of those that are left out
    max_repositories: int | None = None  # the first so many by name
    max_repository_bytes: int | None = None  # by the source's own estimate; a larger one is not read, and is dropped whole
    max_file_bytes: int = 10 << 20  # The Stack v2: 10 MiB, uncompressed
    part_bytes: int = 256 << 20  # of content, by the source's own estimate
    block_bytes: int = 8 << 20  # of content in a row group

    def __post_init__(self) -> None:
        """Refuse sizes that no part could have."""
        for name in ("max_file_bytes", "part_bytes", "block_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")

    def takes(self, name: str) -> bool:
        """Say whether the patterns let a repository in."""
        wanted = not self.include or any(fnmatch.fnmatchcase(name, p) for p in self.include)
        return wanted and not any(fnmatch.fnmatchcase(name, p) for p in self.exclude)

    def leaves_out(self, repository: Repository) -> bool:
        """Say whether a repository is too large to be read."""
        return self.max_repository_bytes is not None and repository.size_bytes > self.max_repository_bytes


def plan(source: Source) -> list[str]:
    """Return the parts: each the JSON of its repositories, sorted by name and packed in order to about `part_bytes`."""
    found = packages.plan() if source.kind == "packages" else folders.plan(source.roots)
    chosen = [r for r in found if source.takes(r.name)]
    parts: list[list[Repository]] = []
    filled = 0
    for repository in chosen[: source.max_repositories]:
        size = 0 if source.leaves_out(repository) else repository.size_bytes
        if not parts or filled + size > source.part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(repository)
        filled += size
    return [json.dumps([asdict(r) for r in part]) for part in parts]


def repositories_of(plan: str) -> list[Repository]:
    """Return the repositories of a part's plan."""
    return [Repository(**r) for r in json.loads(plan)]


def part_key_material(plan: str) -> str:
    """Return what identifies a part's input: names and fingerprints, not places."""
    return json.dumps([(r.name, r.fingerprint) for r in repositories_of(plan)])


@dataclass(frozen=True)
class IngestPart:
    """A part's repositories -> records/part-k, dropped/ingest/part-k."""

    workspace: Workspace
    source: Source
    max_error_rate: float = 1.0

    def __call__(self, ref: PartRef) -> Sidecar:
        """Read every file of the part's repositories and publish them, one file in memory at a time."""
        ledger = Ledger("ingest", "records", ref.part, ref.key, {}, self.max_error_rate)
        files = ParquetPart(schema.RECORDS)
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
        ledger.add(part_path("records", ref.part), files.close(), files.rows)
        return ledger.commit(self.workspace)

    def _rows(self, repository: Repository) -> Iterator[Row]:
        if self.source.leaves_out(repository):
            said = f"more than max_repository_bytes={self.source.max_repository_bytes}"
            yield _lost(repository.name, "/", "read", "repository_too_large", said, repository.size_bytes)
            return
        reader = {"packages": packages.read, "folder": folders.read, "git": git.read}[repository.kind]
        seen: dict[str, int] = {}
        failed, judged, kinds, first = 0, 0, set[str](), ""
        try:
            snapshot, entries = reader(repository, self.source.max_file_bytes)
            for entry in entries:
                path = _unique(entry.path, seen)
                judged += entry.data is not None
                try:
                    row = self._row(repository.name, path, snapshot, entry)
                except Exception as error:
                    row = _error(repository.name, path, error)
                    failed, first = failed + 1, first or f"{one_line(error)}, on {repository.name}{path}"
                    kinds.add(type(error).__name__)
                yield row
        except Exception as error:  # one repository's trouble is not the part's
            yield _error(repository.name, _unique("/", seen), error)
        if failed == judged:
            raise_if_broken("ingest: decoding", failed, kinds, first)

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
            "kind": CODE,
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
            "segments": None,
        }


@dataclass(frozen=True)
class Planned:
    """Reads the plan that a reference names, and does the work with it.

    A plan takes some 250 bytes per repository, and what the references of a stage hold is part of the job that a runner is handed.
    The digest in a plan's name keeps it from being read by a job that a killed run left behind: that one has another key.
    """

    workspace: Workspace
    work: IngestPart

    def __call__(self, ref: PartRef) -> Sidecar:
        """Ingest one part."""
        return self.work(ref._replace(plan=self.workspace.read(ref.plan).decode()))

    def publish(self, refs: Sequence[PartRef]) -> list[PartRef]:
        """Write the plans of references into the workspace, and return references that name them; earlier plans of the parts go."""
        named = [r._replace(plan=part_path("plans", r.part, f"{recipe.digest(r.plan)[:16]}.json")) for r in refs]
        for _ in at_once(
            lambda pair: self.workspace.publish(pair[0].plan, pair[1].plan.encode()), zip(named, refs, strict=True)
        ):
            pass
        parts, wanted = {r.part for r in refs}, {r.plan for r in named}
        found = {f"plans/{name}": part_number(name) for name in self.workspace.files("plans")}
        self.workspace.remove_all([path for path, part in found.items() if part in parts and path not in wanted])
        return named


def _unique(path: str, seen: dict[str, int]) -> str:
    # Two hostile names may look alike once they are printable, and a tree made by hand may hold one name twice.
    unique = path
    while unique in seen:
        seen[path] += 1
        unique = f"{path}~{seen[path]}"
    seen[unique] = 1
    return unique


def _error(repo_name: str, path: str, error: Exception) -> Row:
    """Return the row of an error that a file or repository explains. Raises MachineError for any other."""
    if isinstance(error, StarmillError):
        raise error
    if is_of_the_machine(error):
        raise MachineError(f"ingest: {repo_name}{path}: {one_line(error)}") from error
    return _lost(repo_name, path, "read", f"error:ingest:{type(error).__name__}", printable(error))


def _lost(repo_name: str, path: str, step: str, reason: str, detail: str | None, size: int = 0) -> Row:
    said = {"stage": "ingest", "step": step, "reason": reason, "detail": detail, "kind": CODE}
    return {**said, "repo_name": repo_name, "path": path, "length_bytes": size}


def _flush(ledger: Ledger, files: ParquetPart, kept: list[Row], lost: list[Row]) -> None:
    for rows, declared in ((kept, schema.RECORDS), (lost, schema.DROPPED)):
        if undeclared := {name for row in rows for name in row} - {*declared.names}:
            raise schema.SchemaError(f"columns not declared: {', '.join(sorted(undeclared))}. Declare them in core/schema.py")
    block = pa.RecordBatch.from_pylist(kept, schema=schema.RECORDS)
    ledger.keep(block)
    files.write(block)
    if lost:
        ledger.drop([pa.RecordBatch.from_pylist(lost, schema=schema.DROPPED)])


def _parts(options: Options, workspace: Workspace, inputs: Sequence[Manifest]) -> list[PartRef]:
    plans = plan(options.source)
    if not plans:
        raise InputError(
            f"ingest: no repositories found in {options.source}; give --input DIR with git repositories or folders"
        )
    return [PartRef(part, part_key_material(planned), planned) for part, planned in enumerate(plans)]


def _graph(options: Options, workspace: Workspace) -> Build:
    work = Planned(workspace, IngestPart(workspace, options.source, options.max_error_rate))
    return lambda pipeline, due: pipeline | references(work.publish(due)) | ProcessParts(work)


def _sketch(options: Options, workspace: Workspace) -> Build:
    work = Planned(workspace, IngestPart(workspace, options.source))
    return lambda pipeline, due: pipeline | references(due) | ProcessParts(work)


STAGE = Stage(
    name="ingest",
    dataset="records",
    needs=(),
    reads=lambda options: (options.source,),
    parts=_parts,
    graph=_graph,
    sketch=_sketch,
    reads_this_machine=lambda options: options.source.kind == "folders",
)
