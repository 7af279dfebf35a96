"""What lies on a disk: repositories found wherever they are, plain trees told to the last file, nothing opened that could bite."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from repositories import nest

from starmill.core.errors import MachineError
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.source import Entry, Limits, Repository, label, read_file

LIMIT = 1 << 20


def checkout(folder: Path, bare: bool = False) -> Path:
    folder.mkdir(parents=True)
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", *(["--bare"] if bare else [])], cwd=folder, env=clean, check=True)
    return folder


def planned(*roots: Path) -> list[Repository]:
    return Folders(roots=tuple(map(str, roots))).plan()


def names(*roots: Path) -> list[tuple[str, str]]:
    return [(r.place["form"], r.name) for r in planned(*roots)]


def only(root: Path, name: str) -> Repository:
    return next(r for r in planned(root) if r.name == name)


def read(repository: Repository) -> list[Entry]:
    return list(Folders(roots=()).read(repository, Limits(max_file_bytes=LIMIT))[1])


def entries(root: Path, name: str) -> list[Entry]:
    return read(only(root, name))


def told(found: list[Entry]) -> dict[str, str | None]:
    shown = ((*label(e.path), e.reason) for e in found)
    return {path: reason or hostile for path, hostile, reason in shown}


@contextmanager
def nobody() -> Iterator[None]:
    """Run as a user who may not read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_repositories_are_found_wherever_they_are(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    checkout(root / "github/alice/tool")
    checkout(root / "github/bob/lib.git", bare=True)
    (root / "github/NOTES").write_text("beside them\n")
    (root / "plain/src").mkdir(parents=True)
    (root / "plain/src/a.py").write_text("x = 1\n")
    (root / "loose.py").write_text("y = 2\n")
    (root / "nothing/at/all").mkdir(parents=True)
    (root / "linked").symlink_to(root / "plain")
    assert names(root) == [
        ("plain", "dump"),
        ("plain", "github"),
        ("git", "github/alice/tool"),
        ("git", "github/bob/lib.git"),
        ("plain", "plain"),
    ]
    assert told(entries(root, "dump")) == {"/linked": "symlink", "/loose.py": None}
    assert told(entries(root, "github")) == {"/NOTES": None}
    assert told(entries(root, "plain")) == {"/src/a.py": None}


def test_a_root_may_be_a_repository_and_hold_others(tmp_path: Path) -> None:
    root = checkout(tmp_path / "work")
    checkout(root / "vendor/sub")
    checkout(root / "tests/fixture.git", bare=True)  # content of the checkout, whatever it looks like
    (root / "untracked.py").write_text("z = 3\n")
    assert names(root) == [("git", "vendor/sub"), ("git", "work")]
    bare = checkout(tmp_path / "mirror.git", bare=True)
    assert names(bare) == [("git", "mirror.git")]


def test_equal_names_of_two_roots_are_told_apart(tmp_path: Path) -> None:
    for root in ("a", "b"):
        checkout(tmp_path / root / "tool")
    assert names(tmp_path / "a", tmp_path / "b") == [("git", "tool"), ("git", "tool~2")]
    with pytest.raises(FileNotFoundError, match="absent"):
        names(tmp_path / "absent")


def everything(root: Path) -> None:
    root.mkdir(parents=True)
    (root / "good.py").write_text("print('good')\n")
    (root / "sub/deep").mkdir(parents=True)
    (root / "sub/deep/inner.c").write_text("int x;\n")
    (root / "huge.js").write_bytes(b"x" * 50_000_000)
    (root / "edge").write_bytes(b"x" * LIMIT)
    (root / "evil\nname.py").write_text("print(1)\n")
    Path(os.fsdecode(os.fsencode(root) + b"/latin\xe9.py")).write_text("print(2)\n")
    (root / "sub/loop").symlink_to("..")
    (root / "self").symlink_to("self")
    (root / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    (root / "secret.py").write_text("hidden\n")
    (root / "secret.py").chmod(0)
    (root / "closed").mkdir()
    (root / "closed/unseen.py").write_text("unseen\n")
    (root / "closed").chmod(0)


def test_every_file_of_a_plain_folder_is_told(tmp_path: Path) -> None:
    everything(tmp_path / "dump/broken")
    for folder in [tmp_path, *tmp_path.parents][:4]:
        folder.chmod(0o755)  # so that another user comes this far
    try:
        with nobody():
            found = entries(tmp_path / "dump", "broken")
    finally:
        (tmp_path / "dump/broken/closed").chmod(0o700)
    assert told(found) == {
        "/closed": "unreadable",
        "/edge": "too_large",
        r"/evil\nname.py": "hostile_path",
        "/good.py": None,
        "/huge.js": "too_large",
        r"/latin\xe9.py": "hostile_path",
        "/passwd": "symlink",
        "/pipe": "not_a_regular_file",
        "/secret.py": "unreadable",
        "/self": "symlink",
        "/sub/deep/inner.c": None,
        "/sub/loop": "symlink",
    }
    details = {label(e.path)[0]: e.detail for e in found}
    assert details["/secret.py"] == details["/closed"] == "EACCES"
    assert details["/passwd"] == "/etc/passwd" and details["/sub/loop"] == ".."
    assert [e.path for e in found] == sorted(e.path for e in found)
    on_disk = {p for p in (tmp_path / "dump/broken").rglob("*") if not p.is_dir() or p.is_symlink()} - {
        tmp_path / "dump/broken/closed/unseen.py"
    }
    assert len(found) == len(on_disk) + 1, "one row for the closed folder"


def test_the_order_of_the_disk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(tmp_path / "dump/broken")
    (tmp_path / "dump/broken/closed").chmod(0o700)
    checkout(tmp_path / "dump/z")
    checkout(tmp_path / "dump/a/b")

    def all_of_it() -> tuple[list[Repository], list[list[Entry]]]:
        plan = planned(tmp_path / "dump")
        return plan, [read(r) for r in plan]

    before, scandir = all_of_it(), os.scandir

    class Backwards:
        def __init__(self, path: bytes) -> None:
            with scandir(path) as found:
                self.entries = iter(sorted(found, key=lambda e: e.name, reverse=True))

        def __enter__(self) -> "Backwards":
            return self

        def __next__(self) -> os.DirEntry[bytes]:
            return next(self.entries)

        def __iter__(self) -> "Backwards":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert all_of_it() == before


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    file = tmp_path / "dump/p/a.py"
    file.parent.mkdir(parents=True)
    file.write_text("one\n")
    first = only(tmp_path / "dump", "p")
    assert first.size_bytes == 4 and only(tmp_path / "dump", "p") == first
    shutil.move(tmp_path / "dump", tmp_path / "elsewhere")
    assert only(tmp_path / "elsewhere", "p").fingerprint == first.fingerprint, "the place does not matter"
    (tmp_path / "elsewhere/p/a.py").write_text("two!\n")
    assert only(tmp_path / "elsewhere", "p").fingerprint != first.fingerprint


def test_a_change_of_equal_size_and_time_is_seen(tmp_path: Path) -> None:
    """Archives that give every file one time of modification (npm's do) leave nothing else to see it by."""
    file = tmp_path / "dump/p/version.js"
    file.parent.mkdir(parents=True)
    moment = 499_162_500_000_000_000
    prints = set()
    for version in (b"1.0.1", b"1.0.2", b"1.0.3"):
        file.write_bytes(b"module.exports = '" + version + b"'\n")
        os.utime(file, ns=(moment, moment))
        first = only(tmp_path / "dump", "p")
        assert only(tmp_path / "dump", "p") == first
        prints.add(first.fingerprint)
    file.chmod(0)  # what cannot be read gives another row
    prints.add(only(tmp_path / "dump", "p").fingerprint)
    assert len(prints) == 4


def test_folders_deeper_than_any_path_may_be(tmp_path: Path) -> None:
    (tmp_path / "dump/deep").mkdir(parents=True)
    nest(tmp_path / "dump/deep", 2500)  # beyond PATH_MAX and beyond Python's recursion limit
    try:
        [entry] = entries(tmp_path / "dump", "deep")
        assert (entry.reason, entry.detail) == ("unreadable", "ENAMETOOLONG")
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "dump")], check=True)


def test_a_file_that_becomes_a_link_or_goes_is_no_accident(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert read_file(b"x", os.fsencode(tmp_path / "link"), LIMIT).reason == "symlink"
    assert read_file(b"x", os.fsencode(tmp_path / "gone"), LIMIT).reason == "missing_file"
    assert read_file(b"x", b"/dev/zero", LIMIT).reason == "not_a_regular_file"


def test_trouble_of_the_machine_is_no_property_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(
        MachineError, match=r"/proc/self/mem: OSError: \[Errno 5\] Input/output error; this is trouble of the machine"
    ):
        read_file(b"x", b"/proc/self/mem", LIMIT)
    (tmp_path / "dump/p").mkdir(parents=True)
    (tmp_path / "dump/p/a.py").write_text("x = 1\n")
    repository = only(tmp_path / "dump", "p")
    with no_more_files(), pytest.raises(MachineError, match="Too many open files"):
        read(repository)
    with no_more_files(), pytest.raises(MachineError, match="Too many open files"):
        read_file(b"a.py", os.fsencode(tmp_path / "dump/p/a.py"), LIMIT)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_only_looks_like_a_repository_hides_no_file(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    names = (
        "empty/.git",
        "hollow/.git/config",
        "bare/HEAD",
        "bare/objects",
        "bare/refs",
        "odd/HEAD/x",
        "odd/objects/x",
        "odd/refs/x",
    )
    for name in (*names, *(f"{n}/a.py" for n in ("empty", "hollow", "bare", "odd", "linked"))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "linked/.git").symlink_to(tmp_path)
    assert {r.place["form"] for r in planned(root)} == {"plain"}
    found = {f"{r.name}{path}": reason for r in planned(root) for path, reason in told(read(r)).items()}
    on_disk = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()}
    assert set(found) == on_disk and found.pop("linked/.git") == "symlink"
    assert {name for name, reason in found.items() if reason} == {"empty/.git", "hollow/.git/config"}


def test_a_repository_without_a_commit_counts_the_files_that_are_not_read(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    checkout(root / "r")
    checkout(root / "r/inner")
    for name in ("r/a.py", "r/sub/b.py", "r/inner/c.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x = 1\n")
    before = only(root, "r")
    [entry] = read(before)
    assert entry.reason == "no_revision" and "has no commit; 2 files in its folder are not read: find ." in str(entry.detail)
    (root / "r/d.py").write_text("x = 1\n")
    assert only(root, "r").fingerprint != before.fingerprint and "; 3 files" in str(entries(root, "r")[0].detail)
    (root / "r/.git").rename(root / "r/moved")
    (root / "r/.git").write_text("gitdir: ../../elsewhere\n")
    shutil.rmtree(root / "r/moved")
    [entry] = entries(root, "r")
    assert entry.reason == "unreadable_repository" and "; 3 files" in str(entry.detail)


def test_what_a_repository_without_a_commit_hides_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    for name in ("looks/HEAD", "looks/objects/a", "looks/refs/b", "looks/src/c.py", "looks/in/.git/HEAD", "looks/in/d.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n")
    checkout(root / "unborn")
    (root / "unborn/hollow").mkdir()
    for name in ("hollow/.git", "hollow/e.py", "f.py"):
        (root / "unborn" / name).touch()
    assert names(root) == [("git", "looks"), ("git", "unborn")]
    assert "; 6 files in its folder" in str(entries(root, "looks")[0].detail)
    assert "; 3 files in its folder" in str(entries(root, "unborn")[0].detail)


def test_files_below_a_path_that_is_too_long_are_counted(tmp_path: Path) -> None:
    (tmp_path / "dump/deep").mkdir(parents=True)
    here = os.open(tmp_path / "dump/deep", os.O_RDONLY)
    for _ in range(60):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir("n" * 200, dir_fd=here)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = entries(tmp_path / "dump", "deep")
    [lost] = [e for e in found if "below" in (e.detail or "")]  # the path of the last file itself may be too long
    listed = len(found) - 1
    assert 10 < listed < 25 and lost.detail == f"ENAMETOOLONG: {60 - listed} files below it; find . ! -type d lists them"
    source = Folders(roots=(str(tmp_path / "dump"),))
    assert source.count(only(tmp_path / "dump", "deep"), Limits()).files == 60
    assert source.count(only(tmp_path / "dump", "deep"), Limits(max_files=5)).number == "more than 20 files and folders"
