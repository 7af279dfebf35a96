"""docs/alignment.md with a scripted server; and runs that are killed: their files are those of one that was not."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import committed
import pytest
import yaml
from pages import ROOT, commands
from scripted import REQUESTS, WANTED, Script, serving, write_seeds

from starmill.cli.__main__ import main

PAGE = ROOT / "docs/alignment.md"


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    script = Script.of(write_seeds(tmp_path / "seeds/seeds"))
    script.attempts.update(script.names.values())  # which no server is busy for
    committed.write(tmp_path).rename(tmp_path / "history")
    with serving(script) as url:
        for command in commands(PAGE):
            words = command.replace("http://127.0.0.1:8000/v1", url).split()[1:]
            assert main(words) == 0, command
    said = capfd.readouterr().out
    assert (
        "--- a prompt of respond" in said
        and "together: 3,250,000 requests" in said
        and "hours at 5,000 tokens per second" in said
    )
    assert (tmp_path / "aligned/instructions/README.md").exists() and "tests_not_invoked" in said
    assert (tmp_path / "asked/instructions/README.md").exists() and "not_imperative" in said


def kills(tmp_path: Path, answered: list[int]) -> None:
    """Kill a run after so many answers each time; then let it end, and compare."""
    folder = write_seeds(tmp_path / "seeds")
    script = Script.of(folder)
    # Busy servers and their pauses are tests/alignment/test_run.py's.
    script.attempts.update(script.names.values())
    asked = {"shots": 1, "max_new_tokens": 8}
    with serving(script) as url:
        values = {
            "workspace": "-", "seeds": str(folder), "model": "scripted", "endpoint": url, "at_once": 2,
            "judge": {"shots": 1, "temperature": 0.0, "max_new_tokens": 5}, "concepts": asked, "instruct": asked,
            "respond": {**asked, "samples": 3}, "verify": {"cpu_seconds": 1.0, "runs": 1},
        }  # fmt: skip
        (tmp_path / "a.yaml").write_text(yaml.safe_dump(values))
        words = ["align", str(tmp_path / "a.yaml"), "--quiet", "--workers", "1", "--workspace"]
        assert main([*words, str(tmp_path / "whole")]) == 0
        script.answered.clear()
        killed = tmp_path / "killed"
        for at in answered:
            child = subprocess.Popen(
                [sys.executable, "-m", "starmill.cli", *words, str(killed)], stdout=subprocess.DEVNULL, start_new_session=True
            )
            script.told = lambda count, at=at, pid=child.pid: os.kill(pid, signal.SIGKILL) if count >= at else None
            assert child.wait(300) == -signal.SIGKILL
            script.told = lambda count: None
            whole = {
                json.loads(line)["sampling"]["seed"]
                for place in (killed / "answers").rglob("*.jsonl")
                for line in place.read_bytes().split(b"\n")[:-1]
            }
            for number in whole:  # is asked no more: the script would fail
                script.names.pop(number, None)
        assert main([*words, str(killed)]) == 0
    # A server may have answered what was under way, of which the killed run knows nothing: two requests each time, at most.
    assert REQUESTS <= script.answered.total() <= REQUESTS + 2 * len(answered)
    assert digests(killed) == digests(tmp_path / "whole")
    shutil.rmtree(tmp_path)


def digests(workspace: Path) -> dict[str, str]:
    places = [p for p in sorted(workspace.rglob("*")) if p.is_file() and p.parent.parent.name != "answers"]
    found = {str(p.relative_to(workspace)): hashlib.sha256(p.read_bytes()).hexdigest() for p in places}
    assert len(found) > 4 * len(WANTED)
    return found


def test_killed_runs_go_on(tmp_path: Path) -> None:
    kills(tmp_path, [12, 30])


def test_a_stop_waits_for_no_server(tmp_path: Path) -> None:
    folder = write_seeds(tmp_path / "seeds")
    script, over, sent = Script.of(folder), threading.Event(), threading.Event()
    script.attempts.update(script.names.values())
    with serving(script) as url:
        sets = [f"endpoint={url}", f"seeds={folder}", "model=scripted", "respond.shots=1", "at_once=2"]
        words = ["align", "align-tiny", "--quiet", "--workspace", str(tmp_path / "w"), *(w for s in sets for w in ("--set", s))]
        child = subprocess.Popen([sys.executable, "-m", "starmill.cli", *words], stderr=subprocess.PIPE, text=True)

        def told(count: int) -> None:
            if count >= 3:  # two at once may both be the fourth
                if not sent.is_set():
                    sent.set()
                    child.send_signal(signal.SIGINT)
                over.wait(300)  # nothing is answered any more

        script.told = told
        try:
            _, said = child.communicate(timeout=200)
        finally:
            over.set()
    assert child.returncode == 130 and "Traceback" not in said
    lines = next(iter((tmp_path / "w/answers/concepts").glob("*.jsonl"))).read_text().splitlines()
    assert 1 <= len(lines) <= 3  # the third is sent, and may be kept before the stop is heard


@pytest.mark.slow
def test_many_kills(tmp_path: Path) -> None:
    kills(tmp_path, [2, 3, 4, 6, 7, 9, 11, 13, 14, 16, 18, 19, 21, 23, 25, 27, 29, 31, 33, 35])
