"""Any folder of transformers: of a model of ours the samples are those that our own code draws."""

import json
from pathlib import Path

import pytest
import tiny_model
from tiny_model import DECODING, REQUESTS

from starmill.core.errors import InputError
from starmill.evaluation.run.generate import Decoding, Request
from starmill.evaluation.run.huggingface import Transformers
from starmill.evaluation.run.ours import Ours

pytestmark = pytest.mark.slow  # imports transformers, which takes seconds


def test_samples_are_ours(tmp_path: Path) -> None:
    folder = tiny_model.write(tmp_path)
    theirs = Transformers(folder, batch=4)
    # Ours begins with <file_sep>, as in training; a tokenizer of transformers adds what its files say.
    requests = [Request(one.name, f"<file_sep>{one.prompt}") for one in REQUESTS]
    for decoding in (DECODING, Decoding(12, 0.0, 1.0, ("\n\n",), 0)):
        wanted = {i: text for i, text, _ in Ours(folder, batch=9).answers(REQUESTS, decoding)}
        found = {i: text.split("\n\n")[0].split("<")[0] for i, text, _ in theirs.answers(requests, decoding)}
        assert found == {i: text.split("<")[0] for i, text in wanted.items()}
    [(_, text, refused)] = theirs.answers([Request("a", "x = 1\n" * 60)], DECODING)
    assert text == "" and "positions" in refused


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nothing known"}')
    with pytest.raises(InputError, match="transformers cannot load it"):
        Transformers(tmp_path)


def test_likelihoods_are_ours(tmp_path: Path) -> None:
    folder = tiny_model.write(tmp_path)
    requests = [Request("a", "", ("def f(x):", "import os", ""))]
    (wanted,), (found,) = (
        [json.loads(text) for _, text, _ in made(folder).likelihoods(requests)] for made in (Ours, Transformers)
    )
    assert found == pytest.approx(wanted, rel=1e-4)
