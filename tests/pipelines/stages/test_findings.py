"""What was found in texts is known to other runs and workspaces, and a cache that is damaged, full or away changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from starmill.core.dataset import Workspace
from starmill.pipelines.stages import findings
from starmill.pipelines.stages.findings import Findings, UserFile, WorkspaceCache


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(findings.CACHE, "on")
    place = findings.place()
    assert place is not None and place.is_relative_to(tmp_path)
    return place


def cache(place: Path, of: str = "cache/x") -> Findings:
    return Findings(Workspace(str(place)), of)


def test_another_workspace_knows_it_and_another_version_does_not(tmp_path: Path, file: Path) -> None:
    cache(tmp_path / "a").put("abc-full", ["MIT", "Zlib"])
    cache(tmp_path / "a").put("none", [])
    assert cache(tmp_path / "b").get("abc-full") == ["MIT", "Zlib"] and cache(tmp_path / "b").get("none") == []
    assert cache(tmp_path / "b", "cache/y").get("abc-full") is None and cache(tmp_path / "b").get("abc") is None
    assert [path.name for path in file.parent.iterdir()] == [file.name] and not (tmp_path / "a").exists()


def test_without_it_the_workspace_remembers(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("off", "on"):
        monkeypatch.setenv(findings.CACHE, way)
        if way == "on":
            monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/none")
        cache(tmp_path / way).put("abc", ["MIT"])
        assert cache(tmp_path / way).get("abc") == ["MIT"] and cache(tmp_path / "other").get("abc") is None
    assert not file.exists()


def test_what_is_damaged_is_not_believed(tmp_path: Path, file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database at all" * 1000)
    cache(tmp_path).put("abc", ["MIT-0" * 9])
    assert cache(tmp_path).get("abc") == ["MIT-0" * 9], "a file that is none is made anew"
    file.write_bytes(file.read_bytes().replace(b"MIT-0", b"GPL-3"))
    assert UserFile(file).get("cache/x", "abc") is None
    file.write_bytes(b"torn" * 5000)
    assert cache(tmp_path).get("abc") is None
    cache(tmp_path).put("def", ["X"])
    assert cache(tmp_path).get("def") == ["X"], "in the workspace, as long as this process has the file open"


def test_it_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    file = UserFile(tmp_path / "f.sqlite", most_bytes=200_000)
    for n in range(1000):
        file.put("x", str(n), [f"{n}" * 300])
    assert (tmp_path / "f.sqlite").stat().st_size < 400_000
    known = [file.get("x", str(n)) is not None for n in range(1000)]
    assert known[-1] and not known[0] and known == sorted(known) and sum(known) > 50


WRITER = """
import sys
from pathlib import Path
from starmill.pipelines.stages.findings import UserFile
file = UserFile(Path(sys.argv[1]))
for n in range(40):
    assert file.put("x", f"{sys.argv[2]}-{n}", [sys.argv[2]] * n) and file.put("x", f"{n}", ["same"])
"""


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    place = tmp_path / "f.sqlite"
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(place), str(k)], env=os.environ) for k in range(3)]
    assert [process.wait() for process in running] == [0] * 3
    file = UserFile(place)
    assert all(file.get("x", f"{k}-{n}") == [str(k)] * n for k in range(3) for n in range(40)) and file.get("x", "3") == [
        "same"
    ]


def test_notes_outlive_the_process(tmp_path: Path) -> None:
    cache = WorkspaceCache(Workspace(str(tmp_path)), "cache/x")
    assert cache.get("abc-full") is None
    cache.put("abc-full", ["MIT", "Zlib"])
    cache.put("def-full", [])
    for key, damaged in (("cc" * 20, b"\xff"), ("dd" * 20, b""), ("ee" * 20, b"mit"), ("ab" * 20, None)):
        cache.put(key, ["gpl-3.0"])
        place = f"cache/x/{key[:2]}/{key}"
        cache.workspace.publish(place, cache.workspace.read(place).replace(b"gpl", b"lgp") if damaged is None else damaged)
        assert cache.get(key) is None
    again = WorkspaceCache(Workspace(str(tmp_path)), "cache/x")
    assert again.get("abc-full") == ["MIT", "Zlib"] and again.get("def-full") == []
