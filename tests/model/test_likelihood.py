"""Scores of a prompt are those of one pass over it, whatever the pieces; those of written tokens are the same."""

import pytest
import torch

from starmill.core.errors import UsageError
from starmill.model import likelihood
from starmill.model.ask import Ask
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.engine import Engine


@pytest.fixture(params=[None, 10])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    made = Decoder(ModelConfig(300, 2, 64, 8, 2, 256, "rope", 256, sliding_window=request.param, init_std=0.3))
    made.init_weights(torch.Generator().manual_seed(0))
    return made.eval()


def test_a_prompt(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = [(7 * at) % 300 for at in range(50)]
    monkeypatch.setattr(likelihood, "PIECE", 7)
    found = likelihood.of_prompt(decoder, prompt, 3)
    with torch.inference_mode():
        logs = decoder.head(decoder.hidden(torch.tensor([prompt])))[0].log_softmax(-1)
    assert [score.token for score in found] == prompt[1:]
    assert torch.allclose(torch.tensor([score.logprob for score in found]), logs[torch.arange(49), prompt[1:]], atol=1e-4)
    assert [[token for token, _ in score.tops] for score in found] == logs[:-1].topk(3)[1].tolist()


def test_bounds(decoder: Decoder) -> None:
    assert likelihood.of_prompt(decoder, [5]) == []
    assert len(likelihood.of_prompt(decoder, [5] * 256)) == 255
    with pytest.raises(UsageError):
        likelihood.of_prompt(decoder, [5] * 257)
    with pytest.raises(UsageError, match="tops"):
        likelihood.scores(torch.zeros(1, 3), [0], -1)


def test_the_engine_scores_what_it_writes(decoder: Decoder) -> None:
    engine, told = Engine(decoder, 3), {name: list[likelihood.Score]() for name in range(3)}
    for name, prompt in enumerate(([5, 6, 7], [9] * 20, [8])):
        engine.add(Ask(prompt, 12, 0.9, name=name, scored=told[name].append, tops=2))
    engine.add(Ask([1], 12))
    for ticket, new in engine.finish():
        if ticket in told:
            prompt = ([5, 6, 7], [9] * 20, [8])[ticket]
            wanted = likelihood.of_prompt(decoder, [*prompt, *new], 2)[len(prompt) - 1 :]
            assert [score.token for score in told[ticket]] == new
            for score, one in zip(told[ticket], wanted, strict=True):
                assert score.logprob == pytest.approx(one.logprob, abs=1e-4) and score.tops[0][0] == one.tops[0][0]


def test_it_is_the_sum_of_the_logits() -> None:
    decoder = Decoder(ModelConfig(50, 2, 32, 4, 2, 64, "rope", 8))
    decoder.init_weights(torch.Generator().manual_seed(0))
    ids = torch.randint(0, 50, (20,), generator=torch.Generator().manual_seed(1))

    def wanted(piece: torch.Tensor) -> float:
        logits = decoder(piece[None, :-1])[0].detach().log_softmax(-1)
        return float(logits[torch.arange(len(piece) - 1), piece[1:]].double().sum())

    assert likelihood.log_likelihood(decoder, ids[:9].tolist()) == pytest.approx(wanted(ids[:9]), rel=1e-5)
    assert likelihood.log_likelihood(decoder, ids.tolist()) == pytest.approx(
        wanted(ids[:9]) + wanted(ids[8:17]) + wanted(ids[16:]), rel=1e-5
    )
    assert likelihood.log_likelihood(decoder, [3]) == 0.0
