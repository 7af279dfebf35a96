"""A workspace's tokenizer: trained once for a dataset and its options, on a sample that no part border changes; or copied in."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.dataset import Count, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError
from starmill.core.tokenizer import Tokenizer, train
from starmill.pipelines.stages import vocabulary
from starmill.pipelines.stages.vocabulary import PATH, TokenizerOptions, check, prepare, sample

TEXTS = [f"def function_{i}(argument):\n    return argument * {i}\n" for i in range(200)]


def workspace(place: Path, per_part: int) -> Workspace:
    made = Workspace(str(place))
    starts = range(0, len(TEXTS), per_part)
    for part, start in enumerate(starts):
        parquet = ParquetPart(schema.DATASET)
        texts = TEXTS[start : start + per_part]
        rows = [{"repo_name": "r", "path": f"/{start + i}", "content": t} for i, t in enumerate(texts)]
        parquet.write(pa.RecordBatch.from_pylist(rows, schema=schema.DATASET))
        data = parquet.close()
        counts = (Count("", "", "", len(texts), sum(map(len, texts))),)
        made.commit(Sidecar("release", "dataset", part, "k", (output(part_path("dataset", part), data),), counts), [data])
    made.finish("dataset", "k", len(starts), "v")
    return made


def test_parts_do_not_change_the_sample(tmp_path: Path) -> None:
    options = TokenizerOptions(vocab_size=400, sample_bytes=3000)
    total = sum(map(len, TEXTS))
    few = list(sample(workspace(tmp_path / "a", 50), range(4), options, total))
    assert few == list(sample(workspace(tmp_path / "b", 7), range(29), options, total))
    assert 1500 < sum(map(len, few)) < 6000
    assert (
        prepare(Workspace(str(tmp_path / "a")), options, {}).sha256
        == prepare(Workspace(str(tmp_path / "b")), options, {}).sha256
    )


def test_of_many_parts_some_are_read_and_more_files_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "PARTS", 8)
    made = workspace(tmp_path, 5)
    read, whole = [], Workspace.blocks

    def counted(self: Workspace, relative: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        read.append(relative)
        return whole(self, relative, columns)

    monkeypatch.setattr(Workspace, "blocks", counted)
    texts: list[str] = []
    monkeypatch.setattr(vocabulary, "train", lambda given, size, more: texts.extend(given) or train(texts, size, more))
    prepare(made, TokenizerOptions(vocab_size=400, sample_bytes=1500), {})
    assert len(read) == 8 and [*vocabulary.parts_of_sample(40, 0)] == [int(path[-13:-8]) for path in read]
    assert 500 < sum(map(len, texts)) < 3000, "about the bytes that are asked for"
    assert vocabulary.parts_of_sample(40, 1) != vocabulary.parts_of_sample(40, 0) and vocabulary.parts_of_sample(8, 0) == range(
        8
    )


def test_trained_once(tmp_path: Path) -> None:
    made = workspace(tmp_path, 100)
    options = TokenizerOptions(vocab_size=400, sample_bytes=10**9)
    first = prepare(made, options, {})
    stamp = (tmp_path / PATH).stat().st_mtime_ns
    assert prepare(made, options, {}).sha256 == first.sha256 and (tmp_path / PATH).stat().st_mtime_ns == stamp
    (tmp_path / PATH).write_bytes(train(["other"], 300))
    assert prepare(made, options, {}).sha256 == first.sha256, "a changed file is made again"
    (tmp_path / PATH).write_bytes(b"{}")
    assert prepare(made, options, {}).sha256 == first.sha256, "and so is one that is no tokenizer"
    assert prepare(made, TokenizerOptions(vocab_size=420, sample_bytes=10**9), {}).vocab_size <= 420


def test_an_existing_one_is_copied_in(tmp_path: Path) -> None:
    made = workspace(tmp_path / "w", 100)
    data = train(TEXTS, 350)
    (tmp_path / "mine.json").write_bytes(data)
    assert prepare(made, TokenizerOptions(path=str(tmp_path / "mine.json")), {}).sha256 == Tokenizer.load(data).sha256
    assert (tmp_path / "w" / PATH).read_bytes() == data
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        prepare(made, TokenizerOptions(path=str(tmp_path / "none.json")), {})
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.path: .*other\.json: not a tokenizer\.json"):
        prepare(made, TokenizerOptions(path=str(tmp_path / "other.json")), {})
    lower = json.loads(data) | {"normalizer": {"type": "Lowercase"}}
    (tmp_path / "lower.json").write_text(json.dumps(lower))
    with pytest.raises(InputError, match=r"tokenizer\.path: .*lower\.json: normalizer: "):
        prepare(made, TokenizerOptions(path=str(tmp_path / "lower.json")), {})
    with pytest.raises(FileNotFoundError, match="run `starmill release` first"):
        prepare(Workspace(str(tmp_path / "empty")), TokenizerOptions(), {})


def test_sentinels_are_of_the_kinds_that_the_dataset_has(tmp_path: Path) -> None:
    made, options = workspace(tmp_path / "w", 100), TokenizerOptions(vocab_size=400)
    other = {"commit": ("<commit_msg>",), "note": ("<note>", "<commit_msg>")}
    assert prepare(made, options, other).specials == 38, "none of these kinds is here"
    held = replace(made.sidecar("dataset", 0), kinds=("code", "note"))  # type: ignore[type-var]
    made.commit(held, [made.read(part_path("dataset", 0))])
    made.finish("dataset", "k", 2, "v")
    found = prepare(made, options, other)
    assert [found.special("<note>"), found.special("<commit_msg>"), found.specials] == [38, 39, 40]
    plain = TokenizerOptions(path=str(tmp_path / "plain.json"))
    (tmp_path / "plain.json").write_bytes(train(TEXTS, 300))
    with pytest.raises(InputError, match=r"plain\.json: it has no special token <note>, which records of kind note need"):
        prepare(made, plain, other)
    with pytest.raises(InputError, match=r"plain\.json: it has no special token"):
        check(plain, other)
    with pytest.raises(InputError, match="vocab_size: 295: must be at least 296, with <commit_msg>, <note>"):
        check(replace(options, vocab_size=295), other)
