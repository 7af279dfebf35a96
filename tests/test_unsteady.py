"""What failed once is run once more, alone: a steady failure fails, an unsteady one is named, and many are not tried."""

import subprocess
import sys
from pathlib import Path

import pytest

UNSTEADY = Path(__file__).parent / "unsteady.py"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-c", "none.ini", "--rootdir", "."]


@pytest.mark.parametrize(
    ("test", "ends"),
    [
        ("def test_it():\n    seen = p.exists(); p.touch(); assert seen", 0),
        ("def test_it():\n    assert False", 1),
        (
            "import pytest\n@pytest.mark.parametrize('k', range(4))\ndef test_it(k):\n    seen = p.exists(); p.touch(); assert 0",
            1,
        ),
        ("1 / 0", 2),
    ],
    ids=["unsteady", "steady", "many", "not collected"],
)
def test_a_failure_is_run_once_more_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, ends: int) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # most of a second a process
    (tmp_path / "none.ini").write_text("[pytest]\n")
    (tmp_path / "test_one.py").write_text(f"from pathlib import Path\np = Path('seen')\n{test}\n")
    first = subprocess.run(PYTEST, cwd=tmp_path, capture_output=True, text=True)
    ran = subprocess.run(
        [sys.executable, UNSTEADY, str(first.returncode), *PYTEST], cwd=tmp_path, capture_output=True, text=True
    )
    assert first.returncode != 0 and ran.returncode == ends
    assert ("UNSTEADY" in ran.stdout) is (ends == 0)
