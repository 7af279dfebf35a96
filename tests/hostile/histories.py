"""Histories made by one process of `git fast-import`: each file of a folder in a commit of its own, or what a test says."""

import os
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

# What `one_by_one` makes of the contract's tree: the commits that add a.py, big.bin, empty, link and sub/b.txt. The text of a commit is
# decoded where it is read.
ADDED = {
    "3a9b0a858446b0355183cc2b0004ccca75d0222a": None,
    "20bd49bd39f46a12c5e6dee8bd36c9d6d3700328": "too_large",
    "437075f0bdbdbd2df95d90925775ffc59ce09240": None,
    "06b929e5a158a6e18d1cefe3206ef7c375762b86": "symlink",
    "3add3edc82603c07f024627bdfae2432b066d548": None,  # its BOM says UTF-16
}

WHEN = 1_577_836_800


def run(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Return what git says, with nothing of the machine's configuration."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-C", str(folder), "-c", "core.protectHFS=false"]
    return subprocess.run([*git, *arguments], env=clean, input=given, capture_output=True, check=True).stdout


def commit(number: int, message: bytes, changes: Iterable[bytes], parents: Iterable[str] = (), when: int = 0) -> bytes:
    """Return the lines of a commit of the main branch: its parent is the one before, unless `parents` are given."""
    date = when or WHEN + number
    head = f"commit refs/heads/main\nmark :{number}\ncommitter a <a@b.c> {date} +0000\ndata {len(message)}\n".encode()
    of = "".join(f"{'merge' if n else 'from'} {parent}\n" for n, parent in enumerate(parents)).encode()
    return head + message + b"\n" + of + b"".join(changes) + b"\n"


def file(path: bytes, data: bytes, mode: bytes = b"100644") -> bytes:
    """Return the lines that give a file this content."""
    return b"M %s inline %s\ndata %d\n%s\n" % (mode, quoted(path), len(data), data)


def quoted(path: bytes) -> bytes:
    """Return a path as fast-import reads any."""
    return b'"' + b"".join(bytes([b]) if 32 <= b < 127 and b not in b'"\\' else b"\\%03o" % b for b in path) + b'"'


def take(folder: Path, stream: bytes) -> Path:
    """Make a repository of a stream, or put its history in the place of another one."""
    folder.mkdir(parents=True, exist_ok=True)
    run(folder, "init", "-q", "-b", "main")
    run(folder, "fast-import", "--quiet", "--force", "--date-format=raw-permissive", given=stream)
    return folder


def one_by_one(folder: Path) -> list[str]:
    """Add each file of a folder, as far as git would, by a commit of its own; return the commits in the order of the paths."""
    run(folder, "init", "-q", "-b", "main")
    subprocess.run(
        ["git", "-C", str(folder), "-c", "core.protectHFS=false", "add", "-A", "--ignore-errors"], capture_output=True
    )
    stream = b""
    for n, row in enumerate(run(folder, "ls-files", "-s", "-z").split(b"\0")[:-1]):
        said, path = row.split(b"\t", 1)
        mode, own, _ = said.split()
        stream += commit(n + 1, b"Add a file", [b"M %s %s %s\n" % (mode, own, quoted(path))])
    if not stream:
        return []
    take(folder, stream)
    return run(folder, "rev-list", "--reverse", "HEAD").decode().split()


NAMES = (b"a.py", b"b.py", b"lib/c.h", b"lib/d.h", b"lib/deep/e.c", b"lib.c", "é/日本.py".encode(), b"lib", b"odd\xff\n.py")


def random_history(folder: Path, seed: int, commits: int) -> Path:
    """Make a repository whose commits change, add, delete and link files, turn folders into files and back, and merge."""
    draw, stream, tips = random.Random(seed), b"", [1]
    contents = dict.fromkeys(NAMES, b"")
    for n in range(1, commits + 1):
        changes = []
        for _ in range(draw.choice((0, 1, 1, 1, 1, 1, 2, 3))):
            path, what = (
                draw.choice(NAMES),
                draw.choice(("edit", "edit", "edit", "edit", "delete", "mode", "link", "submodule")),
            )
            if what == "edit":
                contents[path] = b"".join(b"%d\n" % draw.randrange(99) for _ in range(draw.randrange(60))) or contents[path]
            made = {
                "edit": file(path, contents[path]),
                "mode": file(path, contents[path], draw.choice((b"100644", b"100755"))),
                "delete": b"D %s\n" % quoted(path),
                "link": file(path, b"/etc/passwd", b"120000"),
                "submodule": b"M 160000 %s %s\n" % (b"1" * 40, quoted(path)),
            }
            changes.append(made[what])
        of = [draw.choice(tips)] if n > 1 else []
        if n % 7 == 0:
            of = tips[-2:]
        # Some commits are older than their parents.
        stream += commit(
            n, b"Change %d\n\nA body.\n" % n, changes, [f":{parent}" for parent in of], WHEN + n - 5 * (n % 11 == 0)
        )
        tips = [*tips, n][-3:] if n > 1 else tips
    take(folder, stream + b"reset refs/heads/main\nfrom :%d\n" % commits)
    if seed % 2:
        run(folder, "gc", "-q")
    return folder
