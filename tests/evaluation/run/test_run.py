"""A scripted server with known answers gives exact scores for every task; keys, other harnesses' files, and refusals."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import toys

from starmill.core.errors import InputError
from starmill.evaluation.run import run
from starmill.evaluation.run.endpoint import Endpoint, written
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks import TASKS

EACH = 10  # samples of a problem: the first has 3 right, the others 1 each


@pytest.fixture(scope="module")
def judge():
    with Judge() as judge:
        yield judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.write(tmp_path_factory.mktemp("benchmarks"))


ONE_OF_A_FAMILY = (
    "humaneval humaneval_plus mbpp_all mbpp_sanitized mbpp_plus cruxeval_input cruxeval_output_cot infilling_span humanevalfix_docs "
    "humanevalexplain santacoder_fim_py gsm8k_pal_majority canitedit_lazy multipl_e_python"
).split()


@pytest.mark.parametrize("name", ONE_OF_A_FAMILY)
def test_known_answers_give_exact_scores(name: str, folder: Path, judge: Judge, tmp_path: Path) -> None:
    loaded = toys.loaded(name, folder)
    each = EACH if name == "humaneval" else 2
    script: dict[str, tuple[str, str, int]] = {}
    for problem in loaded.problems:
        last = problem.then("It does so.") if problem.then else problem.prompt
        right = 3 if not script and each == EACH else 1
        # Two toys of one prompt share its answers.
        script.setdefault(written(last), (problem.canonical, problem.mutant, right))

    def answer(body: dict[str, Any], turn: int) -> Any:
        if body["prompt"] not in script:
            return toys.text("It does so.")
        canonical, mutant, right = script[body["prompt"]]
        return toys.text(canonical if turn % each < right else mutant)

    stops = loaded.task.stops
    cut = {stop for stop in stops for p in loaded.problems if stop in p.canonical and stop != "[/ANSWER]"}
    assert not cut, "toys have no stops in them"
    with toys.serving(answer) as url:
        model = Endpoint(url, "scripted", 1)
        place, samples = run.generated(loaded, model, run.decoding_of(loaded.task, 0, None, None, None), each, tmp_path)
    result = run.judged(loaded, samples, judge, 0, {"model": "scripted"})
    rights = [script[written(p.then("It does so.") if p.then else p.prompt)][2] for p in loaded.problems]
    for k in (1, 10):
        if k <= each:
            shares = [[any(c) for c in combinations([True] * right + [False] * (each - right), k)] for right in rights]
            wanted = sum(sum(share) / len(share) for share in shares) / len(shares)
            assert result["scores"][f"pass@{k}"]["value"] == pytest.approx(wanted, abs=1e-12), result["outcomes"]
    assert result["samples"] == each * len(loaded.problems) and (place / "samples.jsonl").is_file()


def test_a_key_is_of_model_task_and_decoding(folder: Path) -> None:
    loaded = toys.loaded("humaneval", folder)
    plain = run.decoding_of(loaded.task, 0, None, None, None)
    keys = {
        run.key_of(one, identity, decoding)
        for one in (loaded, toys.loaded("humaneval_prompted", folder))
        for identity in ({"model": "a"}, {"model": "b"})
        for decoding in (plain, run.decoding_of(loaded.task, 1, None, None, None), run.decoding_of(loaded.task, 0, 0.8, 1.0, 9))
    }
    assert len(keys) == 12
    limited = run.load(TASKS["humaneval"], folder, 1, True)
    assert len(limited.problems) == 1 and run.key_of(limited, {"model": "a"}, plain) in keys, (
        "a limit asks less, and nothing else"
    )


def test_generations_of_another_harness(folder: Path, judge: Judge, tmp_path: Path) -> None:
    loaded, place = toys.loaded("humaneval", folder), tmp_path / "generations.json"
    whole = f"{toys.TWICE.strip()}\n    return 2 * x\n"
    place.write_text(json.dumps([[whole, "def twice(x): return x + x", f"{toys.TWICE.strip()}\n    pass"]]))
    asked, samples = run.of_generations(loaded, run.generations(place, loaded))
    result = run.judged(asked, samples, judge, 0, {"model": "file"}, whole=True)
    assert [row["passed"] for row in result["outcomes"]] == [True, True, False] and result["problems"] == 1
    for content in ("{]", "{}", "[[1]]", "[[]]", '["x"]', json.dumps([["x"]] * 3)):
        place.write_text(content)
        with pytest.raises(InputError, match=r"generations\.json"):
            run.generations(place, loaded)


def test_what_could_not_be_asked_is_said_and_counts(folder: Path, judge: Judge, tmp_path: Path) -> None:
    loaded = toys.loaded("humaneval", folder)
    with toys.serving(lambda *_: (400, {"error": "too long"}, {})) as url:
        _, samples = run.generated(loaded, Endpoint(url, "m"), run.decoding_of(loaded.task, 0, None, None, None), 1, tmp_path)
    result = run.judged(loaded, samples, judge, 0, {})
    assert result["refused"] == 2 and result["scores"]["pass@1"]["value"] == 0
    assert any("2 of 2 samples could not be asked" in said for said in result["warnings"])
    assert result["outcomes"][0]["said"].startswith("not asked: 400")


def test_files_that_are_not_as_the_task_reads_them(tmp_path: Path) -> None:
    place = tmp_path / "humaneval/HumanEval.jsonl"
    place.parent.mkdir()
    for content in (
        '{"task_id": "x"}\n',
        "",
        '{"task_id": 1, "prompt": 2, "entry_point": "f", "canonical_solution": "", "test": ""}\n',
    ):
        place.write_text(content)
        with pytest.raises(InputError, match=r"HumanEval\.jsonl"):
            toys.loaded("humaneval", tmp_path)


def test_results_are_written_whole_and_alike(folder: Path, judge: Judge, tmp_path: Path) -> None:
    loaded = toys.loaded("canitedit_lazy", folder)
    written_ = [
        run.publish(tmp_path / str(n), run.judged(loaded, run.of_solutions(loaded, "canonical"), judge, 0, {})).read_bytes()
        for n in range(2)
    ]
    assert written_[0] == written_[1]
    assert json.loads(written_[0])["measures"]["excess_code"] == {"mean": pytest.approx((1 / 3 + 0) / 2), "samples": 2}
