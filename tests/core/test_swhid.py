"""SWHIDs are git's own ids."""

import subprocess
from pathlib import Path

from starmill.core import swhid


def git(folder: Path, *arguments: str, data: bytes | None = None) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, input=data, check=True, capture_output=True).stdout.decode().strip()


def test_contents_and_directories(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for data in (b"", b"x = 1\n", bytes(range(256)) * 9):
        assert swhid.content_id(data) == git(tmp_path, "hash-object", "--stdin", data=data)
    # `a.b` sorts before `a/` as a directory and after `a` as a file: git compares names with the slash.
    for name in ("a.b", "a/x", "a-b", "b", "é"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b").chmod(0o755)
    git(tmp_path, "add", "-A")
    tree = git(tmp_path, "write-tree")
    entries = []
    for line in git(tmp_path, "-c", "core.quotePath=false", "ls-tree", tree).splitlines():
        meta, name = line.split("\t")
        mode, _, hex_id = meta.split(" ")
        entries.append((int(mode, 8), name.encode(), hex_id))
    assert swhid.directory_id(reversed(entries)) == tree
    assert swhid.swhid("dir", tree) == f"swh:1:dir:{tree}"
    assert swhid.blob_id(b"abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"  # FIPS 180-1
