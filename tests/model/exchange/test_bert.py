"""What config.json says of an encoder and of a tagger; the weights beside transformers' are tested in tests/model/encoder/."""

import dataclasses
import json
from pathlib import Path

import pytest
from transformers import AutoConfig, BertForPreTraining

from starmill.model.config import ModelConfig, TaggerConfig
from starmill.model.exchange import bert, huggingface
from starmill.model.exchange.families import ExchangeError, config_values, read_config
from starmill.model.exchange.folders import shape, stored_tensors
from starmill.model.presets import PRESETS

CONFIG = dataclasses.replace(PRESETS["tiny-starencoder"], vocab_size=60, hidden_size=16, mlp_size=32, heads=2, kv_heads=2)
TAGGER = TaggerConfig(**vars(CONFIG), labels=("O", "B-KEY", "I-KEY"))


@pytest.mark.parametrize("config", [CONFIG, TAGGER, PRESETS["starencoder"]])
def test_a_config_goes_both_ways(config: ModelConfig) -> None:
    values = json.loads(json.dumps(config_values(config)))
    assert read_config(values) == config
    theirs = AutoConfig.for_model(**values)
    assert read_config(theirs.to_dict()) == config, "and what transformers makes of it"


def test_tensors_are_named_as_in_transformers() -> None:
    theirs = BertForPreTraining(AutoConfig.for_model(**config_values(CONFIG)))
    names = {name for name, _ in theirs.named_parameters()}
    assert {stored.name for stored in stored_tensors(CONFIG)} == names - {*bert.TIED}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_decoder": True}, "is_decoder=True"),
        ({"type_vocab_size": 3}, "type_vocab_size=3"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type=relative_key"),
        ({"hidden_act": "relu"}, "activation=relu"),
        ({"architectures": [bert.TAGGING], "id2label": {"0": "O", "5": "B-KEY"}}, "ids are not 0, 1"),
        ({"architectures": [bert.TAGGING]}, "id2label names 0 labels"),
    ],
)
def test_what_would_change_the_logits_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ExchangeError, match=said):
        read_config(config_values(CONFIG) | change)


def test_a_folder_with_other_tensors_is_refused(tmp_path: Path) -> None:
    from starmill.model.encoder.encoder import Encoder

    huggingface.save(Encoder(CONFIG), tmp_path)
    assert shape(tmp_path) == CONFIG
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"num_hidden_layers": 1}))
    with pytest.raises(ExchangeError, match=r"tensors that config.json does not account for, first 'bert.encoder.layer.1"):
        huggingface.load_encoder(tmp_path)
