"""ScanCode in its child: right answers, a hard limit, and a new child after a death."""

import os
import signal
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import licensedcode
import pytest

from starmill.transforms.measure.scancode import DetectionTimeout, Detector, DetectorUnavailable

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
    assert detector.detect(text(name), False, 60) == [spdx]


def test_installed_licences(detector: Detector) -> None:
    files = {f.name: f for f in metadata.files("pluggy") or []}
    assert detector.detect(Path(str(files["LICENSE"].locate())).read_text(), False, 60) == ["MIT"]


def test_exact_and_nothing(detector: Detector) -> None:
    assert detector.detect("SPDX-License-Identifier: GPL-2.0-only OR MIT", True, 60) == ["GPL-2.0-only", "MIT"]
    assert detector.detect("int main(void);", False, 60) == []


def test_a_slow_text_is_cut_off_and_the_next_one_answered(detector: Detector) -> None:
    slow = " ".join(text("gpl-3.0").split()[::-1]) * 20
    with pytest.raises(DetectionTimeout):
        detector.detect(slow, False, 0.05)
    assert detector.detect(text("mit"), True, 60) == ["MIT"]


def test_a_killed_child_is_replaced(detector: Detector) -> None:
    detector.detect("x", True, 60)
    assert detector._child is not None
    os.kill(detector._child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, detector._child.pid, os.WEXITED | os.WNOWAIT)
    assert detector.detect(text("mit"), True, 60) == ["MIT"]


def test_a_child_that_cannot_start_is_no_verdict_on_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANCODE_LICENSE_INDEX_CACHE", "/dev/null/none")
    with pytest.raises(DetectorUnavailable, match="ScanCode does not start"):
        Detector().detect(text("mit"), False, 60)


def test_it_needs_no_archive_library(tmp_path: Path) -> None:
    """A bare machine has no libgomp, which ScanCode's archive library is linked to: the child must not load it."""
    made = Detector()
    made.detect(text("mit"), True, 60)
    assert made._child is not None
    loaded = Path(f"/proc/{made._child.pid}/maps").read_text()
    made.stop()
    assert "libarchive" not in loaded and "libgomp" not in loaded
