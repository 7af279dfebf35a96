"""Redactions by type, with a few surroundings of each: of the released texts, in which placeholders stand for what was there."""

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from starmill.core import seeds
from starmill.reports.page import evidence
from starmill.reports.page.sample import DATASET, MARGIN, Part, Sample

EXAMPLES = 5  # of each type, of which no two are of one record
AROUND = 160  # characters on each side


def of_sample(sample: Sample) -> list[dict[str, Any]]:
    """Return each type with its numbers of places and records, and its examples."""
    places: Counter[str] = Counter()
    records: Counter[str] = Counter()
    drawn: dict[str, list[tuple[int, Part, int, dict[str, Any]]]] = {}
    for part in sample:
        table = part.columns(DATASET, "redactions", "repo_name", "path")
        if table is None or table.num_columns < 3:
            continue
        some = pc.fill_null(pc.greater(pc.list_value_length(table.column("redactions")), 0), False).to_numpy(
            zero_copy_only=False
        )
        for row in some.nonzero()[0].tolist():
            (values,) = table.slice(row, 1).to_pylist()
            records.update({span["kind"] for span in values["redactions"]})
            for span in values["redactions"]:
                places[span["kind"]] += 1
            for kind in sorted({span["kind"] for span in values["redactions"]}):
                first = next(span for span in values["redactions"] if span["kind"] == kind)
                rank = seeds.uint64(0, "report", kind, str(values["repo_name"]), str(values["path"]))
                held = drawn.setdefault(kind, [])
                held.append((rank, part, row, first))
                if len(held) > 8 * EXAMPLES:
                    drawn[kind] = sorted(held, key=lambda one: one[0])[:EXAMPLES]
    return [
        {
            "type": kind,
            "places": places[kind],
            "records": records[kind],
            "examples": [_example(*one[1:]) for one in sorted(drawn[kind], key=lambda one: one[0])[:EXAMPLES]],
        }
        for kind in sorted(places, key=lambda kind: (-places[kind], kind))
    ]


def _example(part: Part, row: int, span: dict[str, Any]) -> dict[str, Any]:
    found = next((values for _, values in part.texts([row], DATASET, "repo_name", "path")), {})
    text, hide = found.get("content") or "", part.hide
    # What stands around is hidden once more, for a recipe may leave some types as they are; with a margin, so that none is cut in two.
    first, last = max(0, span["start"] - AROUND - MARGIN), min(len(text), span["end"] + AROUND + MARGIN)
    before, value, after = text[first : span["start"]], text[span["start"] : span["end"]], text[span["end"] : last]
    before, after = str(hide(before))[-AROUND:], str(hide(after))[:AROUND]
    before, after = before.rpartition("\n\n")[2], after.partition("\n\n")[0]
    shown = evidence.excerpt(before + value + after, [(len(before), len(before) + len(value))], lines=5)
    return {"repository": str(hide(found.get("repo_name", ""))), "path": str(hide(found.get("path", ""))), "excerpt": shown}
