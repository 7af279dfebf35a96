"""A process that a machine shares: it is started once, outlives its starter, and leaves nothing when it goes."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from starmill.core import messages, shared
from starmill.core.errors import MachineError

# Says its process's id to whoever comes, until the folder has a file `end`.
COUNTER = """
import os, select, sys
from pathlib import Path
from starmill.core import messages
from starmill.core.shared import Listening
path = Path(sys.argv[2])
listening = Listening(int(sys.argv[1]), path)
while not (path.with_name("end").exists() or listening.alone()) or not listening.leave():
    if select.select([listening.socket], [], [], 0.05)[0]:
        client, _ = listening.socket.accept()
        try:
            messages.send(client, os.getpid())
        except OSError:  # a client that is gone
            pass
"""
COMMAND = [sys.executable, "-c", COUNTER]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shared-", dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        yield shared.private_folder()


def asked(name: str = "counter") -> int:
    with shared.connect(name, COMMAND, os.environ) as connection:
        return int(messages.receive(connection))


def test_whoever_comes_at_once_finds_one(folder: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: asked(), range(16)))
    assert len(found) == 1 and asked("another") not in found
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{end}" for name in ("counter", "another") for end in ("sock", "lock")
    }


def test_it_outlives_its_starter_and_a_killed_one_is_started_again(folder: Path) -> None:
    code = f"import os\nfrom starmill.core import messages, shared\nshared.connect('counter', {COMMAND!r}, os.environ)"
    environment = {**os.environ, "TMPDIR": str(folder.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    first = asked()
    assert asked() == first
    os.kill(first, 9)
    while psutil.pid_exists(first) and psutil.Process(first).status() != psutil.STATUS_ZOMBIE:  # its socket is open until then
        time.sleep(0.01)
    assert asked() != first


def test_one_that_leaves_takes_its_socket_and_no_other(folder: Path) -> None:
    first = asked()
    (folder / "end").touch()
    while (folder / "counter.sock").exists():
        time.sleep(0.01)
    (folder / "end").unlink()
    assert asked() != first
    (folder / "counter.sock").unlink()  # a folder of temporary files that somebody cleans
    assert asked() != first and (folder / "counter.sock").is_socket()


def test_a_long_place_of_temporary_files_is_left_for_a_short_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (long := tmp_path / ("x" * 90)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    place = shared.private_folder()
    assert place.parent == Path("/tmp")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(place / f"{os.getpid():030}.sock"))
    (place / f"{os.getpid():030}.sock").unlink()


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o755)
    with pytest.raises(MachineError, match="mode 700"):
        shared.private_folder()
