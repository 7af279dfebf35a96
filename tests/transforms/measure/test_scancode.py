"""ScanCode in its child: right answers, a hard limit, and a new child after a death."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import licensedcode
import pytest

from starmill.core.errors import MachineError
from starmill.transforms.measure.scancode import DetectionFailed, DetectionTimeout, Detector

LICENSES = Path(licensedcode.__file__).parent / "data" / "licenses"


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    made = Detector()
    yield made
    made.stop()


def text(name: str) -> str:
    return (LICENSES / f"{name}.LICENSE").read_text().split("\n---\n", 1)[1]


@pytest.mark.parametrize(
    ("name", "spdx"),
    [
        ("mit", "MIT"),
        ("apache-2.0", "Apache-2.0"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("bsd-new", "BSD-3-Clause"),
        ("mpl-2.0", "MPL-2.0"),
    ],
)
def test_known_texts(detector: Detector, name: str, spdx: str) -> None:
    assert detector.detect(text(name), False, 60).licenses == (spdx,)


def test_installed_licences(detector: Detector) -> None:
    files = {f.name: f for f in metadata.files("pluggy") or []}
    assert detector.detect(Path(str(files["LICENSE"].locate())).read_text(), False, 60).licenses == ("MIT",)


def test_exact_and_nothing(detector: Detector) -> None:
    assert detector.detect("SPDX-License-Identifier: GPL-2.0-only OR MIT", True, 60).licenses == ("GPL-2.0-only", "MIT")
    assert detector.detect("int main(void);", False, 60).licenses == ()


def test_a_slow_text_is_cut_off_and_the_next_one_answered(detector: Detector) -> None:
    slow = " ".join(text("gpl-3.0").split()[::-1]) * 20
    with pytest.raises(DetectionTimeout):
        detector.detect(slow, False, 0.05)
    assert detector.detect(text("mit"), True, 60).licenses == ("MIT",)


def test_it_needs_no_archive_library(detector: Detector) -> None:
    """A bare machine has no libgomp, which ScanCode's archive library is linked to: the child must not load it."""
    assert detector.detect(text("mit"), True, 60) and detector._child is not None
    loaded = Path(f"/proc/{detector._child.pid}/maps").read_text()
    assert "libarchive" not in loaded and "libgomp" not in loaded


def test_a_child_that_cannot_start_is_no_verdict_on_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANCODE_LICENSE_INDEX_CACHE", "/dev/null/none")
    with pytest.raises(MachineError, match=r"ScanCode does not start: NotADirectoryError: .*/dev/null/none"):
        Detector().detect(text("mit"), False, 60)


@pytest.fixture
def other_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a library in the place of ScanCode's that runs the given code for each text but the first, which is the child's own."""

    def write(code: str) -> None:
        (tmp_path / "licensedcode").mkdir(exist_ok=True)
        (tmp_path / "licensedcode/__init__.py").write_text("")
        (tmp_path / "licensedcode/cache.py").write_text(
            "class Rule:\n    _minimum_containment = 0\n"
            "    get_min_high_matched_length = get_min_matched_length = get_length = lambda self, unique: 1\n"
            "class Index:\n    len_legalese, rules_by_rid, sets_by_rid = 1, [Rule()], [{0}]\n"
            "get_index = Index\n"
        )
        (tmp_path / "licensedcode/match_set.py").write_text("compute_candidates = None\n")
        (tmp_path / "licensedcode/detection.py").write_text(
            "import os, signal\nasked = []\n"
            "def detect_licenses(query_string, **_):\n"
            "    asked.append(query_string)\n"
            f"    if len(asked) > 1:\n        {code}\n"
            "    return [type('Found', (), {'license_expression_spdx': 'MIT', 'matches': ()})]\n"
        )
        monkeypatch.setenv(
            "PYTHONPATH", f"{tmp_path}:{os.environ['PYTHONPATH']}" if "PYTHONPATH" in os.environ else str(tmp_path)
        )

    return write


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("raise RecursionError('too deep')", DetectionFailed, "RecursionError: too deep"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", DetectionFailed, "status -11"),
        ("os.kill(os.getpid(), signal.SIGKILL)", MachineError, "status -9, twice"),
        ("os.kill(os.getpid(), signal.SIGTERM)", MachineError, "status 1, twice"),
        ("open('/dev/full', 'wb', 0).write(b'x')", MachineError, "No space left on device"),
        ("bytearray(1 << 62)", MachineError, "MemoryError"),
        ("import nonexistent_library", MachineError, "nonexistent_library"),
    ],
)
def test_only_a_text_that_scancode_fails_on_is_at_fault(
    other_library: Callable[[str], None], code: str, kind: type[Exception], said: str
) -> None:
    other_library(code)
    made = Detector()
    with pytest.raises(kind, match=said):
        made.detect("a text", True, 60)
    made.stop()


def test_a_killed_child_is_replaced(other_library: Callable[[str], None]) -> None:
    other_library("pass")
    made = Detector()
    made.detect("x", True, 60)
    assert made._child is not None
    os.kill(made._child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, made._child.pid, os.WEXITED | os.WNOWAIT)
    assert made.detect("a text", True, 60).licenses == ("MIT",)
    made.stop()


def test_a_child_that_dies_once_is_asked_again(other_library: Callable[[str], None], tmp_path: Path) -> None:
    other_library(f"os.path.exists({str(tmp_path / 'once')!r}) or (os.mkdir({str(tmp_path / 'once')!r}), os.abort())")
    made = Detector()
    assert made.detect("a text", True, 60).licenses == ("MIT",)
    made.stop()


def test_a_library_that_finds_nothing_does_not_start(other_library: Callable[[str], None], tmp_path: Path) -> None:
    other_library("pass")
    (tmp_path / "licensedcode/detection.py").write_text("def detect_licenses(**_): return []\n")
    with pytest.raises(MachineError, match=r"ScanCode does not start: .*does not find a licence"):
        Detector().detect("a text", True, 60)


PARENT = """
import sys
from starmill.transforms.measure.scancode import Detector
made = Detector()
print(made.detect("SPDX-License-Identifier: MIT", True, 60).licenses, made._child.pid, flush=True)
sys.stdin.read()
"""


def wait_until_empty(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while (left := list(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def test_no_temporary_folder_is_left_however_the_child_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Detector()
    made.detect("x", True, 60)
    assert list(tmp_path.rglob("scancode-tk-*")), "ScanCode makes one in the folder that it was given"
    assert made._child is not None
    os.kill(made._child.pid, signal.SIGKILL)
    with pytest.raises(DetectionTimeout):
        made.detect(" ".join(text("gpl-3.0").split()[::-1]) * 20, False, 0.05)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("SCANCODE_LICENSE_INDEX_CACHE", "/dev/null/none")
    with pytest.raises(MachineError):
        made.detect("x", True, 60)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["killed", "terminated", "ended"])
def test_no_temporary_folder_is_left_however_the_parent_ends(
    other_library: Callable[[str], None], tmp_path: Path, end: str
) -> None:
    other_library("pass")
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        assert parent.stdout.readline().startswith(b"('MIT',)") and list((tmp_path / "tmp").iterdir())
        if end == "killed":
            parent.kill()
        elif end == "terminated":
            parent.terminate()
        parent.stdin.close()
    wait_until_empty(tmp_path / "tmp")
