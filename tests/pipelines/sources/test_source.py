"""Paths as labels: printable, unique to the eye, and hostile ones named so."""

from datetime import datetime

import pytest

from starmill.pipelines.sources.source import Snapshot, label, timestamp


@pytest.mark.parametrize(
    "path", ["a", "src/main.py", "a b/é.c", "日本/語.py", "..a/.gitignore", r"dev\x2ddisk.mount", ".github/x"]
)
def test_paths_that_people_use_stay(path: str) -> None:
    assert label(path.encode()) == (f"/{path}", None)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a\nb.py", r"/a\nb.py"),
        (b"\x1b[2J", r"/\x1b[2J"),
        (b"latin\xe9.c", r"/latin\xe9.c"),
        ("a\u202egnp.exe".encode(), r"/a\u202egnp.exe"),
        ("a\u2028b".encode(), r"/a\u2028b"),
        (b"a/../../etc/passwd", "/a/../../etc/passwd"),
        (b"/etc/passwd", "//etc/passwd"),
        (b"a//b", "/a//b"),
        (b"./a", "/./a"),
        (b"sub/.GIT/config", "/sub/.GIT/config"),
        (b"\xed\xa0\x80", r"/\xed\xa0\x80"),
    ],
)
def test_hostile_paths_are_shown_escaped(path: bytes, shown: str) -> None:
    assert label(path) == (shown, "hostile_path")
    assert shown.isprintable() and shown.encode()


def test_moments_that_nanoseconds_cannot_hold_are_unknown() -> None:
    assert timestamp(0) == datetime(1970, 1, 1)
    assert timestamp(-1) == datetime(1969, 12, 31, 23, 59, 59)
    assert timestamp(10**11) is None and timestamp(-(10**11)) is None


def test_a_snapshot_names_columns_of_the_schema() -> None:
    from starmill.core import schema

    assert set(Snapshot().columns()) <= set(schema.RECORDS.names)
