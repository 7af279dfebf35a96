"""Ingest: plan the parts of a dump and read one. A repository is never split over parts, so what concerns one is local to a part."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pyarrow as pa

from starmill.core import recipe, schema, skips, swhid
from starmill.core.dataset import Manifest, ParquetPart, Sidecar, Workspace, at_once, part_number, part_path
from starmill.core.errors import InputError, MachineError, StarmillError, is_of_the_machine, of_a_file, one_line, printable
from starmill.core.names import Bytes, BytesAtOnce, Place
from starmill.core.part import PartRef
from starmill.pipelines.sources import encoding, kaggle_data
from starmill.pipelines.sources.notebooks import Form, of_file
from starmill.pipelines.sources.source import (
    DAMAGE,
    Counted,
    Entry,
    Limits,
    Repository,
    Snapshot,
    Source,
    Tally,
    at_home,
    label,
    unique,
)
from starmill.pipelines.stages.ledger import Ledger
from starmill.pipelines.stages.stage import Options, Stage, of_parts
from starmill.transforms.step import SKIPPED, raise_if_broken

Row = dict[str, Any]
MAX_ROWS = 20_000  # of a row group: with its columns, a row of no content takes some kilobytes in a later stage
REPOSITORY_SECONDS = 3600.0  # of reading a repository, where no recipe says
APART = ("part_bytes", "kaggle_data")  # a part's key has what they come to
LARGEST = 2**63 - 1  # a dump may state any size, a column holds this much


@dataclass(frozen=True, kw_only=True)
class Ingest(Limits):
    """How repositories become parts, and what is too large to be read."""

    max_repository_bytes: Bytes | None = None  # by the source's own estimate; a larger one is not read, and is dropped whole
    part_bytes: Bytes = 256 << 20  # of content, by the source's own estimate
    max_part_bytes: Bytes = (
        768 << 20
    )  # compressed, as a worker holds it in memory: where the estimate was wrong, the rest is not read
    max_part_content_bytes: Bytes = 16 << 30  # the same of content: spaces fill a part with next to nothing
    block_bytes: BytesAtOnce = 8 << 20  # of content in a row group, or of names
    notebooks: tuple[Form, ...] = ()  # what .ipynb files become, the forms of StarCoder2's data; none: files of code
    kaggle_data: Place | None = None  # a table of what Kaggle's notebooks read, said before their scripts (docs/sources.md)
    rows_of_left_out: bool = (
        True  # one for each repository that `exclude`, `include` or `max_repositories` leave out, in `dropped/`
    )

    def __post_init__(self) -> None:
        """Raise ValueError for a table that nothing would read."""
        if self.kaggle_data and "kaggle" not in self.notebooks:
            raise ValueError(f"kaggle_data={self.kaggle_data}: nothing would read it; give notebooks: [kaggle] too")

    def leaves_out(self, repository: Repository) -> bool:
        """Say whether a repository is too large to be read."""
        return self.max_repository_bytes is not None and repository.size_bytes > self.max_repository_bytes


@dataclass(frozen=True)
class Planned:
    """What a part is made of: repositories of one source of the recipe, sorted by name; those that are left out come last."""

    source: str
    repositories: tuple[Repository, ...]

    def material(self, kind: str, damaged: Mapping[str, str]) -> str:
        """Return what identifies a part's input: names and fingerprints, not places, and the kind of what reads them.

        `damaged`: the state of each repository when a part lost records of it to damage. Another state now is another input.
        """
        states = ((r, r.state if damaged.get(r.name, r.state) != r.state else "") for r in self.repositories)
        return json.dumps([kind, *((r.name, r.fingerprint, state, r.left_out) for r, state in states)])


def plan(options: Options) -> list[Planned]:
    """Return the parts, source after source by name, each of one source's repositories in order, packed to about `part_bytes`.

    Raises InputError where records of two sources would have one identity.
    """
    return _parts_of(options, _found(options))


def _found(options: Options) -> dict[str, list[Repository]]:
    """Return the repositories of each source, those that are left out as well."""
    return {name: _planned(name, options.sources[name]) for name in sorted(options.sources)}


def _parts_of(options: Options, all_: Mapping[str, Sequence[Repository]]) -> list[Planned]:
    sources: Mapping[str, Source] = options.sources
    found = {name: [r for r in repositories if not r.left_out] for name, repositories in all_.items()}
    for one, other in combinations(found, 2):
        if {*sources[one].gives}.isdisjoint(sources[other].gives):
            continue
        if same := sorted({r.name for r in found[one]} & {r.name for r in found[other]}):
            raise InputError(
                f"sources {one} and {other} both have the repository {same[0]} ({len(same)} of one name in all), whose records could not "
                f"be told apart: leave it out of one, with `sources.{other}.exclude: [{same[0]}]`"
            )
    return [Planned(name, tuple(part)) for name, wanted in found.items() for part in _packed(wanted, options.ingest)]


def _with_left_out(parts: Sequence[Planned], all_: Mapping[str, Sequence[Repository]]) -> list[Planned]:
    """Return the parts with the rows of what is left out: in the last part of their source, so that a change there remakes only that."""
    last = {planned.source: part for part, planned in enumerate(parts)}
    made = [*parts]
    for name, repositories in all_.items():
        left_out = tuple(r for r in repositories if r.left_out)
        if name in last:
            made[last[name]] = replace(made[last[name]], repositories=made[last[name]].repositories + left_out)
        elif left_out:
            made.append(Planned(name, left_out))
    return made


def _planned(name: str, source: Source) -> list[Repository]:
    try:
        return source.planned()
    except StarmillError:
        raise
    except OSError as error:
        of_a_file(error, f"source {name}")
        raise InputError(f"source {name}: {one_line(error)}; let this user read it, or name another place") from error


def _packed(repositories: Sequence[Repository], options: Ingest) -> list[list[Repository]]:
    parts: list[list[Repository]] = []
    filled = 0
    for repository in repositories:
        size = 0 if options.leaves_out(repository) else repository.size_bytes
        if not parts or filled + size > options.part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(repository)
        filled += size
    return parts


@dataclass
class Filled:
    """A part while it is filled: its rows, and the bytes of their content."""

    files: ParquetPart
    content: int = 0

    def by(self, options: Ingest) -> str:
        """Return the limit that the part has reached, or nothing."""
        held = {"max_part_bytes": self.files.bytes, "max_part_content_bytes": self.content}
        return next((f"{n}={limit}" for n, size in held.items() if size >= (limit := getattr(options, n))), "")


@dataclass(frozen=True)
class IngestPart:
    """A part's repositories -> records/part-k, dropped/ingest/part-k.

    A plan takes some 250 bytes per repository, and what the references of a stage hold is part of the job that a runner is handed. So
    a plan is a file, which its reference names. The digest in its name keeps it from being read by a job that a killed run left behind.
    """

    workspace: Workspace
    sources: Mapping[str, Source]
    options: Ingest
    max_error_rate: float = 1.0
    seconds: float = REPOSITORY_SECONDS  # of reading a repository
    known: kaggle_data.Known | None = None

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

    def __call__(self, ref: PartRef) -> Sidecar:
        """Read every file of the part's repositories and publish them, one file in memory at a time."""
        planned = msgspec.convert(json.loads(self.workspace.read(ref.plan)), Planned)
        damaged: dict[str, str] = {}
        ledger = Ledger("ingest", "records", ref.part, ref.key, damaged, self.max_error_rate, is_first=True)
        files = ParquetPart(schema.RECORDS)
        filled = Filled(files)
        kept: list[Row] = []
        lost: list[Row] = []
        held = named = 0
        source = self.sources[planned.source]
        for repository, row in (
            (r, row)
            for r in planned.repositories
            for row in skips.during("ingest", "read", _identity(source, r), self.seconds, self._rows(source, r, filled))
        ):
            named += len(row["path"])
            if "reason" in row:
                lost.append(row)
                if row["reason"] in DAMAGE and repository.state:
                    damaged[repository.name] = repository.state
            else:
                kept.append(row)
                held += row["length_bytes"]
                filled.content += row["length_bytes"]
            if max(held, named) >= self.options.block_bytes or len(lost) >= 10_000 or len(kept) >= MAX_ROWS:
                _flush(ledger, files, kept, lost)
                kept, lost, held, named = [], [], 0, 0
        _flush(ledger, files, kept, lost)
        ledger.add(part_path("records", ref.part), files.close(), files.rows)
        if asked := source.take_counts():
            from starmill.transforms.beam import count_asked

            count_asked("ingest", asked)
        return ledger.commit(self.workspace)

    def _rows(self, source: Source, repository: Repository, filled: Filled) -> Iterator[Row]:
        whole = {"kind": source.gives[0], "repo_name": repository.name, "path": "/"}
        if too_slow := skips.reason_of("ingest", "read", _identity(source, repository)):
            yield _lost(whole, "read", f"{SKIPPED}read", too_slow, repository.size_bytes)
            return
        said, reason = "", repository.left_out
        if not reason and self.options.leaves_out(repository):
            said, reason = f"more than max_repository_bytes={self.options.max_repository_bytes}; ", "repository_too_large"
        if not reason and (full := filled.by(self.options)):
            said, reason = (
                f"after {full} of repositories before it; a smaller part_bytes gives it another part; ",
                "part_is_full",
            )
        if reason:
            said += f"{repository.size_bytes:,} bytes in {self._count(source, repository)}"
            yield _lost(whole, "read", reason, said, repository.size_bytes)
            return
        seen = defaultdict[str, dict[str, int]](dict)  # the paths of each repository
        own = seen[repository.name]
        failed, judged, kinds, first = 0, 0, set[str](), ""
        tally = Tally(self.options)
        try:
            snapshot, entries = source.read(repository, self.options)
            for entry in entries:
                if entry.kind not in source.gives:
                    raise schema.SchemaError(f"a record of kind {entry.kind!r}, which the source does not say that it gives")
                if entry.path and (limit := tally.beyond(entry.path, len(entry.data or b""))):
                    left = self._count(source, repository).less(tally.entries - 1)
                    why = "too_many_bytes" if limit.startswith("max_inflated_bytes") else "too_many_files"
                    yield _lost(
                        {**whole, "path": unique("/", own)}, "read", why, f"more than {limit}; without a row are {left}", 0
                    )
                    break
                path, hostile = label(entry.path)
                of = {**whole, "kind": entry.kind}
                if entry.repo_name is not None:
                    name, bad = label(entry.repo_name)
                    of, hostile = {**of, "repo_name": name[1:]}, hostile or bad
                of["path"] = unique(path, seen[of["repo_name"]])
                if entry.data is not None and (full := filled.by(self.options)):
                    yield _lost(of, "read", "part_is_full", full, len(entry.data))
                    continue
                judged += entry.data is not None
                try:
                    rows = [
                        self._row({**of, "kind": made.kind}, snapshot, made, made.reason or hostile)
                        for made in of_file(entry, self.options.notebooks, self.known)
                    ]
                except Exception as error:
                    rows = [_error(of, error)]
                    failed, first = failed + 1, first or f"{one_line(error)}, on {repository.name}{of['path']}"
                    kinds.add(type(error).__name__)
                yield from rows
            if source.fingerprint(repository) != repository.fingerprint:
                said = "its files changed after they were planned, so that what was read may be of two moments; the next run reads it again"
                yield _lost({**whole, "path": unique("/", own)}, "read", "error:ingest:Changed", said, 0)
        except Exception as error:  # one repository's trouble is not the part's
            yield _error({**whole, "path": unique("/", own)}, error)
        if failed == judged:
            raise_if_broken("ingest: decoding", failed, kinds, first)

    def _count(self, source: Source, repository: Repository) -> Counted:
        try:
            return source.count(repository, self.options)
        except Exception as error:  # one repository's trouble is not the part's
            if is_of_the_machine(error):
                raise
            return Counted(0, False, "no command")

    def _row(self, of: Row, snapshot: Snapshot, entry: Entry, reason: str | None) -> Row:
        if entry.data is None or reason:
            return _lost(of, "read", str(reason), entry.detail, entry.size if entry.data is None else len(entry.data))
        file = entry.data if entry.origin is None else entry.origin
        ids = {"blob_id": swhid.blob_id(file), "content_id": swhid.content_id(file)}
        reason = encoding.judge(entry.data, self.options.max_file_bytes)
        # What bounds are counted in is not guessed.
        decode = encoding.decode if entry.segments is None else lambda data: (data.decode(), "UTF-8")
        decoded = None if reason else decode(entry.data)
        if decoded is None:
            return _lost(of, "decode", reason or "undecodable", None, len(entry.data)) | ids
        text, src_encoding = decoded
        if not all(0 <= s["start"] <= s["end"] <= len(text) for s in entry.segments or ()):
            raise ValueError(f"a segment lies outside of the {len(text)} characters")
        return {
            **of,
            **ids,
            **snapshot.columns(),
            **entry.facts,
            "src_encoding": src_encoding,
            "extension": PurePosixPath(of["path"]).suffix[1:] or None,
            "length_bytes": len(text.encode()),
            "content": text,
            "segments": entry.segments,
        }


def _error(of: Row, error: Exception) -> Row:
    """Return the row of an error that a file or repository explains. Raises MachineError for any other."""
    if isinstance(error, StarmillError):
        raise error
    if is_of_the_machine(error):
        raise MachineError(f"ingest: {of['repo_name']}{of['path']}: {one_line(error)}") from error
    return _lost(of, "read", f"error:ingest:{type(error).__name__}", printable(error), 0)


def _identity(source: Source, repository: Repository) -> tuple[str, str, str, str]:
    """Return what stands for a repository in the list of those that took too long: another state of it is read again."""
    return source.gives[0], repository.name, "/", repository.fingerprint


def _listed(ref: PartRef, listed: Sequence[skips.Skip]) -> list[skips.Skip]:
    held = {(r["name"], "/", r["fingerprint"]) for r in json.loads(ref.plan)["repositories"]}
    return sorted(skip for skip in listed if skip.record[1:] in held)


def _lost(of: Row, step: str, reason: str, detail: str | None, size: int) -> Row:
    said = detail and detail.encode("utf-8", "backslashreplace").decode()  # the name of a file may be in it
    return {**of, "stage": "ingest", "step": step, "reason": reason, "detail": said, "length_bytes": min(max(0, size), LARGEST)}


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
    all_, before = _found(options), workspace.manifest("records")
    plans = _parts_of(options, all_)
    if not plans:
        said = f"in {', '.join(map(repr, sorted(options.sources)))}" if options.sources else "without `sources` in the recipe"
        if left_out := [r.left_out for repositories in all_.values() for r in repositories]:
            said += f" but {len(left_out):,} that are left out ({', '.join(sorted({*left_out}))})"
        raise InputError(
            f"ingest: no repositories found {said}; name places that hold what these sources read, or give --input DIR with git "
            "repositories or folders"
        )
    damaged = {name: state for part in (before.parts if before else ()) for name, state in part.lineage.items()}
    if options.ingest.rows_of_left_out:
        plans = _with_left_out(plans, all_)
    kinds = [options.sources[p.source].kind for p in plans]
    return [PartRef(k, p.material(kinds[k], damaged), json.dumps(asdict(p))) for k, p in enumerate(plans)]


def _work(options: Options, workspace: Workspace) -> IngestPart:
    sources = {name: at_home(source) for name, source in options.sources.items()}
    known = kaggle_data.at_home(options.ingest.kaggle_data)
    return IngestPart(workspace, sources, options.ingest, options.max_error_rate, options.max_repository_seconds, known)


STAGE = Stage(
    name="ingest",
    dataset="records",
    needs=(),
    reads=lambda options: tuple(sorted((k, v) for k, v in asdict(options.ingest).items() if k not in APART)),
    material=lambda options, workspace: kaggle_data.material(options.ingest.kaggle_data),
    parts=_parts,
    steps=lambda options: {name: (type(s),) for name, s in options.sources.items()},  # a part's key counts its own source's
    holds=lambda refs, inputs: {ref.part: (json.loads(ref.plan)["source"],) for ref in refs},
    graph=of_parts(_work, IngestPart.publish),
    sketch=of_parts(_work),
    listed=_listed,
    reads_this_machine=lambda options: (
        any(s.reads_this_machine for s in options.sources.values()) or kaggle_data.is_here(options.ingest.kaggle_data)
    ),
)
