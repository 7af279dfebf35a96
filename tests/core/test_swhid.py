"""Identifiers against git itself: hash-object and write-tree are the oracle."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from starmill.core import swhid


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=clean, input=given, check=True, capture_output=True
    ).stdout.decode()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


@pytest.mark.parametrize("data", [b"", b"a", b"text\r\n", bytes(range(256)) * 300], ids=["empty", "a", "crlf", "binary"])
def test_a_content_has_gits_id(repository: Path, data: bytes) -> None:
    assert swhid.content_id(data) == git(repository, "hash-object", "--stdin", given=data).strip()


def test_a_blob_id_is_the_plain_sha1() -> None:
    assert swhid.blob_id(b"abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"  # FIPS 180-2, appendix A


def test_a_directory_has_gits_id_in_any_order(repository: Path) -> None:
    # Git sorts a folder `a` as if it were `a/`: after `a.b` and `a-c`, before `a0`.
    for name in ("a/inner.txt", "a.b", "a-c", "a0", "b/c/deep", "é.txt", "run.sh"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(name)
    (repository / "run.sh").chmod(0o755)
    (repository / "link").symlink_to("a.b")
    git(repository, "add", "-A")
    expected = git(repository, "write-tree").strip()
    entries = []
    for line in git(repository, "ls-tree", "-z", expected).split("\0")[:-1]:
        facts, name = line.split("\t")
        mode, _, hex_id = facts.split(" ")
        entries.append((int(mode, 8), name.encode(), hex_id))
    assert {mode for mode, _, _ in entries} == {0o40000, 0o100644, 0o100755, 0o120000}
    for seed in range(5):
        random.Random(seed).shuffle(entries)
        assert swhid.directory_id(entries) == expected
    assert swhid.directory_id([]) == git(repository, "mktree").strip()


def test_an_identifier_as_text() -> None:
    assert swhid.swhid("cnt", swhid.content_id(b"")) == "swh:1:cnt:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("swh:1:cnt:" + "0a" * 20, True),
        ("swh:1:cnt:" + "0A" * 20, False),  # ISO/IEC 18670: lower case
        ("swh:1:cnt:" + "0a" * 20 + "\n", False),
        ("swh:1:cnt:" + "0a" * 20 + ";origin=https://a.b", False),
        ("swh:1:cnt:" + "0a" * 19, False),
        ("swh:2:cnt:" + "0a" * 20, False),
        ("swh:1:rev:" + "0a" * 20, False),
        ("0a" * 20, False),
        ("", False),
    ],
)
def test_what_identifies_a_content(text: str, is_one: bool) -> None:
    assert swhid.is_content(text) == is_one
