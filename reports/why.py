"""`starmill why`: one record's story, stage by stage, from the workspace's datasets; for a duplicate, the difference."""

import difflib
import itertools
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow.compute as pc

from starmill.core import hashes
from starmill.core.dataset import StageName, Workspace, part_number, part_path
from starmill.core.document import CODE
from starmill.core.errors import InputError
from starmill.core.swhid import swhid
from starmill.core.terminal import say
from starmill.reports import holding
from starmill.reports.cleaned import first_kept
from starmill.reports.query import RAW, Labels, Query, exactly, nearest, parse, strings

Row = dict[str, Any]

MAX_DIFF_LINES = 20_000  # of both files together: difflib takes minutes beyond
MOST_PARTS = 16  # whose records are told of a path that many repositories have
SLOW = 64  # parts that are looked into one by one without a word
MAX_FILES = 10  # that are listed of a directory or revision
NAMES, IDS = ("repo_name", "path"), ("blob_id", "content_id")
# Facts on a kept record, shown at the first stage whose dataset has the column.
FACTS = (
    "kind",
    "src_encoding",
    "length_bytes",
    "language",
    "license_type",
    "license_rule",
    "detected_licenses",
    "parent",
    "cuts",
)


def tell(
    workspace: Workspace, text: str, diff_lines: int = 40, labels: Labels = RAW, most_parts: int = MOST_PARTS
) -> dict[str, Any]:
    """Return the story of every record that `text` names, a SWHID, a blob or content id, or a path, as plain data, for JSON.

    `files`: each record and its `stages`: what each stage of the last run did with the record, by column; for a near duplicate also
    the diff from the kept file, at most `diff_lines` lines. A path may carry its repository (`pypi/numpy:/numpy/random/mtrand.pyi`).
    For the SWHID of a directory or revision `repositories` lists the records. A file without a row has its folder's. Of a path that
    many repositories have, only the records of the first `most_parts` parts that hold some are told; `more_parts` may hold others.
    Raises UsageError for an ill-formed SWHID, and InputError, with the nearest paths, when nothing matches.
    """
    query, stages = parse(text, labels), workspace.last_run().stages
    if query.tree is not None:
        return {"query": text, "repositories": labels.shown(_files_of(workspace, stages, query))}
    # The first stage meets every record: it kept or it dropped it. In a workspace that was cleaned, the first stage that has its files.
    last = first_kept(workspace, stages) + 1
    first: dict[str, Sequence[str] | None] = {s.dataset: (*NAMES, *IDS, *FACTS) for s in stages[last - 1 : last]}
    first |= {f"dropped/{s.name}": None for s in stages[:last]}
    found, more = _first_found(workspace, first, query, most_parts)
    found = found or _above(workspace, stages, query)
    if not found:
        # A file of this name in another folder first, then whatever there is.
        numbers = dict.fromkeys([*holding.like(workspace, query)[:most_parts], *range(workspace.last_run().parts)])
        near = nearest(workspace, query, (part_path(dataset, part) for part in numbers for dataset in first))
        like = f"; the nearest are {', '.join(near)}" if near else "; give swh:1:cnt:<hash>, a path, or repository:path"
        raise InputError(f"{text}: no such file in {workspace.root}{like}")
    chosen = {id(row) for row in query.preferred([row for _, row in found])}
    files = [
        {
            **{name: row[name] for name in NAMES},
            "swhid": swhid("cnt", row["content_id"]) if row["content_id"] else None,
            "stages": [*_stages(workspace, stages, part, row, diff_lines, labels)],
        }
        for part, row in found
        if id(row) in chosen
    ]
    return {"query": text, "files": labels.shown(files)} | ({"more_parts": more} if more else {})


def lines(told: dict[str, Any]) -> Iterator[str]:
    """Yield what `tell` returns for a person."""
    for repository in told.get("repositories", ()):
        name, paths = repository["repo_name"], repository["paths"]
        yield f"{name}: {repository['files']:,} files were read; ask for one of them"
        yield from (f"  starmill why {shlex.quote(f'{name}:{path}')}" for path in paths)
        if more := repository["files"] - len(paths):
            yield f"  and {more:,} more, in the rows of {repository['dataset']}/*.parquet with this {repository['column']}"
    for number, file in enumerate(told.get("files", ())):
        if number:
            yield ""
        yield f"{file['repo_name']}:{file['path']}  {file['swhid'] or 'content not read'}"
        for stage in file["stages"]:
            yield from _dropped_lines(stage) if "reason" in stage else [_kept_line(**stage)]
    if more := told.get("more_parts"):
        yield ""
        yield f"and files in {more:,} more parts: give repository:path, or --all"


def _kept_line(stage: str, file: str, **facts: Any) -> str:
    said = (f"{k}={(', '.join(v) or 'none') if isinstance(v, list) else v}" for k, v in facts.items())
    return f"  {stage:<9} kept in {file}" + (f" ({', '.join(said)})" if facts else "")


def _dropped_lines(loss: Row) -> Iterator[str]:
    detail = f" ({loss['detail']})" if loss.get("detail") else ""
    yield f"  {loss['stage']:<9} dropped by {loss['step']}: {loss['reason']}{detail}"
    if "kept_path" in loss:
        line = (
            f"            kept instead: {loss['kept_repo_name']}:{loss['kept_path']}  {swhid('cnt', loss['kept_content_id'])}"
        )
        line += f", Jaccard {loss['jaccard']:.4f}, cluster {loss['cluster_id']}"
        release = loss.get("kept_release")
        yield line + (f", in the earlier release {release} (estimated from signatures)" if release else "")
    if "no_diff" in loss:
        yield f"            no diff: {loss['no_diff']}"
    if "diff" in loss:
        yield from (f"            {line}" for line in loss["diff"])
        if not loss["diff_lines"]:
            yield "            no line differs: only line ends or the last one's"
        if (more := loss["diff_lines"] - len(loss["diff"])) > 0:
            yield f"            ... {more:,} more lines; see them with --diff-lines {loss['diff_lines']}"


def _files_of(workspace: Workspace, stages: Sequence[StageName], query: Query) -> list[Row]:
    """Return the files of a directory, revision or snapshot: their number per repository, and the first ones."""
    assert query.tree is not None
    column, _ = query.tree
    dataset = stages[0].dataset if stages else ""
    found: dict[str, list[str]] = {}
    for _, row in _found(workspace, dataset, query, (*NAMES, column)):
        found.setdefault(row["repo_name"], []).append(row["path"])
    if not found:
        root = " (of directories, a workspace knows the root of each repository only)" if column == "directory_id" else ""
        raise InputError(
            f"{query.text}: no file of it in {workspace.root}{root}; give swh:1:cnt:<hash>, a path, or repository:path"
        )
    where = {"dataset": dataset, "column": column}
    return [{"repo_name": r, "files": len(p), "paths": sorted(p)[:MAX_FILES], **where} for r, p in sorted(found.items())]


def _stages(
    workspace: Workspace, stages: Sequence[StageName], part: int, row: Row, diff_lines: int, labels: Labels
) -> Iterator[Row]:
    """Yield what each stage did with a record of this part, up to the one that dropped it; `row` is what the first knows of it."""
    one, known, kind = exactly(row["repo_name"], row["path"], labels), set[str](), row.get("kind") or CODE

    def of_kind(dataset: str, columns: Sequence[str] | None = None) -> Row:
        # A notebook has records of several kinds, and one path.
        rows = _rows(workspace, part_path(dataset, part), one, columns)
        return next((row for row in rows if (row.get("kind") or kind) == kind), {})

    for stage in stages:
        if stage is not stages[0]:
            row = of_kind(f"dropped/{stage.name}")
        if "reason" in row:
            near = row["kept_path"] and row["content_id"] != row["kept_content_id"] and diff_lines
            difference = _difference(workspace, part, row, diff_lines) if near else {}
            yield {name: value for name, value in row.items() if value is not None and name not in NAMES} | difference
            return
        sidecar = workspace.sidecar(stage.dataset, part)
        made = [o.path for o in sidecar.outputs if not o.path.startswith("dropped/")] if sidecar is not None else []
        side_table = part_path(stage.dataset, part, "docs.parquet")
        if side_table in made:
            yield from (
                {"stage": stage.name, "file": made[0], **place} for place in _documents(workspace, side_table, one, kind)
            )
        elif made:
            facts = row or of_kind(stage.dataset, (*NAMES, *FACTS))
            new = {name: facts[name] for name in FACTS if facts.get(name) not in (None, CODE) and name not in known}
            known |= {*new}
            gone = {} if workspace.exists(made[0]) else {"cleaned": True}
            yield {"stage": stage.name, "file": made[0], **gone, **new}


def _above(workspace: Workspace, stages: Sequence[StageName], query: Query) -> list[tuple[int, Row]]:
    """Return the row of the nearest folder around a file, or of its repository: what has no row of its own is counted there."""
    around = tuple((r, str(above)) for r, path in query.places if r for above in PurePosixPath(path).parents)
    rows = [
        f for s in stages[:1] if around for f in _found(workspace, f"dropped/{s.name}", replace(query, places=around), None)
    ]
    deepest = max((len(row["path"]) for _, row in rows), default=0)
    return [(part, row) for part, row in rows if len(row["path"]) == deepest]


def _difference(workspace: Workspace, part: int, loss: Row, limit: int) -> Row:
    """Return the pair of a near duplicate as a unified diff, from the kept file to the removed one, or why there is none."""
    gone, kept = exactly(loss["repo_name"], loss["path"]), exactly(loss["kept_repo_name"], loss["kept_path"])
    place = Workspace(loss["kept_release"]) if loss["kept_release"] else workspace
    texts = []
    for where, one, parts in ((place, kept, None), (workspace, gone, [part])):
        text = next(_texts(where, one, parts), None)
        if text is None:
            return {"no_diff": f"the text of {one.text} is not in {where.root}"}
        texts.append(text.splitlines())
    if sum(map(len, texts)) > MAX_DIFF_LINES:
        return {"no_diff": f"{len(texts[0]):,} and {len(texts[1]):,} lines are too many"}
    found = list(difflib.unified_diff(texts[0], texts[1], kept.text, gone.text, n=1, lineterm=""))
    return {"diff": found[:limit], "diff_lines": len(found)}


def _texts(workspace: Workspace, one: Query, parts: list[int] | None) -> Iterator[str]:
    datasets = [stage.dataset for stage in workspace.last_run().stages]
    for dataset, part in itertools.product(datasets, _parts(workspace, one, datasets) if parts is None else parts):
        place = part_path(dataset, part)
        if any(_rows(workspace, place, one, NAMES)):  # by name first: no other part's text is read
            rows = _rows(workspace, place, one, (*NAMES, "content"))
            yield from (row["content"] for row in rows if row.get("content") is not None)


def _documents(workspace: Workspace, side_table: str, one: Query, kind: str) -> Iterator[Row]:
    [(repository, path)] = one.places
    paths = {name.lstrip("/") for name in one.labels.aliases(path)}
    named = strings(one.labels.aliases(str(repository)))
    blocks = (block.filter(pc.is_in(block.column("repo_name"), named)) for block in workspace.blocks(side_table))
    for document in itertools.chain.from_iterable(block.to_pylist() for block in blocks):
        for file in document["files"] if document.get("kind", kind) == kind else ():
            if file["path"].lstrip("/") in paths:
                start = document["token_start"] + file["token_start"]
                yield {"document": document["document"], "token_start": start, "token_end": start + file["token_count"]}


def _first_found(
    workspace: Workspace, datasets: dict[str, Sequence[str] | None], query: Query, most: int
) -> tuple[list[tuple[int, Row]], int]:
    """Return the rows of the first `most` parts that hold some of a query, dataset by dataset; how many parts were not looked into."""
    held: dict[str, list[tuple[int, Row]]] = {dataset: [] for dataset in datasets}
    parts, holding_some = _parts(workspace, query, datasets), 0
    for at, part in enumerate(parts):
        if holding_some == most:
            return [one for some in held.values() for one in some], len(parts) - at
        is_here = False
        for dataset, columns in datasets.items():
            rows = [(part, row) for row in _rows(workspace, part_path(dataset, part), query, columns)]
            held[dataset] += rows
            is_here = is_here or bool(rows)
        holding_some += is_here
    return [one for some in held.values() for one in some], 0


def _parts(workspace: Workspace, query: Query, datasets: Iterable[str]) -> list[int]:
    """Return the parts that may hold a query's records: by the hashes of its names, or all parts of datasets, which is told."""
    known = holding.parts(workspace, query)
    if known is not None:
        return known
    there = {part_number(name.rpartition("/")[2]) for dataset in datasets for name in workspace.parts(dataset)}
    parts = sorted(part for part in there if part is not None)
    if len(parts) > SLOW:
        why = "has a placeholder" if query.names() is None else f"is not yet in {workspace.path(hashes.LIST)}"
        say(f"{query.text} {why}: each of {len(parts):,} parts is looked into, which takes a while", to=sys.stderr)
    return parts


def _found(workspace: Workspace, dataset: str, query: Query, columns: Sequence[str] | None) -> Iterator[tuple[int, Row]]:
    for part in _parts(workspace, query, [dataset]):
        yield from ((part, row) for row in _rows(workspace, part_path(dataset, part), query, columns))


def _rows(workspace: Workspace, relative: str, query: Query, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a Parquet file that a query names, with those of the columns that the file has."""
    if not workspace.exists(relative):
        return
    for block in workspace.blocks(relative, columns):
        if "path" in block.schema.names:
            yield from block.filter(query.mask(block)).to_pylist()
