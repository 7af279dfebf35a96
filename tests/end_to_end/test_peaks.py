"""Git bombs of kilobytes go through every stage, and no worker holds more than 1.5 GB at its peak."""

import base64
import random
import subprocess
import sys
from pathlib import Path

import pytest
from repositories import by_hand, commit, git, raw_tree

from starmill.core.dataset import Workspace

MOST = 1_500_000_000  # bytes, resident
# A process starts with the peak of the one that starts it, and this one may be large.
MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def blob(folder: Path, text: bytes) -> str:
    return git(folder, "hash-object", "-t", "blob", "-w", "--stdin", given=text).strip()


def wide(folder: Path, text: bytes, files: int) -> str:
    tree, rest = blob(folder, text), files
    names = [(b"100644", b"f%04d.py" % i, tree) for i in range(min(1000, files))]
    inner = raw_tree(folder, names)
    return raw_tree(folder, [(b"40000", b"%04d" % i, inner) for i in range(-(-rest // 1000))])


def paths(folder: Path) -> str:
    """Return a tree of 400,000 files with paths of nearly 4,096 bytes."""
    tree = wide(folder, b"x = 1\n", 400_000)
    for _ in range(16):
        tree = raw_tree(folder, [(b"40000", b"n" * 250, tree)])
    return tree


def blobs(folder: Path) -> str:
    """Return a tree of 500 files, all the same 7 MB that nothing compresses."""
    noise = random.Random(1)
    return wide(folder, b"\n".join(base64.b64encode(noise.randbytes(45)) for _ in range(115_000)), 500)


def spaces(folder: Path) -> str:
    """Return a tree of 2,000 files, all the same 10 MB of spaces."""
    return wide(folder, b"def f(): pass\n" + b" " * (10 * 1024 * 1024 - 100), 2000)


def files(folder: Path) -> str:
    """Return a tree of as many files as are read at most, and more."""
    return wide(folder, b"def f(x):\n    return x + 1  # a fine little function of ours\n", 1_100_000)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bomb", [paths, blobs, spaces, files], ids=lambda bomb: bomb.__name__)
def test_no_stage_holds_more_than_a_worker_may(bomb, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = commit(tmp_path / "dump/r", {"a.py": b"x = 1\n"})
    by_hand(folder, bomb(folder))
    command = [
        sys.executable,
        "-m",
        "starmill.cli",
        "run",
        "smoke",
        "--input",
        str(tmp_path / "dump"),
        "--workspace",
        str(tmp_path / "w"),
    ]
    options = ["--workers", "1", "--set", "tokenizer.vocab_size=300", "--no-funnel", "--quiet"]
    done = subprocess.run([sys.executable, "-c", MEASURED, *command, *options], capture_output=True, text=True)
    # A bomb may leave nothing to learn a vocabulary from.
    assert done.returncode == 0 or Workspace(str(tmp_path / "w")).manifest("dataset"), done.stderr
    assert int(done.stdout) * 1024 <= MOST
