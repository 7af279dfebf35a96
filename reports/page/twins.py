"""Near duplicates: a removed record beside the one that was kept, line by line, and what differs within a line.

A kept twin is looked for in the parts of the sample alone, those that are read anyway: pairs whose twin lies elsewhere are not shown.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from starmill.core import seeds
from starmill.reports.page.sample import Part, Sample, cut

PAIRS = 8
LINES = 3000  # of both texts together: difflib is slower than linear
SHOWN = 40  # lines of a pair
AROUND = 2  # equal lines around a difference
WIDTH = 240  # characters of a line
WORD = re.compile(r"\w+|\s+|[^\w\s]")
WORDS = 400  # of two lines that are compared word by word

Pieces = list[list[Any]]


def rows(sample: Sample, stages: Sequence[str]) -> list[tuple[Part, dict[str, Any]]]:
    """Return the rows of the sample that left as near duplicates, of whatever stage."""
    found = []
    for stage in stages:
        for part in sample:
            table = part.dropped(stage)
            if table is not None:
                found += [(part, row) for row in table.filter(pc.is_valid(table.column("kept_path"))).to_pylist()]
    return found


def pairs(sample: Sample, removed: Sequence[tuple[Part, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a few of the pairs side by side, from the least alike to the most."""
    near = [(part, row) for part, row in removed if row["kept_content_id"] != row["content_id"] and not row["kept_release"]]
    where = {(name[1], name[2]): (part, at) for part in sample for at, name in enumerate(part.names)} if near else {}
    found = []
    for part, row in sorted(near, key=lambda pair: seeds.uint64(0, "report", pair[1]["repo_name"], pair[1]["path"])):
        gone, kept = (
            part.rows.get((row["kind"], row["repo_name"], row["path"])),
            where.get((row["kept_repo_name"], row["kept_path"])),
        )
        if gone is None or kept is None:
            continue
        texts = [_stored(part, gone), _stored(*kept)]
        if not all(texts):
            continue
        # Lines as they are compared: \r, \f and others of Unicode end one, too.
        lines = [cut(text, part.hide).splitlines() for text in texts]
        if sum(map(len, lines)) <= LINES:
            found.append(_pair(part, row, *lines))
        if len(found) == PAIRS:
            break
    return sorted(found, key=lambda pair: (pair["jaccard"], pair["removed"], pair["kept"]))


def _stored(part: Part, row: int) -> str:
    return next((values.get("content") for _, values in part.texts([row])), None) or ""


def _pair(part: Part, row: Mapping[str, Any], gone: Sequence[str], kept: Sequence[str]) -> dict[str, Any]:
    lines, differing = side_by_side(kept, gone)
    return {
        "kind": row["kind"] or "",
        "jaccard": row["jaccard"],
        "removed": str(part.hide(f"{row['repo_name']}:{row['path']}")),
        "kept": str(part.hide(f"{row['kept_repo_name']}:{row['kept_path']}")),
        "lines": lines[:SHOWN],
        "left_out": max(0, len(lines) - SHOWN),
        "differing": differing,
    }


def side_by_side(left: Sequence[str], right: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of a comparison, and how many lines differ. A row has a line of each side or none, as pieces [text, differs].

    Equal lines far from a difference are one row with their number, `equal`.

    >>> rows, differing = side_by_side(["a", "b c"], ["a", "b d"])
    >>> rows[1]["left"], rows[1]["right"], differing
    ([['b ', False], ['c', True]], [['b ', False], ['d', True]], 1)
    """
    found: list[dict[str, Any]] = []
    differing = 0
    codes = difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for number, (tag, a, b, c, d) in enumerate(codes):
        if tag == "equal":
            head = AROUND if number else 0
            tail = AROUND if number < len(codes) - 1 else 0
            for i in range(b - a):
                if head <= i < b - a - tail:
                    if i == head:
                        found.append({"equal": b - a - tail - head})
                else:
                    found.append(_row(a + i, c + i, [[_short(left[a + i]), False]], [[_short(right[c + i]), False]]))
            continue
        differing += max(b - a, d - c)
        for i in range(max(b - a, d - c)):
            one = left[a + i] if a + i < b else None
            two = right[c + i] if c + i < d else None
            found.append(_row(a + i, c + i, *_within(one, two, len(found) < SHOWN)))
    return found, differing


def _row(left: int, right: int, one: Pieces | None, two: Pieces | None) -> dict[str, Any]:
    return {"n": [left + 1 if one is not None else None, right + 1 if two is not None else None], "left": one, "right": two}


def _within(one: str | None, two: str | None, by_words: bool) -> tuple[Pieces | None, Pieces | None]:
    if one is None or two is None or not by_words:  # a row that is not shown is only counted
        return (None if one is None else [[_short(one), True]]), (None if two is None else [[_short(two), True]])
    a, b = WORD.findall(_short(one)), WORD.findall(_short(two))
    if len(a) + len(b) > WORDS:
        return [[_short(one), True]], [[_short(two), True]]
    codes = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return [*_pieces(a, ((tag, i, j) for tag, i, j, _, _ in codes))], [*_pieces(b, ((tag, i, j) for tag, _, _, i, j in codes))]


def _pieces(words: Sequence[str], codes: Iterator[tuple[str, int, int]]) -> Iterator[list[Any]]:
    for tag, start, end in codes:
        if start < end:
            yield ["".join(words[start:end]), tag != "equal"]


def _short(line: str) -> str:
    return line if len(line) <= WIDTH else line[:WIDTH] + "…"
