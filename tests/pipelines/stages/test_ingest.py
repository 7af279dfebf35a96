"""A part of a dump as Parquet: kept and dropped add up to what lies on the disk, byte for byte the same each time."""

import errno
import json
import os
import resource
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from repositories import git

from starmill.core import schema, swhid
from starmill.core.dataset import Sidecar, Workspace
from starmill.core.errors import InputError, MachineError
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.local import Local
from starmill.pipelines.sources import encoding
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Entry, Limits, Repository, Snapshot
from starmill.pipelines.stages import ingest
from starmill.pipelines.stages.ingest import Ingest, IngestPart, Planned

GERMAN = "# Die Größe der Fläche in Quadratmetern, für jede Straße überprüft und geändert.\n" * 5


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    root = tmp_path / "dump"
    (root / "plain/sub").mkdir(parents=True)
    contents = {
        "good.py": b"x = 1\r\n",
        "sub/ümlaut.py": "naïve = '☃'\n".encode(),
        "bom.cs": b"\xef\xbb\xbfclass A {}\n",
        "latin.py": GERMAN.encode("latin-1"),
        "Makefile": b"all:\n",
        "spaces.txt": b" " * 1_000_000,
        "empty.py": b"",
        "invalid.py": bytes(range(128, 256)) * 9,
        "nul.bin": b"a\0b",
        "huge.js": b"x" * 50_000_000,
        "evil\nname.py": b"print(1)\n",
        r"evil\nname.py": b"print(2)\n",
    }
    for name, data in contents.items():
        (root / "plain" / name).write_bytes(data)
    (root / "plain/loop").symlink_to(".")
    os.mkfifo(root / "plain/pipe")
    (root / "checkout").mkdir()
    git(root / "checkout", "init", "-q", "-b", "main")
    for i in range(20):
        (root / f"checkout/f{i:02d}.py").write_text(f"value = {i}\n" * 100)
    git(root / "checkout", "add", "-A")
    git(root / "checkout", "commit", "-q", "-m", "all")
    (root / "unborn").mkdir()
    git(root / "unborn", "init", "-q")
    return root


def recipe(dump: Path, work: Path, exclude: tuple[str, ...] = (), **options: int) -> Recipe:
    return Recipe(str(work), {"input": Folders(roots=(str(dump),), exclude=exclude)}, Ingest(**options))


def made(options: Recipe) -> list[Sidecar]:
    work = IngestPart(Workspace(options.workspace), options.sources, options.ingest)
    refs = ingest.STAGE.parts(options, work.workspace, ())
    return [work(ref._replace(key=f"key {ref.part}")) for ref in work.publish(refs)]


def run(dump: Path, work: Path, exclude: tuple[str, ...] = (), **options: int) -> list[Sidecar]:
    return made(recipe(dump, work, exclude, **options))


def rows(work: Path, folder: str) -> list[dict]:
    return [row for part in sorted((work / folder).glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


def test_kept_and_dropped_are_all_files(dump: Path, tmp_path: Path) -> None:
    [sidecar] = run(dump, tmp_path / "w")
    kept, dropped = rows(tmp_path / "w", "records"), rows(tmp_path / "w", "dropped/ingest")
    reasons = {(r["repo_name"], r["path"]): r["reason"] for r in dropped}
    assert reasons == {
        ("plain", "/empty.py"): "empty",
        ("plain", r"/evil\nname.py"): "hostile_path",
        ("plain", "/huge.js"): "too_large",
        ("plain", "/invalid.py"): "undecodable",
        ("plain", "/loop"): "symlink",
        ("plain", "/nul.bin"): "nul_bytes",
        ("plain", "/pipe"): "not_a_regular_file",
        ("unborn", "/"): "no_revision",
    }
    on_disk = [p for p in (dump / "plain").rglob("*") if not p.is_dir() or p.is_symlink()]
    in_git = git(dump / "checkout", "ls-files").split()
    places = Counter((r["repo_name"], r["path"]) for r in kept + dropped)
    assert set(places.values()) == {1} and places.total() == len(on_disk) + len(in_git) + 1
    assert [(r["repo_name"], r["path"]) for r in kept] == sorted((r["repo_name"], r["path"]) for r in kept)
    assert sum(c.files for c in sidecar.counts) == places.total()
    assert {(c.step, c.reason) for c in sidecar.counts if c.reason == "too_large"} == {("read", "too_large")}
    assert {c.bytes for c in sidecar.counts if c.reason == "too_large"} == {50_000_000}
    assert {r["stage"] for r in dropped} == {"ingest"} and {r["step"] for r in dropped} == {"read", "decode"}


def test_columns(dump: Path, tmp_path: Path) -> None:
    run(dump, tmp_path / "w")
    assert pq.read_schema(tmp_path / "w/records/part-00000.parquet") == schema.RECORDS
    assert pq.read_schema(tmp_path / "w/dropped/ingest/part-00000.parquet") == schema.DROPPED
    kept = {(r["repo_name"], r["path"]): r for r in rows(tmp_path / "w", "records")}
    good = kept["plain", "/good.py"]
    assert good["content"] == "x = 1\r\n" and good["src_encoding"] == "UTF-8" and good["extension"] == "py"
    assert good["revision_id"] is None and good["star_events_count"] == 0
    latin = kept["plain", "/latin.py"]
    assert latin["content"] == GERMAN and latin["length_bytes"] == len(GERMAN.encode())
    assert latin["content_id"] == swhid.content_id(GERMAN.encode("latin-1")), "the id is of the bytes as they were"
    assert latin["content"].encode(latin["src_encoding"]) == GERMAN.encode("latin-1")
    assert kept["plain", "/bom.cs"]["content"] == "class A {}\n"
    assert kept["plain", "/Makefile"]["extension"] is None
    assert kept["plain", "/spaces.txt"]["length_bytes"] == 1_000_000
    assert kept["plain", r"/evil\nname.py~2"]["content"] == "print(2)\n", "a good name like an escaped one is kept, told apart"
    file = kept["checkout", "/f07.py"]
    assert file["content_id"] == git(dump / "checkout", "rev-parse", "HEAD:f07.py").strip()
    assert file["directory_id"] == git(dump / "checkout", "rev-parse", "HEAD^{tree}").strip()
    assert file["revision_id"] == git(dump / "checkout", "rev-parse", "HEAD").strip()
    assert file["branch_name"] == "refs/heads/main" and file["revision_date"] is not None
    assert all(r["length_bytes"] == len(r["content"].encode()) for r in kept.values())
    nul = next(r for r in rows(tmp_path / "w", "dropped/ingest") if r["reason"] == "nul_bytes")
    assert nul["content_id"] == swhid.content_id(b"a\0b") and nul["blob_id"] == swhid.blob_id(b"a\0b")


def test_the_same_bytes_each_time_and_everywhere(dump: Path, tmp_path: Path) -> None:
    first = run(dump, tmp_path / "w1")
    assert run(dump, tmp_path / "w2") == first
    dump.rename(tmp_path / "moved")
    assert [s.digest() for s in run(tmp_path / "moved", tmp_path / "w3")] == [s.digest() for s in first]


def test_row_groups_are_about_the_size_of_a_block(dump: Path, tmp_path: Path) -> None:
    run(dump, tmp_path / "w", block_bytes=5_000)
    file = pq.ParquetFile(tmp_path / "w/records/part-00000.parquet")
    assert file.num_row_groups > 5
    sizes = [sum(t["length_bytes"].to_pylist()) for t in map(file.read_row_group, range(file.num_row_groups))]
    assert all(s >= 5_000 for s in sizes[:-1]) and sum(s > 8_000 for s in sizes) == 1, "the megabyte of spaces alone is more"


def names(options: Recipe) -> list[list[str]]:
    return [[r.name for r in p.repositories] for p in ingest.plan(options)]


def materials(options: Recipe) -> list[str]:
    return [ref.key for ref in ingest.STAGE.parts(options, Workspace(options.workspace), ())]


def test_parts_are_filled_in_order_and_no_repository_is_split(tmp_path: Path) -> None:
    for name, size in {"a": 40, "b": 70, "c": 500, "d": 10, "e": 10, "f": 90}.items():
        (tmp_path / "dump" / name).mkdir(parents=True)
        (tmp_path / "dump" / name / "x.py").write_bytes(b"x" * size)
    options = recipe(tmp_path / "dump", tmp_path / "w", part_bytes=100)
    assert names(options) == [["a"], ["b"], ["c"], ["d", "e"], ["f"]] and ingest.plan(options) == ingest.plan(options)
    keys = materials(options)
    assert len(set(keys)) == 5 and str(tmp_path) not in "".join(keys)
    (tmp_path / "dump/d/x.py").write_text("another text")
    assert [a == b for a, b in zip(keys, materials(options), strict=True)] == [True, True, True, False, True]
    roots = (str(tmp_path / "dump"),)
    some = Folders(roots=roots, exclude=("[ab]", "f*"), max_repositories=2)
    assert names(Recipe("w", {"some": some}, Ingest(part_bytes=1000))) == [["c", "d"]]
    few = Folders(roots=roots, include=("a", "[de]"), exclude=("e",))
    assert names(Recipe("w", {"few": few})) == [["a", "d"]]


def test_a_part_is_of_one_source_and_sources_go_by_name(tmp_path: Path) -> None:
    for name in ("one/a", "one/b", "two/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.py").write_text("x = 1\n")
    one, two = (Folders(roots=(str(tmp_path / name),)) for name in ("one", "two"))
    alone, both = Recipe("w", {"one": one}), Recipe("w", {"two": two, "one": one})
    assert names(alone) == [["a", "b"]] and names(both) == [["a", "b"], ["c"]]
    assert materials(both)[0] == materials(alone)[0], "a source that comes later remakes nothing"
    with pytest.raises(
        InputError, match=r"sources again and one both have the repository a \(2 of .*`sources.one.exclude: \[a\]`"
    ):
        ingest.plan(Recipe("w", {"one": one, "again": one}))
    assert names(Recipe("w", {"one": one, "again": replace(one, exclude=("*",))})) == [["a", "b"]]


def test_no_source_and_no_repository_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for sources in ({}, {"input": Folders(roots=(str(tmp_path / "empty"),))}):
        with pytest.raises(InputError, match=r"no repositories found .*give --input DIR"):
            materials(Recipe(str(tmp_path / "w"), sources))
    with pytest.raises(
        InputError, match=r"^source input: FileNotFoundError: .*absent.*; let this user read it, or name another"
    ):
        materials(recipe(tmp_path / "absent", tmp_path / "w"))


def test_patterns_see_the_whole_name(dump: Path) -> None:
    assert names(recipe(dump.parent, dump.parent / "w", ("dump/*",))) == [["dump"]]


def test_packages_go_through_the_same_door(tmp_path: Path) -> None:
    source = Packages(exclude=("pypi/[!p]*", "pypi/p[!l]*", "cpython/[!j]*"))
    a, b = (Recipe(str(tmp_path / w), {"python": source}) for w in ("a", "b"))
    assert made(a) == made(b)
    found = {(r["repo_name"], r["path"]) for r in rows(tmp_path / "a", "records")}
    assert {("pypi/pluggy", "/LICENSE"), ("pypi/pluggy", "/pluggy/_hooks.py"), ("cpython/json", "/decoder.py")} <= found


def test_a_repository_that_is_too_large_is_told_and_not_read(dump: Path, tmp_path: Path) -> None:
    run(dump, tmp_path / "w", max_repository_bytes=1_000_000)
    assert {r["repo_name"] for r in rows(tmp_path / "w", "records")} == {"checkout"}
    told = next(r for r in rows(tmp_path / "w", "dropped/ingest") if r["repo_name"] == "plain")
    assert (told["path"], told["reason"]) == ("/", "repository_too_large") and told["length_bytes"] > 51_000_000


def test_trouble_with_one_file_or_repository_stays_there(dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = encoding.decode

    def decode(data: bytes) -> tuple[str, str] | None:
        if data.startswith(b"value = 3\n"):
            raise RuntimeError("a guess that fails on \udcff")
        return real(data)

    real_read = Folders.read

    def read(self: Folders, repository: Repository, limits: Limits) -> tuple[Snapshot, object]:
        def entries():
            yield Entry(b"first.py", b"x = 1\n")
            raise PermissionError(errno.EACCES, "Permission denied")

        return real_read(self, repository, limits) if repository.name != "plain" else (Snapshot(), entries())

    monkeypatch.setattr(encoding, "decode", decode)
    monkeypatch.setattr(Folders, "read", read)
    run(dump, tmp_path / "w")
    errors = [r for r in rows(tmp_path / "w", "dropped/ingest") if r["reason"].startswith("error:")]
    assert [(r["repo_name"], r["path"], r["reason"]) for r in errors] == [
        ("checkout", "/f03.py", "error:ingest:RuntimeError"),
        ("plain", "/", "error:ingest:PermissionError"),
    ]
    assert errors[0]["detail"] == r"a guess that fails on \udcff"
    assert Counter(r["repo_name"] for r in rows(tmp_path / "w", "records")) == {"checkout": 19, "plain": 1}


@pytest.mark.parametrize("kept_out", [("checkout", "unborn"), ("plain", "unborn"), ("plain", "checkout")])
def test_trouble_of_the_machine_fails_the_part(dump: Path, tmp_path: Path, kept_out: tuple[str, ...]) -> None:
    options, workspace = recipe(dump, tmp_path / "w", kept_out), Workspace(str(tmp_path / "w"))
    work = IngestPart(workspace, options.sources, options.ingest)
    [ref] = work.publish(ingest.STAGE.parts(options, workspace, ()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(MachineError, match="Too many open files"):
            work(ref)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert workspace.sidecar("ingest", 0) is None
    assert work(ref).counts


@pytest.mark.parametrize("trouble", [ImportError("no codec"), MemoryError(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_decoder_out_of_order_fails_the_part(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def decode(data: bytes) -> tuple[str, str] | None:
        raise trouble

    monkeypatch.setattr(encoding, "decode", decode)
    with pytest.raises(MachineError, match=f"^ingest: checkout/f00.py: {type(trouble).__name__}"):
        run(dump, tmp_path / "w")


def test_a_decoder_that_fails_on_every_file_is_broken(dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(data: bytes) -> tuple[str, str] | None:
        raise AttributeError("undefined symbol: cdet_detect")

    monkeypatch.setattr(encoding, "decode", decode)
    with pytest.raises(MachineError, match=r"decoding fails on each of 20 rows.*cdet_detect, on checkout/f00\.py"):
        run(dump, tmp_path / "w")


def test_paths_made_alike_stay_apart_in_linear_time(dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Folders, repository: Repository, limits: Limits) -> tuple[Snapshot, object]:
        return Snapshot(), (Entry(b"same", None, "hostile_path") for _ in range(30_000))

    monkeypatch.setattr(Folders, "read", read)
    run(dump, tmp_path / "w", ("checkout", "unborn"))
    paths = [r["path"] for r in rows(tmp_path / "w", "dropped/ingest") if r["repo_name"] == "plain"]
    assert len(set(paths)) == 30_000 and paths[:3] == ["/same", "/same~2", "/same~3"]


def test_what_changed_after_it_was_planned_is_told_and_due_again(dump: Path, tmp_path: Path) -> None:
    options, workspace = recipe(dump, tmp_path / "w"), Workspace(str(tmp_path / "w"))
    work = IngestPart(workspace, options.sources, options.ingest)
    [ref] = work.publish(ingest.STAGE.parts(options, workspace, ()))
    for _ in range(2):  # another text, and the first one again
        (dump / "plain/good.py").write_text((dump / "plain/good.py").read_text()[::-1])
    git(dump / "checkout", "commit", "-q", "--allow-empty", "-m", "another")
    assert work(ref).errors == 2
    told = [r for r in rows(tmp_path / "w", "dropped/ingest") if r["reason"] == "error:ingest:Changed"]
    assert [(r["repo_name"], r["path"]) for r in told] == [("checkout", "/"), ("plain", "/")]
    assert [s.errors for s in made(options)] == [0]


def test_a_plan_is_json_that_survives_odd_names(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/dump/\xff\n"
    os.makedirs(odd)
    Path(os.fsdecode(odd + b"/a.py")).write_text("x = 1\n")
    git_folder = os.fsencode(tmp_path) + b"/dump/\xfe"
    os.makedirs(git_folder)
    git(Path(os.fsdecode(git_folder)), "init", "-q")
    options = recipe(tmp_path / "dump", tmp_path / "w")
    [ref] = ingest.STAGE.parts(options, Workspace(options.workspace), ())
    assert ref.plan.isascii() and len(json.loads(ref.plan)["repositories"]) == 2
    run(tmp_path / "dump", tmp_path / "w")
    assert {(r["repo_name"], r["path"]) for r in rows(tmp_path / "w", "records")} == {(r"\xff\n", "/a.py")}
    assert {(r["repo_name"], r["reason"]) for r in rows(tmp_path / "w", "dropped/ingest")} == {(r"\xfe", "no_revision")}


def test_a_reference_names_its_plan(dump: Path, tmp_path: Path) -> None:
    options, workspace = recipe(dump.parent, tmp_path / "w", part_bytes=1), Workspace(str(tmp_path / "w"))
    planned, refs = ingest.plan(options), ingest.STAGE.parts(options, workspace, ())
    work = IngestPart(workspace, options.sources, options.ingest)
    named = work.publish(refs)
    assert len(named) > 1 and max(len(r.plan) for r in named) < 40  # whatever a part holds
    assert [(r.part, r.key) for r in named] == [(r.part, r.key) for r in refs]
    plans = [msgspec.convert(json.loads(workspace.read(r.plan)), Planned) for r in named]
    assert plans == planned, "what is read is what was planned"


def test_a_job_that_was_left_behind_does_not_read_the_plan_of_the_next_run(dump: Path, tmp_path: Path) -> None:
    options, workspace = recipe(dump, tmp_path / "w", part_bytes=1), Workspace(str(tmp_path / "w"))
    work = IngestPart(workspace, options.sources, options.ingest)
    before = ingest.STAGE.parts(options, workspace, ())
    left_behind = work.publish(before)
    now = ingest.STAGE.parts(recipe(dump, tmp_path / "w", ("checkout",), part_bytes=1), workspace, ())
    named = work.publish(now)
    assert len(now) > 1 and before[0].plan != now[0].plan and before[1].plan != now[1].plan
    with pytest.raises(FileNotFoundError):
        work(left_behind[0])
    assert workspace.sidecar("records", 0) is None
    assert [workspace.read(r.plan).decode() for r in named] == [r.plan for r in now]
    assert work.publish(now[1:]) == named[1:] and workspace.exists(named[0].plan), "what is not due stays"


def test_a_damaged_repository_is_read_again_once_it_is_mended_where_it_lies(dump: Path, tmp_path: Path) -> None:
    options = recipe(dump, tmp_path / "w", ("plain", "unborn"))
    blob = git(dump / "checkout", "rev-parse", "HEAD:f07.py").strip()
    place = dump / f"checkout/.git/objects/{blob[:2]}/{blob[2:]}"
    whole = place.read_bytes()
    place.chmod(0o644)

    def milled() -> tuple[int, float]:
        assert run_stage("ingest", options, Local(), quiet=True)
        written = Workspace(options.workspace).published("records")[0]
        assert written
        return len(rows(tmp_path / "w", "records")), written

    place.write_bytes(whole[:-6])  # from the start: no sidecar knows of a sound one
    damaged = milled()
    assert damaged[0] == 19 and milled() == damaged, "damage that stays is not read again"
    place.write_bytes(whole)
    mended = milled()
    assert mended[0] == 20 and mended[1] > damaged[1]
    again = milled()
    assert again[0] == 20 and milled() == again
    git(dump / "checkout", "gc", "-q")
    assert milled() == again, "nor is a sound repository whose objects are packed"


@pytest.mark.parametrize("size", [b"99999999999999999999", b"-1", b"9" * 40])
def test_a_size_that_an_object_lies_about_is_a_row(dump: Path, tmp_path: Path, size: bytes) -> None:
    blob = git(dump / "checkout", "rev-parse", "HEAD:f07.py").strip()
    place = dump / f"checkout/.git/objects/{blob[:2]}/{blob[2:]}"
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob " + size + b"\0x"))
    run(dump, tmp_path / "w", ("plain", "unborn"))
    [lost] = [r for r in rows(tmp_path / "w", "dropped/ingest") if r["repo_name"] == "checkout"]
    assert lost["path"] == "/f07.py" and lost["reason"] in {"too_large", "corrupt_object"} and lost["length_bytes"] >= 0
