"""Lines to fill in are lines of held-out files; the share that is right is that of what greedy generation writes."""

import numpy as np
import pytest
import torch
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.model.decoder import Decoder
from starmill.model.generation import generate
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.corpus import Corpus
from starmill.trainer.data.infill import infills
from starmill.trainer.data.inputs import Inputs, open_inputs
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Ranks
from starmill.trainer.step import Run

CODES = [f"def f{i}(x):\n    y = x + {i % 7}\n    return y\n" for i in range(30)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainRecipe, Inputs]:
    place = build(tmp_path_factory.mktemp("infill"), CODES)
    data = {**RECIPE["data"], "held_out": 0.4, "sequence_length": 64, "batch": 3, "micro_batch": 3}
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(place), "output": "o", "data": data})
    return options, open_inputs(options)


def test_lines_of_held_out_files(opened: tuple[TrainRecipe, Inputs]) -> None:
    _, found = opened
    assert isinstance(found.held_out, Corpus)
    asked, tokenizer = infills(found.held_out, 100), found.tokenizer
    assert 5 < len(asked) == len(found.held_out.units)
    prefix, middle, suffix = (tokenizer.special(f"<fim_{name}>") for name in ("prefix", "middle", "suffix"))
    for ids, first in asked:
        cut = int(np.flatnonzero(ids == suffix)[0])
        assert ids[0] == prefix and ids[first - 1] == middle and len(ids) <= 65
        parts = (ids[1:cut], ids[cut + 1 : first - 1], ids[first:])
        pre, suf, mid = (tokenizer.decode_bytes(part.tolist()).decode() for part in parts)
        assert pre + mid + suf in CODES and mid.count("\n") == 1 and mid.endswith("\n")
    few = infills(found.held_out, 3)
    assert all(np.array_equal(one.ids, other.ids) for one, other in zip(few, asked[:3], strict=True))
    assert infills(found.held_out, 0) == []


def test_the_share_is_that_of_greedy_generation(opened: tuple[TrainRecipe, Inputs]) -> None:
    options, found = opened
    assert isinstance(found.held_out, Corpus)
    asked = infills(found.held_out, 8)
    decoder = Decoder(found.config)
    decoder.init_weights(torch.Generator().manual_seed(1))
    run = Run(options, Ranks(torch.device("cpu")), found.train, decoder, Optimizer(decoder, options.optimizer))
    assert run.infilled(asked) == 0.0 and run.infilled([]) is None
    tuned = torch.optim.AdamW(decoder.parameters(), lr=3e-3)
    for _ in range(60):  # learns the first by heart
        for ids, first in asked[:1]:
            decoder.train()
            given = torch.from_numpy(ids)[None]
            logits = decoder(given[:, :-1])[0, first - 1 :]
            torch.nn.functional.cross_entropy(logits, given[0, first:]).backward()
        tuned.step()
        tuned.zero_grad()
    decoder.eval()
    exact = [generate(decoder, [ids[:first].tolist()], len(ids) - first)[0] == ids[first:].tolist() for ids, first in asked]
    assert run.infilled(asked) == sum(exact) / len(asked) and 0 < sum(exact) < len(asked)
