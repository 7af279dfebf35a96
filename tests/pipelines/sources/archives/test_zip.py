"""Zips that no one should unpack: each member is a file as its bytes are, or a reason; what is sound beside it is read."""

import io
import subprocess
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import hostile_archives
import pytest
from hostile_archives import GOOD, LIMIT, directory, local, read_as, told, zip_of

from starmill.pipelines.sources.source import Limits

entries = partial(read_as, "a.zip")


def test_what_is_no_file_has_a_reason(tmp_path: Path) -> None:
    made = tmp_path / "z.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_LZMA) as archive:
        for name in ("good.py", "../up.py", "/abs.py", "\\\\host\\share", "one.py", "two.py"):
            archive.writestr(name, f"{name} {len(archive.namelist())}")
        for name, mode in (("sym", 0o120777), ("fifo", 0o010666)):
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, mode << 16
            archive.writestr(member, "/etc/passwd")
        archive.writestr("folder/", "")
        archive.writestr("large", b"l" * LIMIT)
    (tmp_path / "secret.py").write_text("x = 1\n")
    subprocess.run(["zip", "-q", "-P", "word", made, "secret.py"], cwd=tmp_path, check=True)
    data = made.read_bytes().replace(b"two.py", b"one.py").replace(b"good.py", b"lat\xe9.py")
    found = entries(tmp_path, data)
    assert told(found) == {
        **{r"/lat\xe9.py": "hostile_path", "/sym": "symlink", "/fifo": "not_a_regular_file", "/large": "too_large"},
        **{"/../up.py": "hostile_path", "//abs.py": "hostile_path", r"/\\host\share": "hostile_path"},
        **{"/one.py": "duplicate_name", "/secret.py": "encrypted"},
    }
    assert [(e.data, e.reason) for e in found if e.path == b"one.py"] == [(b"two.py 5", None), (None, "duplicate_name")]
    assert [e.detail for e in found if e.reason == "symlink"] == ["/etc/passwd"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zipfile_is_read(tmp_path: Path, method: int) -> None:
    files = {f"{k}": bytes(range(256)) * k for k in range(0, 300, 50)}
    assert {e.path.decode(): e.data for e in entries(tmp_path, zip_of(*files.items(), method=method))} == files


def test_a_zip_may_have_wide_numbers_descriptors_and_a_program_in_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pipe(io.RawIOBase):  # which cannot be sought in, so that sizes follow the data
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data.extend(bytes(data))
            return len(bytes(data))

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("wide.py", "w", force_zip64=True) as member:
        member.write(GOOD)
    assert {e.path: e.data for e in entries(tmp_path, b"#!/bin/sh\nexit\n" + pipe.data)} == {b"wide.py": GOOD}
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # in place of 65,535
    many = zip_of(*((f"{k}", GOOD) for k in range(3)))
    assert b"PK\6\6" in many and [e.data for e in entries(tmp_path, b"#!/bin/sh\nexit\n" + many)] == [GOOD] * 3


def test_what_lies_over_another_is_not_read(tmp_path: Path) -> None:
    bomb = hostile_archives.zip_whose_files_share_one_kernel(100, 500_000)
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        assert sum(i.file_size for i in archive.infolist()) > 1000 * len(bomb) and archive.testzip() is None, (
            "zipfile inflates it"
        )
    found = entries(tmp_path, bomb)
    assert [e.reason for e in found] == ["corrupt_member"] * 99 + [None]
    same = entries(tmp_path, hostile_archives.zip_of_one_member_many_times(100, 500_000))
    assert [e.reason for e in same] == ["corrupt_member"] + ["duplicate_name"] * 99


def test_a_bomb_ends_where_its_limit_is(tmp_path: Path) -> None:
    data = zip_of(*((f"{k}", bytes(LIMIT - 1)) for k in range(9)))
    found = entries(tmp_path, data, Limits(max_file_bytes=LIMIT, max_inflated_bytes=5 << 20))
    assert [e.reason for e in found] == [None] * 5 + ["inflates_too_far"] * 4


DATA = b"".join(b"%d\n" % k for k in range(1000))
STORED = zlib.compress(DATA, 9)[2:-4]
CRC = zlib.crc32(DATA)
AT = len(local(b"a", 0, GOOD, GOOD))
LIES = {
    "a size below what it has": (8, CRC, len(STORED), 100, AT),
    "a size above": (8, CRC, len(STORED), len(DATA) + 1, AT),
    "a size that no file has": (8, CRC, len(STORED), 2**32 - 2, AT),
    "fewer bytes stored": (8, CRC, len(STORED) // 2, len(DATA), AT),
    "more bytes stored": (8, CRC, len(STORED) + 1, len(DATA), AT),
    "another checksum": (8, CRC ^ 1, len(STORED), len(DATA), AT),
    "another method": (12, CRC, len(STORED), len(DATA), AT),
    "lzma without properties": (14, CRC, len(STORED), len(DATA), AT),
    "zstd that is none": (93, CRC, len(STORED), len(DATA), AT),
    "a method that none has": (77, CRC, len(STORED), len(DATA), AT),
    "a place behind the end": (8, CRC, len(STORED), len(DATA), 2**32 - 2),
}


@pytest.mark.parametrize("case", LIES)
def test_what_a_directory_lies_about_is_a_row(tmp_path: Path, case: str) -> None:
    body = local(b"a", 0, GOOD, GOOD) + local(b"b", 8, DATA, STORED)
    good = (b"a", 0, zlib.crc32(GOOD), len(GOOD), len(GOOD), 0)
    reason = {"a size that no file has": "too_large", "a method that none has": "unsupported_compression"}.get(
        case, "corrupt_member"
    )
    assert told(entries(tmp_path, directory([good, (b"b", *LIES[case])], body))) == {"/a": None, "/b": reason}


def test_what_is_wrong_with_the_whole_is_told(tmp_path: Path) -> None:
    whole = zip_of(("a.py", GOOD), ("b.py", GOOD))
    assert told(entries(tmp_path, b"no archive\n" * 99)) == {"/": "not_an_archive"}
    assert told(entries(tmp_path, whole[:-30])) == {"/": "not_an_archive"}
    assert told(entries(tmp_path, zip_of())) == {"/": "empty_archive"}
    assert told(entries(tmp_path, whole + b"rubbish")) == {"/": "trailing_data", "/a.py": None, "/b.py": None}
    at = whole.rfind(b"PK\1\2")
    assert told(entries(tmp_path, whole[:at] + b"PK\0\0" + whole[at + 4 :])) == {"/": "corrupt_archive", "/a.py": None}
    found = entries(tmp_path, zip_of(*((f"{k}", GOOD) for k in range(50))), Limits(max_files=10))
    assert len(found) == 11 and found[0].detail == "more than max_files=10; 40 files have no row: unzip -l lists all"
