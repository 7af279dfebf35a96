"""The child as a program: what it says when it starts or cannot, its answers to good and bad requests, and that it leaves."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from starmill.core.messages import receive, send
from starmill.model.encoder import serve
from starmill.model.encoder.serve import Serving


def upper(request: dict[str, Any]) -> dict[str, Any]:
    """Stands for a tagger: a model's own answers are tested beside it (test_tagger.py, test_tagging.py, test_encoded.py)."""
    if request["texts"] == ["bad"]:
        raise ValueError("a bad text")
    if request["texts"] == ["full"]:
        raise MemoryError("no room")
    return {"spans": [text.upper() for text in request["texts"]]}


def test_it_answers_each_connection_and_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "IDLE", 0.0)
    place, lock = str(tmp_path / "s"), tmp_path / "l"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen()
    thread = threading.Thread(target=Serving(upper).run, args=(listener, lock))
    thread.start()
    connections = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for connection in connections:
        connection.connect(place)
        send(connection, {"texts": ["a", "b"]})
    assert [receive(connection) for connection in connections] == [{"spans": ["A", "B"]}] * 3
    send(connections[0], {"texts": ["bad"]})
    assert receive(connections[0]) == {"error": "ValueError: a bad text", "machine": False}
    send(connections[0], {"texts": ["full"]})
    assert receive(connections[0])["machine"] is True
    connections[1].sendall(b"\xff" * 20)  # no message: that connection ends, the others go on
    with pytest.raises((EOFError, ConnectionError)):
        receive(connections[1])
    send(connections[2], {"texts": []})
    assert receive(connections[2]) == {"spans": []}
    for connection in connections:
        connection.close()
    thread.join(timeout=30)
    assert not thread.is_alive() and not Path(place).exists()


def test_it_says_why_it_does_not_start(tmp_path: Path) -> None:
    places = [str(tmp_path), str(tmp_path / "s"), str(tmp_path / "l")]
    for task in ("spans", "states"):
        command = [sys.executable, "-m", serve.__name__, *places, "cpu", "float32", task]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "config.json and tokenizer.json are needed" in json.loads(done.stdout)["error"]
