"""Files that are there whole or not at all."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import files
from starmill.core.errors import InputError

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


def test_a_leftover_is_known_by_its_name_and_its_place() -> None:
    for relative in ("stages.json", "records/part-00001.docs.parquet", "cache/a/b/x-y"):
        folder, _, name = relative.rpartition("/")
        left = f"{files.TEMPORARY}{files.writer_of(relative)}{name}"
        assert files.is_leftover(f"{folder}/{left}" if folder else left)
        assert not files.is_leftover(f"elsewhere/{left}") and not files.is_leftover(f"{folder}/{left}x")
    assert files.writer_of("a") != files.writer_of("a")


def test_a_lock_truncates_nothing(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / ".lock"
    victim.write_text("mine")
    link.symlink_to(victim)
    with pytest.raises(InputError, match=r"\.lock.*a link"):
        files.open_lock(link)
    with files.open_lock(victim):
        assert victim.read_text() == "mine"
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no file"):
        files.open_lock(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe"):
        files.open_lock(tmp_path / "pipe")
