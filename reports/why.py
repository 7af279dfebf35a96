"""One file's whole story: from the workspace's own records, where it is and why, stage by stage; of a duplicate, the difference."""

import difflib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core.dataset import Workspace, part_number, part_path
from starmill.core.errors import InputError

Row = dict[str, Any]


MAX_DIFF_LINES = 20_000  # of both files together: difflib takes minutes beyond


def tell(workspace: Workspace, query: str, diff_lines: int = 40) -> list[str]:
    """Return the lines of the story of every file that `query` names: a SWHID, a blob or content id, or a path.

    A near duplicate is shown as a diff from the kept file, at most `diff_lines` lines.
    A path may carry its repository (`pypi/numpy:/numpy/random/mtrand.pyi`). Raises InputError when nothing matches.
    """
    lines: list[str] = []
    for part, row in _ingested(workspace, query):
        lines += [
            _title(row),
            f"  ingest    kept in {part_path('files', part)} ({row['src_encoding']}, {row['length_bytes']} bytes)",
        ]
        lines += _curate(workspace, part, row, diff_lines)
        lines += [""]
    for row in _dropped(workspace, "ingest", query):
        lines += [_title(row), _loss("ingest", row), ""]
    if not lines:
        raise InputError(f"{query}: no such file in {workspace.root}; give swh:1:cnt:<hash>, a path, or repository:path")
    return lines[:-1]


def _curate(workspace: Workspace, part: int, row: Row, diff_lines: int) -> Iterator[str]:
    one = f"{row['repo_name']}:{row['path']}"
    curated = next(_rows(workspace, part_path("curated", part), one, CURATED_COLUMNS), None)
    if curated is not None:
        licenses = ", ".join(curated["detected_licenses"] or []) or "none detected"
        yield f"  curate    kept as {curated['language']}, {curated['license_type']} ({licenses})"
    for stage in ("curate", "dedup", "release", "tokenize"):
        for loss in _rows(workspace, part_path(f"dropped/{stage}", part), one, None):
            yield _loss(stage, loss)
            if loss["kept_path"] and loss["content_id"] != loss["kept_content_id"] and diff_lines:
                yield from _difference(workspace, part, loss, diff_lines)
            return
    for stage, dataset in (("dedup", "verdicts"), ("release", "dataset")):
        if workspace.exists(part_path(dataset, part)):
            yield f"  {stage:<9} kept"
    yield from _shard(workspace, part, row)


CURATED_COLUMNS = ["repo_name", "path", "blob_id", "content_id", "language", "license_type", "detected_licenses"]


def _difference(workspace: Workspace, part: int, loss: Row, limit: int) -> Iterator[str]:
    """Yield the pair of a near duplicate as a unified diff, from the kept file to the removed one."""
    gone, kept = f"{loss['repo_name']}:{loss['path']}", f"{loss['kept_repo_name']}:{loss['kept_path']}"
    place = Workspace(loss["kept_release"]) if loss["kept_release"] else workspace
    texts = []
    for where, one, parts in ((place, kept, _parts(place, "curated")), (workspace, gone, [part])):
        columns = ["repo_name", "path", "blob_id", "content_id", "content"]
        found = (r for p in parts for r in _rows(where, part_path("curated", p), one, columns))
        row = next(found, None)
        if row is None:
            yield f"            no diff: the text of {one} is not in {where.root}"
            return
        texts.append(row["content"].splitlines())
    if sum(map(len, texts)) > MAX_DIFF_LINES:
        yield f"            no diff: {len(texts[0]):,} and {len(texts[1]):,} lines are too many"
        return
    lines = list(difflib.unified_diff(texts[0], texts[1], kept, gone, n=1, lineterm=""))
    yield from (f"            {line}" for line in lines[:limit])
    if not lines:
        yield "            no line differs: only line ends or the last one's"
    if len(lines) > limit:
        yield f"            ... {len(lines) - limit:,} more lines; see them with --diff-lines {len(lines)}"


def _shard(workspace: Workspace, part: int, row: Row) -> Iterator[str]:
    side_table = part_path("shards", part, "docs.parquet")
    if not workspace.exists(side_table):
        return
    documents = workspace.table(side_table).filter(pc.field("repo_name") == row["repo_name"]).to_pylist()
    for document in documents:
        for file in document["files"]:
            if file["path"].lstrip("/") == row["path"].lstrip("/"):
                start = document["token_start"] + file["token_start"]
                yield (
                    f"  tokenize  in {part_path('shards', part, 'bin')}, document {document['document']}, "
                    f"tokens {start}..{start + file['token_count']}"
                )


def _ingested(workspace: Workspace, query: str) -> Iterator[tuple[int, Row]]:
    columns = ["repo_name", "path", "blob_id", "content_id", "src_encoding", "length_bytes"]
    for part in _parts(workspace, "files"):
        for row in _rows(workspace, part_path("files", part), query, columns):
            yield part, row


def _dropped(workspace: Workspace, stage: str, query: str) -> Iterator[Row]:
    for part in _parts(workspace, f"dropped/{stage}"):
        yield from _rows(workspace, part_path(f"dropped/{stage}", part), query, None)


def _parts(workspace: Workspace, dataset: str) -> list[int]:
    return [part for name in workspace.parts(dataset) if (part := part_number(name.rpartition("/")[2])) is not None]


def _rows(workspace: Workspace, relative: str, query: str, columns: list[str] | None) -> Iterator[Row]:
    if not workspace.exists(relative):
        return
    for block in workspace.blocks(relative, columns):
        yield from block.filter(_match(block, query)).to_pylist()


def _match(block: pa.RecordBatch, query: str) -> pa.Array:
    digest = query.rpartition(":")[2] if query.startswith("swh:1:cnt:") else query
    repository, colon, path = query.rpartition(":/")
    path = f"/{path}" if colon else f"/{query.lstrip('/')}"
    here = pc.equal(block.column("path"), path)
    if colon:
        here = pc.and_(here, pc.equal(block.column("repo_name"), repository))
    ids = pc.or_kleene(pc.equal(block.column("content_id"), digest), pc.equal(block.column("blob_id"), digest))
    return pc.fill_null(pc.or_kleene(here, ids), False)


def _title(row: Row) -> str:
    identifier = f"swh:1:cnt:{row['content_id']}" if row["content_id"] else "content not read"
    return f"{row['repo_name']}:{row['path']}  {identifier}"


def _loss(stage: str, row: Row) -> str:
    line = f"  {stage:<9} dropped by {row['step']}: {row['reason']}"
    if row["detail"]:
        line += f" ({row['detail']})"
    if row["kept_path"]:
        line += f"\n            kept instead: {row['kept_repo_name']}:{row['kept_path']}  swh:1:cnt:{row['kept_content_id']}"
        line += f", Jaccard {row['jaccard']:.4f}, cluster {row['cluster_id']}"
        if row["kept_release"]:
            line += f", in the earlier release {row['kept_release']} (estimated from signatures)"
    return line
