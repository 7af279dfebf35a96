"""Mean states are those of transformers, and do not depend on what is asked beside a text."""

from pathlib import Path

import pytest
import small_tagger
import torch
from transformers import BertModel

from starmill.model.encoder.encoder import Encoder
from starmill.model.encoder.pooled import Pooled
from starmill.model.exchange import huggingface
from starmill.model.exchange.layouts import ExchangeError

TEXTS = ["x = 1\n", "", "def f(x):\n    return x\n" * 60, "é Jane Doe ", "<cls> # by Marion\n" * 9]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of random weights that mix the tokens."""
    place = small_tagger.make(tmp_path_factory.mktemp("pooled"))
    encoder: Encoder = huggingface.load_encoder(place)
    encoder.init_weights(torch.Generator().manual_seed(3))
    huggingface.save(encoder, place)
    return place


def test_states_are_transformers_means(folder: Path) -> None:
    pooled = Pooled.load(folder, "cpu")
    theirs = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    for text, state in zip(TEXTS, pooled.states(TEXTS, 2), strict=True):
        ids = pooled.tokenizer.encode(text, add_special_tokens=False).ids[: 2 * (pooled.size - 2)]
        if not ids:
            assert state is None
            continue
        sums = torch.zeros(theirs.config.hidden_size)
        cls, sep = (pooled.tokenizer.token_to_id(token) for token in ("<cls>", "<sep>"))
        for at in range(0, len(ids), pooled.size - 2):
            row = [cls, *ids[at : at + pooled.size - 2], sep]
            with torch.no_grad():
                sums += theirs(torch.tensor([row])).last_hidden_state[0, 1:-1].sum(0)
        assert state == pytest.approx((sums / len(ids)).tolist(), abs=2e-5)


def test_a_state_is_a_text_s_own(folder: Path) -> None:
    pooled = Pooled.load(folder, "cpu")
    alone = [pooled.states([text], 4)[0] for text in TEXTS]
    assert pooled.states(TEXTS[::-1], 4) == alone[::-1]
    assert pooled.states([TEXTS[2], TEXTS[2] + "more"], 1) == [pooled.states([TEXTS[2]], 1)[0]] * 2, "one window is looked at"


def test_what_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"config.json and tokenizer.json are needed"):
        Pooled.load(tmp_path, "cpu")
