"""Benchmark files: those that ship, and others, read and refused by name; descriptions; the index in the cache."""

import bz2
import dataclasses
import gzip
import json
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from invented import LINES, TASKS

from starmill.core.errors import InputError, StarmillError, UsageError
from starmill.pipelines import benchmarks
from starmill.pipelines import recipe as recipes
from starmill.pipelines.kinds import Release
from starmill.transforms.clean.overlap.index import opened

PUBLISHED = Path(__file__).resolve().parents[3] / "shared/benchmarks"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    benchmarks._index.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/starmill/benchmarks"


def test_a_bare_name_is_a_benchmark_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # from wherever one runs
    smoke = recipes.load("smoke", [], [], None).release
    assert {row["benchmark"] for row in opened(smoke.decontaminate().index).to_pylist()} == {"smoke"}
    with pytest.raises(FileNotFoundError, match=r"release\.benchmarks: no benchmark 'none' ships; .* one of: smoke"):
        Release(benchmarks=("none",)).decontaminate()


def test_benchmark_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        Release(benchmarks=(str(tmp_path / "none.jsonl"),)).decontaminate()
    (tmp_path / "bad.jsonl").write_text('{"task_id": 1}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1: none of prompt"):
        Release(benchmarks=(str(tmp_path / "bad.jsonl"),)).decontaminate()


def test_every_form_of_a_file_has_the_same_tasks(tmp_path: Path) -> None:
    text = "".join(json.dumps(line) + "\n\n" for line in LINES)
    (tmp_path / "lab.jsonl").write_text(text, encoding="utf-8-sig")
    (tmp_path / "lab.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "lab.json").write_text(json.dumps(LINES, indent=1))
    pq.write_table(pa.Table.from_pylist(LINES), tmp_path / "lab.parquet")
    for name in ("lab.jsonl", "lab.jsonl.gz", "lab.json", "lab.parquet"):
        assert benchmarks.tasks(str(tmp_path / name)) == TASKS, name
    assert benchmarks.tasks(f"humaneval={tmp_path}/lab.jsonl") == TASKS


@pytest.mark.parametrize("ending", ["gz", "xz", "bz2", "zip"])
def test_a_compressed_file_that_is_damaged_is_named(tmp_path: Path, ending: str) -> None:
    whole = "".join(json.dumps(line) + "\n" for line in LINES).encode() * 500
    if ending == "zip":
        with zipfile.ZipFile(tmp_path / "lab.jsonl.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("lab.jsonl", whole)
    else:
        made = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}[ending](whole)
        (tmp_path / f"lab.jsonl.{ending}").write_bytes(made)
    place = tmp_path / f"lab.jsonl.{ending}"
    good = place.read_bytes()
    assert benchmarks.tasks(str(place))[0] == TASKS[0]
    for bad in (good[: len(good) // 2], good[:40] + bytes([good[40] ^ 0xFF]) * 20 + good[60:]):
        place.write_bytes(bad)
        with pytest.raises(StarmillError, match=rf"release\.benchmarks: .*lab\.jsonl\.{ending}"):
            benchmarks.tasks(str(place))


def test_a_file_is_read_by_what_its_first_task_has(tmp_path: Path) -> None:
    bare = [{k: v for k, v in line.items() if k != "entry_point"} for line in LINES]
    (tmp_path / "lab.jsonl").write_text("".join(json.dumps(line) + "\n" for line in bare))
    assert [(t.name, t.solution) for t in benchmarks.tasks(str(tmp_path / "lab.jsonl"))] == [
        (t.name, t.solution) for t in TASKS
    ]
    (tmp_path / "other.jsonl").write_text('{"task_id": 3, "text": "a", "question": "b", "more": 1}\n')
    (task,) = benchmarks.tasks(str(tmp_path / "other.jsonl"))
    assert (task.name, task.docstring) == ("3", "b") or task.docstring == "a\nb"


def test_a_description_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("benchmark: Own\ntask: id\ndocstring: [ask]\nsolution: [answer]\n")
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "ask": "How many kumquats?", "answer": "kumquats()"}\n')
    (task,) = benchmarks.tasks(f"{tmp_path}/mine.yaml={tmp_path}/mine.jsonl")
    assert (task.benchmark, task.name, task.docstring, task.solution) == ("Own", "a", "How many kumquats?", "kumquats()")
    (tmp_path / "wrong.yaml").write_text("solutoin: [answer]\n")
    with pytest.raises(UsageError, match="unknown key 'solutoin'; did you mean 'solution'"):
        benchmarks.tasks(f"{tmp_path}/wrong.yaml={tmp_path}/mine.jsonl")
    with pytest.raises(UsageError, match="'humanevall' describes no benchmark; did you mean 'humaneval'"):
        benchmarks.tasks(f"humanevall={tmp_path}/mine.jsonl")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"prompt": "def f():"}\n{', "line 2: not a benchmark task: Expecting"),
        (b'{"prompt": "def f():"}\n[1]\n', "line 2: list where an object"),
        (b'{"task_id": 3, "canonical_solution": ["a"]}\n', 'line 1: canonical_solution is \\["a"\\] where a text should be'),
        (b'{"prompt": "x"}\n\xff\xfe', "line 2: not UTF-8"),
        (b"", "no task in it"),
        (b"\n\n", "no task in it"),
        (b"PAR1xxxxPAR1", "not readable as Parquet"),
        (b"[" * 100_000, "line 1: not a"),
    ],
)
def test_what_is_no_benchmark_is_named(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(data)
    with pytest.raises(InputError, match=rf"b\.jsonl.*{said}"):
        benchmarks.index([str(tmp_path / "b.jsonl")])


def test_a_json_file_that_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('[{"prompt": "x"},\n oh]')
    with pytest.raises(InputError, match=r"b\.json, line 2: not a list in JSON"):
        benchmarks.tasks(str(tmp_path / "b.json"))


def test_an_index_is_compiled_once(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "lab.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    blob = benchmarks.index([str(file)])
    (kept,) = cache.iterdir()
    assert kept.read_text() == blob and benchmarks.index([]) == ""
    there = benchmarks.index(["smoke"])
    kept.write_text(there)  # the next process takes what is there under the digest
    benchmarks._index.cache_clear()
    assert benchmarks.index([str(file)]) == there
    kept.write_text(blob[:-20])
    benchmarks._index.cache_clear()
    assert benchmarks.index([str(file)]) == blob == kept.read_text(), "a damaged one is made again"
    file.write_text(json.dumps(LINES[0]))
    assert benchmarks.index([str(file)]) != blob and benchmarks.index([f"mbpp-plus={file}"]) != blob


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert opened(benchmarks.index(["smoke"])).num_rows


@pytest.mark.parametrize(
    ("name", "file", "count", "solution", "described"),
    [
        ("humaneval", "humaneval/HumanEval.jsonl.gz", 164, True, True),
        ("humaneval", "humaneval_plus/HumanEvalPlus-Mini.jsonl.gz", 164, True, True),
        ("mbpp", "mbpp/mbpp.jsonl.gz", 500, True, True),
        ("mbpp-sanitized", "mbpp/sanitized-mbpp.json.gz", 427, True, True),
        ("mbpp-plus", "mbpp_plus/MbppPlus-dadf43d.jsonl.gz", 378, True, True),
        ("gsm8k", "gsm8k/gsm8k-test.jsonl.gz", 1319, False, True),
        ("ds-1000", "ds1000/ds1000.jsonl.gz", 1000, True, True),
        ("multipl-e", "multipl_e/humaneval-rkt.jsonl.gz", 161, False, False),
        ("cruxeval", "cruxeval/cruxeval.jsonl.gz", 800, True, True),
    ],
)
def test_published_files_are_what_their_descriptions_say(
    name: str, file: str, count: int, solution: bool, described: bool
) -> None:
    if not (PUBLISHED / file).exists():
        pytest.skip("NOT RUN: no files of published benchmarks")
    found = benchmarks.tasks(f"{name}={PUBLISHED / file}")
    assert len(found) == count and len({task.name for task in found}) == count
    assert all(bool(task.solution) == solution for task in found)
    assert name == "cruxeval" or all(task.prose.strip() for task in found)
    guessed = {task.name: task for task in benchmarks.tasks(str(PUBLISHED / file))}
    assert not described or all(guessed[task.name].solution == task.solution for task in found)


def test_every_description_says_what_is_what() -> None:
    assert {*benchmarks.descriptions()} >= {"humaneval", "mbpp", "apps", "gsm8k", "ds-1000", "multipl-e", "cruxeval"}
    for name, about in benchmarks.descriptions().items():
        assert any(getattr(about, role) for role in ("prompt", "docstring", "solution")), name
        assert dataclasses.replace(about) == about
