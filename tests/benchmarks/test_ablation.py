"""The ablation's ground: copies, secrets and held-out files are as told, arms draw alike, and differences are Student's."""

import json
import subprocess
import sys
from pathlib import Path

import ablation
import ablation_arms as arms
import ablation_dump as dumps
import ablation_scores as scoring
import corpus
import numpy as np
import pytest
import truth

ROOT = Path(corpus.__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def dump() -> dumps.Dump:
    trees = [corpus.Root(name, 1, (str(ROOT / name),)) for name in ("transforms", "pipelines", "model", "evaluation")]
    return dumps.make(trees, 150_000, 3000, seed=1)


def size(files: list[dumps.File]) -> int:
    return sum(len(file.text.encode()) for file in files)


def test_a_share_of_the_dump_is_near_copies_of_few_files(dump: dumps.Dump) -> None:
    copies = [file for file in dump.files if file.repository.startswith("fork")]
    largest = dumps.SOURCE[1] * (max(dumps.COPIES) + 1)  # bytes that the last source may be too much
    assert 0 < size(copies) - dumps.COPIED / (1 - dumps.COPIED) * size(dump.clean) < largest
    assert [sum(file.copies for file in some) for some in (dump.clean, dump.files)] == [len(copies)] * 2
    assert max(file.copies for file in dump.clean) == max(dumps.COPIES)
    own = [file.text.encode() for file in (*dump.clean, *copies)]
    near = truth.similar_pairs(own, truth.shingle_sets(own), 0.7)
    alike = {int(b) for a, b in near.pairs.tolist() if b >= len(dump.clean)}
    assert len(alike) > 0.7 * len(copies)
    assert len({file.name for file in dump.files}) == len(dump.files) == len(copies) + len(dump.clean)


def test_each_secret_is_in_as_many_files_as_told_and_in_no_other(dump: dumps.Dump) -> None:
    assert [one.files for one in dump.secrets] == [often for often, many in dumps.SECRETS.items() for _ in range(many)]
    for one in dump.secrets:
        holders = [file for file in dump.files if one.secret in file.text]
        assert len(holders) == min(one.files, len(dump.files))
        line = one.before.rpartition("\n")[2] + one.secret + one.after  # another one may lie before this line
        assert all(line in file.text for file in holders)
        assert not any(one.secret in file.text for file in dump.clean)


def test_held_out_files_resemble_no_training_text_and_not_one_another(dump: dumps.Dump) -> None:
    held = [text for texts in dump.held_out.values() for text in texts]
    assert {*dump.held_out} == {"py"} and held
    sets = truth.shingle_sets([text.encode() for text in (*held, *(file.text for file in dump.files))])
    known = {int(one) for at in range(len(held), len(sets)) for one in sets.of(at)}
    for at in range(len(held)):
        own = {*sets.of(at).tolist()}
        assert 2 * len(own & known) <= len(own)


def test_arms_draw_the_same_files_in_the_same_order_up_to_the_tokens() -> None:
    def encode(text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8)

    raw = [(f"a/{n}.py", f"x = {n:03}\n" * 5) for n in range(40)]
    some = [(name, text.replace("x", "y")) for name, text in raw[::2]]
    one, other = (arms.drawn(texts, 3, 500, encode) for texts in (raw, some))
    assert sum(len(ids) for _, ids in one) == sum(len(ids) for _, ids in other) == 500
    names = [name for name, _ in other]
    assert [name for name, _ in one if name in dict(some)] == names[: len([n for n, _ in one if n in dict(some)])]
    assert [name for name, _ in arms.drawn(raw, 4, 500, encode)] != [name for name, _ in one]
    assert sum(len(ids) for _, ids in arms.drawn(some[:2], 3, 500, encode)) == 80, "fewer than asked for: all, to be read again"


def test_passages_are_of_different_texts_and_a_function_of_their_seed() -> None:
    files = [*(np.arange(n * 1000, n * 1000 + 100) for n in range(9)), np.arange(5)]
    found = scoring.spans(files, 9, 0, "own")
    assert sorted(one[0] // 1000 for one in found) == [*range(9)]
    assert all(one == [*range(one[0], one[0] + scoring.PREFIX + scoring.CONTINUED)] for one in found)
    assert found == scoring.spans(files, 9, 0, "own") != scoring.spans(files, 9, 1, "own")
    assert scoring.spans(files[-1:], 3, 0, "own") == []


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_intervals_are_those_of_a_paired_t_test(seeds: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    for number in range(20):
        a, b = np.random.default_rng(number).normal(size=(2, seeds))
        found, wanted = scoring.difference(a + 1, b), stats.ttest_rel(a + 1, b)
        low, high = wanted.confidence_interval(0.95)
        assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high), rel=1e-3, abs=1e-3)
        assert found.significant == (wanted.pvalue < 0.05)
    assert not scoring.difference([1.0], [0.0]).significant


def test_tables_say_what_did_not_run_and_what_is_significant() -> None:
    texts = {"files": 9, "megabytes": 1.0, "near_duplicates": 2, "secrets": 3}
    scores = [{"bits": 2.0 + n / 100, "infilled": 0.1, "epochs": 1.0} for n in range(3)]
    worse = [one | {"bits": one["bits"] + 0.1 + n / 1000} for n, one in enumerate(scores)]
    settings = {"size": "2m", "tokens": 1000, "megabytes": 1.0, "seeds": 3, "held_out_files": {"py": 4}}
    found = {
        "ours": {"texts": texts, "scores": dict(enumerate(scores))},
        "raw": {"texts": texts, "scores": dict(enumerate(worse))},
    }
    told = [*ablation.lines({"settings": settings, "arms": found | {"datatrove": {"not_run": "no uv", "scores": {}}}})]
    assert "| datatrove | NOT RUN: no uv | | | | | |" in told
    assert "| raw | **+0.101 ± 0.002** |" in told and "| raw | +0.0% ± 0.0% |" in told


@pytest.mark.slow
def test_a_smoke_run_scores_its_arms_and_a_second_one_trains_nothing(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "benchmarks/ablation.py"), "--smoke", "--json", "--folder", str(tmp_path / "runs")]
    words += ["--arms", "raw", "ours", "ours, no redaction"]
    first, second = (subprocess.run(words, capture_output=True, text=True, timeout=900) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr[-3000:]
    assert first.stdout == second.stdout and "step 2/2" in first.stderr and "step 2/2" not in second.stderr
    found = json.loads(first.stdout)["arms"]
    for kept in found.values():
        [scores] = kept["scores"].values()
        assert 2 < scores["bits"] < 9 and 0 <= scores["infilled"] <= 1 and scores["secrets in 32 files"] == 0
        assert all(value > 0 for name, value in scores.items() if name.startswith("bits of secrets"))
    left = {arm: kept["texts"]["secrets"] for arm, kept in found.items()}
    assert (
        left["ours"] < left["ours, no redaction"] <= left["raw"] == sum(many for often, many in dumps.SECRETS.items() if often)
    )
