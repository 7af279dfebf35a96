"""Steps over a block: decisions carry reasons, a row that breaks a step is dropped alone, nothing is lost."""

import ctypes
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from starmill.core import schema
from starmill.core.errors import Interrupted, MachineError
from starmill.transforms.step import HANDFUL, Split, apply, chain, drop_rows, judge_rows


def block(*contents: str) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "repo_name": ["r"] * len(contents),
            "path": [f"/{i}" for i in range(len(contents))],
            "content": pa.array(contents, pa.string()),
            "length_bytes": pa.array([len(c) for c in contents], pa.int64()),
        }
    )


@dataclass(frozen=True)
class Upper:
    name: str = "upper"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        if "boom" in block.column("content").to_pylist():
            raise RuntimeError("a boom in the block")
        return pa.RecordBatch.from_arrays(
            [*block.columns, pc.utf8_upper(block.column("content"))], [*block.schema.names, "upper"]
        )


@dataclass(frozen=True)
class Short:
    limit: int = 3
    name: str = "short"

    def __call__(self, block: pa.RecordBatch) -> Split:
        return judge_rows(block, ["content"], lambda text: "too_short" if len(text) < self.limit else None)


def test_kept_and_dropped_sum_to_the_input() -> None:
    kept, dropped = chain(block("abc", "boom", "x", "defg"), [Upper(), Short()], "curate")
    assert kept.column("upper").to_pylist() == ["ABC", "DEFG"]
    losses = [row for b in dropped for row in b.to_pylist()]
    assert [(r["path"], r["stage"], r["step"], r["reason"]) for r in losses] == [
        ("/1", "curate", "upper", "error:upper:RuntimeError"),
        ("/2", "curate", "short", "too_short"),
    ]
    assert losses[0]["detail"] == "a boom in the block"
    assert all(b.schema == schema.DROPPED for b in dropped)


def test_every_row_lost_still_gives_the_columns() -> None:
    kept, dropped = apply(block("boom", "boom"), Upper(), "curate")
    assert kept.num_rows == 0 and "upper" in kept.schema.names
    assert sum(b.num_rows for b in dropped) == 2


@pytest.mark.parametrize("contents", [(), ("a",), ("abc",)])
def test_small_blocks(contents: tuple[str, ...]) -> None:
    kept, dropped = chain(block(*contents), [Upper(), Short()], "curate")
    assert kept.num_rows + sum(b.num_rows for b in dropped) == len(contents)


def test_a_duplicate_names_its_kept_file() -> None:
    dropped = drop_rows(block("a"), "dedup", "near", ["near_duplicate"], kept_path=pa.array(["/b"]), jaccard=pa.array([0.8]))
    assert (dropped.to_pylist()[0]["kept_path"], dropped.to_pylist()[0]["jaccard"]) == ("/b", 0.8)


@dataclass(frozen=True)
class Calls:
    """Calls something real on each text that says so."""

    call: Callable[[str], object]
    when: str = "boom"
    name: str = "calls"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        for text in block.column("content").to_pylist():
            if self.when in text:
                self.call(text)
        return block


def allocate_too_much(_: str) -> object:
    return bytearray(1 << 62)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda _: Path("/proc/self/mem").read_bytes(), "OSError: .*Input/output error"),
        (lambda _: Path("/dev/full").write_bytes(b"x"), "OSError: .*No space left on device"),
        (lambda _: subprocess.run(["/nonexistent/child"]), "FileNotFoundError: .*/nonexistent/child"),
        (lambda _: ctypes.CDLL("libnonexistent.so"), "OSError: libnonexistent.so"),
        (lambda _: __import__("nonexistent_library"), "ModuleNotFoundError: .*nonexistent_library"),
        (allocate_too_much, "MemoryError"),
    ],
)
def test_trouble_of_the_machine_is_no_rows(call: Callable[[str], object], said: str) -> None:
    with pytest.raises(MachineError, match=f"^curate: step calls: {said}") as told:
        chain(block("fine", "boom", "x"), [Calls(call)], "curate")
    assert told.value.__cause__ is not None and "\n" not in str(told.value)


def test_an_interruption_is_no_rows() -> None:
    def stop(_: str) -> object:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted, match="stopped"):
        apply(block("boom", "x"), Calls(stop), "curate")


def missing_symbol(_: str) -> object:
    return ctypes.CDLL(None).a_function_that_no_library_has


def test_a_step_that_fails_on_every_row_is_broken() -> None:
    texts = [f"boom {i}" for i in range(HANDFUL + 1)]
    with pytest.raises(
        MachineError, match=r"step calls fails on each of 9 rows.*AttributeError: .*a_function_that.*, on r/0\."
    ):
        apply(block(*texts), Calls(missing_symbol), "curate")
    # A handful may all be bad; one good row, or another type of error, shows that the step works.
    _, dropped = apply(block(*texts[1:]), Calls(missing_symbol), "curate")
    assert sum(b.num_rows for b in dropped) == HANDFUL
    kept, dropped = apply(block(*texts, "fine"), Calls(missing_symbol), "curate")
    assert kept.column("content").to_pylist() == ["fine"] and [b.num_rows for b in dropped] == [HANDFUL + 1]
    _, dropped = apply(block(*texts, "boom 3x"), Calls(lambda t: int(t[5:]) // 0), "curate")
    assert {*dropped[0].column("reason").to_pylist()} == {"error:calls:ZeroDivisionError", "error:calls:ValueError"}


def test_a_step_that_fails_without_a_row_is_broken() -> None:
    def unready(block: pa.RecordBatch) -> pa.RecordBatch:
        raise RuntimeError("not made ready")

    unready.name = "unready"  # type: ignore[attr-defined]
    with pytest.raises(MachineError, match="step unready fails even without a row: RuntimeError: not made ready"):
        apply(block("x"), unready, "curate")  # type: ignore[arg-type]


def test_what_an_error_says_may_be_no_unicode() -> None:
    def unsayable(_: str) -> object:
        raise ValueError("a name with \udcff")

    [lost] = apply(block("boom", "fine"), Calls(unsayable), "curate")[1]
    assert lost.column("detail").to_pylist() == [r"a name with \udcff"]


def test_dropped_rows_have_an_identity_and_declared_columns() -> None:
    with pytest.raises(schema.SchemaError, match="missing: path, length_bytes"):
        drop_rows(block("a").select(["repo_name", "content"]), "dedup", "near", ["near_duplicate"])
    with pytest.raises(schema.SchemaError, match="not declared: kept_pth"):
        drop_rows(block("a"), "dedup", "near", ["near_duplicate"], kept_pth=pa.array(["/b"]))

    def judge(block: pa.RecordBatch) -> Split:
        return judge_rows(block.select(["content"]), ["content"], lambda _: "bad")

    judge.name = "nameless"  # type: ignore[attr-defined]
    with pytest.raises(schema.SchemaError, match="missing: repo_name, path, length_bytes"):
        apply(block("x"), judge, "curate")  # type: ignore[arg-type]
