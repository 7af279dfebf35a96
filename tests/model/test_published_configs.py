"""config.json as it was published, key for key, is read as the published shape: by us, and by way of transformers' own classes.

`santacoder`, `starcoder2-*`: copies of the files on the Hub (bigcode/gpt_bigcode-santacoder; the 15B as a mirror lists it; 3B and 7B as
TensorRT-LLM's tests quote them). `starcoderbase`: the keys of bigcode/starcoder as Cerebras' and Huawei's converters list them; its
smaller sizes differ in the four sizes of the training scripts (bigcode-project/Megatron-LM, examples/pretrain_bigcode_*.slurm).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from starmill.model.config import parameter_count
from starmill.model.exchange.families import ExchangeError, config_values, read_config
from starmill.model.exchange.folders import shape
from starmill.model.exchange.huggingface import load, save
from starmill.model.presets import PRESETS

SANTACODER = """{
  "activation_function": "gelu_pytorch_tanh", "architectures": ["GPTBigCodeForCausalLM"], "attention_softmax_in_fp32": true,
  "multi_query": true, "attn_pdrop": 0.1, "bos_token_id": 49152, "embd_pdrop": 0.1, "eos_token_id": 49152,
  "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt_bigcode", "n_embd": 2048, "n_head": 16,
  "n_inner": 8192, "n_layer": 24, "n_positions": 2048, "resid_pdrop": 0.1, "runner_max_sequence_length": null,
  "scale_attention_softmax_in_fp32": true, "scale_attn_weights": true, "summary_activation": null, "summary_first_dropout": 0.1,
  "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
  "transformers_version": "4.28.0.dev0", "use_cache": true, "vocab_size": 49280
}"""
STARCODERBASE = """{
  "activation_function": "%s", "architectures": ["GPTBigCodeForCausalLM"], "attention_softmax_in_fp32": true, "attn_pdrop": 0.1,
  "bos_token_id": 0, "embd_pdrop": 0.1, "eos_token_id": 0, "inference_runner": 0, "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05, "max_batch_size": null, "max_sequence_length": null, "model_type": "gpt_bigcode",
  "multi_query": true, "n_embd": %d, "n_head": %d, "n_inner": %d, "n_layer": %d, "n_positions": 8192, "pad_key_length": true,
  "pre_allocate_kv_cache": false, "resid_pdrop": 0.1, "scale_attention_softmax_in_fp32": true, "scale_attn_weights": true,
  "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
  "summary_use_proj": true, "torch_dtype": "float32", "transformers_version": "4.28.1", "use_cache": true,
  "validate_runner_input": true, "vocab_size": 49152
}"""
STARCODER2 = """{
  "architectures": ["Starcoder2ForCausalLM"], "attention_dropout": 0.1, "residual_dropout": 0.1, "embedding_dropout": 0.1,
  "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu_pytorch_tanh", "hidden_size": %d, "initializer_range": 0.018042,
  "intermediate_size": %d, "max_position_embeddings": 16384, "mlp_type": "default", "model_type": "starcoder2",
  "norm_epsilon": 1e-05, "num_attention_heads": %d, "num_hidden_layers": %d, "num_key_value_heads": %d, "rope_theta": %s,
  "sliding_window": 4096, "torch_dtype": "bfloat16", "transformers_version": "4.37.0.dev0", "use_bias": true, "use_cache": true,
  "vocab_size": 49152
}"""
STARCODER2_15B = """{
  "_name_or_path": "/aot/checkpoints/15b/config.json", "architectures": ["Starcoder2ForCausalLM"], "attention_dropout": 0.0,
  "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 6144, "initializer_range": 0.01275,
  "intermediate_size": 24576, "max_position_embeddings": 16384, "mlp_type": "default", "model_type": "starcoder2",
  "norm_epsilon": 1e-05, "norm_type": "layer_norm", "num_attention_heads": 48, "num_hidden_layers": 40, "num_key_value_heads": 4,
  "rms_norm_eps": 1e-05, "rope_theta": 100000, "sliding_window": 4096, "tie_word_embeddings": false, "torch_dtype": "float32",
  "transformers_version": "4.37.0.dev0", "use_bias": true, "use_cache": true, "vocab_size": 49152
}"""
FILES = {
    "santacoder": SANTACODER,
    "starcoderbase-1b": STARCODERBASE % ("gelu_pytorch_tanh", 2048, 16, 8192, 24),
    "starcoderbase-3b": STARCODERBASE % ("gelu_pytorch_tanh", 2816, 22, 11264, 36),
    "starcoderbase-7b": STARCODERBASE % ("gelu_pytorch_tanh", 4096, 32, 16384, 42),
    "starcoderbase": STARCODERBASE % ("gelu", 6144, 48, 24576, 40),
    "starcoder2-3b": STARCODER2 % (3072, 12288, 24, 30, 2, "999999.4420358813"),
    "starcoder2-7b": STARCODER2 % (4608, 18432, 36, 32, 4, "1000000"),
    "starcoder2-15b": STARCODER2_15B,
}
# layers, hidden, heads, key heads, inner, positions, theta, window, vocabulary, tied, dropout, end of text, parameters
TABLE: dict[str, tuple[Any, ...]] = {
    "santacoder": (24, 2048, 16, 1, 8192, 2048, None, None, 49_280, True, 0.1, 49_152, 1_124_886_528),
    "starcoderbase-1b": (24, 2048, 16, 1, 8192, 8192, None, None, 49_152, True, 0.1, 0, 1_137_207_296),
    "starcoderbase-3b": (36, 2816, 22, 1, 11264, 8192, None, None, 49_152, True, 0.1, 0, 3_043_311_104),
    "starcoderbase-7b": (42, 4096, 32, 1, 16384, 8192, None, None, 49_152, True, 0.1, 0, 7_327_263_232),
    "starcoderbase": (40, 6144, 48, 1, 24576, 8192, None, None, 49_152, True, 0.1, 0, 15_517_456_384),
    "starcoder2-3b": (30, 3072, 24, 2, 12288, 16384, 999999.4420358813, 4096, 49_152, True, 0.1, 0, 3_030_371_328),
    "starcoder2-7b": (32, 4608, 36, 4, 18432, 16384, 1e6, 4096, 49_152, True, 0.1, 0, 7_173_923_840),
    "starcoder2-15b": (40, 6144, 48, 4, 24576, 16384, 1e5, 4096, 49_152, False, 0.0, 0, 15_957_889_024),
}
# What a released config.json says otherwise than the training that we ship as a preset: dropout that StarCoder2 was not trained with,
# transformers' default for the standard deviation of first weights, and the exact GELU of the 15.5B, trained with the approximation.
UNTRAINED = ("dropout", "init_std", "activation")


@pytest.mark.parametrize("name", FILES)
def test_a_published_config_is_read_as_the_published_shape(name: str, tmp_path: Path) -> None:
    values = json.loads(FILES[name])
    (tmp_path / "config.json").write_text(FILES[name])
    read = shape(tmp_path)
    rope = read.positions == "rope"
    found = (
        *(read.layers, read.hidden_size, read.heads, read.kv_heads, read.mlp_size, read.max_positions),
        *(read.rope_theta if rope else None, read.sliding_window, read.vocab_size, read.tie_embeddings, read.dropout),
        *(read.eos_id, parameter_count(read)),
    )
    assert found == TABLE[name] and read.bos_id == read.eos_id and read.norm_epsilon == 1e-5
    exact = values.get("activation_function") == "gelu"
    assert read.activation == ("gelu" if exact else "gelu_tanh") and read.init_std == values["initializer_range"]
    free = {field: getattr(read, field) for field in UNTRAINED}
    assert dataclasses.replace(PRESETS[name], **free) == read, "the preset is that shape"


@pytest.mark.parametrize("name", FILES)
def test_transformers_reads_the_same_from_it(name: str) -> None:
    theirs = AutoConfig.for_model(**json.loads(FILES[name]))
    ours = read_config(json.loads(FILES[name]))
    assert read_config(theirs.to_dict()) == ours, "what it fills in is what we take for granted"
    assert (theirs.hidden_size, theirs.num_hidden_layers, theirs.num_attention_heads) == (
        ours.hidden_size,
        ours.layers,
        ours.heads,
    )
    assert theirs.num_key_value_heads == ours.kv_heads and theirs.max_position_embeddings == ours.max_positions
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.vocab_size) == (ours.bos_id, ours.eos_id, ours.vocab_size)
    again = AutoConfig.for_model(**config_values(ours))
    for key, value in theirs.to_dict().items():
        if key not in (
            "dtype",
            "torch_dtype",
            "_name_or_path",
            "transformers_version",
            "attention_dropout",
            "embedding_dropout",
        ):
            assert again.to_dict().get(key, value) == value, f"{key} survives the way through ours"


@pytest.mark.parametrize("name", ["santacoder", "starcoderbase", "starcoder2-3b", "starcoder2-15b"])
@torch.no_grad()
def test_weights_beside_a_published_config_give_transformers_logits(name: str, tmp_path: Path) -> None:
    values = json.loads(FILES[name])
    rope = values["model_type"] == "starcoder2"
    small = {
        "num_hidden_layers": 2,
        "hidden_size": 96,
        "intermediate_size": 200,
        "num_attention_heads": 12,
        "sliding_window": 16,
    }
    small |= {"num_key_value_heads": values.get("num_key_value_heads", 1) // 2 or 1}
    if not rope:
        small = {"n_layer": 2, "n_embd": 96, "n_inner": 200, "n_head": 12}
    small |= {"initializer_range": 0.2, "vocab_size": values["vocab_size"] // 100}
    small |= {key: values[key] // 100 for key in ("bos_token_id", "eos_token_id")}
    torch.manual_seed(0)
    theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values | small), dtype=torch.float32).eval()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(values | small))  # the published keys, not those of this transformers
    ours = load(tmp_path)
    tokens = torch.randint(0, small["vocab_size"], (2, 40), generator=torch.Generator().manual_seed(0))
    assert (ours(tokens) - theirs(tokens).logits).abs().max() < 1e-4
    save(ours, tmp_path / "again")
    for file in ("config.json", "generation_config.json"):
        again = json.loads((tmp_path / "again" / file).read_text())
        assert [again[key] for key in ("bos_token_id", "eos_token_id")] == [small["eos_token_id"]] * 2, "ends as they came"


@pytest.mark.parametrize(("given", "expected"), [({}, (0, 0)), ({"bos_token_id": 1, "eos_token_id": 2}, (1, 2))])
def test_ends_are_the_files_own(given: dict[str, int], expected: tuple[int, int]) -> None:
    values = {k: v for k, v in config_values(PRESETS["tiny-starcoder2"]).items() if k not in ("bos_token_id", "eos_token_id")}
    read = read_config(values | given)
    assert (read.bos_id, read.eos_id) == expected
    written = config_values(read)
    assert (written["bos_token_id"], written["eos_token_id"]) == expected


def test_several_ends_are_refused() -> None:
    with pytest.raises(ExchangeError, match=r"eos_token_id=\[0, 7\]: only models with one"):
        read_config(config_values(PRESETS["tiny-starcoder2"]) | {"eos_token_id": [0, 7]})
