"""Generation equals transformers' own, and a forward pass over everything at each token; sampling follows its seed."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.generation import generate
from starmill.model.huggingface import save

CONFIGS = {
    "starcoder2": ModelConfig(300, 2, 64, 8, 2, 256, "rope", 256, sliding_window=10, init_std=0.3),
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
