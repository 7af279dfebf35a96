"""config.json of both families: published shapes survive the round trip, transformers reads ours, what is not ours is refused."""

import dataclasses

import pytest
import torch
from transformers import AutoConfig
from transformers.activations import ACT2FN

from starmill.model.config import ModelConfig
from starmill.model.exchange.families import EXACT, TANH, ExchangeError, config_values, read_config
from starmill.model.presets import PRESETS

GQA, MQA = PRESETS["tiny-starcoder2"], PRESETS["tiny-starcoder"]


@pytest.mark.parametrize("name", PRESETS)
def test_published_configurations_survive_the_round_trip(name: str) -> None:
    values = config_values(PRESETS[name])
    assert read_config(values) == PRESETS[name]
    theirs = AutoConfig.for_model(**values)
    assert read_config(theirs.to_dict()) == PRESETS[name], "and what transformers makes of it"


@pytest.mark.parametrize("name", [*TANH, *EXACT])
@pytest.mark.parametrize("config", [GQA, MQA])
def test_activations_mean_what_transformers_means(config: ModelConfig, name: str) -> None:
    values = config_values(config)
    key = "hidden_act" if "hidden_act" in values else "activation_function"
    ours = read_config({**values, key: name}).activation
    x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    approximate = "tanh" if ours == "gelu_tanh" else "none"
    assert (torch.nn.functional.gelu(x, approximate=approximate) - ACT2FN[name](x)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (GQA, {"rope_parameters": {"rope_theta": 1e5, "rope_type": "dynamic", "factor": 4.0}}, "rope_type=dynamic"),
        (GQA, {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type=dynamic"),
        (GQA, {"use_bias": False}, "use_bias=False"),
        (GQA, {"head_dim": 64}, "head_dim=64"),
        (GQA, {"hidden_act": "relu"}, "activation=relu"),
        (GQA, {"model_type": "gemma"}, "model_type=gemma"),
        (MQA, {"scale_attn_weights": False}, "scale_attn_weights=False"),
        (MQA, {"add_cross_attention": True}, "add_cross_attention=True"),
    ],
)
def test_what_would_change_the_logits_is_refused(config: ModelConfig, change: dict, message: str) -> None:
    with pytest.raises(ExchangeError, match=message):
        read_config(config_values(config) | change)


@pytest.mark.parametrize("change", [{"kv_heads": 2}, {"sliding_window": 8}])
def test_a_shape_that_gpt_bigcode_has_not(change: dict) -> None:
    with pytest.raises(ExchangeError, match="use positions=rope"):
        config_values(dataclasses.replace(MQA, **change))
