"""The index of the shards: units cover every token once and break at files, and all it says is what the side table says."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from starmill.core.shards import ShardReader, ShardWriter, TokenSpan
from starmill.trainer.config import Mixture
from starmill.trainer.data.units import Units, read_units, split

SEP = 6


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[ShardReader]:
    """Two shards of 20 repositories with 1 to 4 files in three languages (one empty), and an issue that has no files."""
    place, made = tmp_path_factory.mktemp("shards"), []
    for s in range(2):
        writer = ShardWriter(0)
        for d in range(20):
            ids, spans = [5, 300, 301] if d % 2 else [], []
            for f in range(1 + d % 4):
                size = 0 if (d, f) == (7, 1) else 5 + (d * 7 + f * 3) % 20
                spans.append(TokenSpan(f"f{f}", f"{s}{d:02}{f}", ("C", "Go", "Lua")[(d + f) % 3], len(ids) + 1, size))
                ids += [SEP, *range(1000 * d + 100 * f, 1000 * d + 100 * f + size)]
            writer.add(np.array(ids, np.uint16), "code", f"repo{s}-{d}", spans[0].language, spans)
        writer.add(np.arange(400, 430, dtype=np.uint16), "issues", f"repo{s}-issues", "", [])
        for suffix, data in writer.finish().items():
            (place / f"s{s}.{suffix}").write_bytes(data)
        made.append(ShardReader(str(place / f"s{s}")))
    return made


@pytest.mark.parametrize("size", [1, 30, 10**6])
def test_units_cover_every_token_once_and_break_at_files(shards: list[ShardReader], size: int) -> None:
    found = read_units(shards, size)
    at = 0
    for s, shard in enumerate(shards):
        for d in range(shard.documents):
            mine = [u for u in map(found.__getitem__, range(len(found))) if (u.shard, u.document) == (s, d)]
            joined = np.concatenate([shard.tokens(d)[u.start : u.end] for u in mine])
            assert joined.tolist() == shard.tokens(d).tolist()
            assert all(shard.tokens(d)[u.start] == SEP for u in mine[1:])
            assert all(u.end - u.start <= size or len(found.spans(u)[0]) <= 1 for u in mine)
            files = shard.table["files"][d].as_py()
            spans = [span for u in mine for span in found.spans(u)[0]]
            assert spans == [(i, f["token_start"], f["token_start"] + f["token_count"]) for i, f in enumerate(files)]
            assert {found.spans(u)[1] for u in mine} == {len(files)}
            row = shard.table.slice(d, 1).to_pylist()[0]
            expected = [f"{row['repo_name']}:{f['path']} swh:1:cnt:{f['content_id']}" for f in files]
            assert [name for i in range(at, at + len(mine)) for name in found.named(i)] == expected
            at += len(mine)
    assert at == len(found) and found.tokens == sum(int(s.lengths.sum()) for s in shards)


def test_each_token_has_the_language_of_its_file(shards: list[ShardReader]) -> None:
    found = read_units(shards, 30)
    for number in range(len(found)):
        unit = found[number]
        files = shards[unit.shard].table["files"][unit.document].as_py()
        got = [found.names[i] for i in found.languages(unit, 0, unit.end - unit.start)]
        expected = [
            next((f["language"] for f in files if t < f["token_start"] + f["token_count"]), None)
            for t in range(unit.start, unit.end)
        ]
        last = files[-1]["language"] if files else unit.language
        assert got == [name or last for name in expected]
        assert found.languages(unit, 3, 4).tolist() == found.languages(unit, 0, 7).tolist()[3:]


def test_a_unit_has_the_language_of_most_of_it_and_sizes_add_up(shards: list[ShardReader]) -> None:
    found = read_units(shards, 10**6)
    for number in range(len(found)):
        unit = found[number]
        sizes: dict[str, int] = {}
        for file in shards[unit.shard].table["files"][unit.document].as_py():
            sizes[file["language"]] = sizes.get(file["language"], 0) + file["token_count"] + 1
        assert (unit.kind, unit.language) == (("code", max(sizes, key=sizes.__getitem__)) if sizes else ("issues", ""))
    assert sum(found.sizes("kind").values()) == sum(found.sizes("language").values()) == found.tokens
    assert found.sizes("kind")["issues"] == 62


def test_factors(shards: list[ShardReader]) -> None:
    found = read_units(shards, 30)

    def factors(**mixture: object) -> dict[tuple[str, str], float]:
        made = found.factors(Mixture(**mixture))  # type: ignore[arg-type]
        by_kind = {(found[i].kind, found[i].language): float(w) for i, w in enumerate(made)}
        assert [by_kind[found[i].kind, found[i].language] for i in range(len(found))] == made.tolist()
        return by_kind

    assert set(factors().values()) == {1.0}
    assert factors(kinds={"issues": 2.0, "code": 0.5}, languages={"Go": 3.0}) == {
        ("code", "C"): 0.5,
        ("code", "Go"): 1.5,
        ("code", "Lua"): 0.5,
        ("issues", ""): 2.0,
    }
    assert factors(languages={"C": 1.0}, other_languages=0.0) == {
        ("code", "C"): 1.0,
        ("code", "Go"): 0.0,
        ("code", "Lua"): 0.0,
        ("issues", ""): 1.0,
    }
    size = found.sizes("language")["Go"]
    assert factors(caps={"Go": size / 4, "Lua": 1e12, "Ada": 5.0})["code", "Go"] == 0.25


def test_weights(tmp_path: Path) -> None:
    writer = ShardWriter(0)
    for d, weight in enumerate((1.0, 2.5, 0.0, 0.5)):
        writer.add(np.arange(9 + d, dtype=np.uint16), "code" if d % 2 else "issue", f"r{d}", "C" if d % 2 else "", [], weight)
    for suffix, content in writer.finish().items():
        (tmp_path / f"s.{suffix}").write_bytes(content)
    found = read_units([ShardReader(str(tmp_path / "s"))], 100)
    assert [found[i].weight for i in range(4)] == [1.0, 2.5, 0.0, 0.5]
    factors = found.factors(Mixture(kinds={"issue": 3.0}, languages={"C": 2.0}))
    assert factors.tolist() == [3.0, 5.0, 0.0, 1.0]
    assert found.epoch_sizes("kind", factors) == {"code": 11 * 5.0 + 13 * 1.0, "issue": 10 * 3.0}
    capped = found.factors(Mixture(caps={"C": 17.0}))
    assert found.epoch_sizes("kind", capped)["code"] == pytest.approx(17.0), "a cap is of an epoch's tokens, with their weights"
    table = pq.read_table(tmp_path / "s.docs.parquet")
    pq.write_table(table.drop_columns("weight"), tmp_path / "s.docs.parquet")
    assert read_units([ShardReader(str(tmp_path / "s"))], 100)[1].weight == 1.0, "shards that were made before weights"


def kept(found: Units) -> set[tuple[int, int]]:
    return {(found[i].shard, found[i].document) for i in range(len(found))}


def test_held_out_repositories_are_wholly_apart(shards: list[ShardReader]) -> None:
    everything = read_units(shards, 16)
    trained, held = split(everything, 0.3, seed=0)
    assert len(trained) + len(held) == len(everything) and len(held)
    assert not kept(trained) & kept(held)
    assert kept(split(read_units(shards, 1000), 0.3, seed=0)[1]) == kept(held), "whatever the size of units"
    assert len(split(everything, 0.0, seed=0)[1]) == 0


def test_no_shards() -> None:
    found = read_units([], 100)
    assert len(found) == 0 and found.tokens == 0
    assert [len(part) for part in split(found, 0.5, 0)] == [0, 0]
