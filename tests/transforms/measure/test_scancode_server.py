"""ScanCode's server: what it leaves when it loads, and the end of it. Its answers are tested as they are asked for, in test_scancode.py."""

import socket
import struct
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from starmill.core import messages, shared
from starmill.core.errors import MachineError
from starmill.transforms.measure import scancode, scancode_server


def told(process: psutil.Process, what: str) -> bool:
    with suppress(psutil.Error):
        return any(what in word for word in process.cmdline())
    return False


def test_no_temporary_folder_is_left_by_a_killed_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """ScanCode makes a folder when it is imported; it is gone before the first text is asked about."""
    with tempfile.TemporaryDirectory(prefix="sc-", dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        monkeypatch.setenv("TMPDIR", short)
        assert scancode.Detector().detect("SPDX-License-Identifier: MIT", True, 60).licenses == ("MIT",)
        place = shared.private_folder()
        assert {path.suffix for path in place.iterdir()} == {".sock", ".lock"} and len([*Path(short).iterdir()]) == 1
        [server] = [process for process in psutil.Process().children() if told(process, str(place))]
        forks = server.children()
        assert forks
        server.kill()
        _, left = psutil.wait_procs(forks, timeout=60)
        assert not left, "a fork ends with its server"
        assert {path.suffix for path in place.iterdir()} == {".sock", ".lock"} and len([*Path(short).iterdir()]) == 1
        monkeypatch.setenv("SCANCODE_LICENSE_INDEX_CACHE", "/dev/null/none")
        with pytest.raises(MachineError, match="does not start: NotADirectoryError"):
            scancode.Detector().detect("x", True, 60)
        assert {path.suffix for path in place.iterdir()} == {".sock", ".lock"}


def judge(request: Any) -> dict[str, Any]:
    if request == "fails":
        raise ValueError("no such text")
    return {"said": request}


def test_a_process_answers_one_client_after_another_and_survives_those_that_go() -> None:
    ours, its = socket.socketpair()
    thread = threading.Thread(target=scancode_server.work, args=(its, judge))
    thread.start()
    for text in ("a", None, "fails", "b"):
        client, handed = socket.socketpair()
        socket.send_fds(ours, [struct.pack("d", 2.5)], [handed.fileno()])
        handed.close()
        if text is None:
            client.close()
        else:
            assert messages.receive(client) == {}
            messages.send(client, text)
            answer = messages.receive(client)
            assert answer.pop("cpu") >= 2.5, "with what the server owes"
            assert answer == ({"error": "ValueError: no such text", "machine": False} if text == "fails" else {"said": text})
        assert len(ours.recv(8)) == 8
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
