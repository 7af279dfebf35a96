"""Where a repository keeps things, in the forms that git makes: mirrors, work trees, submodules, alternates, partial clones."""

from pathlib import Path

import pytest
from repositories import commit, git, listed, read, sample, told

from starmill.core import swhid
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.git.refs import Unreadable, git_directory, head, object_folders

__all__ = ["sample"]


def assert_equals_git(place: Path, root: Path) -> None:
    snapshot, entries = read(place, root)
    assert snapshot.revision_id == git(place, "rev-parse", "HEAD").strip()
    assert [e.path for e in entries] == sorted(listed(place))
    assert all(e.data is None or swhid.content_id(e.data) == listed(place)[e.path][1] for e in entries)
    assert any(e.data for e in entries)


def test_a_mirror_with_what_git_keeps_beside_its_packs(sample: Path, tmp_path: Path) -> None:
    git(sample, "update-ref", "refs/pull/1/head", "HEAD~1")
    git(tmp_path / "in", "clone", "-q", "--mirror", "r", "mirror.git")
    mirror = tmp_path / "in/mirror.git"
    git(mirror, "repack", "-q", "-a", "-d", "--write-bitmap-index")
    commit(sample, {"more.py": b"x = 9\n"})
    git(mirror, "fetch", "-q")
    git(mirror, "-c", "fetch.unpackLimit=1", "multi-pack-index", "write")
    git(mirror, "commit-graph", "write", "--reachable")
    git(mirror, "pack-refs", "--all")
    assert not (mirror / "refs/heads/main").exists()
    assert_equals_git(mirror, tmp_path / "in")


def test_a_submodule_and_a_work_tree_of_a_bare_repository(sample: Path, tmp_path: Path) -> None:
    top = tmp_path / "in"
    outer = commit(top / "outer", {"a.py": b"x = 1\n"})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(sample), "vendor/r")
    git(outer, "commit", "-q", "-m", "a submodule")
    assert (outer / "vendor/r/.git").is_file() and (outer / ".git/modules/vendor/r/HEAD").is_file()
    assert_equals_git(outer / "vendor/r", top)
    git(top, "clone", "-q", "--bare", "r", "bare.git")
    git(top / "bare.git", "worktree", "add", "-q", str(top / "tree"), "main")
    assert_equals_git(top / "tree", top)
    names = [r.name for r in Folders(roots=(str(top),)).plan() if r.place["form"] == "git"]
    assert names == ["bare.git", "outer", "outer/vendor/r", "r", "tree"]
    for linked in ("outer/vendor/r", "tree"):
        with pytest.raises(Unreadable, match="leads out of the input"):
            git_directory(top / linked, top / linked)


def test_alternates_by_a_relative_path_and_in_a_chain(sample: Path, tmp_path: Path) -> None:
    top = tmp_path / "in"
    git(top, "clone", "-q", "--shared", "--bare", "r", "one.git")
    git(top, "clone", "-q", "--shared", "--bare", "one.git", "two.git")
    (top / "two.git/objects/info/alternates").write_text("../../one.git/objects\n")
    assert_equals_git(top / "two.git", top)
    assert object_folders(top / "two.git/objects", top)[-1] == sample / ".git/objects"
    (top / "one.git/objects/info/alternates").write_text("../../two.git/objects\n/etc\n../../../..\n")
    assert object_folders(top / "two.git/objects", top) == [top / "two.git/objects", top / "one.git/objects"]
    assert told(read(top / "two.git", top)[1]) == {"/": "unreadable_repository"}


def test_clones_that_lack_objects_name_them(sample: Path, tmp_path: Path) -> None:
    top = tmp_path / "in"
    git(sample, "config", "uploadpack.allowFilter", "true")
    blobs = sum(mode.startswith("100") for mode, _ in listed(sample).values())
    for name, arguments in (
        ("blobs", ["--filter=blob:none"]),
        ("large", ["--filter=blob:limit=1k"]),
        ("both", ["--depth=1", "--filter=blob:none"]),
    ):
        git(top, "clone", "-q", "--bare", *arguments, f"file://{sample}", f"{name}.git")
        snapshot, entries = read(top / f"{name}.git", top)
        assert snapshot.revision_id and len(entries) == len(listed(sample)), "the commit and all paths are known"
        lost = sum(e.reason == "missing_object" for e in entries)
        assert lost == (blobs if name != "large" else sum(len(e.data or b"") > 1024 for e in read(sample)[1])) > 0
    git(top, "clone", "-q", "--bare", "--filter=tree:0", f"file://{sample}", "trees.git")
    [entry] = read(top / "trees.git", top)[1]
    assert entry.reason == "unreadable_repository" and str(entry.detail).startswith("MissingObject: ")


@pytest.mark.parametrize("loose", [True, False])
def test_a_store_of_sha256_says_what_is_needed(tmp_path: Path, loose: bool) -> None:
    folder = tmp_path / "in/r"
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", "--object-format=sha256")
    (folder / "a.py").write_text("x = 1\n")
    git(folder, "add", "a.py")
    git(folder, "commit", "-q", "-m", "x")
    if not loose:
        git(folder, "gc", "-q")
    [entry] = read(folder)[1]
    assert entry.reason == "unsupported_format" and "git archive HEAD" in str(entry.detail)
    [planned] = Folders(roots=(str(tmp_path / "in"),)).plan()
    assert planned.name == "r" and "files" in planned.place["unread"]


def test_a_head_that_is_symbolic_twice_leads_to_the_last(sample: Path) -> None:
    git(sample, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(sample, "symbolic-ref", "HEAD", "refs/heads/alias")
    assert head(sample / ".git", sample / ".git", sample) == (git(sample, "rev-parse", "HEAD").strip(), "refs/heads/main")
