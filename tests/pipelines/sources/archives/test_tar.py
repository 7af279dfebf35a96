"""Tars that no one should unpack: each member is a file as its bytes are, or a reason; what is sound beside it is read."""

import gzip
import subprocess
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hostile_archives
import pytest
from hostile_archives import END, GOOD, LIMIT, block, file, info, padded, pax, read_as, tar, told, zip_of

from starmill.pipelines.sources.source import Limits

entries = partial(read_as, "a.tar")


def test_what_is_no_file_has_a_reason(tmp_path: Path) -> None:
    hostile = ("../up.py", "/etc/passwd", "C:/win.py", "a\\..\\..\\b", "a/.git/config", "a\x1b[31m", "lone\udcff")
    links = (info("sym", tarfile.SYMTYPE, "../../etc/passwd"), info("hard", tarfile.LNKTYPE, "../../etc/passwd"))
    odd = (info("fifo", tarfile.FIFOTYPE), info("block", tarfile.BLKTYPE), info("odd", b"Z"), info("folder", tarfile.DIRTYPE))
    twice = (("twice.py", b"first"), ("twice.py", b"last"))
    data = tar(
        ("good.py", GOOD), *((n, b"x") for n in hostile), *links, *odd, ("large", b"l" * LIMIT), *twice, ("./last.py", GOOD)
    )
    found = entries(tmp_path, data)
    assert told(found) == {
        **{"/good.py": None, "/last.py": None, "/large": "too_large", "/twice.py": "duplicate_name"},
        **{"/sym": "symlink", "/hard": "hard_link", "/odd": "not_a_regular_file"},
        **{"/fifo": "not_a_regular_file", "/block": "not_a_regular_file"},
        **{"/../up.py": "hostile_path", "//etc/passwd": "hostile_path", "/C:/win.py": "hostile_path"},
        **{r"/a\..\..\b": "hostile_path", "/a/.git/config": "hostile_path"},
        **{r"/a\x1b[31m": "hostile_path", r"/lone\xff": "hostile_path"},
    }
    assert [(e.data, e.reason) for e in found if e.path == b"twice.py"] == [(b"last", None), (None, "duplicate_name")]
    assert [e.detail for e in found if e.reason in ("symlink", "hard_link")] == ["../../etc/passwd"] * 2
    assert entries(tmp_path, gzip.compress(data, mtime=0)) == found


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_holes_are_told_and_what_comes_after_them_is_read(tmp_path: Path, form: str) -> None:
    with open(tmp_path / "a", "wb") as sparse:
        for hole in range(40):  # more than one header holds
            sparse.seek(hole << 20)
            sparse.write(b"x")
    (tmp_path / "b.py").write_bytes(GOOD)
    subprocess.run(["tar", "-Scf", "s", f"--format={form}", "a", "b.py"], cwd=tmp_path, check=True)
    found = {e.path: (e.data, e.reason) for e in entries(tmp_path, (tmp_path / "s").read_bytes())}
    assert found[b"b.py"] == (GOOD, None) and len(found) == 2 and (None, "sparse_file") in found.values()


# What lies between two sound files, and the reasons that it gets; both are read, or the second is where reading has to end.
HEADERS = {
    "pax records too large": (block(b"p", b"x", 2 << 20) + bytes(2 << 20) + file(b"b.py"), {"/b.py": "unreadable_header"}),
    "a name too large": (block(b"p", b"L", 3 << 20) + b"n" * (3 << 20) + file(b"b.py"), {"/b.py": "unreadable_header"}),
    "digits, of which patterns take a square": (block(b"p", b"x", 900_000) + padded(b"1" * 900_000) + file(b"b.py"),
                                                {"/b.py": "unreadable_header"}),
    "a record that is cut off": (block(b"p", b"x", 9) + padded(b"99 path=x") + file(b"b.py"), {"/b.py": "unreadable_header"}),
    "a path in pax": (pax(b"path=of pax.py", b"comment=" + b"c" * 5000) + file(b"short"), {"/of pax.py": None}),
    "a NUL in pax": (pax(b"path=a\0b.py") + file(b"short"), {r"/a\x00b.py": "hostile_path"}),
    "a size in pax": (pax(b"size=6") + block(b"b.py") + padded(GOOD), {"/b.py": None}),
    "many headers for all": (b"".join(pax(b"k%d=v" % k, kind=b"g") for k in range(2000)) + file(b"b.py"), {"/b.py": None}),
    "a long path": (pax(b"path=" + b"d/" * 3000 + b"b.py") + file(b"b"), {"/" + "d/" * 2048: "hostile_path"}),
    "a link with a size": (block(b"l", b"1", 6) + file(b"b.py"), {"/l": "hard_link", "/b.py": None}),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_headers_are_read_with_limits(tmp_path: Path, case: str) -> None:
    between, wanted = HEADERS[case]
    found = told(entries(tmp_path, file(b"a.py") + between + file(b"z.py") + END))
    assert found == {"/a.py": None, **wanted, "/z.py": None}


# How an archive ends before its end, and what is told of it as a whole.
ENDS = {
    "a size that no archive has": (block(b"b", size=1 << 60) + file(b"z.py") + END, "truncated_archive", {"/b": "too_large"}),
    "a size below 0": (block(b"b", said=b"\xff" * 12) + file(b"z.py") + END, "corrupt_archive", {}),
    "pax's size is no number": (pax(b"size=-1") + file(b"b.py") + END, "corrupt_archive", {}),
    "a wrong checksum": (b"?" * 512 + file(b"z.py") + END, "corrupt_archive", {}),
    "half a member": (block(b"b", size=1000) + bytes(700), "truncated_archive", {"/b": "truncated"}),
    "half a header": (b"b" * 100, "truncated_archive", {}),
    "rubbish behind the end": (END + b"rubbish", "trailing_data", {}),
}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
def test_what_comes_before_the_end_is_read(tmp_path: Path, case: str, squeeze: Callable[[bytes], bytes]) -> None:
    behind, reason, wanted = ENDS[case]
    wanted = dict.fromkeys(wanted, "truncated")  # what is too large is so for its size, and not there
    assert told(entries(tmp_path, squeeze(file(b"a.py") + behind))) == {"/": reason, "/a.py": None, **wanted}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_an_archive"),
        (b"no archive, but text\n" * 100, "not_an_archive"),
        (gzip.compress(b"no archive, but text\n" * 100, mtime=0), "not_an_archive"),
        (b"\x1f\x8b", "not_an_archive"),
        (zip_of(("a.py", GOOD)), "not_an_archive"),
        (bytes(10240), "empty_archive"),
        (gzip.compress(tar(info("folder", tarfile.DIRTYPE)), mtime=0), "empty_archive"),
    ],
)
def test_what_holds_no_files_is_one_row(tmp_path: Path, data: bytes, reason: str) -> None:
    [entry] = entries(tmp_path, data)
    assert (entry.path, entry.reason) == (b"", reason)


def test_what_no_checksum_vouches_for_is_not_believed(tmp_path: Path) -> None:
    first, second = (
        gzip.compress(file(b"a.py"), mtime=0),
        gzip.compress(file(b"b.py", bytes(600_000)) + file(b"c.py") + END, mtime=0),
    )
    wrong = {"/": "corrupt_archive", "/a.py": None, "/b.py": "corrupt_member"}
    assert told(entries(tmp_path, first + second[:-8] + b"rubbish!")) == wrong
    cut = {"/": "truncated_archive", "/a.py": None, "/b.py": None, "/c.py": None}
    assert told(entries(tmp_path, first + second[:-4])) == cut, "what is cut off is as it was"
    stray = gzip.compress(file(b"b.py") + b"?" * 512 + bytes(600_000), mtime=0)[:-8] + b"rubbish!"
    assert told(entries(tmp_path, stray)) == {"/": "corrupt_archive", "/b.py": "corrupt_member"}, "read on to the checksum"


def test_a_bomb_ends_where_its_limit_is_and_what_came_before_is_read(tmp_path: Path) -> None:
    found = told(entries(tmp_path, hostile_archives.gzip_of_zeros(280), Limits(max_file_bytes=LIMIT, max_inflation=1)))
    assert found == {"/": "inflates_too_far", "/good.py": None, "/zeros": "inflates_too_far"}
    limits = Limits(max_file_bytes=LIMIT, max_inflated_bytes=8)
    assert told(entries(tmp_path, file(b"a.py") + file(b"b.py") + END, limits)) == {"/a.py": None, "/b.py": "inflates_too_far"}


def test_what_lies_beyond_a_limit_is_counted_and_not_held(tmp_path: Path) -> None:
    many = b"".join(file(b"%05d" % k) for k in range(1000)) + END
    for data in (many, gzip.compress(many, mtime=0)):
        found = entries(tmp_path, data, Limits(max_files=200))
        assert len(found) == 201 and found[0].reason == "too_many_files"
        assert found[0].detail == "more than max_files=200; 800 files have no row: tar -tf lists all"
    found = entries(tmp_path, many, Limits(max_files=10))
    assert "more than 40 files have no row" in str(found[0].detail)
