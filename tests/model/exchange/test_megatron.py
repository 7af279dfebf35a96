"""Checkpoints cut out of transformers' models by code of its own give the same logits; pickles do nothing."""

import argparse
import enum
import json
import sys
import types
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, GPTBigCodeConfig, GPTBigCodeForCausalLM

from starmill.model.exchange.huggingface import load as load_folder
from starmill.model.exchange.megatron import MegatronError, convert, load

HEADS, SIZE, LAYERS = 4, 16, 4
HIDDEN = HEADS * SIZE


class Backend(enum.Enum):
    """As checkpoints of the fork hold: an enum of a module that is not installed here."""

    FLASH = 1


Backend.__module__, Backend.__qualname__ = "megatron.model.enums", "Backend"


def original(multi_query: bool, tied: bool = True) -> GPTBigCodeForCausalLM:
    torch.manual_seed(0)
    config = GPTBigCodeConfig(
        vocab_size=128, n_positions=64, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, multi_query=multi_query,
        tie_word_embeddings=tied, initializer_range=0.2, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPTBigCodeForCausalLM(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p += 0.05 * torch.randn_like(p)
    return model


def fused_rows(version: float, rank: int, width: int) -> list[int]:
    """Return which rows of transformers' c_attn (of heads) a rank holds, in the order of a version of the checkpoint."""

    def at(head: int, part: int, i: int) -> int:
        return head * 3 * SIZE + part * SIZE + i

    heads, parts, inside = range(rank * HEADS // width, (rank + 1) * HEADS // width), range(3), range(SIZE)
    if version >= 2:
        return [at(h, p, i) for h in heads for p in parts for i in inside]
    if version >= 1:
        return [at(h, p, i) for h in heads for i in inside for p in parts]
    return [at(h, p, i) for p in parts for h in heads for i in inside]


def checkpoint(model: GPTBigCodeForCausalLM, place: Path, width: int, stages: int, version: float, encoder: str) -> None:
    """Cut a model of transformers into the files of tensor and pipeline ranks."""
    s = {n.removeprefix("transformer."): t.detach() for n, t in model.named_parameters()}
    head = model.lm_head.weight.detach()
    args = argparse.Namespace(hidden_size=HIDDEN, num_attention_heads=HEADS, ffn_hidden_size=4 * HIDDEN, num_layers=LAYERS,
        layernorm_epsilon=1e-5, init_method_std=0.2, hidden_dropout=0.1, bias_gelu_fusion=True, params_dtype=torch.float32,
        attention_backend=Backend.FLASH)  # fmt: skip
    attention = "attention" if encoder == "transformer" else "self_attention"
    for stage in range(stages):
        for rank in range(width):

            def rows(t: torch.Tensor, rank: int = rank) -> torch.Tensor:
                return t.tensor_split(width, 0)[rank].clone()

            def columns(t: torch.Tensor, rank: int = rank) -> torch.Tensor:
                return t.tensor_split(width, 1)[rank].clone()

            layers: dict[str, torch.Tensor] = {}
            for local in range(LAYERS // stages):
                here, there = f"layers.{local}", f"h.{stage * LAYERS // stages + local}"
                for kind in ("weight", "bias"):
                    layers[f"{here}.input_layernorm.{kind}"] = s[f"{there}.ln_1.{kind}"]
                    layers[f"{here}.post_attention_layernorm.{kind}"] = s[f"{there}.ln_2.{kind}"]
                    c_attn = s[f"{there}.attn.c_attn.{kind}"]
                    if model.config.multi_query:
                        layers[f"{here}.{attention}.query.{kind}"] = rows(c_attn[:HIDDEN])
                        layers[f"{here}.{attention}.key_value.{kind}"] = c_attn[HIDDEN:].clone()
                    else:
                        layers[f"{here}.{attention}.query_key_value.{kind}"] = c_attn[fused_rows(version, rank, width)]
                    layers[f"{here}.mlp.dense_h_to_4h.{kind}"] = rows(s[f"{there}.mlp.c_fc.{kind}"])
                layers[f"{here}.{attention}.dense.weight"] = columns(s[f"{there}.attn.c_proj.weight"])
                layers[f"{here}.{attention}.dense.bias"] = s[f"{there}.attn.c_proj.bias"]
                layers[f"{here}.mlp.dense_4h_to_h.weight"] = columns(s[f"{there}.mlp.c_proj.weight"])
                layers[f"{here}.mlp.dense_4h_to_h.bias"] = s[f"{there}.mlp.c_proj.bias"]
            language: dict[str, object] = {encoder: layers}
            whole: dict[str, object] = {"language_model": language}
            if stage == 0:
                words, places = {"weight": rows(s["wte.weight"])}, {"weight": s["wpe.weight"]}
                language["embedding"] = {"word_embeddings": words, "position_embeddings": places}
            if stage == stages - 1:
                layers |= {f"final_layernorm.{kind}": s[f"ln_f.{kind}"] for kind in ("weight", "bias")}
                if not model.config.tie_word_embeddings:
                    language["output_layer"] = {"weight": rows(head)}
                elif stages > 1:
                    whole["word_embeddings_for_head"] = {"weight": rows(s["wte.weight"])}
            folder = place / "iter_0000050" / (f"mp_rank_{rank:02}" if stages == 1 else f"mp_rank_{rank:02}_{stage:03}")
            folder.mkdir(parents=True)
            saved = {"checkpoint_version": version, "iteration": 50, "args": args, "model": whole, "optimizer": {"step": 1}}
            torch.save(saved, folder / "model_optim_rng.pt")
    (place / "latest_checkpointed_iteration.txt").write_text("50")


@pytest.fixture(autouse=True)
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pickle find the enum while checkpoints are written; reading must not need it."""
    module = types.ModuleType("megatron.model.enums")
    module.Backend = Backend  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "megatron.model.enums", module)


@pytest.mark.parametrize(("width", "stages"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 4)])
@pytest.mark.parametrize(("multi_query", "version"), [(True, 3.0), (False, 3.0), (False, 1.0), (False, 0)])
@torch.no_grad()
def test_the_same_logits_from_every_cut(multi_query: bool, version: float, width: int, stages: int, tmp_path: Path) -> None:
    theirs = original(multi_query)
    checkpoint(theirs, tmp_path, width, stages, version, "encoder" if stages == 1 else "transformer")
    tokens = torch.randint(0, 128, (2, 40))
    ours = load(tmp_path)
    assert (ours(tokens) - theirs(tokens).logits).abs().max() < 1e-4
    assert ours.config.kv_heads == (1 if multi_query else HEADS) and ours.config.dropout == 0.1


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_converted_it_is_the_original_to_the_bit(tied: bool, tmp_path: Path) -> None:
    theirs = original(True, tied)
    checkpoint(theirs, tmp_path, 2, 2, 3.0, "encoder")
    convert(tmp_path / "iter_0000050", tmp_path / "out")
    back = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    expected = dict(theirs.named_parameters())
    assert all(torch.equal(p, expected[n]) for n, p in back.named_parameters())
    assert json.loads((tmp_path / "out/config.json").read_text())["activation_function"] == "gelu_pytorch_tanh"
    both = zip(load(tmp_path, dtype=torch.bfloat16).parameters(), load_folder(tmp_path / "out").parameters(), strict=True)
    assert all(torch.equal(a, b.bfloat16()) for a, b in both)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    checkpoint(original(True), tmp_path, 2, 2, 3.0, "encoder")
    file = tmp_path / "iter_0000050/mp_rank_01_001/model_optim_rng.pt"
    saved = torch.load(file, weights_only=False)
    layers = saved["model"]["language_model"]["encoder"]
    name = "layers.1.mlp.dense_h_to_4h.bias"
    whole = layers[name]
    for value, message in (
        (None, r"stage 1, tensor rank 1 has no layers\.1\.mlp\.dense_h_to_4h\.bias"),
        (whole[:-1], r"blocks\.3\.up\.bias has shape \(255,\), expected \(256,\)"),
    ):
        layers[name] = value
        torch.save(saved, file)
        with pytest.raises(MegatronError, match=message):
            load(tmp_path)
    layers |= {name: whole, "layers.0.inter_attention.query.weight": whole}
    torch.save(saved, file)
    with pytest.raises(MegatronError, match=r"1 tensors that no StarCoder has, first 'layers\.0\.inter_attention"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layers.999999999.mlp.dense_h_to_4h.bias", torch.zeros(2), "no StarCoder has, first 'layers.999999999"),
        ("layers.x.mlp.dense_h_to_4h.bias", torch.zeros(2), "no StarCoder has, first 'layers.x"),
        ("layers.0.mlp.dense_h_to_4h.weight", torch.tensor(1.0), r"blocks.0.up.weight \(RuntimeError: zero-dimensional"),
        ("layers.0.mlp.dense_h_to_4h.bias", torch.zeros(128).int(), "blocks.0.up.bias is of torch.int32"),
        ("hidden_size", 2_000_000_000, "hidden_size: expected int from 1 to 131,072, got 2000000000"),
        ("num_attention_heads", "4", "heads: expected int from 1 to 131,072, got '4'"),
        ("ffn_hidden_size", float("nan"), "mlp_size: expected int from 1 to 1,048,576, got nan"),
    ],
)
def test_hostile_names_and_numbers(name: str, value: object, message: str, tmp_path: Path) -> None:
    checkpoint(original(True), tmp_path, 2, 1, 3.0, "encoder")
    for rank in range(2):
        file = tmp_path / f"iter_0000050/mp_rank_{rank:02}/model_optim_rng.pt"
        saved = torch.load(file, weights_only=False)
        if name.startswith("layers."):
            saved["model"]["language_model"]["encoder"][name] = value
        else:
            setattr(saved["args"], name, value)
        torch.save(saved, file)
    with pytest.raises(MegatronError, match=message):
        load(tmp_path)
