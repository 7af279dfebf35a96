"""LoRA in peft's files, both ways: peft's logits with our adapter, ours with peft's, merged or beside the weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from starmill.core.errors import UsageError
from starmill.model import adapters
from starmill.model.adapters import Shape
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import load, save, write
from starmill.model.exchange.layouts import ExchangeError

CONFIG = ModelConfig(300, 2, 32, 4, 2, 64, "rope", 64, norm="rms", gated=True, biases="none", activation="silu", init_std=0.2)
SHAPE = Shape(4, 2.0)
TOKENS = torch.randint(0, 300, (2, 20), generator=torch.Generator().manual_seed(2))


def base(place: Path) -> Path:
    decoder = Decoder(CONFIG)
    decoder.init_weights(torch.Generator().manual_seed(1))
    save(decoder, place / "base")
    return place / "base"


def adapted(place: Path) -> Decoder:
    decoder = load(place)
    adapters.add(decoder, SHAPE, adapters.TARGETS, torch.Generator().manual_seed(3))
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if name.endswith("lora_b"):
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(4))
    return decoder


@torch.no_grad()
def test_peft_loads_ours(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="NOT RUN: peft, whose adapters are read and written, is not here")
    from transformers import AutoModelForCausalLM

    ours = adapted(base(tmp_path))
    adapters.save(dict(ours.named_parameters()), CONFIG, SHAPE, tmp_path / "adapter", "base")
    theirs = peft.PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "adapter"
    ).eval()
    assert (ours(TOKENS) - theirs(TOKENS).logits).abs().max() < 1e-4
    assert (ours(TOKENS) - load(tmp_path / "base")(TOKENS)).abs().max() > 0.1
    write(CONFIG, adapters.merged(dict(ours.named_parameters()), SHAPE.scale), tmp_path / "merged")
    assert (load(tmp_path / "merged")(TOKENS) - theirs.merge_and_unload()(TOKENS).logits).abs().max() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("rslora", [False, True])
def test_ours_merges_what_peft_saved(rslora: bool, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="NOT RUN: peft, whose adapters are read and written, is not here")
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    wanted = peft.LoraConfig(
        r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"], init_lora_weights=False, use_rslora=rslora
    )
    theirs = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base(tmp_path)), wanted).eval()
    theirs.save_pretrained(tmp_path / "adapter")
    ours = load(tmp_path / "base")
    adapters.merge(ours, tmp_path / "adapter")
    assert (ours(TOKENS) - theirs(TOKENS).logits).abs().max() < 1e-4


def test_only_adapters_learn(tmp_path: Path) -> None:
    decoder = load(base(tmp_path)).train()
    adapters.add(decoder, SHAPE, ("query", "down"), torch.Generator().manual_seed(3))
    loss, _ = decoder.loss(TOKENS[:, :-1], TOKENS[:, 1:])
    plain, _ = load(tmp_path / "base").loss(TOKENS[:, :-1], TOKENS[:, 1:])
    assert loss.item() == pytest.approx(plain.item(), abs=1e-6), "an adapter begins as nothing"
    loss.backward()
    learned = {name for name, p in decoder.named_parameters() if p.grad is not None}
    assert len(learned) == 8 and all(".lora_" in name for name in learned)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the model has no gate"):
        adapters.add(Decoder(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32)), SHAPE, ["gate"])
    ours = adapted(base(tmp_path))
    adapters.save(dict(ours.named_parameters()), CONFIG, SHAPE, tmp_path / "adapter")
    values: dict[str, Any] = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    for change, message in (
        ({"use_dora": True}, "use_dora=True"),
        ({"peft_type": "IA3"}, "peft_type=IA3"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"r": 0}, "no adapter's"),
        ({"r": None}, "no adapter's"),
    ):
        (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(values | change))
        with pytest.raises(ExchangeError, match=message):
            adapters.merge(load(tmp_path / "base"), tmp_path / "adapter")
    (tmp_path / "adapter/adapter_config.json").write_text("{")
    with pytest.raises(ExchangeError, match="not JSON"):
        adapters.merge(load(tmp_path / "base"), tmp_path / "adapter")
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(values))
    small = Decoder(ModelConfig(300, 1, 32, 4, 2, 64, "rope", 64, norm="rms", gated=True, biases="none", activation="silu"))
    with pytest.raises(ExchangeError, match="is of no layer that the model has"):
        adapters.merge(small, tmp_path / "adapter")
