"""What a file of a dump inflates to, and what is said of one that is damaged."""

import bz2
import gzip
import io
import lzma
import re
from pathlib import Path

import pytest

from starmill.pipelines.sources.archives.inflate import Stream
from starmill.pipelines.sources.dumps import FREE_BYTES, Chunks, files, fingerprint_of, most, walk

TEXT = b"".join(b"%d," % k for k in range(40_000))


def read(data: bytes, limit: int = 1 << 30, upto: int | None = None) -> tuple[bytes, str | None]:
    chunks = Chunks(Stream(io.BytesIO(data), limit), upto)
    return b"".join(chunks), chunks.problem.reason if chunks.problem else None


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=lambda pack: pack.__name__)
def test_whole_and_cut_off(pack) -> None:  # type: ignore[no-untyped-def]
    packed = pack(TEXT)
    assert read(packed) == (TEXT, None)
    assert read(packed, upto=1000) == (TEXT[:1000], None)
    found, reason = read(packed[: len(packed) // 2])
    assert TEXT.startswith(found) and reason == (None if pack is bytes else "truncated_dump")
    if pack is not bytes:
        assert read(packed + b"no more of it")[1] == "trailing_data"
        assert read(packed, 1000)[1] == "inflates_too_far"
        assert read(packed[:1000] + b"x" * 30 + packed[1030:])[1] == "corrupt_dump"


def test_limits() -> None:
    assert most(10, 1 << 40, 200) == FREE_BYTES + 2000 and most(1 << 40, 1 << 40, 200) == 1 << 40
    assert fingerprint_of(("a", 1)) == fingerprint_of(("a", 1)) != fingerprint_of(("a", 2))


def test_what_lies_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.xml", "in/b.xml", "in/c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "in/d.xml").symlink_to("b.xml")
    found = {Path(p.decode()).name: why for p, why in walk(bytes(tmp_path), re.compile(r"\.xml\Z"), "other")}
    assert found == {"a.xml": "", "b.xml": "", "c.txt": "other", "d.xml": "symlink"}
    below = [*files(str(tmp_path), re.compile(r"\.xml\Z"), "other")]
    assert [(of.shown, of.why) for of in below] == [
        ("a.xml", ""),
        ("in/b.xml", ""),
        ("in/c.txt", "other"),
        ("in/d.xml", "symlink"),
    ]
    left = below[2].left_out({"in/c.txt": 1})
    assert (left.name, left.place, left.left_out) == ("in/c.txt~2", {"file": str(tmp_path / "in/c.txt")}, "other")
    with pytest.raises(FileNotFoundError):
        [*walk(b"/nonexistent", re.compile(""), "other")]
