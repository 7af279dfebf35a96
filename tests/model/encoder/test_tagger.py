"""A tagger's spans do not depend on what is asked beside a text; transformers reads other layouts; windows are joined without a seam."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_tagger
import torch
from transformers import BertForTokenClassification, DistilBertConfig, DistilBertForTokenClassification

from starmill.model.encoder.rows import around
from starmill.model.encoder.tagger import Tagger
from starmill.model.encoder.windows import windows
from starmill.model.exchange.layouts import ExchangeError

TEXTS = [
    "# Author: Jane Doe\nx = 1\n",
    "",
    "password = hunter",
    "é user gizmo, Marion Weber\n" * 40,
    "def f(x):\n    return x\n" * 30 + "# by Jane Doe",
    "Jane Doe " * 500,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tagger.make(tmp_path_factory.mktemp("tagger"))


@pytest.fixture(scope="module")
def random_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model without any sense, whose labels are near ties everywhere."""
    from starmill.model.exchange import huggingface

    place = tmp_path_factory.mktemp("random")
    shutil.copytree(folder, place, dirs_exist_ok=True)
    model = huggingface.load_encoder(folder)
    model.init_weights(torch.Generator().manual_seed(5))
    huggingface.save(model, place)
    yield place


def values(tagger: Tagger, texts: list[str]) -> list[list[tuple[str, str]]]:
    return [[(text[s.start : s.end], s.kind) for s in found] for text, found in zip(texts, tagger.spans(texts), strict=True)]


def test_it_finds_what_it_knows_at_its_characters(folder: Path) -> None:
    found = values(Tagger.load(folder, "cpu"), TEXTS)
    assert found[:3] == [[("Jane Doe", "NAME")], [], [("hunter", "PASSWORD")]]
    assert found[3] == [("gizmo", "USERNAME"), ("Marion Weber", "NAME")] * 40
    assert found[4] == [("Jane Doe", "NAME")]
    assert found[5] == [("Jane Doe", "NAME")] * 500, "no seam between windows"


def test_spans_do_not_depend_on_what_is_asked_beside_them(random_folder: Path) -> None:
    tagger = Tagger.load(random_folder, "cpu")
    texts = [*TEXTS, *(text[::2] for text in TEXTS)]
    wanted = {text: tagger.spans([text])[0] for text in texts}
    assert sum(map(len, wanted.values())) > 100
    for seed in range(4):
        order = random.Random(seed).sample(texts, len(texts))
        assert tagger.spans(order) == [wanted[text] for text in order], "scores, too"


def test_labels_are_those_of_transformers_window_by_window(random_folder: Path) -> None:
    tagger = Tagger.load(random_folder, "cpu")
    theirs = BertForTokenClassification.from_pretrained(random_folder).eval()
    text = TEXTS[3]
    ids = tagger.tokenizer.encode(text, add_special_tokens=False).ids
    before, after = around(tagger.tokenizer)
    inside = tagger.size - 2
    labels: list[str] = []
    for window in windows(len(ids), inside, inside // 4):
        with torch.no_grad():
            logits = theirs(torch.tensor([[*before, *ids[window.start : window.end], *after]])).logits[0, 1:-1]
        labels += [
            tagger.labels[i] for i in logits.argmax(-1).tolist()[window.first - window.start : window.last - window.start]
        ]
    asked = [[*before, *ids[w.start : w.end], *after] for w in windows(len(ids), inside, inside // 4)]
    ours = [
        tagger.labels[int(label)]
        for window, row in zip(windows(len(ids), inside, inside // 4), tagger._labelled(asked), strict=True)
        for label, _ in row[1 + window.first - window.start : 1 + window.last - window.start]
    ]
    assert ours == labels


def test_quantized_it_finds_the_same(folder: Path) -> None:
    assert values(Tagger.load(folder, "cpu", "int8"), TEXTS[:3]) == values(Tagger.load(folder, "cpu"), TEXTS[:3])


def test_another_layout_is_read_by_transformers(folder: Path, tmp_path: Path) -> None:
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=size, dim=32, n_layers=1, n_heads=2, hidden_dim=64, max_position_embeddings=128)
    config.id2label = {0: "O", 1: "B-NAME", 2: "I-NAME"}
    DistilBertForTokenClassification(config).save_pretrained(tmp_path)
    shutil.copy(folder / "tokenizer.json", tmp_path)
    tagger = Tagger.load(tmp_path, "cpu")
    assert tagger.labels == ("O", "B-NAME", "I-NAME") and tagger.size == 128
    assert tagger.spans(TEXTS) == [tagger.spans([text])[0] for text in TEXTS]


def test_what_is_no_tagger_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"config.json and tokenizer.json are needed"):
        Tagger.load(tmp_path)
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged/model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(ExchangeError, match="not readable"):
        Tagger.load(tmp_path / "damaged", "cpu")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "damaged/config.json").write_text(json.dumps(config | {"id2label": {"0": "O", "2": "B-NAME"}}))
    with pytest.raises(ExchangeError, match="ids are not 0, 1"):
        Tagger.load(tmp_path / "damaged", "cpu")
