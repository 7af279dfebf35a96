"""The same logits as transformers, both families, every layout; export and import are bit-exact."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel

from starmill.core.tokenizer import SPECIAL_TOKENS
from starmill.model.cache import Cache
from starmill.model.config import ModelConfig, RopeScaling
from starmill.model.decoder import Decoder
from starmill.model.exchange.families import ExchangeError
from starmill.model.exchange.huggingface import load, save

GQA = ModelConfig(300, 3, 64, 8, 2, 256, "rope", 128, sliding_window=16, init_std=0.2)
MQA = ModelConfig(300, 3, 64, 8, 1, 256, "learned", 128, init_std=0.2)
RMS = dataclasses.replace(
    GQA, norm="rms", gated=True, biases="none", activation="silu", sliding_window=None, mlp_size=176, norm_epsilon=1e-6
)
CONFIGS = {
    "llama": RMS,
    "llama3-scaled-untied": dataclasses.replace(
        RMS, rope_scaling=RopeScaling("llama3", 8.0, original_max_positions=32), rope_theta=5e5, tie_embeddings=False
    ),
    "llama-linear": dataclasses.replace(RMS, rope_scaling=RopeScaling("linear", 4.0, original_max_positions=8192)),
    "mistral": dataclasses.replace(RMS, sliding_window=16, head_dim=24),
    "qwen2": dataclasses.replace(RMS, biases="qkv", rope_scaling=RopeScaling("yarn", 4.0, original_max_positions=32)),
    "qwen2-window": dataclasses.replace(RMS, biases="qkv", sliding_window=16),
    "qwen2-some-windows": dataclasses.replace(
        RMS, biases="qkv", sliding_window=16, layer_types=("full_attention", "sliding_attention", "sliding_attention")
    ),
    "qwen3-some-windows": dataclasses.replace(
        RMS, qk_norm=True, sliding_window=16, layer_types=("sliding_attention", "full_attention", "sliding_attention")
    ),
    "qwen3": dataclasses.replace(RMS, qk_norm=True, head_dim=24, activation="gelu"),
    "starcoder2": GQA,
    "starcoder2-untied-gelu": dataclasses.replace(
        GQA, tie_embeddings=False, activation="gelu", sliding_window=None, rope_theta=1e6
    ),
    "starcoder2-scaled": dataclasses.replace(GQA, rope_scaling=RopeScaling("yarn", 2.0, original_max_positions=64)),
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


def transformers(place: Path) -> PreTrainedModel:
    theirs, loading = AutoModelForCausalLM.from_pretrained(place, output_loading_info=True, attn_implementation="eager")
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    return theirs.eval()


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_transformers_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path)
    theirs = transformers(tmp_path)
    tokens = torch.randint(0, 300, (2, 60), generator=torch.Generator().manual_seed(0))  # past the window of 16
    assert (ours(tokens) - theirs(tokens).logits).abs().max() < 1e-4
    for side in (slice(0, 23), slice(37, 60)):  # padding on the left, and on the right
        padding = torch.zeros_like(tokens, dtype=torch.bool)
        padding[0, side] = True
        positions = ((~padding).cumsum(1) - 1).clamp(min=0)
        expected = theirs(tokens, attention_mask=(~padding).long(), position_ids=positions).logits
        assert (ours(tokens, positions, padding_BT=padding) - expected)[~padding].abs().max() < 1e-4
    cache, past = Cache(ours.config, 60), None
    for piece in tokens.split([25, 1, 1, 20, 1, 12], dim=1):  # a prompt, single tokens, and pieces again
        expected = theirs(piece, past_key_values=past, use_cache=True)
        past = expected.past_key_values
        assert (ours(piece, cache=cache) - expected.logits).abs().max() < 1e-4


@pytest.mark.parametrize("positions", ["rope", "learned"])
@torch.no_grad()
def test_a_fim_prompt_past_the_window_of_starcoder2(positions: str, tmp_path: Path) -> None:
    published = ModelConfig(1000, 2, 128, 4, 1, 512, positions, 8192, sliding_window=4096 if positions == "rope" else None)  # type: ignore[arg-type]
    ours = decoder(dataclasses.replace(published, init_std=0.1))
    save(ours, tmp_path)
    text = torch.randint(38, 1000, (4200,), generator=torch.Generator().manual_seed(0)).tolist()
    prefix, middle, suffix = (SPECIAL_TOKENS.index(f"<fim_{part}>") for part in ("prefix", "middle", "suffix"))
    tokens = torch.tensor([[prefix, *text[:3000], suffix, *text[3000:], middle]])
    theirs = transformers(tmp_path)(tokens, logits_to_keep=200).logits
    assert (ours(tokens)[:, -200:] - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["starcoder2", "starcoder-mha-untied"])
@torch.no_grad()
def test_the_type_of_the_weights_is_kept_or_chosen(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name]).to(torch.bfloat16)
    save(ours, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    kept, chosen = load(tmp_path), load(tmp_path, dtype=torch.float32)
    assert {p.dtype for p in kept.parameters()} == {torch.bfloat16} and {p.dtype for p in chosen.parameters()} == {
        torch.float32
    }
    assert all(torch.equal(a, b.bfloat16()) for a, b in zip(kept.parameters(), chosen.parameters(), strict=True))
    tokens = torch.arange(60)[None]
    theirs = transformers(tmp_path)(tokens).logits  # in bfloat16 too, where two orders of sums differ by about a hundredth
    assert theirs.dtype == torch.bfloat16
    scale = chosen(tokens).std()
    assert (kept(tokens).float() - theirs.float()).abs().max() < 0.1 * scale


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


@pytest.mark.parametrize("name", CONFIGS)
def test_export_in_several_files(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path, max_shard_bytes=100_000)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    largest = max(t.nbytes for shard in shards for t in load_file(shard).values())
    assert len(shards) > 3 and all(sum(t.nbytes for t in load_file(s).values()) <= max(100_000, largest) for s in shards)
    total = sum(t.nbytes for shard in shards for t in load_file(shard).values())
    assert json.loads((tmp_path / "model.safetensors.index.json").read_text())["metadata"]["total_size"] == total
    transformers(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), load(tmp_path).parameters(), strict=True))
    save(ours, tmp_path)
    assert [p.name for p in tmp_path.glob("model*")] == ["model.safetensors"], "files of the earlier export are gone"
    save(ours, tmp_path, max_shard_bytes=100_000)
    assert sorted(tmp_path.glob("model*.safetensors")) == shards


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


def test_what_cannot_be_exchanged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"no config\.json"):
        load(tmp_path)
    save(decoder(GQA), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "hidden_size": 128}))
    with pytest.raises(ExchangeError, match="has shape"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**values, "model_type": "gemma"}))
    with pytest.raises(ExchangeError, match="model_type=gemma"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ExchangeError, match=r"no model\.safetensors"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (GQA, {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type=dynamic"),
        (GQA, {"rope_parameters": None, "rope_theta": None}, "lacks 'rope_theta'"),
        (GQA, {"num_hidden_layers": 2}, r"16 tensors that config\.json does not account for, first 'model\.layers\.2"),
        (GQA, {"num_hidden_layers": 4}, r"16 tensors are missing, first model\.layers\.3"),
        (CONFIGS["starcoder-mha-untied"], {"tie_word_embeddings": True}, r"lm_head\.weight is not the embedding"),
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
    for name, message in (("gone.safetensors", "is no file"), ("../other.safetensors", "no safetensors file of this folder")):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
        with pytest.raises(ExchangeError, match=message):
            load(tmp_path)
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ExchangeError, match="is not JSON"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name", ["starcoder2", "starcoder-mha-untied", "llama3-scaled-untied", "mistral", "qwen2-window", "qwen3"]
)
def test_what_transformers_saves_loads(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path / "ours")
    AutoModelForCausalLM.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert (tmp_path / "theirs/model.safetensors.index.json").exists()
    back = load(tmp_path / "theirs")
    assert back.config == ours.config
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), back.parameters(), strict=True))


@pytest.mark.parametrize("name", ["starcoder2", "starcoder"])
def test_a_base_model_without_a_head_loads(name: str, tmp_path: Path) -> None:
    ours = decoder(CONFIGS[name])
    save(ours, tmp_path / "ours")
    AutoModel.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "base")  # names without transformer. or model.
    back = load(tmp_path / "base")
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), back.parameters(), strict=True))


MEASURE = """
import sys
from starmill.model.exchange.huggingface import load, save

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

save(load(sys.argv[4]), sys.argv[4])  # what Python and torch take at a first use
before = status("VmRSS")
decoder = load(sys.argv[1])
loaded = status("VmHWM")
save(decoder, sys.argv[2], max_shard_bytes=int(sys.argv[3]))
print(sum(p.nbytes for p in decoder.parameters()), loaded - before, status("VmHWM") - before)
"""


def test_loading_takes_the_model_and_one_file_of_memory(tmp_path: Path) -> None:
    shard = 20_000_000
    ours = Decoder(ModelConfig(20_000, 12, 768, 6, 1, 3072, "learned", 1024)).to(torch.bfloat16)
    save(ours, tmp_path / "model", max_shard_bytes=shard)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "model"), str(tmp_path / "again"), str(shard)]
    save(decoder(GQA), tmp_path / "small")
    command.append(str(tmp_path / "small"))
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    model, loading, both = map(int, printed.split())
    largest = ours.tokens.weight.nbytes  # a file of its own, larger than a shard
    assert model > 150e6 and len(list((tmp_path / "model").glob("model-*"))) > 6
    # A loader that holds all files takes twice the model.
    assert loading < model + largest + 20e6
    assert both < model + 2 * largest + 20e6
    weights = sorted(p.name for p in (tmp_path / "model").glob("*.safetensors"))
    assert all((tmp_path / "model" / n).read_bytes() == (tmp_path / "again" / n).read_bytes() for n in weights)
