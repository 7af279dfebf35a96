"""A head over an encoder is fitted, scores by the encoder's own process, and is refused beside another encoder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
import small_tagger
from labelled import write

from starmill.core.errors import InputError, NotThere
from starmill.pipelines.run import keys
from starmill.pipelines.scoring.train import Options, train
from starmill.transforms.clean.redact import tagging
from starmill.transforms.measure import encoded
from starmill.transforms.measure.encoded import Head, ScoredByEncoder
from starmill.transforms.measure.score import Score

ROWS = [{"text": f"{'Jane Doe' if n % 2 else 'hunter gizmo'} x{n * n}\n" * (1 + n % 5), "label": n % 2} for n in range(60)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = small_tagger.make(tmp_path_factory.mktemp("encoded"))
    # Other tests of this machine have a model of the same bytes, whose process would be this one's.
    with tempfile.TemporaryDirectory(prefix="starmill-encoded-", dir="/tmp") as own, pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", own)
        patched.setenv("TMPDIR", own)
        yield place
        for connection in tagging._own.__dict__.pop("connections", {}).values():
            connection.close()
        for child in psutil.process_iter(["cmdline"]):
            if tagging.CHILD in (child.info["cmdline"] or []) and str(place) in child.info["cmdline"]:
                child.kill()


@pytest.fixture(scope="module")
def head(folder: Path) -> Path:
    options = Options(held_out=0.3, encoder=str(folder), device="cpu")
    made = train(folder / "head", [write(folder / "e.jsonl", ROWS)], options, lambda _: None)
    assert made["held_out_metrics"]["auc"] == 1.0 and made["held_out"] > 5
    again = train(folder / "again", [write(folder / "f.jsonl", ROWS[::-1])], options, lambda _: None)
    assert again["sha256"] == made["sha256"]
    return folder / "head"


def test_a_head_scores_what_it_never_saw(folder: Path, head: Path) -> None:
    step = Score(str(head), str(folder), "cpu").step()
    texts = ["by Jane Doe", "", None, "the hunter", "x = 1"]
    found = step(pa.record_batch({"content": texts})).column("quality_score")
    good, empty, none, bad, _ = found.to_pylist()
    assert found.type == pa.float32() and empty is None and none is None and good > 0.9 > 0.1 > bad
    assert step(pa.record_batch({"content": texts[::-1]})).column("quality_score").to_pylist() == found.to_pylist()[::-1]


def test_the_key_holds_the_digests_and_no_place(folder: Path, head: Path) -> None:
    step = Score(str(head), str(folder), "cpu").step()
    (folder / "other").write_bytes(encoded.file_of(Head(np.ones(128, np.float32), "label", 0.0, tagging.digest(str(folder)))))
    other = Score(str(folder / "other"), str(folder), "cpu").step()
    assert isinstance(step, ScoredByEncoder) and keys.said(step) == keys.said(Score(str(head), str(folder), "auto").step())
    assert keys.said(step) != keys.said(other) and str(folder) not in str(keys.said(step))


def test_what_does_not_fit_is_told(folder: Path, head: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a head over an encoder; give the encoder's folder, as measure\.score\.encoder"):
        Score(str(head)).step()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"a head over the encoder [0-9a-f]{12}, and .* give its own"):
        Score(str(head), str(tmp_path)).step()
    data = head.read_bytes()
    for bad in (b"", data[:-4], data.replace(b'"label"', b'"lapel"'), data.replace(b'"windows": "4"', b'"windows": "0"')):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(InputError, match=r"measure\.score\.model: .*bad: not a head over an encoder"):
            Score(str(tmp_path / "bad"), str(folder)).step()
    with pytest.raises(NotThere, match="no such folder"):
        Score(str(head), str(tmp_path / "none")).step()


def test_scores_are_the_head_s_sums() -> None:
    weights, states = np.array([1.0, -2.0], np.float32), [[1.0, 0.5], None, [3.0, 0.0]]
    assert Head(weights, "score", 0.5, "e").of_states(states).to_pylist() == [0.5, None, 3.5]  # type: ignore[arg-type]
    assert Head(weights, "label", -3.0, "e").of_states(states).to_pylist() == [pytest.approx(0.0474, abs=1e-3), None, 0.5]  # type: ignore[arg-type]
