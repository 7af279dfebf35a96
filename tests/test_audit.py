"""The audit of dependencies: what fails it, what it lets pass and for how long, and what it says without a network."""

import datetime
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
DAY = datetime.date(2026, 11, 26)
FOUND = {
    "id": "PYSEC-2018-28",
    "fix_versions": ["2.20.0"],
    "aliases": ["CVE-2018-18074", "GHSA-x84v-xcm2-53pg"],
    "description": "",
}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_not_known_fails_by_any_of_its_names(audit: ModuleType) -> None:
    answers = [
        {"name": "requests", "version": "2.19.0", "vulns": [FOUND]},
        {"name": "local", "skip_reason": "not found on PyPI"},
    ]
    line = "requests 2.19.0: PYSEC-2018-28, mended in 2.20.0"
    assert audit.judge(answers, set()) == ([line], {"requests"})
    assert audit.judge(answers, {"CVE-2018-18074"}) == ([], {"requests"})


def test_what_is_known_is_looked_at_again_within_a_year(audit: ModuleType) -> None:
    assert audit.ignored("# a remark\n\nCVE-2018-18074 2026-01-01 requests: no redirects\n", DAY) == {"CVE-2018-18074"}
    with pytest.raises(SystemExit, match="more than a year ago"):
        audit.ignored("CVE-2018-18074 2025-01-01 requests: no redirects\n", DAY)
    with pytest.raises(SystemExit, match="write: ID YYYY-MM-DD package: reason"):
        audit.ignored("CVE-2018-18074\n", DAY)
    audit.ignored((ROOT / ".ci/advisories.txt").read_text(), DAY)


def test_without_a_network_it_says_what_it_did_not_reach(tmp_path: Path) -> None:
    nowhere = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / ".ci/audit.py"), str(ROOT / "constraints.txt")]
    done = subprocess.run(command, env={**os.environ, **nowhere}, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "NOT AUDITED: 2" in done.stderr and "could not be installed" in done.stderr


def test_ci_audits() -> None:
    assert ".ci/audit.py" in (ROOT / ".ci/run").read_text()
