"""Benchmark files: those that ship, and others, read and refused by name."""

from pathlib import Path

import pytest

from starmill.pipelines import recipe as recipes
from starmill.pipelines.kinds import Release


def test_a_bare_name_is_a_benchmark_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # from wherever one runs
    smoke = recipes.load("smoke", [], [], None).release
    assert {n.origin.split()[0] for n in smoke.decontaminate().needles} == {"smoke.jsonl"}
    with pytest.raises(FileNotFoundError, match=r"release\.benchmarks: no benchmark 'none' ships; .* one of: smoke"):
        Release(benchmarks=("none",)).decontaminate()


def test_benchmark_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        Release(benchmarks=(str(tmp_path / "none.jsonl"),)).decontaminate()
    (tmp_path / "bad.jsonl").write_text('{"task_id": 1}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1"):
        Release(benchmarks=(str(tmp_path / "bad.jsonl"),)).decontaminate()
