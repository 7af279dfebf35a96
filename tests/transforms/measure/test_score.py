"""The step scores by its file alone, which safetensors reads; another file is another key, and a damaged one is told."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load

from starmill.core.errors import InputError, NotThere
from starmill.pipelines.run import keys
from starmill.transforms.measure.score import Score, Scored, Scorer, file_of, read, scored

WEIGHTS = np.random.default_rng(0).integers(-(2**30), 2**30, 1 << 10).astype(np.int32)
SCORER = Scorer(WEIGHTS, "label", 2, 2.0**-28, -0.5)
BLOCK = pa.record_batch({"content": ["x = f(1)\n", "", "  ", "import os", None]})


def test_a_scorer_is_a_file_of_safetensors() -> None:
    data = file_of(SCORER)
    assert load(data)["weights"].tolist() == WEIGHTS.tolist() and file_of(read(data, "x")) == data


def test_scores_are_probabilities_or_the_examples_scale() -> None:
    found = scored(file_of(SCORER))(BLOCK).column("quality_score")
    raw = scored(file_of(Scorer(WEIGHTS, "score", 2, 2.0**-28, -0.5)))(BLOCK).column("quality_score")
    assert found.type == pa.float32() and [value is None for value in found.to_pylist()] == [False, True, True, False, True]
    for probability, value in zip(found.to_pylist(), raw.to_pylist(), strict=True):
        assert probability is None or probability == pytest.approx(1 / (1 + math.exp(-value)), rel=1e-6)


def test_the_key_holds_the_weights_and_not_their_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(file_of(SCORER))
    (tmp_path / "b").write_bytes(file_of(SCORER))
    (tmp_path / "c").write_bytes(file_of(Scorer(-WEIGHTS, "label", 2, 2.0**-28, -0.5)))
    a, b, c = (keys.said(Score(str(tmp_path / name)).step()) for name in "abc")
    assert a == b != c and len(str(a)) < 500


def test_what_is_no_scorer_is_told(tmp_path: Path) -> None:
    data = file_of(SCORER)
    for bad in (
        b"",
        b"x" * 100,
        data[:-4],
        data[:50],
        data.replace(b'"label"', b'"lapel"'),
        data.replace(b"linear 1", b"linear 2"),
    ):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(InputError, match=r"measure\.score\.model: .*bad: not a scorer, .*score-train"):
            Score(str(tmp_path / "bad")).step()
    with pytest.raises(NotThere, match=r"measure\.score\.model: .*none: no such file"):
        Score(str(tmp_path / "none")).step()
    assert Scored()(BLOCK).column("quality_score").null_count == 5
