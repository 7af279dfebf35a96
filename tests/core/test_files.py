"""Files that are there whole or not at all."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import files

KILLED = """
import os, signal, sys
from pathlib import Path
from starmill.core import files
with files.replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("data", [b"new", pa.py_buffer(b"new")])
def test_a_file_replaces_what_is_there(tmp_path: Path, data: bytes | pa.Buffer) -> None:
    place = tmp_path / "a.json"
    place.write_text("a longer text that was there before")
    files.write(place, data)
    assert place.read_bytes() == b"new" and [*tmp_path.iterdir()] == [place]


def test_after_an_error_the_old_file_stands_alone(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.replacing(place) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(OSError, match="File too large"):
            files.write(place, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert place.read_text() == "old" and [*tmp_path.iterdir()] == [place]


def test_a_killed_writer_s_leftover_is_the_next_one_s(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(place)], timeout=60).returncode == -signal.SIGKILL
    assert place.read_text() == "old" and (tmp_path / ".tmp-a").read_text() == "half"
    files.write(place, b"new")
    assert place.read_text() == "new" and [*tmp_path.iterdir()] == [place]


def test_two_writers_of_a_place_do_not_meet(tmp_path: Path) -> None:
    place = tmp_path / "a"
    with files.replacing(place, "1-") as one, files.replacing(place, "2-") as two:
        one.write_text("one")
        two.write_text("two")
    assert place.read_text() == "one" and [*tmp_path.iterdir()] == [place]
