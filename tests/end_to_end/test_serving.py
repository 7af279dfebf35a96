"""docs/serving.md: its server runs in this process, where its commands and its Python reach it, and ends by Ctrl-C."""

import os
import shlex
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from pages import ROOT, blocks, commands
from servers import write

from starmill.cli.__main__ import main
from starmill.core.process import handling

PAGE = ROOT / "docs/serving.md"


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "runs/smoke-model/model")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    serve, *asked = (command.replace("8080", port) for command in commands(PAGE))
    found: list[str | BaseException] = []

    over = threading.Event()

    def reader() -> None:
        try:
            while not _answers(int(port)):
                if over.wait(0.05):
                    return
            for command in asked:
                done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
                assert done.returncode == 0 and done.stdout, command
                found.append(done.stdout)
            for block in blocks(PAGE, "python"):
                exec(block.replace("8080", port), {"__name__": "__main__"})
        except BaseException as error:
            found.append(error)
        finally:
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        with handling(signal.default_int_handler, [signal.SIGINT]):  # a process of nohup, or behind an &, ignores it
            assert main(shlex.split(serve)[1:]) == 130
    finally:
        over.set()
        thread.join()
    assert len(found) == len(asked) == 4 and all(isinstance(one, str) for one in found), found
    whole, streamed, detailed, metrics = map(str, found)
    assert '"text_completion"' in whole and streamed.endswith("data: [DONE]\n\n") and '"details"' in detailed
    assert 'starmill_requests_total{path="/generate",status="200"} 1' in metrics
    told = capfd.readouterr()
    assert f"answers at http://127.0.0.1:{port}/v1" in told.err and "Traceback" not in told.err


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
