"""The lines of an hour: members that are whole, and files that are no hours."""

import gzip
import io

import pytest

from starmill.pipelines.sources.gharchive import hours as gharchive_hours
from starmill.pipelines.sources.gharchive.hours import Cut, NoEvents, blocks

LINES = [b'{"n": %d, "pad": "%s"}' % (n, b"x" * (n % 400)) for n in range(30_000)]
TEXT = b"\n".join(LINES) + b"\n"


def read(data: bytes, **options: int) -> list[bytes | int]:
    found = blocks(io.BytesIO(data), **options)
    return [line for some in found for line in ([some] if isinstance(some, int) else some.removesuffix(b"\n").split(b"\n"))]


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT[:-1],
        gzip.compress(TEXT, 1, mtime=0),
        gzip.compress(TEXT[:999_999], 1, mtime=0) + gzip.compress(TEXT[999_999:], 1, mtime=0),
        gzip.compress(TEXT, 1, mtime=0) + bytes(3_000_000),
        b"\xef\xbb\xbf" + TEXT,
    ],
    ids=["plain", "no last line end", "gzip", "a line in two members", "zeros behind", "byte order mark"],
)
def test_whole_hours(data: bytes) -> None:
    assert [bytes(found).removeprefix(b"\xef\xbb\xbf") for found in read(data)] == LINES  # type: ignore[arg-type]


def test_a_member_that_is_cut_or_damaged_is_not_read() -> None:
    first, second = gzip.compress(TEXT[:999_999], 1, mtime=0), gzip.compress(TEXT[999_999:], 1, mtime=0)
    damaged = bytearray(second)
    damaged[-6] ^= 1  # of its CRC: every line is there
    for data in (first + second[:-20], first + second[:5], first + bytes(damaged), first + b"no member"):
        with pytest.raises(Cut) as cut:
            read(data)
        assert cut.value.whole == 1 and b"\n".join(map(bytes, read(data, members=1))) == TEXT[:999_999]  # type: ignore[arg-type]
    with pytest.raises(Cut) as cut:
        read(second[: len(second) // 2])
    assert cut.value.whole == 0 and read(second[: len(second) // 2], members=0) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"<?xml version='1.0'?><Error/>", "not_events"),
        (gzip.compress(b"<html>Too many requests</html>", mtime=0), "not_events"),
        (bytes(100), "not_events"),
        (TEXT, "too_many_bytes"),
    ],
)
def test_what_is_no_hour_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(NoEvents) as told:
        read(data, max_bytes=1_000_000)
    assert told.value.reason == reason


def test_a_line_that_is_too_long_is_counted_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gharchive_hours, "MAX_LINE", 5_000_000)
    bomb = b"{" + b" " * 40_000_000
    assert read(gzip.compress(b"{}\n" + bomb + b"\n{}\n" + bomb, mtime=0)) == [b"{}", len(bomb), b"{}", len(bomb)]
