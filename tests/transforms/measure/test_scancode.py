"""ScanCode as it is asked: right answers, a hard limit, another process after a death, and what is no verdict on a text."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import licensedcode
import psutil
import pytest

from starmill.core import shared
from starmill.core.errors import MachineError
from starmill.transforms.measure import scancode
from starmill.transforms.measure.scancode import DetectionFailed, DetectionTimeout, Detector

LICENSES = Path(licensedcode.__file__).parent / "data" / "licenses"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def processes(made: Detector) -> list[psutil.Process]:
    """Return the server that answers, and its forks."""
    made.detect("x", True, 60)
    own = str(shared.private_folder() / scancode._name())
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(own in word for word in process.cmdline()):
                found.append(process)
    return sorted(found, key=lambda p: p.ppid() in {q.pid for q in found})


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
    forks = {process.pid for process in processes(detector)[1:]}
    with pytest.raises(DetectionTimeout):
        detector.detect(slow, False, 0.05)
    assert detector.detect(text("mit"), True, 60).licenses == ("MIT",)
    deadline = time.monotonic() + 60
    while forks & {process.pid for process in processes(detector)} == forks and time.monotonic() < deadline:
        time.sleep(0.05)
    assert forks - {process.pid for process in processes(detector)}, "what had the slow text is killed"


def test_all_threads_share_one_index_and_its_time_is_counted() -> None:
    made = Detector()
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda n: made.detect(f"{text('mit')} {n}", False, 60).licenses, range(12)))
    assert found == [("MIT",)] * 12 and made.cpu > 0
    server, *forks = processes(made)
    assert 1 <= len(forks) <= len(os.sched_getaffinity(0)) and {p.ppid() for p in forks} == {server.pid}


def test_it_needs_no_archive_library(detector: Detector) -> None:
    """A bare machine has no libgomp, which ScanCode's archive library is linked to: its process must not load it."""
    loaded = Path(f"/proc/{processes(detector)[0].pid}/maps").read_text()
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
            "class Rule:\n    _minimum_containment, license_expression, identifier = 0, 'mit', 'mit.RULE'\n"
            "    get_min_high_matched_length = get_min_matched_length = get_length = lambda self, unique: 1\n"
            "class Index:\n    len_legalese, rules_by_rid, sets_by_rid = 1, [Rule()], [{0}]\n"
            "    msets_by_rid, approx_matchable_rids = [{0: 1}], {0}\n"
            "get_index = Index\n"
        )
        (tmp_path / "licensedcode/match_set.py").write_text("compute_candidates = ScoresVector = None\n")
        (tmp_path / "licensedcode/spans.py").write_text("class Span:\n    distance_to = __contains__ = None\n")
        (tmp_path / "licensedcode/query.py").write_text("class QueryRun:\n    is_digits_only = None\n")
        (tmp_path / "licensedcode/detection.py").write_text(
            "import os, signal\nasked = []\nis_false_positive = None\nclass LicenseDetection: pass\n"
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
        ("os.kill(os.getpid(), signal.SIGTERM)", MachineError, "status -15, twice"),
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


def test_a_killed_server_and_a_killed_process_of_its_are_replaced(other_library: Callable[[str], None]) -> None:
    other_library("pass")
    made = Detector()
    for victim in (0, 1):
        killed = processes(made)[victim]
        os.kill(killed.pid, signal.SIGKILL)
        assert made.detect("a text", True, 60).licenses == ("MIT",)
        assert killed.pid not in [process.pid for process in processes(made)]


def test_a_child_that_dies_once_is_asked_again(other_library: Callable[[str], None], tmp_path: Path) -> None:
    other_library(f"os.path.exists({str(tmp_path / 'once')!r}) or (os.mkdir({str(tmp_path / 'once')!r}), os.abort())")
    made = Detector()
    assert made.detect("a text", True, 60).licenses == ("MIT",)


def test_a_library_that_finds_nothing_does_not_start(other_library: Callable[[str], None], tmp_path: Path) -> None:
    other_library("pass")
    (tmp_path / "licensedcode/detection.py").write_text(
        "is_false_positive = None\nclass LicenseDetection: pass\ndef detect_licenses(**_): return []\n"
    )
    with pytest.raises(MachineError, match=r"ScanCode does not start: .*does not find a licence"):
        Detector().detect("a text", True, 60)
