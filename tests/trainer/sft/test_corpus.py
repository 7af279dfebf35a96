"""Each epoch has each conversation once, whole; ranks and restarts change nothing; a packed conversation sees itself alone."""

import itertools
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import talks
import torch
from talks import read

from starmill.core.tokenizer import Tokenizer
from starmill.model.exchange.huggingface import load
from starmill.trainer.config import Data
from starmill.trainer.sft.corpus import Conversations

SIZES = {"sequence_length": 100, "batch": 4, "micro_batch": 2}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    talks.write(tmp_path, 23)
    return tmp_path


def corpus(place: Path, packing: bool) -> Conversations:
    return Conversations(
        read(place, 100).examples, Tokenizer(talks.TOKENIZER), Data(**SIZES, mask_documents=packing), 3, packing
    )


@pytest.mark.parametrize("packing", [False, True])
def test_an_epoch_has_each_conversation_once(place: Path, packing: bool) -> None:
    found = corpus(place, packing)
    for epoch in (0, 1):
        assert sorted(itertools.chain(*found.epoch(epoch))) == list(range(23))
    assert found.epoch(0) != found.epoch(1)
    windows = len(found.epoch(0))
    assert windows == 23 if not packing else windows < 16
    steps = list(islice(found.batches(), 2 * (2 * windows // 4 + 2)))
    read_units = [unit for batch in steps for unit in batch.units]
    assert read_units[:46] == [*itertools.chain(*found.epoch(0), *found.epoch(1))]


@pytest.mark.parametrize("packing", [False, True])
def test_ranks_and_restarts(place: Path, packing: bool) -> None:
    found = corpus(place, packing)
    whole = list(islice(found.batches(), 24))
    for rank in (0, 1):
        share = list(islice(found.batches((), rank, 2), 12))
        for ours, theirs in zip(share, whole[rank::2], strict=True):
            assert np.array_equal(ours.tokens, theirs.tokens) and ours.part == theirs.part
    again = next(found.batches(whole[9].following * 2))
    assert np.array_equal(again.tokens, whole[10].tokens)
    pieces = dict(found.read(whole[9].following, 0, 1))[1]
    assert [piece.unit for piece in pieces] == list(whole[10].units[-len(pieces) :])
    for step in zip(whole[::2], whole[1::2], strict=True):
        assert sum(batch.part for batch in step) == pytest.approx(2)


@torch.no_grad()
def test_a_packed_conversation_sees_itself_alone(place: Path) -> None:
    found, decoder = corpus(place, packing=True), load(place / "base")
    batch = next(found.batches())
    tokens, documents, positions, answers = map(
        torch.from_numpy, (batch.tokens, batch.documents, batch.positions, batch.answers)
    )
    total, losses = decoder.loss(tokens[:, :-1], tokens[:, 1:], 0.0, positions[:, :-1], documents[:, :-1], answers[:, 1:])
    alone = []
    for one in batch.units:
        ids, learned = (torch.from_numpy(array[found.units.of(one)]) for array in (found.units.ids, found.units.answers))
        logits = decoder(ids[None, :-1])[0]
        alone.append(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")[learned[1:]])
    expected = torch.cat(alone)
    assert (losses > 0).sum() == len(expected)
    assert total == pytest.approx(expected.mean().item(), abs=1e-5)
    assert torch.allclose(losses[losses > 0].sort()[0], expected.sort()[0], atol=1e-4)
