"""Batches: every token once an epoch, in an order that only the seed decides, continued exactly from any position."""

import itertools

import numpy as np
import pytest

from starmill.core.shards import ShardReader, ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, train
from starmill.trainer.config import Data, Fim
from starmill.trainer.data import Batch, Corpus, Position, prefetched, split, units

TOKENIZER = Tokenizer.load(train([f"value_{i} = {i}\n" * 3 for i in range(50)], 400))
SEP = TOKENIZER.special("<file_sep>")
ON, OFF = Fim(), Fim(rate=0.0)


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
                spans.append(TokenSpan(f"f{f}.py", f"{s}{d}{f}", "Python", at + 1, len(code)))
                at += 1 + len(code)
            writer.add(np.concatenate(pieces), "code", f"repo{s}-{d}", "Python", spans)
        for suffix, data in writer.finish().items():
            (place / f"s{s}.{suffix}").write_bytes(data)
        made.append(ShardReader(str(place / f"s{s}")))
    return made


def corpus(shards: list[ShardReader], fim: Fim = ON, **options: int) -> Corpus:
    data = Data(**{"sequence_length": 32, "micro_batch": 4, "unit_tokens": 64, **options}, fim=fim)
    return Corpus(shards, units(shards, data.unit_tokens), TOKENIZER, data, seed=1)


def test_units_cover_every_token_once_and_break_at_files(shards: list[ShardReader]) -> None:
    for size in (1, 64, 10**6):
        found = units(shards, size)
        for s, shard in enumerate(shards):
            for d in range(shard.documents):
                mine = [u for u in found if (u.shard, u.document) == (s, d)]
                joined = np.concatenate([shard.tokens(d)[u.start : u.end] for u in mine])
                assert joined.tolist() == shard.tokens(d).tolist()
                assert all(shard.tokens(d)[u.start] == SEP for u in mine)
                assert [f[0] for u in mine for f in u.files] == list(range(mine[0].files_in_document))


def test_a_lane_is_its_units_end_to_end(shards: list[ShardReader]) -> None:
    made = corpus(shards, OFF)
    order = made.order(0)
    for lane in range(made.lanes):
        expected = np.concatenate([made.ids(made.units[i], 0) for i in order[lane :: made.lanes]])
        rows, at = [], 0
        for pieces, _ in made.windows(lane, Position()):
            window = np.concatenate([ids for ids, _, _ in pieces])
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
    assert made.order(0).tolist() != made.order(1).tolist()
    assert sorted(made.order(1).tolist()) == list(range(len(made.units)))
    assert same(next(corpus(shards).batches()), next(made.batches()))


def test_micro_batches_share_out_one_step(shards: list[ShardReader]) -> None:
    whole = next(corpus(shards, micro_batch=4).batches()).tokens
    halves = list(itertools.islice(corpus(shards, micro_batch=2, accumulation=2).batches(), 2))
    assert np.concatenate([h.tokens for h in halves]).tolist() == whole.tolist()


def test_documents_and_positions(shards: list[ShardReader]) -> None:
    batch = next(corpus(shards, OFF).batches())
    for tokens, documents, positions in zip(batch.tokens, batch.documents, batch.positions, strict=True):
        starts = np.flatnonzero(positions == 0)
        assert (np.diff(documents)[starts[1:] - 1] == 1).all() and documents[0] == 0
        assert (tokens[starts] == SEP).all(), "windows of an untouched lane start at a unit's start"


def test_prefetching_changes_nothing_and_passes_errors_on(shards: list[ShardReader]) -> None:
    made = corpus(shards)
    for a, b in zip(itertools.islice(made.batches(), 20), prefetched(made.batches(), 3), strict=False):
        assert same(a, b)

    def failing():
        yield next(made.batches())
        raise OSError("the disk is gone")

    ahead = prefetched(failing(), 2)
    next(ahead)
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)


def test_held_out_repositories_are_wholly_apart(shards: list[ShardReader]) -> None:
    trained, held = split(units(shards, 16), 0.3, seed=0)
    assert len(trained) + len(held) == len(units(shards, 16)) and held
    assert not {u.repo_name for u in trained} & {u.repo_name for u in held}


def test_fewer_units_than_lanes(shards: list[ShardReader]) -> None:
    made = corpus(shards, OFF, micro_batch=64)
    made.units = made.units[:3]
    assert next(made.batches()).tokens.shape == (64, 33)
    made.units = []
    with pytest.raises(ValueError, match="no documents"):
        next(made.batches())
