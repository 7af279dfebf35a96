"""The contract of a step, held by every step of measure/, decide/ and clean/, and by a toy one in a chain.

The steps are found: any class in these folders that is called with a block, or watches a part. A new one is tested without a word here,
unless its options have no defaults.
"""

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from tedious_texts import tedious

from starmill.core import schema
from starmill.core.errors import MachineError
from starmill.transforms import clean, decide, measure
from starmill.transforms.chain import check_chain
from starmill.transforms.clean.decontaminate import Decontaminate
from starmill.transforms.clean.overlap.index import compiled
from starmill.transforms.clean.overlap.tasks import Task
from starmill.transforms.clean.typecheck import TypeCheck
from starmill.transforms.decide.optout import OptOut, Origin, wishes
from starmill.transforms.measure.licenses import SpreadLicenses
from starmill.transforms.measure.score import Scored, Scorer, file_of, scored
from starmill.transforms.measure.text import Text
from starmill.transforms.step import Split, chain, judge_rows

PHRASE = "the answer that a benchmark asks for, in its own words"
# Options for steps that have none to start with, or that do nothing without.
EXAMPLES = {
    OptOut: OptOut(wishes(["s", "r/lib:/f0.txt"], "list"), (Origin("2026-11-20", "0" * 64, 2),)),
    Decontaminate: Decontaminate(compiled([Task("bench", "1", docstring=PHRASE)])),
    Scored: scored(file_of(Scorer(np.arange(1 << 10, dtype=np.int32), "label", 2, 2.0**-10, 0.0))),
    SpreadLicenses: SpreadLicenses({("r", ""): frozenset({"mit"}), ("s", "/lib"): frozenset({"gpl-3.0"})}),
}
TEXTS = (
    "x = 1\n",
    "",
    f"# {PHRASE}\n",
    "mail = 'jane.doe" + "@real-site.org'\n",
    "<html><body><p>visible</p></body></html>\n",
    "y" * 3000 + "\n",
)


def classes() -> Iterator[type]:
    for folder in (measure, decide, clean):
        for found in pkgutil.walk_packages(folder.__path__, f"{folder.__name__}."):
            for _, value in inspect.getmembers(importlib.import_module(found.name), inspect.isclass):
                own = value.__module__ == found.name and not getattr(value, "_is_protocol", False)
                if own and ({"__call__", "judge", "watch"} & {*vars(value)}):
                    yield value


STEPS = sorted(classes(), key=lambda c: c.__qualname__)
every_step = pytest.mark.parametrize("kind", STEPS, ids=lambda c: c.__name__)


class Forgets:
    """A cache that holds nothing."""

    def get(self, key: str) -> None:
        """Know nothing."""

    def put(self, key: str, found: list[str]) -> None:
        """Forget it."""


def rows() -> pa.RecordBatch:
    """Six files with every column that curate knows; what is measured is made up, and has nulls."""
    languages = ["Python", None, "Text", "YAML", "HTML", "JSON"]
    made: list[dict[str, Any]] = [
        {
            **dict.fromkeys((*schema.RECORDS.names, *schema.ANNOTATIONS.names)),
            "kind": "code",
            "repo_name": "rs"[k % 2],
            "path": f"/lib/f{k}.txt",
            "blob_id": f"{k:040x}",
            "content_id": f"{k:040x}",
            "content": text,
            "length_bytes": len(text.encode()),
            "language": languages[k],
            "license_type": ["permissive", "no_license", "non_permissive"][k % 3],
            "is_vendor": False,
            "is_generated": k == 1,
            **{flag: [False, True, None][k % 3] for flag in ("is_documentation", "is_configuration", "is_test", "is_binary")},
            "generated_phrases": [],
            "num_lines": [1, 200_001][k % 2],
            "max_line_length": 1500 * k,
            "avg_line_length": 40.0 * k,
            "alpha_fraction": 0.2 * k,
            "alphanum_fraction": 0.1 * k,
            "num_chars": len(text),
            "encoded_longest": 600 * k,
            "encoded_total": 700 * k,
            "syntax_error_fraction": [0.0, None, 0.5][k % 3],
            "comment_fraction": [0.0, None, 0.5][k % 3],
            "quality_score": [0.2, 0.9, None][k % 3],
        }
        for k, text in enumerate(TEXTS)
    ]
    return pa.RecordBatch.from_pylist(made, schema=schema.CURATED)


def made(kind: type, block: pa.RecordBatch) -> Any:
    """A step of this class, ready to be called with a block."""
    step = EXAMPLES.get(kind) or kind()
    if isinstance(step, TypeCheck):
        try:
            step.material()
        except MachineError as absent:
            pytest.skip(f"NOT RUN: {absent}")
    if callable(step):
        return step
    watch = step.watch(Forgets())
    watch.see(block.select(list(step.reads)))
    return watch.step()


def test_steps_are_found() -> None:
    assert {Text, Decontaminate, SpreadLicenses} <= {*STEPS} and len(STEPS) > 12


@every_step
def test_a_step_is_a_frozen_value_that_travels(kind: type) -> None:
    assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    step = EXAMPLES.get(kind) or kind()
    made(kind, rows())(rows())  # what a step builds on first use stays behind
    again = pickle.loads(pickle.dumps(step))
    assert again == step and re.fullmatch(r"[a-z][a-z0-9_]*", step.name)


def test_two_steps_never_share_a_name() -> None:
    # Counters and tables know a step by its name. A step that watches a part, and the step that it gives, are one.
    names = [EXAMPLES.get(kind) or kind() for kind in STEPS if kind is not SpreadLicenses]
    assert len({step.name for step in names}) == len(names)


@every_step
def test_columns_that_a_step_declares_exist(kind: type) -> None:
    assert isinstance(kind.reads, tuple) and {*kind.reads} <= {*schema.CURATED.names}
    adds = getattr(kind, "adds", pa.schema([]))
    assert [adds.field(n) for n in adds.names] == [schema.DATASET.field(n) for n in adds.names]


@every_step
def test_a_step_reads_and_adds_what_it_declares(kind: type) -> None:
    block = rows()
    reads = list(kind.reads)  # type: ignore[attr-defined]
    step, adds = made(kind, block), getattr(kind, "adds", None)
    few, whole = step(block.select(reads)), step(block)
    if isinstance(whole, Split):
        assert isinstance(few, Split) and few.reasons == whole.reasons
        said = adds or pa.schema([])  # by which columns the step says what it decided by
        names = [*block.schema.names, *(name for name in said.names if name not in block.schema.names)]
        for part in (whole.kept, whole.dropped):
            assert part.schema.names == names and all(part.schema.field(f.name).type == f.type for f in said)
            same = [name for name in block.schema.names if name not in said.names]
            assert part.select(same).schema == block.select(same).schema, "a decision changes no column"
        kept, dropped = (part.column("path").to_pylist() for part in (whole.kept, whole.dropped))
        assert sorted(kept + dropped) == block.column("path").to_pylist() and len(whole.reasons) == len(dropped)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", r) for r in whole.reasons)
    else:
        assert {*few.schema.names} == {*reads, *adds.names}
        assert {*whole.schema.names} == {*block.schema.names, *adds.names}
        for name in adds.names:
            assert few.column(name).equals(whole.column(name)) and whole.schema.field(name).type == adds.field(name).type
        same = [n for n in block.schema.names if n not in adds.names]
        assert whole.select(same).equals(block.select(same)), "an annotation changes nothing else"


@every_step
def test_a_block_without_rows_passes_and_has_the_columns(kind: type) -> None:
    block = rows()
    step = made(kind, block)
    empty, full = step(block.slice(0, 0)), step(block)
    if isinstance(full, Split):
        assert (empty.kept.num_rows, empty.dropped.num_rows, empty.reasons) == (0, 0, ())
        empty, full = empty.kept, full.kept
    assert empty.num_rows == 0 and {*empty.schema} == {*full.schema}


@every_step
def test_a_row_s_answer_depends_on_no_other_row(kind: type) -> None:
    # A block that makes a step raise is gone through row by row: the answers must be the same.
    block = rows()
    step = made(kind, block)
    whole, _ = chain(block, [step], "curate")
    alone = [chain(block.slice(k, 1), [step], "curate")[0] for k in range(block.num_rows)]
    assert pa.Table.from_batches(alone).to_pylist() == whole.to_pylist()


# Linguist's rules for what these endings may mean look into the text.
ENDINGS = ("h", "m", "pl", "inc", "sql", "ts", "v", "cls")


@every_step
def test_time_is_linear_in_the_bytes_of_a_text(kind: type) -> None:
    if "content" not in kind.reads:  # type: ignore[attr-defined]
        return
    step, page = made(kind, rows()), rows().slice(4, 1).to_pylist()[0]

    def run(text: str) -> None:
        row = page | {
            "content": text,
            "length_bytes": len(text.encode()),
            "path": f"/lib/f.{ENDINGS[ord(text[0]) % len(ENDINGS)]}",
        }
        step(pa.RecordBatch.from_pylist([row], schema=schema.CURATED))

    assert tedious(run) == []


@dataclass(frozen=True)
class Short:
    """A new filter: all that one writes, beside its test."""

    reads: ClassVar[tuple[str, ...]] = ("num_chars",)

    at_least: int = 10
    name: str = "short"

    def judge(self, chars: int) -> str | None:
        """Decide by the length."""
        return "too_short" if chars < self.at_least else None

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Decide by the length of each row."""
        return judge_rows(block, self.reads, self.judge)


def test_a_new_filter_is_its_class_and_nothing_more() -> None:
    for holds in (
        test_a_step_is_a_frozen_value_that_travels,
        test_columns_that_a_step_declares_exist,
        test_a_step_reads_and_adds_what_it_declares,
        test_a_block_without_rows_passes_and_has_the_columns,
        test_a_row_s_answer_depends_on_no_other_row,
    ):
        holds(Short)
    steps, files = (Text(), Short()), rows().select(schema.RECORDS.names)
    check_chain(steps, files.schema.names)
    kept, dropped = chain(files, steps, "curate")
    assert kept.column("content").to_pylist() == [text for text in TEXTS if len(text) >= 10]
    lost = pa.Table.from_batches(dropped)
    assert lost.schema == schema.DROPPED and lost.column("path").to_pylist() == ["/lib/f0.txt", "/lib/f1.txt"]
    assert {(r["stage"], r["step"], r["reason"]) for r in lost.to_pylist()} == {("curate", "short", "too_short")}
