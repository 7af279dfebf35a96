"""One file's whole story: from the workspace's own records, where it is and why, stage by stage; of a duplicate, the difference."""

import difflib
import shlex
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from starmill.core.dataset import Workspace, part_number, part_path
from starmill.core.errors import InputError
from starmill.reports.query import Query, exactly, nearest, parse

Row = dict[str, Any]

MAX_DIFF_LINES = 20_000  # of both files together: difflib takes minutes beyond
MAX_FILES = 10  # of a directory or revision, that are named


def tell(workspace: Workspace, text: str, diff_lines: int = 40) -> list[str]:
    """Return the lines of the story of every file that `text` names: a SWHID, a blob or content id, or a path.

    A near duplicate is shown as a diff from the kept file, at most `diff_lines` lines.
    A path may carry its repository (`pypi/numpy:/numpy/random/mtrand.pyi`). Of a directory's or revision's SWHID the files are named.
    Raises UsageError for a SWHID that is none, and InputError, with the nearest paths, when nothing matches.
    """
    query = parse(text)
    if query.tree is not None:
        return _files_of(workspace, query)
    lines: list[str] = []
    kept = list(_ingested(workspace, query))
    lost = list(_dropped(workspace, "ingest", query))
    chosen = {id(row) for row in query.preferred([row for _, row in kept] + lost)}
    for part, row in kept:
        if id(row) not in chosen:
            continue
        lines += [
            _title(row),
            f"  ingest    kept in {part_path('records', part)} ({row['src_encoding']}, {row['length_bytes']} bytes)",
        ]
        lines += _curate(workspace, part, row, diff_lines)
        lines += [""]
    for row in lost:
        if id(row) in chosen:
            lines += [_title(row), _loss("ingest", row), ""]
    if not lines:
        raise InputError(_nothing(workspace, query))
    return lines[:-1]


def _nothing(workspace: Workspace, query: Query) -> str:
    near = nearest(workspace, query, [*workspace.parts("records"), *workspace.parts("dropped/ingest")])
    like = f"; the nearest are {', '.join(near)}" if near else "; give swh:1:cnt:<hash>, a path, or repository:path"
    return f"{query.text}: no such file in {workspace.root}{like}"


def _files_of(workspace: Workspace, query: Query) -> list[str]:
    """Return the files of a directory, revision or snapshot: how many each repository has, and the first."""
    assert query.tree is not None
    column, _ = query.tree
    found: dict[str, list[str]] = {}
    for part in _parts(workspace, "records"):
        for row in _rows(workspace, part_path("records", part), query, ["repo_name", "path", column]):
            found.setdefault(row["repo_name"], []).append(row["path"])
    if not found:
        root = " (of directories, a workspace knows the root of each repository only)" if column == "directory_id" else ""
        raise InputError(
            f"{query.text}: no file of it in {workspace.root}{root}; give swh:1:cnt:<hash>, a path, or repository:path"
        )
    lines = []
    for repository, paths in sorted(found.items()):
        lines.append(f"{repository}: {len(paths):,} files were read; ask for one of them")
        lines += [f"  starmill why {shlex.quote(f'{repository}:{path}')}" for path in sorted(paths)[:MAX_FILES]]
        if len(paths) > MAX_FILES:
            lines.append(f"  and {len(paths) - MAX_FILES:,} more, in the rows of records/*.parquet with this {column}")
    return lines


def _curate(workspace: Workspace, part: int, row: Row, diff_lines: int) -> Iterator[str]:
    one = exactly(row["repo_name"], row["path"])
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


CURATED_COLUMNS = ["repo_name", "path", "language", "license_type", "detected_licenses"]


def _difference(workspace: Workspace, part: int, loss: Row, limit: int) -> Iterator[str]:
    """Yield the pair of a near duplicate as a unified diff, from the kept file to the removed one."""
    gone, kept = exactly(loss["repo_name"], loss["path"]), exactly(loss["kept_repo_name"], loss["kept_path"])
    place = Workspace(loss["kept_release"]) if loss["kept_release"] else workspace
    texts = []
    for where, one, parts in ((place, kept, _parts(place, "curated")), (workspace, gone, [part])):
        columns = ["repo_name", "path", "content"]
        found = (r for p in parts for r in _rows(where, part_path("curated", p), one, columns))
        row = next(found, None)
        if row is None:
            yield f"            no diff: the text of {one.text} is not in {where.root}"
            return
        texts.append(row["content"].splitlines())
    if sum(map(len, texts)) > MAX_DIFF_LINES:
        yield f"            no diff: {len(texts[0]):,} and {len(texts[1]):,} lines are too many"
        return
    lines = list(difflib.unified_diff(texts[0], texts[1], kept.text, gone.text, n=1, lineterm=""))
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


def _ingested(workspace: Workspace, query: Query) -> Iterator[tuple[int, Row]]:
    columns = ["repo_name", "path", "blob_id", "content_id", "src_encoding", "length_bytes"]
    for part in _parts(workspace, "records"):
        for row in _rows(workspace, part_path("records", part), query, columns):
            yield part, row


def _dropped(workspace: Workspace, stage: str, query: Query) -> Iterator[Row]:
    for part in _parts(workspace, f"dropped/{stage}"):
        yield from _rows(workspace, part_path(f"dropped/{stage}", part), query, None)


def _parts(workspace: Workspace, dataset: str) -> list[int]:
    return [part for name in workspace.parts(dataset) if (part := part_number(name.rpartition("/")[2])) is not None]


def _rows(workspace: Workspace, relative: str, query: Query, columns: list[str] | None) -> Iterator[Row]:
    if not workspace.exists(relative):
        return
    for block in workspace.blocks(relative, columns):
        yield from block.filter(query.mask(block)).to_pylist()


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
