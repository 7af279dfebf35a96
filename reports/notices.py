"""Licence and copyright texts, gathered for redistribution: what a licence asks to be kept with each copy.

Of each repository that has a record in the dataset: every file that is called as such texts are (LICENSE, COPYING, NOTICE, COPYRIGHT,
AUTHORS, PATENTS), or lies in a folder LICENSES/ (REUSE), as ingest read it. The texts are as they were, names of holders included: a
notice that was changed would be none. A licence that only a header, a readme or a host's own word tells has no text here.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import Manifest, Sidecar, Workspace
from starmill.core.document import CODE
from starmill.core.errors import InputError
from starmill.reports.query import RAW, Labels

RECORDS, DATASET = "records", "dataset"
NOTICE = pa.schema([(name, pa.string()) for name in ("repo_name", "path", "content_id", "content")])
WORDS = r"(?:un)?li[cs]en[cs]es?|copying(?:v?\d)?|copyrights?|copyleft|notices?|authors|patents|legal|disclaimer"
# Whole words between - _ . and spaces.
NAME = re.compile(rf"(?:.*[-_. ])?(?:{WORDS})(?:[-_. ].*)?", re.IGNORECASE | re.DOTALL)
# A file that is called so and has another lower-case extension (license.py, notices.json) holds code or data.
TEXT = frozenset("md markdown rst txt text adoc html htm rtf lib lesser mit bsd apache gpl lgpl".split())
FOLDER = re.compile(r".*/LICENSES/[^/]+|.*/(?i:li[cs]en[cs]es)/[^/]+\.(?:txt|md)", re.DOTALL)
FORMAT = 1


@dataclass(frozen=True)
class Group:
    """Parts whose notices are one file."""

    path: str
    parts: tuple[int, ...]


def is_notice(path: str) -> bool:
    """Say whether a file is called as a licence or copyright text is.

    >>> [is_notice(p) for p in ("/COPYING.LESSER", "/a/LICENSE-MIT", "/LICENSES/MIT.txt", "/NOTICE.md", "/license.py", "/main.c")]
    [True, True, True, True, False, False]
    """
    name = path.rpartition("/")[2]
    extension = name.rpartition(".")[2] if "." in name else ""
    if extension.isalpha() and extension.islower() and extension not in TEXT:
        return False
    return NAME.fullmatch(name) is not None or FOLDER.fullmatch(path) is not None


def plan(workspace: Workspace, dataset: Manifest, file_bytes: int) -> list[Group]:
    """Return the files of notices: of parts in order, up to `file_bytes` of the dataset's Parquet each.

    Raises InputError where the records, which hold the texts, are gone.
    """
    records = workspace.manifest(RECORDS)
    if records is None or len(records.parts) < len(dataset.parts):
        raise InputError(
            f"{workspace.path(RECORDS)}: not complete, so that the licence texts are not there to be gathered; run again, or leave "
            "them out with --no-notices"
        )
    groups: list[Group] = []
    mine: list[Sidecar] = []
    size = 0
    for part in dataset.parts:
        mine.append(part)
        size += sum(o.bytes for o in part.outputs)
        if size >= file_bytes or part is dataset.parts[-1]:
            made_of = [o.sha256 for p in mine for of in (p, records.parts[p.part]) for o in of.outputs]
            key = hashlib.sha256("\n".join([f"notices {FORMAT}", *made_of]).encode()).hexdigest()[:12]
            groups.append(Group(f"notices/{len(groups):05d}-{key}.parquet", tuple(p.part for p in mine)))
            mine, size = [], 0
    return groups


def write(workspace: Workspace, group: Group, place: Path, labels: Labels = RAW) -> int:
    """Write the notices of a group's parts as Parquet at `place`; return their number. Needs the memory of a row group."""
    rows = 0
    with pq.ParquetWriter(place, NOTICE, compression="zstd", compression_level=3) as file:
        for part in group.parts:
            kept = {n for block in verified(workspace, DATASET, part, ["repo_name"]) for n in block.column(0).to_pylist()}
            for block in verified(workspace, RECORDS, part, ["kind", *NOTICE.names]):
                chosen = [*_notices(block, kept, labels)]
                if chosen:
                    file.write_batch(pa.RecordBatch.from_pylist(chosen, schema=NOTICE))
                    rows += len(chosen)
    return rows


def _notices(block: pa.RecordBatch, kept: set[str], labels: Labels) -> Iterator[dict[str, str]]:
    names = zip(*(block.column(name).to_pylist() for name in ("kind", "repo_name", "path")), strict=True)
    for row, (kind, repository, path) in enumerate(names):
        if kind == CODE and is_notice(path) and not kept.isdisjoint(called := {repository, *labels.aliases(repository)}):
            [name, *_] = sorted(called & kept)
            content_id, content = (block.column(column)[row].as_py() for column in ("content_id", "content"))
            yield {"repo_name": name, "path": labels.shown(path), "content_id": content_id, "content": content}


def verified(held: Workspace, dataset: str, part: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of a part, whose bytes are compared with its sidecar's first. Raises InputError, MachineError."""
    sidecar = held.sidecar(dataset, part)
    found = [o for o in sidecar.outputs if o.path.startswith(f"{dataset}/")] if sidecar is not None else []
    if not found:
        raise InputError(f"{held.path(dataset)}: part {part} is not there; run again, so that it is made")
    for output in found:
        if held.is_local and (digest := held.sha256(output.path)) != output.sha256:
            raise held.disbelieve(output.path, digest, output.sha256)
        here = replace(held, digests={output.path: output.sha256})
        yield from here.blocks(output.path, columns)
