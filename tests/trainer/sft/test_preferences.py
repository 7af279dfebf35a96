"""DPO by `starmill train`: the formula in plain PyTorch step by step, resume, and the reference of adapters.

The slow test does the same beside TRL's DPOTrainer.
"""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talks
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from starmill.cli.__main__ import main
from starmill.trainer import config
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.sft.corpus import Conversations

RECIPE: dict[str, Any] = {
    "steps": 8,
    "checkpoint_every": 4,
    "log_every": 1,
    "data": {"sequence_length": 64, "batch": 8, "micro_batch": 4, "held_out": 0.1, "fim": {"rate": 0.0}},
    "dpo": {"beta": 0.5},
    "optimizer": {"lr": 1e-3, "min_lr": 1e-3, "warmup_steps": 0, "decay_steps": 0, "weight_decay": 0.0, "beta2": 0.999},
}
Side = tuple[list[int], list[bool]]


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": [{"role": "user", "content": row["instruction"]}],
            "chosen": [{"role": "assistant", "content": row["response"]}],
            "rejected": [{"role": "assistant", "content": "user" * (1 + number % 3)}],
        }
        for number, row in enumerate(talks.rows(count))
    ]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    talks.write(tmp_path)
    (tmp_path / "preferences").mkdir()
    (tmp_path / "preferences/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(30)))
    values = RECIPE | {"workspace": str(tmp_path), "output": str(tmp_path / "tuned"), "weights": str(tmp_path / "base")}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def told(output: Path, name: str = "loss") -> list[float]:
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [line[name] for line in lines if name in line]


def opened(place: Path, *sets: str) -> Conversations:
    train = open_inputs(config.load(str(place / "recipe.yaml"), list(sets))).train
    assert isinstance(train, Conversations)
    return train


def in_order(train: Conversations, steps: int = 8) -> list[list[tuple[Side, Side]]]:
    """Return the pairs of each step: ids of both responses with their prompt, and which are learned."""
    units = [train.units.of(one) for batch in islice(train.batches(), 2 * steps) for one in batch.units]
    each = [(train.units.ids[u].tolist(), train.units.answers[u].tolist()) for u in units]
    pairs = list(zip(each[::2], each[1::2], strict=True))
    return [pairs[i : i + 4] for i in range(0, len(pairs), 4)]


def log_probability(model: Any, side: Side) -> torch.Tensor:
    ids, learned = torch.tensor(side[0]), torch.tensor(side[1])
    each = model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    return each[learned[1:]].sum()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_plain_pytorch_step_by_step(place: Path, smoothing: float) -> None:
    sets = [f"--set=dpo.label_smoothing={smoothing}"]
    assert main(["train", str(place / "recipe.yaml"), *sets]) == 0
    model, reference = (AutoModelForCausalLM.from_pretrained(place / "base") for _ in range(2))
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.0)
    expected, margins = [], []
    for step in in_order(opened(place)):
        rewards = torch.stack(
            [
                torch.stack([log_probability(model, side) - log_probability(reference, side).detach() for side in pair])
                for pair in step
            ]
        )
        p = torch.sigmoid(0.5 * (rewards[:, 0] - rewards[:, 1]))
        loss = -((1 - smoothing) * p.log() + smoothing * (1 - p).log()).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        expected.append(loss.item())
        margins.append(0.5 * (rewards[:, 0] - rewards[:, 1]).mean().item())
    assert told(place / "tuned") == pytest.approx(expected, abs=1e-4) and expected[-1] < expected[0]
    assert told(place / "tuned", "reward_margin") == pytest.approx(margins, abs=1e-3)
    assert told(place / "tuned", "reward_accuracy")[-1] > 0.9
    first, last = told(place / "tuned", "held_out_loss")
    assert last < first == pytest.approx(0.6931, abs=1e-3)


def test_a_stopped_run_goes_on_also_without_its_reference(place: Path) -> None:
    run = ["train", str(place / "recipe.yaml"), "--set=checkpoint_every=2", "--set=steps=4", "--output"]
    assert main([*run, str(place / "whole")]) == 0
    for name in ("kept", "lost"):
        assert main([*run, str(place / name), "--set=steps=2"]) == 0
        if name == "lost":
            (place / name / "reference.safetensors").write_bytes(b"cut off")
        else:  # the weights are not read again
            (place / "base/model.safetensors").rename(place / "elsewhere")
        assert main([*run, str(place / name)]) == 0
        if name == "kept":
            (place / "elsewhere").rename(place / "base/model.safetensors")
    made = [(place / name / "model/model.safetensors").read_bytes() for name in ("whole", "kept", "lost")]
    assert made[0] == made[1] == made[2]


def test_the_reference_of_adapters_is_the_model_without_them(place: Path) -> None:
    sets = ["--set=lora.rank=4", "--set=lora.targets=[query, down]"]
    assert main(["train", str(place / "recipe.yaml"), *sets]) == 0
    losses = told(place / "tuned")
    assert losses[0] == pytest.approx(0.693147, abs=1e-5) and losses[-1] < losses[0]
    before, after = ((place / f"{name}/model.safetensors").read_bytes() for name in ("base", "tuned/model"))
    assert before != after and (place / "tuned/adapter/adapter_config.json").is_file()
    assert main(["export", str(place / "tuned"), "--license", "mit"]) == 0
    card, train = (place / "tuned/export/README.md").read_text(), opened(place)
    assert f"{len(train.units) // 2} pairs of responses of {train.units.tokens:,} tokens" in card
    assert "DPO of pairs of responses, beta 0.5; the reference" in card and "- dpo\n- lora\n" in card


def test_pairs_stay_together(place: Path) -> None:
    train = opened(place)
    one = list(islice(train.batches(), 40))
    for batch in one:
        assert [u // 2 for u in batch.units[::2]] == [u // 2 for u in batch.units[1::2]] and batch.part == 1
        assert all(u % 2 == 0 for u in batch.units[::2])
    epoch = [window[0] for window in train.epoch(0)]
    assert sorted(epoch) == list(range(len(train.units))) and train.epoch(0) != train.epoch(1)
    for rank in (0, 1):
        share = list(islice(train.batches((), rank, 2), 20))
        for ours, theirs in zip(share, one[rank::2], strict=True):
            assert np.array_equal(ours.tokens, theirs.tokens)
    for ranks in (1, 2, 3):
        shown = [batch for rank in range(ranks) for batch in train.sample(10, rank, ranks)]
        assert len(shown) % ranks == 0
        seen = [unit for batch, there in shown for unit in batch.units[: len(there)]]
        assert sorted(seen) == sorted(epoch[:10])
        assert all(a // 2 == b // 2 for batch, _ in shown for a, b in zip(batch.units[::2], batch.units[1::2], strict=True))
    assert len(train.batch([[0], [1]]).units) == 2


def test_all_pairs_of_a_prompt_are_on_one_side(place: Path) -> None:
    again = [row | {"rejected": [{"role": "assistant", "content": "done"}]} for row in rows(30)]
    (place / "preferences/again.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*again, {"chosen": 1}]))
    found = open_inputs(config.load(str(place / "recipe.yaml"), ["data.held_out=0.3"]))
    sides = [{name.rpartition(":")[2] for name in part.units.names} for part in (found.train, found.held_out)]
    assert not sides[0] & sides[1] and all(sides) and len(found.train.units) + len(found.held_out.units) == 120
    assert "1 rows: no_preference, first preferences/again.jsonl:31" in "\n".join(found.told)


def test_what_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for sets, message in (
        (["sft={}"], "sft and dpo: a run has one of them"),
        (["data.micro_batch=1"], "a pair is two windows; give an even number"),
        (["optimizer.z_loss=0.1"], "dpo has none"),
        (["dpo.label_smoothing=0.5"], "dpo.label_smoothing"),
        (["dpo.folder=instructions"], "no pair to learn from (no_preference: 24 rows"),
        (["data.ramp=[[100, 2]]"], "data.ramp: conversations have none; leave it out, or leave dpo out"),
    ):
        assert main(["train", str(place / "recipe.yaml"), *(f"--set={one}" for one in sets)]) in (1, 2)
        assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("layout", [[], ["parallel.tensor=2"]], ids=["data", "tensor"])
def test_two_ranks_learn_as_one(place: Path, layout: list[str]) -> None:
    assert main(["train", str(place / "recipe.yaml")]) == 0
    sets = [f"--set={one}" for one in (*layout, "threads=1")]
    command = [sys.executable, "-m", "starmill.cli", "train", str(place / "recipe.yaml"), "--output", str(place / "two"), *sets]
    subprocess.run([*command, "--processes", "2"], check=True, capture_output=True, timeout=300)
    assert told(place / "two") == pytest.approx(told(place / "tuned"), abs=1e-4)
    assert told(place / "two", "held_out_loss") == pytest.approx(told(place / "tuned", "held_out_loss"), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_trl_step_by_step(place: Path, smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    trl = pytest.importorskip("trl", reason="NOT RUN: trl, beside whose DPOTrainer preferences are compared, is not here")
    import datasets
    from torch.utils.data import SequentialSampler

    assert main(["train", str(place / "recipe.yaml"), f"--set=dpo.label_smoothing={smoothing}"]) == 0
    train, lines = opened(place), rows(30)
    order = [one for batch in islice(train.batches(), 16) for one in batch.units[::2]]
    data = datasets.Dataset.from_list([lines[int(train.units.named(one)[0].rpartition(":")[2]) - 1] for one in order])
    monkeypatch.setattr(trl.DPOTrainer, "_get_train_sampler", lambda self, *_: SequentialSampler(self.train_dataset))
    # Of TRL's losses `aot` has our label smoothing, where a batch has one pair; `sigmoid` has none.
    each = {"loss_type": "aot", "label_smoothing": smoothing, "per_device_train_batch_size": 1} if smoothing else {}
    asked = trl.DPOConfig(
        output_dir=str(place / "trl"), gradient_accumulation_steps=4 if smoothing else 2, max_steps=8, learning_rate=1e-3,
        lr_scheduler_type="constant", adam_beta2=0.999, weight_decay=0.0, max_grad_norm=1.0, max_length=64, logging_steps=1,
        report_to=[], bf16=False, use_cpu=True, gradient_checkpointing=False, save_strategy="no", disable_tqdm=True, beta=0.5,
        **{"per_device_train_batch_size": 2, **each},
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(place / "base")
    hub = AutoTokenizer.from_pretrained(place / "base")
    trainer = trl.DPOTrainer(model=model, args=asked, train_dataset=data, processing_class=hub)
    trainer.train()
    theirs = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert told(place / "tuned") == pytest.approx(theirs, abs=1e-3) and len(theirs) == 8
    accuracies = [log["rewards/accuracies"] for log in trainer.state.log_history if "rewards/accuracies" in log]
    assert told(place / "tuned", "reward_accuracy") == pytest.approx(accuracies, abs=1e-6)
