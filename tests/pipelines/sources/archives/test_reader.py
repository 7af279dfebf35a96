"""Archives as their own tools make and unpack them: GNU tar, zip, unzip, python -m build and git archive are the oracles."""

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import hostile_archives as h
import pytest

from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.source import Entry, Limits, label

LIMIT = 1 << 20
LIMITS = Limits(max_file_bytes=LIMIT)


def source(folder: Path) -> Archives:
    return Archives(folder=str(folder))


def entries(folder: Path, name: str, limits: Limits = LIMITS) -> list[Entry]:
    [found] = [r for r in source(folder).plan() if r.name == name]
    return list(source(folder).read(found, limits)[1])


def told(found: list[Entry]) -> dict[str, str | None]:
    return {path: e.reason or hostile for e in found for path, hostile in (label(e.path),)}


def below(folder: Path) -> dict[bytes, bytes]:
    """Return what lies below a folder, as a tool unpacked it."""
    top = os.fsencode(folder)
    paths = [os.path.join(base, name) for base, _, names in os.walk(top) for name in names]
    return {os.path.relpath(path, top): Path(os.fsdecode(path)).read_bytes() for path in paths}


def read(folder: Path, name: str) -> dict[bytes, bytes]:
    found = entries(folder, name)
    assert [e.path for e in found] == sorted(e.path for e in found)
    return {e.path: e.data for e in found if e.data is not None}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with long names, other letters, large and empty files."""
    top = tmp_path / "tree/name-1.2.3"
    for name in ("a.py", "empty", "sub/b.c", "é/日本.rs", "d/" * 60 + "deep.go", "n" * 200, "x/" + "m" * 120 + "/y.js", "c:d"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"" if name == "empty" else name.encode() * 50)
    (top / "large.txt").write_bytes(b"".join(b"%d\n" % k for k in range(100_000)))
    return top


def run(*command: object, cwd: Path) -> None:
    subprocess.run(list(map(str, command)), cwd=cwd, check=True, capture_output=True)


FORMATS = {
    "tar": "tar -cf {} --format=gnu name-1.2.3",
    "tar.gz": "tar -czf {} --format=pax name-1.2.3",
    "tgz": "tar -czf {} --format=pax ./name-1.2.3",
    "crate": "tar -cf - name-1.2.3 --format=pax | gzip -9 > {}",
    "tar.bz2": "tar -cjf {} --format=gnu name-1.2.3",
    "tar.xz": "tar -cJf {} --format=pax name-1.2.3",
    "tar.zst": "tar -cf - name-1.2.3 --format=gnu | zstd -q > {}",
    "TAR": "tar --format=pax --pax-option=exthdr.name=x -cf {} name-1.2.3",
    "zip": "zip -qr {} name-1.2.3",
    "jar": "zip -qr -0 {} name-1.2.3",
    "whl": "zip -qr -Z bzip2 {} name-1.2.3",
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_read_is_what_a_tool_unpacks(tree: Path, tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"in/name-1.2.3.{suffix}"
    archive.parent.mkdir()
    run("sh", "-c", FORMATS[suffix].format(archive), cwd=tree.parent)
    (tmp_path / "out").mkdir()
    if suffix in ("zip", "jar", "whl"):
        run("unzip", "-q", archive, cwd=tmp_path / "out")
    else:
        run("tar", "-xf", archive, cwd=tmp_path / "out")
    unpacked = below(tmp_path / "out/name-1.2.3")
    assert read(archive.parent, "name-1.2.3") == unpacked and len(unpacked) == 9, "below the folder that all are in"
    [planned] = source(archive.parent).plan()
    assert source(archive.parent).count(planned, Limits()).files == 9


def test_a_wheel_and_an_sdist_that_a_builder_made(tmp_path: Path) -> None:
    top = tmp_path / "p"
    (top / "toy").mkdir(parents=True)
    (top / "toy/__init__.py").write_text("x = 1\n")
    (top / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "toy"\nversion = "1.0"\n'
    )
    (tmp_path / "in").mkdir()
    build = "import setuptools.build_meta as b; to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"
    run(sys.executable, "-c", f"import sys; {build}", tmp_path / "in", cwd=top)
    assert sorted(r.name for r in source(tmp_path / "in").plan()) == ["toy-1.0", "toy-1.0-py3-none-any"]
    with zipfile.ZipFile(tmp_path / "in/toy-1.0-py3-none-any.whl") as wheel:
        assert read(tmp_path / "in", "toy-1.0-py3-none-any") == {n.encode(): wheel.read(n) for n in wheel.namelist()}
    run("tar", "-xf", tmp_path / "in/toy-1.0.tar.gz", cwd=tmp_path)
    assert read(tmp_path / "in", "toy-1.0") == below(tmp_path / "toy-1.0")


def test_the_layouts_of_registries(tmp_path: Path) -> None:
    """npm packs below package/, cargo and Debian below name-version/; git archive tells its commit in a header of its own."""
    (tmp_path / "in/@scope").mkdir(parents=True)
    (tmp_path / "package/lib").mkdir(parents=True)
    (tmp_path / "package/lib/index.js").write_text("let x = 1;\n")
    (tmp_path / "package/package.json").write_text("{}\n")
    run("tar", "-czf", "in/@scope/left-pad-1.3.0.tgz", "package/package.json", "package/lib/index.js", cwd=tmp_path)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    run(*git, "init", "-q", cwd=tmp_path / "package")
    run(*git, "add", "-A", cwd=tmp_path / "package")
    run(*git, "commit", "-qm", "x", cwd=tmp_path / "package")
    run(*git, "archive", "--prefix=toy-1/", "-o", tmp_path / "in/toy_1.orig.tar.gz", "HEAD", cwd=tmp_path / "package")
    wanted = {b"lib/index.js": b"let x = 1;\n", b"package.json": b"{}\n"}
    assert [r.name for r in source(tmp_path / "in").plan()] == ["@scope/left-pad-1.3.0", "toy_1.orig"]
    assert read(tmp_path / "in", "@scope/left-pad-1.3.0") == read(tmp_path / "in", "toy_1.orig") == wanted


def test_names_are_unique_and_what_is_no_archive_is_told(tmp_path: Path) -> None:
    for name in ("a.tar", "a.zip", "a.tar.gz", "b/.tar", "README.md", "a.dsc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "out.zip").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.tar")
    planned = {r.name: r.left_out for r in source(tmp_path).planned()}
    assert planned == {
        **{"a": "", "a~2": "", "a~3": "", "b/.tar": "", "README.md": "not_an_archive", "a.dsc": "not_an_archive"},
        **{"out.zip": "symlink", "pipe.tar": "not_a_regular_file"},
    }
    with pytest.raises(OSError, match="nowhere"):
        source(tmp_path / "nowhere").plan()


PEAK = """
import resource, sys
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.source import Limits
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = Archives(folder=sys.argv[1])
found = [len(list(source.read(planned, Limits())[1])) for planned in source.plan()]
print(len(found), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.slow
def test_bombs_take_little_memory(tmp_path: Path) -> None:
    header = h.block(b"p", b"x", 1 << 20) + b"1" * (1 << 20)
    bombs = {
        "zeros.tgz": h.gzip_of_zeros(1000),
        "kernel.zip": h.zip_whose_files_share_one_kernel(100, 9_000_000),
        "many.tgz": gzip.compress(b"".join(h.block(b"%d" % k) for k in range(100_000)), 1, mtime=0),
        "nothing.tgz": gzip.compress(h.file(b"a"), mtime=0) + gzip.compress(b"", mtime=0) * 100_000,
        "zeros.tar.zst": subprocess.run("head -c 1G /dev/zero | zstd -qc", shell=True, capture_output=True, check=True).stdout,  # noqa: S602
        "digits.tar": header * 100 + h.file(b"z") + h.END,
        "global.tar": b"".join(h.pax(b"k%d=%s" % (k, b"v" * 900_000), kind=b"g") for k in range(100)) + h.file(b"z") + h.END,
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run([sys.executable, "-c", PEAK, tmp_path], capture_output=True, text=True, check=True, timeout=300)
    read, megabytes = map(int, done.stdout.split())
    assert read == len(bombs) and megabytes < 200
