"""The script of a sandbox needs nothing but the standard library, and no root: it runs here by itself, as `nobody` where root tests."""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
import toolchains

from starmill.core import sandbox_inside, seccomp

SYSTEM = "/usr/bin/python3"  # which any user may start


def test_a_user_without_rights_has_a_sandbox(tmp_path: Path) -> None:
    toolchains.namespaces()
    if os.geteuid() or not shutil.which("setpriv") or not Path(SYSTEM).exists():
        pytest.skip("NOT RUN: not root, whose other tests are of another user, or no setpriv and python3 of the system")
    said = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout.split()
    reads = sorted({"/bin/sh", *(os.path.normpath(word) for word in said if word.startswith("/"))})
    given = {
        "command": ["/bin/sh", "-c", "test ! -e /etc/passwd && echo > own && ! echo > /x && exit 5"],
        "environment": {},
        "files": [("a", 2)],
        "reads": [(p, p) for p in reads],
        "namespaces": True,
        "folder": "",
        "scratch_bytes": 1 << 20,
        "limits": {"CPU": (5, 6), "CORE": (0, 0)},
        "filter": seccomp.program(platform.machine()).hex(),
    }
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SYSTEM, "-I", "-S", "-c"]
    code = Path(sandbox_inside.__file__).read_text()
    done = subprocess.run([*user, code, "1"], input=json.dumps(given).encode() + b"\nhi", capture_output=True, cwd="/")
    assert json.loads(done.stdout)["status"] == 5, done.stderr


def test_only_the_standard_library_is_imported() -> None:
    code = f"import runpy, sys\nrunpy.run_path({sandbox_inside.__file__!r})\nprint([m for m in sys.modules if m.startswith('starmill')])"
    done = subprocess.run(
        [SYSTEM if Path(SYSTEM).exists() else "python3", "-I", "-S", "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
