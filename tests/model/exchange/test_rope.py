"""What a config.json says of RoPE is read as transformers means it, or refused by name; logits are test_huggingface.py's."""

from typing import Any

import pytest
from transformers import Qwen2Config

from starmill.model.config import ModelConfig, RopeScaling
from starmill.model.exchange.families import ExchangeError, config_values, read_config

LLAMA = ModelConfig(300, 2, 64, 8, 2, 176, "rope", 128, norm="rms", gated=True, biases="none", activation="silu")
FULL, SLIDING = "full_attention", "sliding_attention"
WINDOW = {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 8}


def values(**changes: Any) -> dict[str, Any]:
    return config_values(LLAMA) | changes


def test_older_files_say_it_elsewhere() -> None:
    scaled = {"type": "linear", "factor": 4.0}
    older = {k: v for k, v in values(rope_theta=1e4, rope_scaling=scaled).items() if k != "rope_parameters"}
    read = read_config(older)
    assert (read.rope_theta, read.rope_scaling) == (1e4, RopeScaling("linear", 4.0))
    yarn = values(rope_parameters={"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4})
    found = read_config(yarn).rope_scaling
    assert found is not None and found.original_max_positions == 128, "of a file that does not say: as many as it has"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "rope_type=longrope: only linear, llama3, yarn"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type=yarn without a factor"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "truncate": False, "rope_theta": 1e4}}, "truncate=False"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0, "rope_theta": 1e4}}, "mscale=1.0"),
        ({"rope_parameters": {"rope_type": "linear", "factor": "x", "rope_theta": 1e4}}, "factor: expected"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types=full_attention, sliding_attention of llama"),
        ({"model_type": "mistral", "sliding_window": 8, "layer_types": [FULL, SLIDING]}, "layer_types=.* of mistral"),
        ({"model_type": "qwen2", "layer_types": [FULL, SLIDING]}, "with sliding_window=None"),
        ({"model_type": "qwen2", "layer_types": ["chunked_attention"]}, "layer_types"),
        ({**WINDOW, "layer_types": [FULL, FULL, SLIDING]}, "for each of layers=2"),
        ({**WINDOW, "max_window_layers": "x"}, "max_window_layers"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
    ],
)
def test_what_would_change_the_logits_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((ExchangeError, ValueError), match=said):
        read_config(values(**changes))


def test_a_window_is_one_where_the_class_has_it() -> None:
    assert read_config(values(model_type="llama", sliding_window=8)).sliding_window is None, "transformers' Llama has none"
    mistral = {k: v for k, v in values(model_type="mistral").items() if k != "sliding_window"}
    assert read_config(mistral).sliding_window == 4096, "its class's, where the file says nothing"
    off = values(model_type="qwen2", use_sliding_window=False, sliding_window=8)
    assert read_config(off).sliding_window is None


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({"max_window_layers": 0}, (8, 8)),
        ({"max_window_layers": 1}, (None, 8)),
        ({"max_window_layers": 28}, (None, None)),
        ({"layer_types": [SLIDING, FULL]}, (8, None)),
        ({"layer_types": [SLIDING, SLIDING], "max_window_layers": 1}, (8, 8)),
    ],
)
def test_windows_by_layer_are_those_of_transformers(changes: dict[str, Any], windows: tuple[int | None, ...]) -> None:
    given = values(**WINDOW) | changes
    if "layer_types" not in changes:
        given.pop("layer_types", None)
    found = read_config(given)
    assert found.windows == windows
    theirs = Qwen2Config(**given)
    assert tuple(8 if kind == SLIDING else None for kind in theirs.layer_types) == windows
    again = read_config(config_values(found))
    assert again == found and Qwen2Config(**config_values(found)).layer_types == theirs.layer_types
