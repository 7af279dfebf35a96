"""What is remembered of a store: lines of a file that threads and processes share, whatever else lies in it."""

import threading
from pathlib import Path

import pytest

from starmill.core.errors import InputError
from starmill.pipelines.sources.swh import misses as swh_misses
from starmill.pipelines.sources.swh.misses import Misses


def test_each_store_and_number_has_its_own_file(tmp_path: Path) -> None:
    first = Misses(str(tmp_path / "m"), "https://a/content", 0)
    first.add("ab" * 20, "missing_content")
    first.add("cd" * 20, "zeroed_object")
    again = Misses(str(tmp_path / "m"), "https://a/content", 0)
    assert (again.get("ab" * 20), again.get("cd" * 20), again.get("ef" * 20)) == ("missing_content", "zeroed_object", "")
    for place, number in (("https://b/content", 0), ("https://a/content", 1)):
        assert Misses(str(tmp_path / "m"), place, number).get("ab" * 20) == ""
    assert Misses(None, "https://a/content", 0).get("ab" * 20) == ""


def test_what_else_lies_in_the_file_costs_no_other_line(tmp_path: Path) -> None:
    Misses(str(tmp_path), "s", 0).add("ab" * 20, "missing_content")
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b"cd" * 20 + b" m\n" + b"\xff\0garbage\n" + b"CD" * 20 + b" m\n" + b"ef" * 15)
    known = Misses(str(tmp_path), "s", 0)
    known.add("12" * 20, "zeroed_object")  # behind the line that a killed process left
    found = Misses(str(tmp_path), "s", 0)
    assert [found.get(n * 20) for n in ("ab", "cd", "ef", "12")] == ["missing_content", "missing_content", "", "zeroed_object"]


def test_threads_write_whole_lines_and_each_miss_once(tmp_path: Path) -> None:
    known = [Misses(str(tmp_path), "s", 0) for _ in range(4)]
    names = [f"{n:040x}" for n in range(50)]
    threads = [threading.Thread(target=lambda m=m: [m.add(n, "missing_content") for n in names * 2]) for m in known]
    [t.start() for t in threads]
    [t.join() for t in threads]
    [file] = tmp_path.iterdir()
    lines = [line for line in file.read_bytes().split(b"\n") if line]
    assert len(lines) == 200 and all(swh_misses.LINE.fullmatch(line) for line in lines)
    assert all(Misses(str(tmp_path), "s", 0).get(n) for n in names)


def test_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swh_misses, "MOST", 3)
    known = Misses(None, "s", 0)
    for n in range(5):
        known.add(f"{n:040x}", "missing_content")
    assert [bool(known.get(f"{n:040x}")) for n in range(5)] == [True] * 3 + [False] * 2


def test_a_folder_that_can_be_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="misses"):
        Misses(str(tmp_path / "file/below"), "s", 0)
