"""`starmill evaluate` as a person runs it: the truth, a model, a server, another harness's file; and a run that is killed."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import tiny_model
import toys

from starmill.cli.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.write(tmp_path_factory.mktemp("benchmarks"))


def words(folder: Path, output: Path, *more: str) -> list[str]:
    return [
        "evaluate",
        *more,
        "--benchmarks",
        str(folder),
        "--any-version",
        "--output",
        str(output),
        "--workers",
        "1",
        "--quiet",
    ]


def test_the_truth(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for which, score in (("canonical", 1.0), ("mutant", 0.0)):
        tasks = ["--solutions", which, "--tasks", "humaneval,santacoder_fim_*", "--json"]
        assert main(words(folder, tmp_path, *tasks)) == 0
        told = json.loads(capsys.readouterr().out)
        assert [one["task"] for one in told["tasks"]] == ["humaneval", *(f"santacoder_fim_{x}" for x in ("py", "java", "js"))]
        assert {one["scores"]["pass@1"]["value"] for one in told["tasks"]} == {score} and Path(told["page"]).is_file()
        assert all("scores may differ" in one["warnings"][0] for one in told["tasks"])
    results = [str(tmp_path / f"humaneval/{which}/results.json") for which in ("canonical", "mutant")]
    assert main(["compare", *results, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "task": "humaneval",
        "problems": 2,
        "only_first": 2,
        "only_second": 0,
        "p": 0.5,
    }
    assert main(["compare", results[0], str(tmp_path / "santacoder_fim_py/mutant/results.json")]) == 1
    assert "of other problems or tests" in capsys.readouterr().err


def test_a_model_of_ours_and_another_harness(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model.write(tmp_path / "model")
    line = words(folder, tmp_path / "out", str(model), "--tasks", "humaneval", "--max-new-tokens", "4", "--samples", "2")
    assert main([*line, "--samples-only", "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)
    samples = Path(told["samples"]).read_bytes()
    assert samples.count(b"\n") == 4 and b"64 positions" in samples, "prompts that are too long are said"
    assert main(line) == 0 and Path(told["samples"]).read_bytes() == samples
    said = capsys.readouterr().out
    assert "pass@1" in said and "could not be asked" in said
    (tmp_path / "g.json").write_text(json.dumps([["def twice(x): return x + x"], ["def nothing(x): pass"]]))
    assert main(words(folder, tmp_path / "out", "--score", str(tmp_path / "g.json"), "--tasks", "humaneval")) == 0
    assert "pass@1  100.0 %" in capsys.readouterr().out


def test_a_run_that_is_killed_continues_and_gives_the_same_file(folder: Path, tmp_path: Path) -> None:
    reached, release = threading.Event(), threading.Event()

    def answer(body: dict[str, Any], turn: int) -> Any:
        if body["prompt"].startswith("def nothing") and not release.is_set():
            reached.set()
            release.wait(30)
        return toys.text(f"\n    return {body['seed']}")

    with toys.serving(answer) as url:
        line = words(
            folder, tmp_path / "killed", "m", "--endpoint", url, "--tasks", "humaneval", "--samples", "3", "--batch", "1"
        )
        child = subprocess.Popen([sys.executable, "-m", "starmill.cli", *line, "--samples-only"])
        assert reached.wait(60)
        child.send_signal(signal.SIGKILL)
        child.wait()
        release.set()
        [place] = (tmp_path / "killed").rglob("samples.jsonl")
        assert place.read_bytes().count(b"\n") == 3
        place.write_bytes(place.read_bytes() + b'{"problem": "Toy/1", "nu')
        whole = words(folder, tmp_path / "whole", "m", "--endpoint", url, "--tasks", "humaneval", "--samples", "3")
        assert main([*line, "--samples-only"]) == 0 and main([*whole, "--samples-only"]) == 0
    [other] = (tmp_path / "whole").rglob("samples.jsonl")
    assert place.read_bytes() == other.read_bytes() and place.read_bytes().count(b"\n") == 6


def test_a_server_that_chats(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(body: dict[str, Any], turn: int) -> Any:
        asked = body["messages"][0]["content"]
        head, said = ("twice", "return 2 * x\n\ndef more(): pass") if "twice" in asked else ("nothing", "return x")
        return 200, {"choices": [{"message": {"content": f"So:\n```python\ndef {head}(x):\n    {said}\n```"}}]}, {}

    with toys.serving(answer) as url:
        line = words(folder, tmp_path, "m", "--endpoint", url, "--tasks", "humaneval", "--samples", "2", "--chat", "--json")
        assert main(line) == 0
        [told] = json.loads(capsys.readouterr().out)["tasks"]
        assert told["scores"]["pass@1"]["value"] == 0.5 and told["key"]["chat"] and told["key"]["max_new_tokens"] == 2048
        assert main(words(folder, tmp_path, "m", "--endpoint", url, "--tasks", "gsm8k_pal", "--chat")) != 0
        assert "gsm8k_pal judges no such" in capsys.readouterr().err
    model = tiny_model.write(tmp_path / "model")
    assert main(words(folder, tmp_path, str(model), "--tasks", "humaneval", "--chat")) != 0
    assert "no chat template" in capsys.readouterr().err
    (model / "chat_template.jinja").write_text("{% for m in messages %}<repo_name>{{ m.content }}{% endfor %}<file_sep>")
    line = words(folder, tmp_path, str(model), "--tasks", "humaneval", "--chat", "--limit", "1", "--samples", "1")
    assert main([*line, "--samples-only"]) == 0
    assert "64 positions" in "".join(place.read_text() for place in (tmp_path / "humaneval").rglob("samples.jsonl"))


def test_files_of_ones_own_and_tasks_without_their_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, model = tmp_path / "own", tiny_model.write(tmp_path / "model")
    own.mkdir()
    (own / "a.py").write_text("one = 1\ntwo = one + 1\n")
    line = words(folder, tmp_path, str(model), "--tasks", "held_out_*,crows_pairs", "--held-out-files", str(own), "--json")
    assert main(line) == 0
    told = {one["task"]: one for one in json.loads(capsys.readouterr().out)["tasks"]}
    assert told["held_out_likelihood"]["measures"]["bits_per_byte (py)"]["mean"] > 0
    assert told["held_out_fim"]["problems"] == 1 and told["crows_pairs"]["measures"]["prefers_stereotype"]["samples"] == 2
    few = tmp_path / "few"
    (few / "humaneval").mkdir(parents=True)
    (few / "humaneval/HumanEval.jsonl").write_bytes((folder / "humaneval/HumanEval.jsonl").read_bytes())
    assert main(words(few, tmp_path, "--solutions", "canonical", "--tasks", "humaneva[l],bold_gende[r]")) == 0
    assert "bold_gender: not scored" in capsys.readouterr().err
    assert main(words(few, tmp_path, "--solutions", "canonical", "--tasks", "humaneval,bold_gender")) != 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--tasks", "humaneval"], "one of MODEL, --solutions or --score"),
        (["m", "--tasks", "humaneval", "--solutions", "mutant"], "one of MODEL, --solutions or --score"),
        (["--solutions", "mutant"], "--tasks: none given"),
        (["--solutions", "mutant", "--tasks", "humaneval,nonesuch*"], "--tasks 'nonesuch*': no such task"),
        (["--solutions", "mutant", "--tasks", "mbpp"], "no --benchmarks, and mbpp/mbpp.jsonl is needed"),
        (["--score", "none.json", "--tasks", "humaneval,mbpp"], "no --benchmarks"),
    ],
    ids=lambda line: " ".join(line) if isinstance(line, list) else "",
)
def test_wrong_usage(line: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *line, "--output", str(tmp_path)]) in (1, 2)
    assert said in capsys.readouterr().err


def test_a_list_of_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--list"]) == 0
    assert "humaneval_plus" in capsys.readouterr().out
    assert main(["evaluate", "--list", "--json"]) == 0
    assert {row["task"] for row in json.loads(capsys.readouterr().out)} >= {"mbpp", "canitedit_lazy"}
