"""`starmill align`: the cost before, the run, what it prints, and its statuses; killed runs are tests/end_to_end/test_alignment.py's."""

import json
from pathlib import Path

import pytest
import scripted
import tiny_model
import toolchains
import yaml

from starmill.cli.__main__ import main
from starmill.evaluation.sandbox import programs


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return scripted.write_seeds(tmp_path / "seeds")


def recipe(folder: Path, url: str | None, **more: object) -> str:
    asked = {"shots": 1, "max_new_tokens": 8}
    values = {
        "workspace": str(folder / "w"), "seeds": str(folder / "seeds"), "model": "scripted", "endpoint": url,
        "judge": {"shots": 1, "temperature": 0.0, "max_new_tokens": 5}, "concepts": asked, "instruct": asked,
        "respond": {**asked, "samples": 3}, "benchmarks": ["smoke"], "verify": {"cpu_seconds": 1.0, "runs": 1}, **more,
    }  # fmt: skip
    (folder / "align.yaml").write_text(yaml.safe_dump(values))
    return str(folder / "align.yaml")


def test_a_run_its_budget_and_its_cost(
    tmp_path: Path, seeds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(scripted, "RETRIES", 0)
    script = scripted.Script.of(seeds)
    script.attempts.update([("concepts", 0, 0), ("concepts", 1, 0), ("instruct", 3, 0)])  # no waiting here
    with scripted.serving(script) as url:
        named = recipe(tmp_path, url)
        assert main(["align", named, "--dry-run", "--as-if", "1000", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["together"]["requests"] == 6_000 and len(told["stages"]) == 4 and not script.answered
        assert main(["align", named, "--quiet", "--set", "budget.requests=5"]) == 4
        assert "the budget is spent: 5 requests" in capsys.readouterr().err and script.answered.total() == 5
        assert main(["align", named, "--quiet", "--workers", "1", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert {step["stage"]: step["kept"] for step in told["stages"]} == {k: v[1] for k, v in scripted.WANTED.items()}
        assert told["asked"]["requests"] == scripted.REQUESTS and told["asked"]["by_this_run"] == scripted.REQUESTS - 5
    assert main(["align", named, "--quiet"]) == 0 and "37 requests, 0 of them by this run" in capsys.readouterr().out
    assert main(["funnel", "--workspace", str(tmp_path / "w")]) == 0 and "another_response" in capsys.readouterr().out


def test_a_language_that_this_machine_cannot_verify(
    tmp_path: Path, seeds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toolchains.namespaces()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    programs.forget()
    try:
        words = ["align", recipe(tmp_path, "http://127.0.0.1:9/v1", languages=["Python", "Go"])]
        assert main([*words, "--dry-run"]) == 0
        assert "not verified on this machine: Go: language go: this machine has no go-program" in capsys.readouterr().out
        assert main([*words, "--dry-run", "--json"]) == 0 and len(json.loads(capsys.readouterr().out)["absent"]) == 1
        assert main(words) == 2
        assert "leave out of `languages` what this machine cannot verify" in capsys.readouterr().err
        assert not (tmp_path / "w").exists()
    finally:
        monkeypatch.undo()
        programs.forget()


def test_a_model_in_a_folder(tmp_path: Path, seeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model.write(tmp_path / "model")
    short = [f"{stage}.shots=0" for stage in ("judge", "concepts", "instruct", "respond")]
    named = recipe(tmp_path, None, model=str(model), benchmarks=[])
    assert main(["align", named, "--quiet", "--json", *(word for one in short for word in ("--set", one))]) == 0
    told = json.loads(capsys.readouterr().out)
    first = told["stages"][0]
    assert first["kept"] == 0 and first["dropped"]["not_answered"] == 10, "its 64 positions hold no prompt"


def test_what_is_refused(tmp_path: Path, seeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = recipe(tmp_path, "http://127.0.0.1:9/v1")
    assert main(["align", named, "--as-if", "3"]) == 2 and "--as-if is of --dry-run" in capsys.readouterr().err
    assert main(["align", named, "--set", "seeds=nowhere"]) == 1 and "no .jsonl in it" in capsys.readouterr().err
    assert main(["align", "commitpackft", "--set", "commits=nowhere"]) == 1 and "no complete dataset" in capsys.readouterr().err
    assert main(["align", "commitpackft", "--as-if", "3", "--dry-run"]) == 2 and "asks none" in capsys.readouterr().err
    assert main(["align", named, "--workspace", "s3://bucket/a"]) == 1 and "a folder of this machine" in capsys.readouterr().err
