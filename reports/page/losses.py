"""For each reason a few of the rows that it dropped, with what triggered it: read from few parts, whatever their number."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import seeds
from starmill.core.summary import Where
from starmill.reports.page import evidence, licences
from starmill.reports.page.sample import Part, Sample, cut

PARTS = 3  # of which the rows of a reason are taken
ROWS = 4  # of a reason that are shown
OF_LICENCE = ("non_permissive", "no_license")  # reasons that lie in another file
LOOKED_AT = 2000  # rows of a reason in a part, of which some are drawn

Reason = tuple[str, str]  # step, reason


def samples(stage: str, where: Sequence[Where], sample: Sample) -> dict[Reason, list[dict[str, Any]]]:
    """Return for each reason of a stage the rows that are shown; each part is read once.

    The first PARTS of a reason are taken: the sample is the first parts too, so that those of it come before any other.
    """
    found: dict[Reason, list[tuple[Part, dict[str, Any]]]] = defaultdict(list)
    wanted: dict[int, set[Reason]] = defaultdict(set)
    for one in where:
        for number in one.first[:PARTS]:
            wanted[number].add((one.step, one.reason))
    for number, reasons in sorted(wanted.items()):
        part = sample.part(number)
        for reason, rows in _by_reason(part.dropped(stage), reasons):
            found[reason] += [(part, row) for row in rows]
    chosen = {reason: _drawn(rows) for reason, rows in sorted(found.items())}
    texts = _texts(pair for rows in chosen.values() for pair in rows)
    return {reason: [_shown(part, row, texts) for part, row in rows] for reason, rows in chosen.items()}


def _by_reason(table: pa.Table | None, wanted: Iterable[Reason]) -> Iterator[tuple[Reason, list[dict[str, Any]]]]:
    if table is None:
        return
    for step, reason in sorted(wanted):
        here = table.filter(pc.and_(pc.equal(table.column("step"), step), pc.equal(table.column("reason"), reason)))
        # Of many rows of one part the first are enough to draw from: they are looked at by name.
        yield (step, reason), here.slice(0, LOOKED_AT).to_pylist()


def _drawn(rows: list[tuple[Part, dict[str, Any]]]) -> list[tuple[Part, dict[str, Any]]]:
    # One of each repository first: ten files of one tell as much as one.
    ranked = sorted(rows, key=lambda pair: seeds.uint64(0, "report", *(str(pair[1][n]) for n in ("kind", "repo_name", "path"))))
    firsts: dict[str, int] = {}
    for index, (_, row) in enumerate(ranked):
        firsts.setdefault(row["repo_name"], index)
    chosen = sorted(firsts.values())
    return [ranked[index] for index in [*chosen, *(i for i in range(len(ranked)) if i not in {*chosen})][:ROWS]]


def _texts(chosen: Iterable[tuple[Part, dict[str, Any]]]) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the stored texts of rows that have one, by part and row."""
    rows: dict[int, tuple[Part, set[int]]] = {}
    for part, row in chosen:
        at = part.rows.get((row["kind"], row["repo_name"], row["path"]))
        if at is not None:
            rows.setdefault(part.number, (part, set()))[1].add(at)
    return {
        (number, at): values
        for number, (part, held) in sorted(rows.items())
        for at, values in part.texts(held, "records", "segments")
    }


def _shown(part: Part, row: Mapping[str, Any], texts: Mapping[tuple[int, int], Mapping[str, Any]]) -> dict[str, Any]:
    at = part.rows.get((row["kind"], row["repo_name"], row["path"]))
    known = texts.get((part.number, at), {}) if at is not None else {}
    stored = known.get("content") or ""
    measured = part.measured(at) if at is not None else {}
    reason, hide = row["reason"], part.hide
    beside = licences.matched(part, at) if at is not None and reason in OF_LICENCE else None
    from_text = _evidence(reason, stored, measured, known.get("segments") or (), part) if beside is None else beside["excerpt"]
    path = str(hide(row["path"]))
    return {
        "kind": row["kind"] or "",
        "repository": str(hide(row["repo_name"])),
        "path": path,
        "path_marks": evidence.of_path(reason, path),
        "language": row["language"] or "",
        "bytes": row["length_bytes"] or 0,
        "detail": str(hide(row["detail"] or "")),
        "facts": {name: hide(value) for name, value in evidence.facts(reason, measured).items()},
        "excerpt": from_text,
        "excerpt_of": beside["path"] if beside is not None else path,
    }


def _evidence(
    reason: str, stored: str, measured: Mapping[str, Any], segments: Iterable[Mapping[str, Any]], part: Part
) -> dict[str, Any] | None:
    """Return the excerpt of a stored text for a reason; None where there is no text."""
    if not stored:
        return None
    text = cut(stored, part.hide)
    # Segments are of the stored text: they are marked where nothing in it was hidden.
    marked = list(segments) if stored.startswith(text) else []
    return evidence.excerpt(text, evidence.of_text(reason, text, measured, marked))
