"""Debian packages as dpkg-deb packs and unpacks them, and what none is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.source import Entry, Limits

CONTROL = "Package: toy\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a toy\n"


def packed(tmp_path: Path, compression: str = "xz") -> Path:
    """Make toy_1_all.deb, all of whose files lie below usr/."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("NOT RUN: dpkg-deb, which packs Debian packages, is not here")
    tree = tmp_path / "tree"
    for name, text in {
        "DEBIAN/control": CONTROL,
        "DEBIAN/postinst": "#!/bin/sh\nrm -rf /\n",
        "usr/share/doc/toy/README": "A toy.\n" * 5000,
        "usr/bin/toy": "#!/bin/sh\n",
        "usr/share/" + "d/" * 70 + "deep": "deep",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "DEBIAN/postinst").chmod(0o755)
    (tmp_path / "in").mkdir(exist_ok=True)
    made = tmp_path / "in/toy_1_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "-b", tree, made], check=True, capture_output=True, cwd=tmp_path
    )
    return made


def entries(made: Path, limits: Limits = Limits()) -> list[Entry]:  # noqa: B008
    source = Archives(folder=str(made.parent))
    [found] = source.plan()
    assert found.name == made.stem
    return list(source.read(found, limits)[1])


def told(found: list[Entry]) -> set[tuple[bytes, str]]:
    return {(e.path, e.reason) for e in found if e.reason}


@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
def test_what_is_read_is_what_dpkg_unpacks(tmp_path: Path, compression: str) -> None:
    made = packed(tmp_path, compression)
    subprocess.run(["dpkg-deb", "-R", made, tmp_path / "out"], check=True, capture_output=True)
    unpacked = {
        os.fsencode(str(p.relative_to(tmp_path / "out"))): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    found = entries(made)
    assert {e.path: e.data for e in found} == unpacked and len(unpacked) == 5
    source = Archives(folder=str(made.parent))
    assert source.count(source.plan()[0], Limits()).files == 5


def test_limits_hold_for_both_tars_together(tmp_path: Path) -> None:
    made = packed(tmp_path)
    found = entries(made, Limits(max_inflated_bytes=20_000))
    assert told(found) == {(b"usr/share/doc/toy/README", "inflates_too_far")}
    assert told(entries(made, Limits(max_file_bytes=80))) == {
        (b"usr/share/doc/toy/README", "too_large"),
        (b"DEBIAN/control", "too_large"),
    }
    kept = [e for e in entries(made, Limits(max_files=1)) if e.data is not None]
    assert len(kept) == 1


def test_damage_is_told_and_the_files_before_it_are_read(tmp_path: Path) -> None:
    made = packed(tmp_path, "gzip")
    whole = made.read_bytes()
    for size in (0, 7, 30, 68, 100, 130, 200, len(whole) // 2, len(whole) - 10):
        made.write_bytes(whole[:size])
        found = entries(made)
        assert any(not e.path and e.reason for e in found), size
    made.write_bytes(whole.replace(b"data.tar.gz", b"dtaa.tar.gz"))
    [entry] = entries(made)
    assert (entry.reason, entry.detail) == ("not_an_archive", "it has no data.tar, as a Debian package has")
    made.write_bytes(whole[:72] + b"x" * 60)  # behind debian-binary
    assert [e.detail for e in entries(made)] == ["no header of a member of the ar at byte 72"]


def test_an_ar_that_states_any_size_is_read_to_its_end(tmp_path: Path) -> None:
    made = packed(tmp_path, "none")
    whole = made.read_bytes()
    at = whole.index(b"data.tar ")
    made.write_bytes(whole[: at + 48] + b"9999999999" + whole[at + 58 :])
    assert {e.path for e in entries(made) if e.data is not None} >= {b"usr/bin/toy", b"DEBIAN/control"}
    made.write_bytes(b"!<arch>\n" + (b"x".ljust(48) + b"0".ljust(10) + b"`\n") * 100_000)
    assert [e.reason for e in entries(made)] == ["not_an_archive"]
