"""Small sets read from tables and text files: every row is a text or a named row; real samples against what their cards define."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import sample

from starmill.core.errors import UsageError
from starmill.core.recipe import RecipeError
from starmill.pipelines import recipe as recipes
from starmill.pipelines.sources.sets import reader as sets
from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Entry, Limits

LIMITS = Limits(max_file_bytes=50_000)


def read(source: Sets, limits: Limits = LIMITS) -> list[Entry]:
    return [entry for unit in source.plan() for entry in source.read(unit, limits)[1]]


def texts(entries: list[Entry]) -> list[tuple[str, str]]:
    return [(e.path.decode(), e.data.decode()) for e in entries if e.data is not None]


def lost(entries: list[Entry]) -> list[tuple[str, str | None]]:
    return [(e.path.decode(), e.reason) for e in entries if e.data is None]


def json_lines(file: Path, rows: list[Any]) -> None:
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))


def parquet(file: Path, rows: list[Any]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)


def arrow(file: Path, rows: list[Any]) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as made:
        made.write_table(table)


FORMS: dict[str, Callable[[Path, list[Any]], None]] = {"jsonl": json_lines, "parquet": parquet, "arrow": arrow}
CONTEST = {"name": "1_A", "description": "Add.", "solutions": {"language": [3, 2], "solution": ["print(3)", "int main(){}"]}}
PROBLEM = {"problem_id": 1, "question": "Add.", "solutions": '["print(3)"]', "input_output": "", "starter_code": "", "url": "u"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("dataset", "row", "wanted"),
    [
        ("apps", PROBLEM, "\nQUESTION:\nAdd.\nUse Standard Input format\nANSWER:\nprint(3)"),
        ("code-contests", CONTEST, "Add.\nSolution (Python 3):print(3)\nSolution (CPP):int main(){}"),
        ("gsm8k", {"question": "6 * 7 é?", "answer": "42"}, "6 * 7 é?\n42"),
        ("proofsteps", {"text": "a = a", "meta": {"url": None, "n": 1}}, "a = a"),
        ("open-web-math", {"url": "https://a.b", "text": "$x$", "date": "d", "metadata": '{"extraction_info": {}}'}, "$x$"),
    ],
    ids=["apps", "code-contests", "gsm8k", "proofsteps", "open-web-math"],
)
def test_each_form_of_a_table(tmp_path: Path, form: str, dataset: str, row: dict[str, Any], wanted: str) -> None:
    (tmp_path / "main").mkdir()
    FORMS[form](tmp_path / f"main/train.{form}", [row] * 5)
    (tmp_path / "README.md").write_text("a card\n")
    (tmp_path / "main/info.json").write_text("{}")
    source = Sets(dataset=dataset, place=str(tmp_path))
    [unit] = source.plan()
    found = read(source)
    assert unit.name == f"{sets.SETS[dataset].hub}/main/train"
    assert texts(found) == [(f"main/train/{n}", wanted) for n in range(1, 6)] and source.count(unit, LIMITS).files == 5
    assert {(e.repo_name, e.kind) for e in found} == {(sets.SETS[dataset].hub.encode(), *source.gives)}
    assert {(r.place["file"], r.left_out) for r in source.inventory()} == {
        (f"main/train.{form}", ""),
        ("README.md", "not_of_the_set"),
        ("main/info.json", "not_of_the_set"),
    }


def test_gsm8k_as_it_is() -> None:
    """The card: a question, and an answer with its calculation between << and >> and the result behind ####."""
    place = sample("small-sets/gsm8k-train-50.jsonl")
    found = read(Sets(dataset="gsm8k", place=str(place)))
    rows = [json.loads(line) for line in place.read_text().splitlines()]
    assert texts(found) == [(f"gsm8k-train-50/{n}", r["question"] + "\n" + r["answer"]) for n, r in enumerate(rows, start=1)]
    assert len(found) == 50 and all("\n#### " in (e.data or b"").decode() for e in found)


def test_mathematics_as_it_is(tmp_path: Path) -> None:
    """What BigCode read: the file split at its line breaks, an odd number of pieces, two by two."""
    place = sample("small-sets/deepmind-math-train-sample.txt")
    pieces = place.read_text().split("\n")
    assert len(pieces) % 2
    wanted = ["\n".join(pieces[2 * i : 2 * i + 2]) for i in range(len(pieces) // 2)]
    for line_end, end in (("\n", "\n"), ("\n", ""), ("\r\n", "\r\n")):
        (tmp_path / "train-easy").mkdir(exist_ok=True)
        written = line_end.join(pieces[:-1]) + end
        (tmp_path / "train-easy/algebra__linear_1d.txt").write_bytes(written.encode())
        found = read(Sets(dataset="mathematics", place=str(tmp_path)))
        assert texts(found) == [(f"train-easy/algebra__linear_1d/{n}", text) for n, text in enumerate(wanted, start=1)]
    assert len(wanted) == 48


def test_lines_that_are_no_pairs(tmp_path: Path) -> None:
    source = Sets(dataset="mathematics", place=str(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"q1\na1\n\nq2\n" + b"q" * 60_000 + b"\na3\n\xff\na4\nq5\n5\n")
    found = read(source)
    assert texts(found) == [("a/1", "q1\na1"), ("a/5", "q5\n5")]
    assert lost(found) == [("a/2", "empty_line"), ("a/3", "too_large"), ("a/4", "wrong_type")]
    (tmp_path / "a.txt").write_bytes(b"q1\na1\nq2\nanother line\na2\n")
    assert lost(read(source)) == [("", "odd_lines")], "after a line too many, answers would be questions"
    [unit] = source.plan()
    (tmp_path / "a.txt").unlink()
    assert [(e.path, e.reason) for e in source.read(unit, LIMITS)[1]] == [(b"", "missing_file")]


def test_rows_of_one_task_are_one_text_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"task_name": f"task {t}", "task_description": "d", "language_name": language, "code": f"{language}{t}"}
        for language in ("C", "R")
        for t in range(3)
    ]
    json_lines(tmp_path / "train.jsonl", [*rows[:4], rows[0] | {"code": None}, *rows[4:]])
    source = Sets(dataset="rosetta-code", place=str(tmp_path))
    found = read(source)
    whole = [(f"train/{t + 1}", f"task {t}\nd\n\nLanguage: C\nC{t}\n\nLanguage: R\nR{t}") for t in range(3)]
    assert texts(found) == whole and lost(found) == [("train/5", "no_content")]
    monkeypatch.setattr(sets, "HELD", 60)
    cut = texts(read(source))
    assert [path for path, _ in cut] == ["train/1", "train/2", "train/3", "train/4", "train/6", "train/7"], "nothing is lost"
    assert "".join(text for _, text in cut).count("Language: ") == 6


HOSTILE = {
    "surrogate": (r'{"question": "\ud800", "answer": "a"}' + "\n", "malformed_row"),
    "NaN": ('{"question": NaN, "answer": "a"}\n', "malformed_row"),
    "deep": ('{"question": ' + "[" * 20_000 + "\n", "malformed_row"),
    "list": ('["question", "answer"]\n', "malformed_row"),
    "twice": ('{"question": "q", "question": "p", "answer": "a"}\n', "malformed_row"),
    "missing": ('{"question": "q"}\n', "missing_column"),
    "null": ('{"question": "q", "answer": null}\n', "no_content"),
    "number": ('{"question": "q", "answer": 7}\n', "wrong_type"),
    "large": ('{"question": "q", "answer": "' + "a" * 50_000 + '"}\n', "too_large"),
    "larger": ('{"question": "q", "answer": "' + "a" * 2_000_000 + '"}\n', "too_large"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_row_is_named_and_takes_no_other_with_it(tmp_path: Path, case: str) -> None:
    line, reason = HOSTILE[case]
    good = {"question": "6 * 7?", "answer": "42"}
    json_lines(tmp_path / "a.jsonl", [good, line, good])
    found = read(Sets(dataset="gsm8k", place=str(tmp_path)))
    assert lost(found) == [("a/2", reason)] and texts(found) == [("a/1", "6 * 7?\n42"), ("a/3", "6 * 7?\n42")]
    assert all(e.repo_name == b"openai/gsm8k" for e in found)


def test_one_table_of_another_set_is_one_row(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [{"question": "q", "content": "c"}] * 3)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 is all it has")
    parquet(tmp_path / "c.parquet", [{"question": "6 * 7?", "answer": "42"}])
    found = read(Sets(dataset="gsm8k", place=str(tmp_path)))
    assert lost(found) == [("", "missing_column"), ("", "unreadable_table")] and texts(found) == [("c/1", "6 * 7?\n42")]
    assert "no column 'answer'; it has question, content" in (found[0].detail or "")


def test_a_set_of_which_no_file_has_a_column_is_refused_by_the_plan(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [{"question": "q", "answr": "c"}])
    json_lines(tmp_path / "b.jsonl", [{"question": "q"}])
    said = r"dataset gsm8k: no file has a column 'answer'; did you mean 'answr'\?; they have answr, question"
    with pytest.raises(UsageError, match=said):
        Sets(dataset="gsm8k", place=str(tmp_path)).plan()
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines/a.txt").write_text("1 + 1?\n2\n")
    assert [r.name for r in Sets(dataset="mathematics", place=str(tmp_path / "lines")).plan()], "lines have no columns"


def test_files_are_matched_and_names_stay_apart(tmp_path: Path) -> None:
    for name in ("train.jsonl", "train.parquet", "test.jsonl"):
        FORMS[name.rpartition(".")[2]](tmp_path / name, [{"question": "q", "answer": "a"}])
    source = Sets(dataset="gsm8k", place=str(tmp_path), match=("train*",), repo_name="me/sums")
    assert [(r.name, r.left_out) for r in source.inventory()] == [
        ("me/sums/test.jsonl", "not_matched"),
        ("me/sums/train", ""),
        ("me/sums/train~2", ""),
    ]
    assert [(e.repo_name, e.path) for e in read(source)] == [(b"me/sums", b"train/1"), (b"me/sums", b"train~2/1")]


def test_a_set_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"dataset: 'gsm8' is not one of .*; did you mean 'gsm8k'\?"):
        recipes.build({"workspace": "w", "sources": {"a": {"kind": "set", "dataset": "gsm8", "place": "p"}}})
