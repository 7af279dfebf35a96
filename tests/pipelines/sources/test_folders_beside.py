"""What lies beside what is read of a folder, and what changes while it is read: it is counted, and it is told."""

from pathlib import Path

from repositories import commit, git

from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.source import Entry, Limits, Repository


def only(root: Path, name: str) -> Repository:
    return next(r for r in Folders(roots=(str(root),)).plan() if r.name == name)


def read(repository: Repository) -> list[Entry]:
    return list(Folders(roots=()).read(repository, Limits())[1])


def test_empty_folders_count(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"dump/hollow/{number}/a/b").mkdir(parents=True)
    (tmp_path / "dump/hollow/9/z.py").write_text("x = 1\n")
    source, hollow = Folders(roots=(str(tmp_path / "dump"),)), only(tmp_path / "dump", "hollow")
    assert [e.path for e in source.read(hollow, Limits(max_files=151))[1]] == [b"9/z.py"]
    for limit, left in ((150, "0 files"), (20, "more than 80 files and folders")):
        lost = next(source.read(hollow, Limits(max_files=limit))[1])
        assert lost.detail == f"more than max_files={limit}, folders counted; {left} have no row: find . ! -type d lists all"
    assert source.count(hollow, Limits(max_files=20)).number == "more than 80 files and folders"


def test_what_a_work_tree_holds_beside_its_commit_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    commit(root / "r", {"kept.py": b"x = 1\n"})
    assert [e.reason for e in read(only(root, "r"))] == [None]
    before = only(root, "r")
    for name in (
        "kept.py",
        "build/a.o",
        "build/b.o",
        "new.py",
        "looks/HEAD",
        "looks/objects/a",
        "looks/refs/b",
        "in/.git/HEAD",
        "in/c.py",
    ):
        (root / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "r" / name).write_text("y = 2\n")
    (root / "r/link").symlink_to("/etc")
    kept, beside = read(only(root, "r"))
    assert kept.data == b"x = 1\n" and (beside.path, beside.reason) == (b"", "not_committed")
    assert beside.detail == "7 files; git status --ignored --untracked-files=all lists them", (
        "what is in another repository is its own"
    )
    assert only(root, "r").fingerprint != before.fingerprint, "the row is told again once they are others"
    source = Folders(roots=(str(root),))
    assert source.fingerprint(before) == before.fingerprint, "a build beside it does not change a commit that is read"
    [*_, beside] = source.read(only(root, "r"), Limits(max_files=1))[1]
    assert beside.detail and beside.detail.startswith("more than 4 files and folders")


def test_what_is_put_in_the_place_of_a_folder_for_a_while_is_seen(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    for name in ("plain/src/in/a.py", "other/in/a.py"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("x = 1\n")
    commit(root / "r", {"kept.py": b"x = 1\n"})
    commit(root / "plain/nested", {"kept.py": b"x = 1\n"})
    before = only(root, "plain")
    (root / "plain/nested/build").mkdir()
    assert only(root, "plain").fingerprint == before.fingerprint, "a build in another repository is none of its own"
    for name, folder in (("plain", "plain/src"), ("plain", "plain/src/in"), ("plain", "plain")):
        before = only(root, name)
        (root / folder).rename(tmp_path / "aside")
        (root / "other").rename(root / folder)
        assert Folders(roots=(str(root),)).fingerprint(before) != before.fingerprint
        (root / folder).rename(root / "other")
        (tmp_path / "aside").rename(root / folder)
        assert Folders(roots=(str(root),)).fingerprint(before) != before.fingerprint, "no time of a file in it changed"
    before = only(root, "r")
    [objects] = [
        f for f in (root / "r/.git/objects").iterdir() if (f / git(root / "r", "rev-parse", "HEAD:kept.py")[2:-1]).exists()
    ]
    objects.rename(tmp_path / "aside")
    assert [e.reason for e in read(before)] == ["missing_object"]
    (tmp_path / "aside").rename(objects)
    assert only(root, "r").state != before.state, "what lost records to it is read again"


def test_the_commit_that_was_planned_is_read_wherever_head_leads_for_a_while(tmp_path: Path) -> None:
    root = tmp_path / "dump"
    commit(root / "r", {"kept.py": b"x = 1\n"})
    before = only(root, "r")
    git(root / "r", "checkout", "-q", "-b", "other")
    commit(root / "r", {"kept.py": b"y = 2\n", "more.py": b"z = 3\n"})
    source = Folders(roots=(str(root),))
    snapshot, found = source.read(before, Limits())
    assert [(e.path, e.data, e.reason) for e in found] == [(b"kept.py", b"x = 1\n", None), (b"", None, "not_committed")]
    assert snapshot.branch_name != "refs/heads/other" and source.fingerprint(before) != before.fingerprint
