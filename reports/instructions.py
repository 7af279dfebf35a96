"""A workspace of `starmill align`: what became of a seed, and a page of the whole.

All rows are JSON lines. A seed is followed by its `name`: from the file that it came from to the instruction that it made, or to the
reason why there is none.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError
from starmill.reports import funnel
from starmill.reports.page.html import Html, element, number, of_class, share
from starmill.reports.page.sheet import block, note, sheet, table
from starmill.reports.query import RAW, Labels, parse

Row = dict[str, Any]
DATASET = "instructions"  # which no other workspace has
LINEAGE = ("repository", "path", "lines", "swhid", "licenses")
SHOWN = 20  # instructions on the page, and rows dropped for one reason
IDS = {"cnt": "content_id", "rev": "revision_id"}  # of a seed's file, or of a commit
FILES = pa.schema([(name, pa.string()) for name in ("repo_name", "path", *IDS.values())])


def is_aligned(workspace: Workspace) -> bool:
    """Return whether a workspace is one of `starmill align`."""
    return any(stage.dataset == DATASET for stage in workspace.last_run().stages)


def _rows(workspace: Workspace, dataset: str) -> Iterator[Row]:
    for part in range(workspace.last_run().parts):
        try:
            data = workspace.read(part_path(dataset, part, "jsonl"))
        except FileNotFoundError:  # the last stages have one part, and one that is not finished has fewer
            continue
        yield from (msgspec.json.decode(line) for line in data.split(b"\n") if line)


def tell(workspace: Workspace, text: str, labels: Labels = RAW) -> dict[str, Any]:
    """Return the story of every seed that `text` names, as plain data: by its name, or by the SWHID or path of the file it came from.

    `seeds`: each with its file and its `stages`: `kept`, or the `reason` and `detail`; of responses one entry each, with `number`.
    Raises UsageError for an ill-formed SWHID, and InputError when nothing matches.
    """
    if not is_aligned(workspace):
        raise InputError(f"{workspace.root}: no workspace of `starmill align`; give one with --workspace")
    stages = workspace.last_run().stages
    begun = (stages[0].dataset, f"dropped/{stages[0].name}")
    first = {row["name"]: row for dataset in begun for row in _rows(workspace, dataset) if "repository" in row}
    files = [
        {"repo_name": row["repository"], "path": row["path"], **{column: _hash(row, kind) for kind, column in IDS.items()}}
        for row in first.values()
    ]
    named = parse(text, labels).mask(pa.RecordBatch.from_pylist(files, FILES)).to_pylist() if text not in first else []
    chosen = [name for name, here in zip(first, named, strict=False) if here] or [name for name in first if name == text]
    lost = {row["name"]: row for row in _rows(workspace, f"dropped/{stages[0].name}") if row.get("name") == text}
    if not chosen and not lost:
        raise InputError(
            f"{text}: no seed of it in {workspace.root}; give swh:1:cnt:<hash>, a path, repository:path or a name of "
            f"{stages[0].dataset}/*.jsonl"
        )
    told: dict[str, Row] = {
        name: {"name": name, **{key: first.get(name, {}).get(key) for key in LINEAGE}, "stages": []}
        for name in (*chosen, *lost)
    }
    for stage in stages:
        for dataset, kept in ((stage.dataset, True), (f"dropped/{stage.name}", False)):
            for row in _rows(workspace, dataset):
                if (of := told.get(row.get("name", ""))) is not None:
                    of["stages"].append({"stage": stage.name, "kept": kept, **_said(row, kept)})
    return {"query": text, "seeds": labels.shown([*told.values()])}


def _hash(row: Row, kind: str) -> str:
    head, _, found = (row["swhid"] or "").rpartition(":")
    return found if head == f"swh:1:{kind}" else ""


def _said(row: Row, kept: bool) -> Row:
    keys = ("number", "concepts", "instruction") if kept else ("number", "reason", "detail")
    return {key: row[key] for key in keys if row.get(key) not in (None, "")}


def lines(told: dict[str, Any]) -> Iterator[str]:
    """Yield what `tell` returns for a person."""
    for at, seed in enumerate(told["seeds"]):
        if at:
            yield ""
        between = seed["lines"] or []
        where = f":{'-'.join(map(str, between))}" if between else ""
        yield f"{seed['name']}  {seed['repository'] or ''}:{seed['path'] or ''}{where}  {seed['swhid'] or ''}"
        for one in seed["stages"]:
            which = f" response {one['number']}" if "number" in one else ""
            if one["kept"]:
                yield f"  {one['stage']:<9}{which} kept"
            else:
                yield f"  {one['stage']:<9}{which} dropped: {one['reason']}" + (
                    f" ({one['detail']})" if one.get("detail") else ""
                )
            if one["stage"] == "instruct" and one["kept"]:
                yield from (f"            {line}" for line in one["instruction"].splitlines())


def gather(workspace: Workspace, labels: Labels = RAW) -> dict[str, Any]:
    """Return what the page shows, as plain data: `stages` with what each dropped for which reason, and the first rows of each."""
    stages = []
    for one in funnel.measure(workspace):
        examples: dict[str, list[Row]] = {}
        for row in _rows(workspace, f"dropped/{one.stage}"):
            if len(of := examples.setdefault(row["reason"], [])) < SHOWN:
                of.append(row)
        dropped = {reason: tally.files for (_, reason), tally in sorted(one.dropped.items())}
        counts = {"in": one.into.files, "kept": one.kept.files, "dropped": dropped}
        stages.append({"stage": one.stage, **counts, "examples": labels.shown(dict(sorted(examples.items())))})
    kept = [row for row, _ in zip(_rows(workspace, DATASET), range(SHOWN), strict=False)]
    return {"workspace": str(workspace.root), "stages": stages, "instructions": labels.shown(kept)}


def page(found: dict[str, Any]) -> str:
    """Return the page of what `gather` found: the funnel, the first instructions with their seeds, rows dropped for each reason."""
    rows: list[tuple[object, ...]] = []
    losses = []
    for one in found["stages"]:
        rows.append((one["stage"], "in", number(one["in"]), ""))
        rows += [(one["stage"], why, number(many), share(many, one["in"])) for why, many in one["dropped"].items()]
        rows.append((one["stage"], "kept", number(one["kept"]), share(one["kept"], one["in"])))
        losses += [_dropped(one["stage"], reason, examples) for reason, examples in one["examples"].items()]
    kept = [_instruction(row) for row in found["instructions"]]
    name = found["workspace"].rstrip("/").rpartition("/")[2] or "workspace"
    return sheet(
        f"{name}: starmill alignment",
        name,
        table(("stage", "what", "rows", "share"), rows),
        element("h2", None, "Instructions"),
        note(f"the first {len(kept)}, in the order of the seeds"),
        *kept,
        element("h2", None, "What was dropped, and why"),
        *losses,
    )


def _instruction(row: Row) -> Html:
    where = f"{row['repository'] or ''}:{row['path'] or ''} {row['swhid'] or ''}"
    licences = ", ".join(row["licenses"] or ()) or "none"
    texts = (("instruction:", "instruction"), ("response:", "response"), (f"seed, of {where}, licences {licences}:", "seed"))
    parts = [part for title, key in texts for part in (note(title), block(row[key]))]
    return element("details", None, element("summary", None, row["instruction"][:200]), *parts)


def _dropped(stage: str, reason: str, rows: list[Row]) -> Html:
    shown = []
    for row in rows:
        which = " ".join(str(row[key]) for key in ("name", "number", "place") if key in row)
        shown.append(note(f"{which}: {row['detail']}" if row.get("detail") else which))
        shown += [block(row["response"])] if "response" in row else []
    head = element("summary", None, of_class("span", "failed", "✗"), f" {stage}: {reason} ({len(rows)} shown)")
    return element("details", None, head, *shown)
