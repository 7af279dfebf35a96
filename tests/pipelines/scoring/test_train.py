"""A scorer orders what it never saw; its file depends on the examples and options alone; its figures are scikit-learn's by another way."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from labelled import examples, write
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from starmill.core.errors import InputError
from starmill.pipelines.scoring.examples import read
from starmill.pipelines.scoring.train import Options, train
from starmill.transforms.measure import score

L2 = 1e-7
FEW = Options(held_out=0.3, bits=14, l2=L2)


def test_a_scorer_of_labels_is_as_good_as_scikit_learns(tmp_path: Path) -> None:
    place = write(tmp_path / "e.jsonl", examples(400))
    made = train(tmp_path / "m", [place], FEW, lambda _: None)
    known, held = ([e for e in read([place], 0, 0.3)[1] if e.is_held_out is side] for side in (False, True))
    # The same tokens and n-grams, by another hash.
    vectors = HashingVectorizer(
        norm="l1", alternate_sign=False, n_features=1 << 14, lowercase=False, token_pattern=r"[\w]+|[^ \t]", ngram_range=(1, 2)
    )
    theirs = LogisticRegression(C=1 / (L2 * len(known)), max_iter=2000).fit(
        vectors.transform([e.text for e in known]), [e.value for e in known]
    )
    guesses = theirs.predict_proba(vectors.transform([e.text for e in held]))[:, 1]
    wanted = [e.value for e in held]
    figures = made["held_out_metrics"]
    assert figures["auc"] == pytest.approx(roc_auc_score(wanted, guesses), abs=0.02) and figures["auc"] > 0.9
    step = score.scored((tmp_path / "m").read_bytes())
    found = step(pa.record_batch({"content": [e.text for e in held]})).column("quality_score").to_numpy()
    assert figures["auc"] == pytest.approx(roc_auc_score(wanted, found), abs=1e-9)
    assert figures["log_loss"] == pytest.approx(log_loss(wanted, found.astype(np.float64)), rel=1e-6)
    assert made["held_out"] == len(held) and made["examples"] == 400


def test_a_scorer_of_scores(tmp_path: Path) -> None:
    made = train(tmp_path / "m", [write(tmp_path / "e.jsonl", examples(300, "score"))], FEW, lambda _: None)
    assert made["of"] == "score" and made["held_out_metrics"]["r2"] > 0.5 and made["held_out_metrics"]["rmse"] < 0.25


def test_the_file_depends_on_examples_and_options_alone(tmp_path: Path) -> None:
    rows = examples(60)
    one = train(tmp_path / "a", [write(tmp_path / "e.jsonl", rows)], FEW, lambda _: None)
    again = train(tmp_path / "b", [write(tmp_path / "f.jsonl", rows[::-1])], FEW, lambda _: None)
    assert one["sha256"] == again["sha256"] == hashlib.sha256((tmp_path / "b").read_bytes()).hexdigest()
    other = train(tmp_path / "c", [str(tmp_path / "e.jsonl")], Options(seed=1, held_out=0.3, bits=14), lambda _: None)
    assert other["sha256"] != one["sha256"]


def test_examples_of_one_side_and_texts_without_a_token(tmp_path: Path) -> None:
    rows = [{"text": f"x{n}", "label": 1} for n in range(30)]
    with pytest.raises(InputError, match=re.escape("each label is 1 of")):
        train(tmp_path / "m", [write(tmp_path / "e.jsonl", rows)], FEW, lambda _: None)
    with pytest.raises(InputError, match="no text has a token"):
        train(tmp_path / "m", [write(tmp_path / "e.jsonl", [{"text": " ", "label": 1}])], Options(held_out=0), lambda _: None)
    assert not (tmp_path / "m").exists()
    made = train(
        tmp_path / "m",
        [write(tmp_path / "e.jsonl", [*examples(20), {"text": "\t", "label": 0}])],
        Options(held_out=0, bits=10),
        lambda _: None,
    )
    assert made["without_a_token"] == 1 and made["held_out_metrics"] == {"auc": None, "log_loss": None, "accuracy": None}
