"""Licences: records by licence through the stages, what was detected how often, and the licence text that is nearest above an example.

No dataset records the words that a detector matched. So the text is looked for by its name, in the folders above the example, and words of
licences in it are marked: the page calls it what it is.
"""

import re
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core.dataset import StageName
from starmill.reports.page import evidence
from starmill.reports.page.sample import CURATED, DATASET, MEASURES, RECORDS, VERDICTS, Part, Sample, cut

FINDINGS = 12  # sets of licences of which an example is shown
LIKE = re.compile(
    r"(?:.*[-_. ])?(?:li[cs]en[cs]es?|unlicen[cs]e|copying|copyright|[al]?gpl|mit|bsd|apache)(?:[-_. ].*)?",
    re.IGNORECASE | re.DOTALL,
)
WORDS = re.compile(
    r"permission is hereby granted|redistribution and use in source and binary forms|general public license|apache license"
    r"|all rights reserved|public domain|mozilla public license|\bMIT License\b|\bBSD\b[- \w]{0,20}License|creative commons"
    r"|SPDX-License-Identifier:[^\n]{1,80}|licen[cs]ed under[^\n]{1,80}|proprietary",
    re.IGNORECASE,
)


def through_stages(sample: Sample, stages: tuple[StageName, ...]) -> dict[str, dict[str, list[int]]]:
    """Return for each type of licence the [files, bytes] that the datasets hold that know licences, by dataset; of the sampled parts."""
    known: dict[str, dict[str, list[int]]] = {}

    def add(dataset: str, types: pa.ChunkedArray, sizes: pa.ChunkedArray) -> None:
        held = known.setdefault(dataset, {})
        for kind, size in zip(types.to_pylist(), sizes.to_pylist(), strict=True):
            if kind is not None:
                tally = held.setdefault(kind, [0, 0])
                tally[0] += 1
                tally[1] += size or 0

    for part in sample:
        measured, sizes = part.columns(MEASURES, "license_type"), part.columns(RECORDS, "length_bytes")
        if measured is not None and sizes is not None and measured.num_rows == sizes.num_rows:
            add(MEASURES, measured.column(0), sizes.column(0))
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


def findings(sample: Sample) -> list[dict[str, Any]]:
    """Return the sets of licences that were detected most, each with its records, its type, and an example with the text above it."""
    found: Counter[tuple[str, ...]] = Counter()
    examples: dict[tuple[str, ...], tuple[Part, int, int | None, str]] = {}
    for part in sample:
        table = part.columns(MEASURES, "detected_licenses", "license_type")
        if table is None or table.num_columns < 2 or table.num_rows != len(part.names):
            continue
        texts = _texts(part)
        for row, (names, kind) in enumerate(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True)):
            if names is None:
                continue
            key = tuple(sorted(names))
            found[key] += 1
            if key not in examples or examples[key][2] is None:
                examples[key] = (part, row, _nearest(texts, part, row) if key else None, kind or "")
    ranked = sorted(found, key=lambda key: (-found[key], key))[:FINDINGS]
    return [_shown(key, found[key], *examples[key]) for key in ranked]


def _texts(part: Part) -> dict[tuple[str, str], list[int]]:
    """Return the rows of a part whose names are those of licence texts, by repository and folder."""
    found: dict[tuple[str, str], list[int]] = {}
    for row, (_, repository, path) in enumerate(part.names):
        folder, _, name = path.rpartition("/")
        if LIKE.fullmatch(name):
            found.setdefault((repository, folder), []).append(row)
    return found


def _nearest(texts: dict[tuple[str, str], list[int]], part: Part, row: int) -> int | None:
    _, repository, path = part.names[row]
    folder = path.rpartition("/")[0]
    while True:
        if rows := texts.get((repository, folder)):
            return rows[0]
        if not folder:
            return None
        folder = folder.rpartition("/")[0]


def text_above(part: Part, row: int) -> dict[str, Any] | None:
    """Return the path and an excerpt of the licence text nearest above a record, with words of licences marked; None where none is."""
    text = _nearest(_texts(part), part, row)
    return None if text is None else _excerpt(part, text)


def _excerpt(part: Part, text: int) -> dict[str, Any]:
    stored = next((values.get("content") for _, values in part.texts([text])), None) or ""
    said = cut(stored, part.hide)
    spans = evidence.apart(m.span() for m, _ in zip(WORDS.finditer(said), range(evidence.SPANS), strict=False))
    return {"path": str(part.hide(part.names[text][2])), "excerpt": evidence.excerpt(said, spans, lines=10) if said else None}


def _shown(key: tuple[str, ...], files: int, part: Part, row: int, text: int | None, kind: str) -> dict[str, Any]:
    above = _excerpt(part, text) if text is not None else {"path": "", "excerpt": None}
    return {
        "licences": [str(name) for name in key],
        "files": files,
        "type": kind,
        "repository": str(part.hide(part.names[row][1])),
        "path": str(part.hide(part.names[row][2])),
        "text_path": above["path"],
        "excerpt": above["excerpt"],
    }
