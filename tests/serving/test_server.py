"""`starmill serve` as a process: it answers, drains when it is told to stop, and refuses what it cannot serve."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


@pytest.mark.slow
def test_a_process_answers_and_drains(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    command = [sys.executable, "-m", "starmill.cli", "serve", str(folder), "--port", "0", "--served-name", "mine"]
    with subprocess.Popen([*command, "--api-key-file", str(tmp_path / "key")], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("mine (float32, "), said
        url = said.partition(" answers at ")[2].partition("/v1")[0]
        ask = {"prompt": "x", "max_tokens": 300, "temperature": 0, "stream": True, "ignore_eos": True}
        headers = {"Authorization": "Bearer s3cret"}
        with httpx.stream("POST", f"{url}/v1/completions", json=ask, headers=headers, timeout=60) as reply:
            lines = reply.iter_lines()
            assert json.loads(next(lines).removeprefix("data: "))["model"] == "mine"
            process.send_signal(signal.SIGTERM)
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert process.wait(30) in (-signal.SIGTERM, 128 + signal.SIGTERM)
        assert process.stderr.read() == ""
