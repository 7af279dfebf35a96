"""Generation equals transformers' own, and a forward pass over everything at each token; sampling follows its seed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from starmill.model import generation
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import save
from starmill.model.generation import choose, generate

QWEN: dict[str, Any] = {"norm": "rms", "gated": True, "biases": "none", "qk_norm": True, "activation": "silu"}
QWEN |= {"layer_types": ("sliding_attention", "full_attention") * 2}
CONFIGS = {
    "starcoder2": ModelConfig(300, 2, 64, 8, 2, 256, "rope", 256, sliding_window=10, init_std=0.3),
    "windows in some layers": ModelConfig(300, 4, 64, 8, 2, 256, "rope", 256, sliding_window=10, init_std=0.3, **QWEN),
    "starcoder": ModelConfig(300, 2, 64, 8, 1, 256, "learned", 256, init_std=0.3),
}
PROMPTS = [[5, 6, 7], list(range(40, 60)), [9]]


@pytest.fixture(params=CONFIGS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    made = Decoder(CONFIGS[request.param])
    made.init_weights(torch.Generator().manual_seed(0))
    return made.eval()


def test_transformers_generates_the_same(decoder: Decoder, tmp_path: Path) -> None:
    save(decoder, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    for prompt, new in zip(PROMPTS, generate(decoder, PROMPTS, 30), strict=True):
        settings = {"max_new_tokens": 30, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        assert theirs.generate(torch.tensor([prompt]), **settings)[0, len(prompt) :].tolist() == new
    longest = max(map(len, PROMPTS))
    padded = torch.tensor([[0] * (longest - len(p)) + p for p in PROMPTS])
    seen = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in PROMPTS])
    batch = theirs.generate(padded, attention_mask=seen, **settings)[:, longest:].tolist()
    assert batch == generate(decoder, PROMPTS, 30)


def test_the_cache_changes_nothing(decoder: Decoder) -> None:
    for prompt, new in zip(PROMPTS, generate(decoder, PROMPTS, 20), strict=True):
        ids = list(prompt)
        for token in new:
            assert int(decoder(torch.tensor([ids]))[0, -1].argmax()) == token
            ids.append(token)


def test_stops_and_seeds(decoder: Decoder) -> None:
    (new,) = generate(decoder, [[5, 6, 7]], 20)
    stop = new[4]
    assert generate(decoder, [[5, 6, 7]], 20, stop_ids=[stop]) == [new[: new.index(stop)]]
    sampled = generate(decoder, PROMPTS, 20, temperature=1.0, top_p=0.9, top_k=50, seed=1)
    assert sampled == generate(decoder, PROMPTS, 20, temperature=1.0, top_p=0.9, top_k=50, seed=1)
    assert sampled != generate(decoder, PROMPTS, 20, temperature=1.0, top_p=0.9, top_k=50, seed=2)
    assert generate(decoder, PROMPTS, 20, temperature=2.0, top_k=1) == generate(decoder, PROMPTS, 20)
    assert generate(decoder, PROMPTS, 20, temperature=2.0, top_p=1e-9) == generate(decoder, PROMPTS, 20)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.5, 0, 1.0), (1.0, 5, 1.0), (1.0, 0, 0.7), (2.0, 7, 0.8)]
)
def test_choices_have_the_distribution_of_transformers(temperature: float, top_k: int, top_p: float) -> None:
    logits = 2 * torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
    warped = TemperatureLogitsWarper(temperature)(None, logits)
    warped = TopKLogitsWarper(top_k)(None, warped) if top_k else warped
    expected = (TopPLogitsWarper(top_p)(None, warped) if top_p < 1 else warped).softmax(-1)[0]
    n = 20_000
    chosen = choose(logits.expand(n, 40), temperature, top_p, top_k, [(i + 0.5) / n for i in range(n)])
    shares = torch.bincount(torch.tensor(chosen), minlength=40) / n
    assert (shares - expected).abs().max() < 2 / n
    ends = choose(logits.expand(2, 40), temperature, top_p, top_k, [0.0, 1 - 2**-53])
    assert all(expected[token] > 0 for token in ends), "no token without weight, at either end"


def test_a_sample_does_not_depend_on_its_companions(decoder: Decoder) -> None:
    together = generate(decoder, PROMPTS, 12, temperature=1.0, seed=3)
    for row in range(len(PROMPTS)):
        assert generate(decoder, [PROMPTS[row]], 12, temperature=1.0, seed=3, names=[row]) == [together[row]]
    same = generate(decoder, [PROMPTS[0]] * 2, 12, temperature=1.0, seed=3)
    assert same[0] != same[1], "rows of one prompt are samples of their own"
    with pytest.raises(ValueError, match="1 names for 2 prompts"):
        generate(decoder, [[1], [2]], 5, names=["a"])


def test_rows_end_alone(decoder: Decoder) -> None:
    whole = generate(decoder, PROMPTS, 20)
    ends = [3, 20, 9]
    assert generate(decoder, PROMPTS, 20, stopped=lambda row, new: len(new) == ends[row]) == [
        new[:end] for new, end in zip(whole, ends, strict=True)
    ]


def test_prompts_read_in_pieces(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = generate(decoder, PROMPTS, 10)
    monkeypatch.setattr(generation, "PIECE", 6)
    assert generate(decoder, PROMPTS, 10) == whole


def test_the_last_position_ends_it(decoder: Decoder) -> None:
    longest = list(range(40, 290))  # of 256 positions
    new = generate(decoder, [longest[:250], [7]], 10)
    assert [len(n) for n in new] == [6, 10]
    with pytest.raises(ValueError, match="a prompt of 256 tokens leaves no room in max_positions=256"):
        generate(decoder, [(longest * 2)[:256]], 1)


def test_a_sample_leaves_training_as_it_was(decoder: Decoder) -> None:
    assert generate(decoder, [], 5) == []
    decoder.train()
    generate(decoder, PROMPTS, 2)
    assert decoder.training and all(m.training for m in decoder.modules())
    with pytest.raises(IndexError):
        generate(decoder, [[10_000]], 2)
    assert decoder.training, "not even an error switches dropout off"


def test_refused(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="no tokens"):
        generate(decoder, [[]], 5)
    with pytest.raises(ValueError, match=r"top_p=0\.0"):
        generate(decoder, [[1]], 5, top_p=0.0)
