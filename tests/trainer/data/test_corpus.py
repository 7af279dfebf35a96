"""Batches: every token once an epoch, in an order that only the seed decides, continued exactly from any position."""

import itertools
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from starmill.core.shards import ShardReader, ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, train
from starmill.trainer.config import Data, Fim, FimRates, Mixture
from starmill.trainer.data.corpus import Batch, Corpus, Position, prefetched
from starmill.trainer.data.units import read_units
from starmill.trainer.reading import Phase

TOKENIZER = Tokenizer.load(train([f"value_{i} = {i}\n" * 3 for i in range(50)], 400))
SEP = TOKENIZER.special("<file_sep>")
ON, OFF, NATURAL = Fim(), Fim(rate=0.0), Mixture()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[ShardReader]:
    """Two shards, 40 repositories of 1 to 4 files."""
    place, made = tmp_path_factory.mktemp("shards"), []
    for s in range(2):
        writer = ShardWriter(TOKENIZER.eod)
        for d in range(20):
            pieces, spans, at = [], [], 0
            for f in range(1 + d % 4):
                code = TOKENIZER.encode(f"value_{s}_{d}_{f} = {d}\n" * (1 + (d * 7 + f) % 9))
                pieces += [np.array([SEP], np.uint16), code]
                spans.append(TokenSpan(f"f{f}.py", f"{s}{d}{f}", "C" if d > 15 else "Python", at + 1, len(code)))
                at += 1 + len(code)
            writer.add(np.concatenate(pieces), "code", f"repo{s}-{d}", "Python", spans)
        for suffix, data in writer.finish().items():
            (place / f"s{s}.{suffix}").write_bytes(data)
        made.append(ShardReader(str(place / f"s{s}")))
    return made


def corpus(shards: list[ShardReader], fim: Fim = ON, mixture: Mixture = NATURAL, **options: int) -> Corpus:
    sizes = {"sequence_length": 32, "batch": 4, "micro_batch": 4, "unit_tokens": 64, **options}
    return Corpus(read_units(shards, sizes["unit_tokens"]), TOKENIZER, Data(**sizes, fim=fim, mixture=mixture), seed=1)


def order(made: Corpus, epoch: int) -> list[tuple[int, int]]:
    places = (made.at(epoch, place) for place in range(len(made.units) * made._copies))
    return [found for found in places if found is not None]


def test_a_lane_is_its_units_end_to_end(shards: list[ShardReader]) -> None:
    made = corpus(shards, OFF)
    for lane in range(4):
        expected = np.concatenate([made.ids(unit, 0) for unit, _ in order(made, 0)[lane::4]])
        rows, at = [], 0
        for pieces, _ in made.windows(lane, Position()):
            window = np.concatenate([p.ids for p in pieces])
            assert len(window) == 33
            rows.append(window if at == 0 else window[1:])
            at += len(rows[-1])
            if at >= len(expected):
                break
        assert np.concatenate(rows)[: len(expected)].tolist() == expected.tolist()


def same(a: Batch, b: Batch) -> bool:
    arrays = all((x == y).all() for x, y in ((a.tokens, b.tokens), (a.documents, b.documents), (a.positions, b.positions)))
    return arrays and a.following == b.following and a.units == b.units


def test_continuing_anywhere_gives_the_same_batches(shards: list[ShardReader]) -> None:
    made = corpus(shards)
    whole = list(itertools.islice(made.batches(), 60))
    assert max(p.epoch for p in whole[-1].following) >= 1, "past the end of an epoch"
    for cut in (1, 7, 30, 45):
        again = itertools.islice(made.batches(whole[cut - 1].following), 60 - cut)
        assert all(same(a, b) for a, b in zip(whole[cut:], again, strict=True))


def test_epochs_differ_and_seeds_decide(shards: list[ShardReader]) -> None:
    made = corpus(shards)
    first, second = ([unit for unit, _ in order(made, epoch)] for epoch in (0, 1))
    assert first != second and sorted(first) == sorted(second) == list(range(len(made.units)))
    assert same(next(corpus(shards).batches()), next(made.batches()))
    assert not same(next(replace(made, seed=2).batches()), next(made.batches()))


def test_an_epoch_takes_no_memory(shards: list[ShardReader]) -> None:
    few = corpus(shards, batch=1, micro_batch=1, mixture=Mixture(languages={"Python": 50.0}))
    made = replace(few, units=replace(few.units, places=np.tile(few.units.places, 10_000)))
    assert len(made.units) * made._copies > 10_000_000 and len({made.at(0, place) for place in range(100)}) > 50
    windows = made.windows(0, Position(3, 1_000_000))
    next(windows)
    tracemalloc.start()
    for _ in range(300):
        next(windows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000, "nothing that grows with the places of an epoch"


def test_an_epoch_has_each_unit_as_often_as_its_weight_says(shards: list[ShardReader]) -> None:
    made = corpus(shards, mixture=Mixture(languages={"Python": 2.4, "C": 0.0}))
    epochs = [[unit for unit, _ in order(made, epoch)] for epoch in range(60)]
    factors = made.units.factors(made.options.mixture)
    assert set(factors) == {2.4, 0.0}
    counts = np.array([np.bincount(epoch, minlength=len(made.units)) for epoch in epochs])
    assert set(np.unique(counts[:, factors > 0])) == {2, 3} and not counts[:, factors == 0].any()
    assert abs(counts[:, factors > 0].mean() - 2.4) < 0.03, "another share of the units each epoch"
    assert counts[:, factors > 0].mean(0).min() > 2.15 and counts[:, factors > 0].mean(0).max() < 2.65
    chosen = np.flatnonzero(factors > 0)[0]
    twice = [made.ids(int(chosen), 0, copy).tolist() for copy in range(8)]
    assert len({tuple(t) for t in twice}) > 1, "each copy is cut elsewhere"
    plain = corpus(shards, OFF)
    tokens = sum(len(plain.ids(unit, 0)) for epoch in epochs for unit in epoch) / 60
    assert made.epoch_tokens() == pytest.approx(tokens, rel=0.02)
    whole = list(itertools.islice(made.batches(), 60))
    again = itertools.islice(made.batches(whole[29].following), 30)
    assert all(same(a, b) for a, b in zip(whole[30:], again, strict=True))


def test_each_kind_is_rewritten_at_its_own_rates(tmp_path: Path) -> None:
    writer = ShardWriter(TOKENIZER.eod)
    text = TOKENIZER.encode("def f(x):\n    return x\n" * 9)
    for kind in ("code", "notebook", "issue") * 5:
        writer.add(text, kind, f"repo-{kind}", "C", [TokenSpan("a", "c", "C", 0, len(text))])
    for suffix, data in writer.finish().items():
        (tmp_path / f"s.{suffix}").write_bytes(data)
    plain, always = corpus([ShardReader(str(tmp_path / "s"))], OFF), FimRates(rate=1.0, file_rate=1.0)

    def touched(fim: Fim) -> set[str]:
        made = corpus(plain.units.shards, fim)
        changed = {(made.units[i].kind, made.ids(i, 0).tolist() != plain.ids(i, 0).tolist()) for i in range(len(made.units))}
        assert len(changed) == 3, "all documents of a kind, or none"
        return {kind for kind, is_changed in changed if is_changed}

    assert touched(Fim(rate=1.0, file_rate=1.0)) == {"code"}
    assert touched(Fim(rate=0.0, kinds={"notebook": always})) == {"notebook"}
    assert touched(Fim(rate=1.0, kinds={"issue": always})) == {"code", "issue"}


def test_shards_ahead_come_in_the_order_of_need(tmp_path: Path) -> None:
    many = []
    for s in range(12):
        writer = ShardWriter(TOKENIZER.eod)
        for d in range(3):
            writer.add(np.full(40, 100, np.uint16), "code", f"repo{s}-{d}", "C", [])
        for suffix, data in writer.finish().items():
            (tmp_path / f"s{s}.{suffix}").write_bytes(data)
        many.append(ShardReader(str(tmp_path / f"s{s}")))
    made = corpus(many, OFF)
    for positions in ((), [Position(0, 7, 5)] * 4):
        for rank in range(2):
            lanes = [(lane, positions[lane] if positions else Position()) for lane in (2 * rank, 2 * rank + 1)]
            windows = [itertools.islice(made.windows(lane, at), 60) for lane, at in lanes]
            units = [[unit for unit, _ in itertools.groupby(p.unit for pieces, _ in w for p in pieces)] for w in windows]
            read = [made.units[unit].shard for both in zip(*units, strict=False) for unit in both]
            assert len({*read}) == 12
            assert list(made.shards_ahead(positions, 10**6, rank, 2)) == list(dict.fromkeys(read))
            short = made.shards_ahead(positions, 3 * 41, rank, 2)
            assert list(short) == list(dict.fromkeys(read[:6])), "three units of each lane, and no more than the run needs"


def test_micro_batches_and_ranks_share_out_one_step(shards: list[ShardReader]) -> None:
    whole = list(itertools.islice(corpus(shards, batch=8, micro_batch=8).batches(), 6))
    for ranks, size in ((1, 2), (2, 4), (2, 1), (4, 2), (8, 1)):
        made = corpus(shards, batch=8, micro_batch=size)
        shares = [made.batches(whole[1].following, rank, ranks) for rank in range(ranks)]
        for expected in whole[2:]:
            step = [[next(share) for _ in range(8 // ranks // size)] for share in shares]
            assert np.concatenate([b.tokens for share in step for b in share]).tolist() == expected.tokens.tolist()
            assert tuple(p for share in step for p in share[-1].following) == expected.following


def test_a_ramp_reads_the_same_lanes_as_whole_batches(shards: list[ShardReader]) -> None:
    plain = corpus(shards, batch=8, micro_batch=2)
    made = replace(plain, options=replace(plain.options, ramp=((600, 2), (1100, 4))))  # 3 turns of 4 steps, 2 of 2 steps
    whole = list(itertools.islice(plain.batches(), 4 * 8))
    steps, source = [], made.batches()
    for step in range(1, 20):
        size = 1 if step <= 12 else 2 if step <= 16 else 4
        steps.append([next(source) for _ in range(size)])
    for turn, (first, last) in enumerate([(0, 4), (4, 8), (8, 12), (12, 14), (14, 16), (16, 17), (17, 18)]):
        read = sorted(row.tolist() for step in steps[first:last] for batch in step for row in batch.tokens)
        assert read == sorted(row.tolist() for batch in whole[4 * turn : 4 * turn + 4] for row in batch.tokens)
        assert steps[last - 1][-1].following == whole[4 * turn + 3].following
    for cut in (1, 6, 13, 17):  # in the middle of a turn, too, and on other ranks
        halves = [made.batches(steps[cut - 1][-1].following, rank, ranks=1, after=cut) for rank in (0,)]
        assert all(same(next(halves[0]), batch) for step in steps[cut:] for batch in step)
    rows = made.read(steps[5][-1].following, 6, 14)
    assert [row for _, pieces in rows for row in [np.concatenate([p.ids for p in pieces]).tolist()]] == [
        row.tolist() for batch in steps[13] for row in batch.tokens
    ]
    single = replace(made, options=replace(made.options, micro_batch=1))
    shares = [single.batches((), rank, 2) for rank in range(2)]
    for step in steps:
        read = [next(share).tokens[0].tolist() for share in shares for _ in range(len(step))]
        assert read == [row.tolist() for batch in step for row in batch.tokens]


def test_a_later_mixture_goes_on_in_the_same_order(shards: list[ShardReader]) -> None:
    only = {name: Mixture(languages={name: 1.0}, other_languages=0.0) for name in ("Python", "C")}
    plain = corpus(shards, mixture=only["Python"])
    made = replace(plain, options=replace(plain.options, phases=(Phase(8, only["C"]), Phase(12, NATURAL))))
    whole = list(itertools.islice(made.batches(), 40))
    languages = [{made.units[unit].language for unit in batch.units} for batch in whole]
    assert all(found == {"Python"} for found in languages[:7]) and all("C" in found for found in languages[8:11])
    assert all(found == {"C"} for found in languages[8:11]) and any(found == {"C", "Python"} for found in languages[11:])
    for cut in (6, 7, 8, 30):
        again = made.batches(whole[cut - 1].following, after=cut)
        assert all(same(a, b) for a, b in zip(whole[cut:], again, strict=False))
    before = itertools.islice(plain.batches(), 7)
    assert all(same(a, b) for a, b in zip(whole, before, strict=False)), "a phase changes nothing that came before it"
    with pytest.raises(ValueError, match=r"no documents.*data\.phases"):
        none = replace(plain.options, phases=(Phase(8, Mixture(other_languages=0.0)),))
        next(replace(plain, options=none).batches())


def test_documents_and_positions(shards: list[ShardReader]) -> None:
    batch = next(corpus(shards, OFF).batches())
    for tokens, documents, positions in zip(batch.tokens, batch.documents, batch.positions, strict=True):
        starts = np.flatnonzero(positions == 0)
        assert (np.diff(documents)[starts[1:] - 1] == 1).all() and documents[0] == 0
        assert (tokens[starts] == SEP).all(), "windows of an untouched lane start at a unit's start"


def test_prefetching_changes_nothing_and_passes_errors_on(shards: list[ShardReader]) -> None:
    made = corpus(shards)
    ahead = list(itertools.islice(prefetched(made.batches(), 3), 20))
    assert len(ahead) == 20 and all(same(a, b) for a, b in zip(made.batches(), ahead, strict=False))

    def failing():
        yield next(made.batches())
        raise OSError("the disk is gone")

    ahead = prefetched(failing(), 2)
    next(ahead)
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)


def test_ids_that_uint16_does_not_hold_are_read_and_rewritten(tmp_path: Path) -> None:
    values = json.loads(TOKENIZER.data)
    moved = {token: number if number < 294 else number + 68_000 for token, number in values["model"]["vocab"].items()}
    values["model"]["vocab"] = moved | {f"ĀāĂă{number:x}": number for number in range(294, 68_294)}
    wide = Tokenizer.load(json.dumps(values).encode())
    writer, code = ShardWriter(wide.eod, wide.dtype), "value_1 = 1\n" * 20
    ids = wide.encode(code)
    for d in range(4):
        writer.add(np.concatenate([[SEP], ids]), "code", f"r{d}", "C", [TokenSpan("a.c", "0", "C", 1, len(ids))])
    for suffix, data in writer.finish().items():
        (tmp_path / f"s.{suffix}").write_bytes(data)
    plain = corpus([ShardReader(str(tmp_path / "s"))], Fim(rate=1.0, file_rate=1.0))
    made = replace(plain, tokenizer=wide)
    assert made.ids(0, 0).max() > 65_535 and made.ids(0, 0).dtype == np.uint32
    text = wide.decode(made.ids(0, 0).tolist())
    assert "<fim_middle>" in text and len(text) > len(code)
    assert next(made.batches()).tokens.max() > 65_535


def test_fewer_units_than_lanes(shards: list[ShardReader]) -> None:
    made = corpus(shards, OFF, batch=64, micro_batch=64)
    for count in (3, 1):
        few = replace(made, units=replace(made.units, places=made.units.places[:count]))
        assert next(few.batches()).tokens.shape == (64, 33)
        read = [few.place(lane, turn, 0) for turn in range(count) for lane in range(64)]
        assert sorted(read) == [(epoch, place) for epoch in range(64) for place in range(count)], "nothing is read twice"
    for none in (
        replace(made, units=replace(made.units, places=made.units.places[:0])),
        corpus(shards, OFF, Mixture({"code": 0.0})),
    ):
        with pytest.raises(ValueError, match=r"no documents.*data\.mixture"):
            next(none.batches())


def test_a_sample_does_not_depend_on_ranks(shards: list[ShardReader]) -> None:
    made = corpus(shards, OFF, micro_batch=3)
    for count in (1, 7, 16, 200):
        windows = []
        for ranks in (1, 2, 5):
            shares = [list(made.sample(count, rank, ranks)) for rank in range(ranks)]
            assert len({len(share) for share in shares}) == 1, "every rank takes as many batches: they meet in collectives"
            windows.append(
                sorted(row.tolist() for share in shares for b, languages in share for row in b.tokens[: len(languages)])
            )
        assert len(windows[0]) == count and windows[0] == windows[1] == windows[2]
