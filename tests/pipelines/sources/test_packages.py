"""Packages of this very interpreter, and ones installed by hand in a folder of their own."""

import compileall
import importlib.metadata
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Entry, Limits, Repository, label

LIMIT = Limits(max_file_bytes=1 << 20)


def read(repository: Repository) -> list[Entry]:
    return list(Packages().read(repository, LIMIT)[1])


def shown(entry: Entry) -> str:
    return label(entry.path)[0]


def named(name: str) -> Repository:
    return next(r for r in Packages().plan() if r.name == name)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder on the path, in the place of this environment's packages."""
    folder = tmp_path / "lib/site-packages"
    folder.mkdir(parents=True)
    sysconfig.get_path("stdlib")  # it imports what it knows, once
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def install(site: Path, name: str, files: dict[str, bytes], record: bool = True, extra: str = "") -> None:
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    files = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()}
    for path, data in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
    if record:
        lines = "".join(f"{path},sha256=x,{len(data)}\n" for path, data in files.items()) + f"{info}/RECORD,,\n" + extra
        (site / info / "RECORD").write_text(lines)


def test_the_real_environment_is_the_same_twice() -> None:
    plan = Packages().plan()
    names = {r.name: r for r in plan}
    assert [r.name for r in plan] == sorted(names) and Packages().plan() == plan
    assert {"pypi/pytest", "pypi/numpy", "cpython/json", "cpython/modules"} <= set(names)
    assert not {"cpython/site-packages", "cpython/__pycache__", "cpython/test"} & set(names)
    for name in ("pypi/pluggy", "cpython/json", "cpython/modules"):
        found = read(names[name])
        assert found == read(names[name]) and found
        assert [e.path for e in found] == sorted({e.path for e in found})


def test_a_real_distribution_gives_the_files_of_its_record() -> None:
    pytest_files = importlib.metadata.distribution("pluggy").files or []
    expected = {f.as_posix() for f in pytest_files if f.suffix != ".pyc"}
    found = read(named("pypi/pluggy"))
    assert len(found) == len(expected)
    assert {e.path.decode() for e in found} - expected == {"LICENSE"}, "the licence moved to the root"
    code = next(e for e in found if e.path == b"pluggy/_hooks.py")
    assert code.data == Path(str(importlib.metadata.distribution("pluggy").locate_file("pluggy/_hooks.py"))).read_bytes()


def test_the_standard_library_is_whole_and_licensed(site: Path) -> None:
    root = Path(sysconfig.get_path("stdlib"))
    found = {shown(e): e for e in read(named("cpython/json"))}
    assert {p for p in found if p != "/LICENSE.txt"} == {f"/{p.name}" for p in (root / "json").glob("*.py")}
    assert found["/decoder.py"].data == (root / "json/decoder.py").read_bytes()
    modules = {shown(e) for e in read(named("cpython/modules"))}
    assert {f"/{p.name}" for p in root.glob("*.py")} <= modules
    if (root / "LICENSE.txt").exists():
        assert b"PYTHON SOFTWARE FOUNDATION LICENSE" in (found["/LICENSE.txt"].data or b"")


def test_bytecode_is_no_input(site: Path) -> None:
    install(
        site, "tool", {"tool/__init__.py": b"x = 1\n", "tool/b.py": b"y = 2\n"}, extra="tool/__pycache__/b.cpython-311.pyc,,\n"
    )
    before = (named("pypi/tool"), read(named("pypi/tool")))
    compileall.compile_dir(site, quiet=1)
    assert list(site.rglob("*.pyc"))
    assert (named("pypi/tool"), read(named("pypi/tool"))) == before
    assert not [e for e in before[1] if b"pyc" in e.path]


def test_licences_move_to_the_root_and_never_over_one_another(site: Path) -> None:
    info = "tool-1.0.dist-info"
    files = {
        "tool.py": b"x = 1\n",
        f"{info}/LICENSE": b"old place",
        f"{info}/licenses/LICENSE": b"new place",
        f"{info}/licenses/vendor/COPYING.MIT": b"vendored",
        f"{info}/licenses/AUTHORS": b"a",
    }
    install(site, "tool", {**files, "NOTICE": b"at the root already", f"{info}/NOTICE": b"of the metadata"})
    found = {shown(e): e.data for e in read(named("pypi/tool"))}
    assert found["/LICENSE"] == b"old place" and found[f"/{info}/licenses/LICENSE"] == b"new place"
    assert found["/COPYING.MIT"] == b"vendored" and found["/AUTHORS"] == b"a"
    assert found["/NOTICE"] == b"at the root already" and found[f"/{info}/NOTICE"] == b"of the metadata"
    assert len(found) == len(files) + 4  # NOTICE twice, METADATA, RECORD


def test_what_a_record_may_hold(site: Path) -> None:
    (site.parent / "outside.py").write_text("secret\n")
    extra = '../outside.py,,\n/etc/passwd,,\n"comma,name.py",,4\ngone.py,,9\nevil\x07.py,,\nodd,,many\n\n,,\nlink.py,,\n'
    install(site, "tool", {"tool.py": b"x = 1\n", "comma,name.py.txt": b""}, extra=extra)
    (site / "link.py").symlink_to("/etc/passwd")
    reasons = {shown(e): e.reason for e in read(named("pypi/tool"))}
    assert reasons == {
        "//etc/passwd": "outside_package",
        "/../outside.py": "outside_package",
        "/comma": "missing_file",
        "/comma,name.py": "missing_file",
        r"/evil\x07.py": "missing_file",
        "/gone.py": "missing_file",
        "/link.py": "symlink",
        "/odd": "missing_file",
        "/tool-1.0.dist-info/METADATA": None,
        "/tool-1.0.dist-info/RECORD": None,
        "/tool.py": None,
    }


def test_distributions_without_a_record_and_of_odd_names(site: Path) -> None:
    install(site, "Bare.Thing", {"bare.py": b"x = 1\n"}, record=False)
    (site / "old-2.0.egg-info").mkdir()
    (site / "old-2.0.egg-info/PKG-INFO").write_text("Metadata-Version: 1.0\nName: old\nVersion: 2.0\n")
    (site / "old-2.0.egg-info/SOURCES.txt").write_text("setup.py\nold.py\n")
    assert [r.name for r in Packages().plan() if r.name.startswith("pypi/")] == ["pypi/bare-thing", "pypi/old"]
    for name in ("pypi/bare-thing", "pypi/old"):
        assert [(shown(e), e.reason) for e in read(named(name))] == [("/", "no_record")]


def test_the_fingerprint_follows_the_record_and_the_files(site: Path) -> None:
    install(site, "tool", {"tool.py": b"x = 1\n"})
    first = named("pypi/tool")
    record = (site / "tool-1.0.dist-info/RECORD").read_text()
    assert named("pypi/tool") == first
    assert first.size_bytes == sum(int(line.split(",")[2] or 0) for line in record.splitlines())
    install(site, "tool", {"tool.py": b"x = 12\n"})
    second = named("pypi/tool")
    assert second.fingerprint != first.fingerprint
    before = os.stat(site / "tool.py")
    (site / "tool.py").write_bytes(b"x = 21\n")  # by hand: the record does not know
    os.utime(site / "tool.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert named("pypi/tool").fingerprint != second.fingerprint
    (site / "tool.py").unlink()
    (site / "tool-1.0.dist-info/RECORD").write_text(record)
    assert named("pypi/tool").fingerprint not in {first.fingerprint, second.fingerprint}


def test_an_edit_of_the_standard_library_is_seen(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "python3"
    (library / "email").mkdir(parents=True)
    for place in ("abc.py", "email/base.py"):
        (library / place).write_text("x = 1\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(library))
    names = ("cpython/email", "cpython/modules")
    before = [named(name) for name in names]
    assert [named(name) for name in names] == before and [r.size_bytes for r in before] == [6, 6]
    for place in ("abc.py", "email/base.py"):
        times = os.stat(library / place)
        (library / place).write_text("x = 2\n")
        os.utime(library / place, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert all(named(r.name).fingerprint != r.fingerprint for r in before)


def test_a_record_that_no_installer_wrote(site: Path) -> None:
    bad = {"long": b'"' + b"x" * 200_000 + b'",,\n', "fifo": b"", "folder": b"", "big": b""}
    for name, record in bad.items():
        install(site, name, {f"{name}.py": b"x = 1\n"})
        place = site / f"{name}-1.0.dist-info/RECORD"
        place.write_bytes(record)
        if name in ("fifo", "folder"):
            place.unlink()
            os.mkfifo(place) if name == "fifo" else place.mkdir()
    with open(site / "big-1.0.dist-info/RECORD", "wb") as file:
        file.truncate(10 << 30)
    for name in bad:
        assert [(shown(e), e.reason) for e in read(named(f"pypi/{name}"))] == [("/", "unreadable_record")], name
    install(site, "named", {"x.py": b"x = 1\n"})
    (site / "named-1.0.dist-info/METADATA").write_bytes(b"Name: \xff\xfe\n")
    assert len(read(named("pypi/named"))) == 3


def test_a_link_of_a_folder_leads_nowhere_outside(site: Path) -> None:
    (site.parent / "private").mkdir()
    (site.parent / "private/key.py").write_text("secret\n")
    install(site, "tool", {"tool.py": b"x = 1\n"}, extra="sub/key.py,,\n")
    (site / "sub").symlink_to(site.parent / "private")
    assert {shown(e): e.reason for e in read(named("pypi/tool"))}["/sub/key.py"] == "outside_package"


def test_what_is_no_library_is_left_out_by_name(site: Path) -> None:
    left_out = {r.name: r.left_out for r in Packages().planned() if r.left_out and r.name.startswith("cpython/")}
    assert set(left_out.values()) == {"not_the_library"} and "cpython/test" in left_out


def test_what_no_distribution_records_and_what_no_import_finds_is_counted(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "toy", {"toy/a.py": b"x = 1\n"})
    other = tmp_path / "other/site-packages"
    install(other, "toy", {"toy/b.py": b"x = 1\n", "toy/c.py": b"x = 1\n"})
    (tmp_path / "linked").symlink_to(other)
    monkeypatch.setattr(sys, "path", [str(site), str(other), str(tmp_path / "linked")])
    (other / "toy/by_hand.py").write_text("x = 2\n")
    (other / "toy/__pycache__").mkdir()
    (other / "toy/__pycache__/b.cpython-313.pyc").touch()
    planned = {
        r.name: (r.left_out, str(Packages().count(r, LIMIT))) for r in Packages().planned() if r.name.startswith("pypi/")
    }
    assert planned == {
        "pypi/toy": ("", "3 files; its RECORD lists them"),
        "pypi/toy~2": ("not_imported", "4 files; its RECORD lists them"),
        "pypi/(in no distribution)~2": (
            "no_distribution",
            "1 files; find . ! -type d, without the paths in */RECORD, lists them",
        ),
    }
