"""The same logits as transformers, both families, every layout; export and import are bit-exact."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.huggingface import ExchangeError, config_values, load, read_config, save
from starmill.model.presets import PRESETS

GQA = ModelConfig(300, 3, 64, 8, 2, 256, "rope", 128, sliding_window=16, init_std=0.2)
MQA = ModelConfig(300, 3, 64, 8, 1, 256, "learned", 128, init_std=0.2)
CONFIGS = {
    "starcoder2": GQA,
    "starcoder2-untied-gelu": dataclasses.replace(
        GQA, tie_embeddings=False, activation="gelu", sliding_window=None, rope_theta=1e6
    ),
    "starcoder2-mha": dataclasses.replace(GQA, kv_heads=8),
    "starcoder2-mqa": dataclasses.replace(GQA, kv_heads=1, mlp_size=100),
    "starcoder": MQA,
    "starcoder-mha-untied": dataclasses.replace(MQA, kv_heads=8, tie_embeddings=False, activation="gelu"),
}


def decoder(config: ModelConfig) -> Decoder:
    made = Decoder(config)
    made.init_weights(torch.Generator().manual_seed(1))
    with torch.no_grad():  # biases and norms that are not trivially 0 and 1
        for p in made.parameters():
            p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return made.eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_transformers_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path)
    theirs, loading = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True, attn_implementation="eager")
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    theirs = theirs.eval()
    tokens = torch.randint(0, 300, (2, 60), generator=torch.Generator().manual_seed(0))  # past the window of 16
    with torch.no_grad():
        assert (ours(tokens) - theirs(tokens).logits).abs().max() < 1e-4
        padding = torch.zeros_like(tokens, dtype=torch.bool)
        padding[0, :23] = True
        positions = ((~padding).cumsum(1) - 1).clamp(min=0)
        left = theirs(tokens, attention_mask=(~padding).long(), position_ids=positions).logits
        assert (ours(tokens, positions, padding_BT=padding) - left)[~padding].abs().max() < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_export_and_import_are_bit_exact(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path)
    back = load(tmp_path)
    assert back.config == ours.config
    for (n, a), (_, b) in zip(ours.named_parameters(), back.named_parameters(), strict=True):
        assert torch.equal(a, b), n
    save(back, tmp_path / "again")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_sharded_weights_and_the_older_theta_load(tmp_path: Path) -> None:
    ours = decoder(GQA)
    save(ours, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    names = sorted(tensors)
    (tmp_path / "model.safetensors").unlink()
    weight_map = {n: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, n in enumerate(names)}
    for file in set(weight_map.values()):
        save_file({n: tensors[n] for n in names if weight_map[n] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    values = json.loads((tmp_path / "config.json").read_text())
    del values["rope_parameters"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    tokens = torch.arange(40)[None]
    assert torch.equal(load(tmp_path)(tokens), ours(tokens))


@pytest.mark.parametrize("name", PRESETS)
def test_published_configurations_survive_the_round_trip(name: str) -> None:
    assert read_config(config_values(PRESETS[name])) == PRESETS[name]


def test_what_cannot_be_exchanged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"kv_heads=2: use positions=rope"):
        config_values(dataclasses.replace(MQA, kv_heads=2))
    with pytest.raises(ExchangeError, match=r"no config\.json"):
        load(tmp_path)
    save(decoder(GQA), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "hidden_size": 128}))
    with pytest.raises(ExchangeError, match="has shape"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**values, "model_type": "llama"}))
    with pytest.raises(ExchangeError, match="model_type=llama"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ExchangeError, match=r"no model\.safetensors"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (GQA, {"rope_parameters": {"rope_theta": 1e5, "rope_type": "linear", "factor": 4.0}}, "rope_type=linear"),
        (GQA, {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type=dynamic"),
        (GQA, {"rope_parameters": None, "rope_theta": None}, "lacks 'rope_theta'"),
        (GQA, {"use_bias": False}, "use_bias=False"),
        (GQA, {"num_hidden_layers": None}, "lacks 'num_hidden_layers'"),
        (GQA, {"num_hidden_layers": 2}, r"tensors that config\.json does not account for, first model\.layers\.2"),
        (MQA, {"scale_attn_weights": False}, "scale_attn_weights=False"),
    ],
)
def test_a_model_that_would_be_read_wrongly_is_refused(config: ModelConfig, change: dict, message: str, tmp_path: Path) -> None:
    save(decoder(config), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in values.items() if v is not None}))
    with pytest.raises(ExchangeError, match=message) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ")


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    save(decoder(GQA), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ExchangeError, match=r"model\.safetensors is not readable"):
        load(tmp_path)
    for name, message in (("gone.safetensors", "not readable"), ("../other.safetensors", "outside the folder")):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
        with pytest.raises(ExchangeError, match=message):
            load(tmp_path)
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ExchangeError, match="is not JSON"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["starcoder2", "starcoder-mha-untied"])
def test_what_transformers_saves_loads(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path / "ours")
    AutoModelForCausalLM.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert (tmp_path / "theirs/model.safetensors.index.json").exists()
    back = load(tmp_path / "theirs")
    assert back.config == ours.config
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), back.parameters(), strict=True))
