"""The comparison of readers: all ways read the same bytes, and git is asked for more ids than a pipe holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import reading
from small_tree import commit

INSTALLED = {dump: [way for way in ways if way not in reading.ENVIRONMENTS] for dump, ways in reading.DUMPS.items()}


def read(way: str, place: Path) -> list[int]:
    """Return the bytes and files that a way reads."""
    command = [sys.executable, str(reading.READ), way, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[int] = json.loads(done.stdout.splitlines()[-1])
    return found[:2]


def test_git_is_asked_for_more_ids_than_a_pipe_holds(tmp_path: Path) -> None:
    made = {f"{n % 40}/{n}.txt": f"{n}\n" * 900 for n in range(2000)}
    assert 41 * len(made) > (1 << 16) + 10_000, "what a pipe holds, and what git reads before its answers fill the other one"
    commit(tmp_path / "git" / "one", made)
    assert read("git", tmp_path / "git") == [sum(map(len, made.values())), len(made)]


@pytest.mark.slow
def test_all_ways_read_the_same_bytes(tmp_path: Path) -> None:
    reading.make(tmp_path, 1)
    texts = [text for own in reading.files(1).values() for _, text in own]
    for dump, ways in INSTALLED.items():
        found = {way: read(way, tmp_path / dump) for way in ways}
        if dump == "hours":  # ours gives threads
            assert all(size for size, _ in found.values())
        else:
            assert found == {way: [sum(map(len, texts)), len(texts)] for way in ways}, dump
