"""Decontamination: a file that holds a text of a benchmark is removed whole, or loses the text.

StarCoder2 (section 3.3) looks for docstrings and solutions in lower case without white space. That misses most of them in notebooks, in
JSON, behind comment leaders and with one word changed, so that there are further matchers (overlap/index.py: Matchers); each has its
switch. One pass over the bytes of a block finds all (overlap/search.py).
"""

import functools
import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa

from starmill.core import schema
from starmill.transforms.clean.overlap.index import HIDDEN, Matchers
from starmill.transforms.step import Split, append, split

if TYPE_CHECKING:
    from starmill.transforms.clean.overlap.find import Find, Finder


@dataclass(frozen=True)
class Decontaminate:
    """Drops files that hold a text of a benchmark; the detail names benchmark, task, matcher and characters.

    With `mode` cut the text goes and the file stays, with what went in the column `cuts`; segments move as the text does. A file that
    holds a text of a benchmark even then, made of what stood before and behind, is dropped. Tables are built on first use, once for a
    step, and never travel to another process.

    >>> from starmill.transforms.clean.overlap.index import compiled
    >>> from starmill.transforms.clean.overlap.tasks import Task
    >>> own = Task("HumanEval", "34", solution="    return sorted(set(numbers_of_everyone), key=len)")
    >>> hidden = Decontaminate(compiled([own]))
    >>> split = hidden(pa.record_batch({"content": ["def f(l):\\n  return sorted( set(numbers_of_everyone), key=len )", "pass"]}))
    >>> split.reasons, split.details, split.kept.num_rows
    (('contaminated',), ('HumanEval 34: exact, characters 12 to 62',), 1)
    """

    reads: ClassVar[tuple[str, ...]] = ("content",)

    index: str = ""  # the compiled benchmarks (overlap/index.py)
    matchers: Matchers = Matchers()
    mode: Literal["drop", "cut"] = "drop"  # the file, or what of it is a benchmark's
    name: str = "decontaminate"

    def material(self) -> tuple[str, ...]:
        """Return the digest of the index, which is a file's: the same benchmarks, read alike, have the same."""
        return (hashlib.sha256(self.index.encode()).hexdigest(),)

    def judge(self, text: str) -> str | None:
        """Return what the surest find in `text` is, or None."""
        found = self.finder.of(text) if self.index else []
        return str(found[0]) if found else None

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Decide by the content."""
        if not self.index:
            return Split(block, block.slice(0, 0), ())
        cut = self.mode == "cut"
        found = self.finder.finds(block.column("content"), every=cut)
        if cut:
            block = _without(block, [_surest(finds) for finds in found])
            found = self.finder.finds(block.column("content")) if any(found) else found
        said = [str(finds[0]) if finds else None for finds in found]
        return split(block, ["contaminated" if one else None for one in said], said)

    @functools.cached_property  # lies in the instance: a cache by value would hash the index at every call
    def finder(self) -> "Finder":
        """The tables of the index."""
        from starmill.transforms.clean.overlap.find import Finder  # numba, which a recipe's reader needs not

        return Finder(self.index, self.matchers)

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels: the options, without the tables."""
        return {key: value for key, value in vars(self).items() if key != "finder"}


def _without(block: pa.RecordBatch, found: "Sequence[Sequence[Find]]") -> pa.RecordBatch:
    """Return the block without what was found in each text, and with the column `cuts`."""
    cuts = pa.array([[str(find) for find in finds] for finds in found], schema.DATASET.field("cuts").type)
    columns = {"cuts": cuts}
    if any(found):
        texts = block.column("content").to_pylist()
        gone = [_spans(finds) for finds in found]
        columns["content"] = pa.array(
            [text if not spans else _cut(text, spans) for text, spans in zip(texts, gone, strict=True)], pa.string()
        )
        if "length_bytes" in block.schema.names:
            columns["length_bytes"] = pa.array(
                [len(t.as_buffer()) if t.is_valid else 0 for t in columns["content"]], pa.int64()
            )
        if "segments" in block.schema.names:
            marked = zip(block.column("segments").to_pylist(), gone, strict=True)
            moved = [segments and _moved(segments, spans) for segments, spans in marked]
            columns["segments"] = pa.array(moved, pa.list_(schema.SEGMENT))
    return append(block, columns)


def _surest(finds: "Sequence[Find]") -> "list[Find]":
    """Return the finds to cut: of an edited text, whose ends are guesses, only where no text stands that is whole."""
    whole = [find for find in finds if find.matcher <= HIDDEN]
    return whole + [
        one for one in finds if one.matcher > HIDDEN and not any(w.start < one.end and one.start < w.end for w in whole)
    ]


def _spans(finds: "Sequence[Find]") -> list[tuple[int, int]]:
    """Return the spans of finds in order, those that meet as one.

    >>> from starmill.transforms.clean.overlap.find import Find
    >>> _spans([Find(0, 5, 9, ()), Find(1, 1, 3, ()), Find(1, 8, 12, ())])
    [(1, 3), (5, 12)]
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted((find.start, find.end) for find in finds):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, spans: Sequence[tuple[int, int]]) -> str:
    ends = [0, *(at for span in spans for at in span), len(text)]
    return "".join(text[start:end] for start, end in [*pairwise(ends)][::2])


def _moved(segments: Sequence[dict[str, Any]], spans: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return segments of a text as those of the text without `spans`: a bound inside of one is where that was cut."""
    starts, gone = [start for start, _ in spans], [0, *accumulate(end - start for start, end in spans)]

    def place(at: int) -> int:
        before = bisect_left(starts, at)  # the spans that begin before `at`; the last may end behind
        return at - gone[before] + (max(0, spans[before - 1][1] - at) if before else 0)

    return [{**segment, "start": place(segment["start"]), "end": place(segment["end"])} for segment in segments]
