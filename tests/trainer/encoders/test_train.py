"""A tagger learns what is to be learned, from random weights and from an encoder's folder; equal runs are equal; it stops early."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertForTokenClassification

from starmill.core.errors import InputError
from starmill.model.encoder.tagger import Tagger
from starmill.trainer.encoders.examples import Example, write
from starmill.trainer.encoders.recipe import TaggerRecipe, load
from starmill.trainer.encoders.train import scores, sure, train

NAMES = ["Jane Doe", "Marion Weber", "Jiri Novak", "Mei Lin", "Ali Aziz"]


def texts() -> list[Example]:
    made = []
    for number in range(40):
        name = NAMES[number % 5]
        text = f"# Author: {name}\nx = {number}\npassword = hunter{number}\n"
        at = text.index("hunter")
        made.append(Example(text, ((10, 10 + len(name), "NAME"), (at, len(text) - 1, "PASSWORD"))))
    return made


def options(place: Path, output: str, *changes: str) -> TaggerRecipe:
    write(place / "t.jsonl", texts())
    sets = [
        f"train=[{place / 't.jsonl'}]",
        f"held_out=[{place / 't.jsonl'}]",
        "model={preset: tiny-starencoder, layers: 1, hidden_size: 32, heads: 2, kv_heads: 2, mlp_size: 64, vocab_size: null, dropout: 0.0}",
        "kinds=[NAME, PASSWORD]",
        "vocab_size=400",
        "sequence_length=64",
        "batch=8",
        "steps=60",
        "evaluate_every=20",
        "optimizer={lr: 1.0e-2, min_lr: 1.0e-3, warmup_steps: 5}",
        "threads=1",
        "device=cpu",
        *changes,
    ]
    return load("starpii-tiny", sets, str(place / output))


def test_it_learns_and_transformers_loads_it(tmp_path: Path) -> None:
    found = train(options(tmp_path, "m"))
    assert found["NAME"].f1 > 0.95 and found["PASSWORD"].f1 > 0.95
    assert scores(Tagger.load(tmp_path / "m", "cpu"), texts()) == found
    theirs = BertForTokenClassification.from_pretrained(tmp_path / "m").eval()
    assert [theirs.config.id2label[i] for i in range(5)] == ["O", "B-NAME", "I-NAME", "B-PASSWORD", "I-PASSWORD"]
    assert theirs.config.max_position_embeddings == 64, "windows are no longer than those that were trained on"
    ids = AutoTokenizer.from_pretrained(tmp_path / "m")("# Author: Jane Doe", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert "B-NAME" in {theirs.config.id2label[i] for i in theirs(ids).logits[0].argmax(-1).tolist()}
    rows = [json.loads(line) for line in (tmp_path / "m/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["held_out"]["NAME"]["spans"] == 40 and rows[0]["step"] == 20

    train(options(tmp_path, "again"))
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "m/model.safetensors").read_bytes()

    better = train(options(tmp_path, "on", f"base={tmp_path / 'm'}", "model=null", "steps=20", "optimizer.lr=1.0e-3"))
    assert better["NAME"].f1 > 0.95, "from an encoder's folder"


def test_pseudo_labels_are_those_it_is_sure_of(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("".join(one.text for one in texts()))
    wanted = options(tmp_path, "m", f"unlabelled=[{tmp_path / 'code'}]", "confidence=0.3")
    assert train(wanted)["NAME"].f1 > 0.9
    tagger = Tagger.load(tmp_path / "m", "cpu")
    found = sure(tagger, wanted)
    assert len(found) == 10 and all(one.spans for one in found), "pieces of twelve lines"
    assert len(sure(tagger, replace(wanted, confidence=1.0))) < 10


def test_it_stops_where_nothing_is_gained(tmp_path: Path) -> None:
    train(options(tmp_path, "m", "optimizer={lr: 1.0e-9, min_lr: 0.0, warmup_steps: 0}", "patience=1", "evaluate_every=5"))
    rows = [json.loads(line) for line in (tmp_path / "m/metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows if "f1" in row) == 10


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 held out"):
        train(options(tmp_path, "m", "held_out=[]", "held_out_share=0.0"))
    with pytest.raises(InputError, match="above the encoder's 1024 positions"):
        train(options(tmp_path, "m", "sequence_length=2000"))
