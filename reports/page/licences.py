"""Licences: records by type through the stages, what decided how often, and the words that were matched in an example's licence text.

What a detector matched is in the column `license_findings`: a file and its lines. A record that a rule over licences dropped has in
`dropped/` what decided, and a kept one in `license_rule`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core.dataset import StageName
from starmill.reports.page import evidence
from starmill.reports.page.sample import CURATED, DATASET, MEASURES, VERDICTS, Key, Part, Sample, cut

FINDINGS = 12  # sets of licences of which an example is shown
OF_LICENCE = ("permissive", "no_license", "non_permissive")  # a type is the reason of what its rule drops
MENTION = "mention"  # the weight of a finding that decides nothing


def through_stages(sample: Sample, stages: tuple[StageName, ...]) -> dict[str, dict[str, list[int]]]:
    """Return for each type of licence the [files, bytes] that the datasets behind its rule hold, by dataset; of the sampled parts."""
    known: dict[str, dict[str, list[int]]] = {}

    def add(dataset: str, types: pa.ChunkedArray, sizes: pa.ChunkedArray) -> None:
        held = known.setdefault(dataset, {})
        for kind, size in zip(types.to_pylist(), sizes.to_pylist(), strict=True):
            if kind is not None:
                tally = held.setdefault(kind, [0, 0])
                tally[0] += 1
                tally[1] += size or 0

    for part in sample:
        curated, verdicts = part.columns(CURATED, "license_type", "length_bytes"), part.columns(VERDICTS, "keep")
        if curated is not None and curated.num_columns == 2:
            add(CURATED, curated.column(0), curated.column(1))
            if verdicts is not None and verdicts.num_rows == curated.num_rows:
                unique = curated.filter(pc.fill_null(verdicts.column(0), False))
                add(VERDICTS, unique.column(0), unique.column(1))
        last = part.columns(DATASET, "license_type", "length_bytes")
        if last is not None and last.num_columns == 2:
            add(DATASET, last.column(0), last.column(1))
    return {stage.dataset: known[stage.dataset] for stage in stages if stage.dataset in known}


def findings(sample: Sample, deciding: str) -> list[dict[str, Any]]:
    """Return the sets of licences found most, each with its records, the type that stage `deciding` gave, and an example's lines."""
    found: Counter[tuple[tuple[str, ...], str]] = Counter()
    examples: dict[tuple[tuple[str, ...], str], tuple[Part, int, str]] = {}
    for part in sample:
        table = part.columns(MEASURES, "license_findings")
        if table is None or table.num_rows != len(part.names):
            continue
        decided = _decided(part, deciding)
        for row, said in enumerate(table.column(0).to_pylist()):
            if said is None or part.names[row] not in decided:
                continue
            kind, rule = decided[part.names[row]]
            key = (tuple(sorted({one["expression"] for one in said if one["how"] != MENTION})), kind)
            found[key] += 1
            examples.setdefault(key, (part, row, rule))
    ranked = sorted(found, key=lambda key: (-found[key], key))[:FINDINGS]
    return [_shown(key, found[key], *examples[key]) for key in ranked]


def _decided(part: Part, deciding: str) -> dict[Key, tuple[str, str]]:
    """Return the type of each record on which a rule over licences decided, and what decided."""
    names = ("kind", "repo_name", "path")
    decided: dict[Key, tuple[str, str]] = {}
    kept = part.columns(CURATED, *names, "license_type", "license_rule")
    if kept is not None and kept.num_columns == 5:
        for kind, repository, path, type_, rule in zip(*(kept.column(n).to_pylist() for n in kept.column_names), strict=True):
            if type_ is not None:
                decided[kind, repository, path] = (type_, rule or "")
    gone = part.dropped(deciding)
    if gone is not None:
        columns = (*names, "reason", "detail")
        for kind, repository, path, reason, detail in zip(*(gone.column(n).to_pylist() for n in columns), strict=True):
            if reason in OF_LICENCE:
                decided[kind, repository, path] = (reason, detail or "")
    return decided


def matched(part: Part, row: int) -> dict[str, Any] | None:
    """Return the path and an excerpt of the file that speaks of a record's licence, with the lines that were matched marked.

    None where nothing was found, or only what stands in a manifest or a record that was not read.
    """
    said: Sequence[Mapping[str, Any]] = part.measured(row).get("license_findings") or ()
    kind, repository, _ = part.names[row]
    for one in (one for one in said if one["how"] != MENTION):
        at = part.rows.get((kind, repository, one["path"]), part.rows.get(("code", repository, one["path"])))
        stored = "" if at is None else next((values.get("content") for _, values in part.texts([at])), None)
        if stored:
            text = cut(stored, part.hide)
            return {"path": str(part.hide(one["path"])), "excerpt": evidence.excerpt(text, _lines(text, one), lines=10)}
    return None


def _lines(text: str, finding: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the spans of the lines of a finding, the first of them."""
    spans: list[tuple[int, int]] = []
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        if finding["start_line"] <= number <= finding["end_line"] and line.strip() and len(spans) < evidence.SPANS:
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _shown(key: tuple[tuple[str, ...], str], files: int, part: Part, row: int, rule: str) -> dict[str, Any]:
    beside = matched(part, row) or {"path": "", "excerpt": None}
    return {
        "licences": list(key[0]),
        "files": files,
        "type": key[1],
        "rule": str(part.hide(rule)),
        "repository": str(part.hide(part.names[row][1])),
        "path": str(part.hide(part.names[row][2])),
        "text_path": beside["path"],
        "excerpt": beside["excerpt"],
    }
