"""Commits as records, held against git itself; and histories that are cut off, damaged, endless or bombs."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from histories import commit, file, random_history, run, take

from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.git.commits_text import Excerpt
from starmill.pipelines.sources.source import Entry, Limits, Repository, Snapshot

ALL = {"per_file": None, "show": Excerpt(whole_rate=1)}


LIMITS = Limits()


def read(root: Path, limits: Limits = LIMITS, **options: object) -> tuple[Snapshot, list[Entry]]:
    source = Commits(roots=(str(root),), **options)  # type: ignore[arg-type]
    [repository] = source.plan()
    snapshot, entries = source.read(repository, limits)
    return snapshot, list(entries)


def planned(root: Path, **options: object) -> Repository:
    [repository] = Commits(roots=(str(root),), **options).plan()  # type: ignore[arg-type]
    return repository


def parts(entry: Entry) -> dict[str, str]:
    assert entry.data is not None and entry.segments is not None
    text = entry.data.decode()
    return {s["role"]: text[s["start"] : s["end"]] for s in entry.segments}


def reasons(entries: list[Entry]) -> Counter[str | None]:
    return Counter(entry.reason for entry in entries)


def edited(folder: Path, commits: int, path: bytes = b"a.py") -> Path:
    """Make a history that changes one file again and again."""
    return take(
        folder, b"".join(commit(n, b"Change it to %d\n" % n, [file(path, b"x = %d\n" % n)]) for n in range(1, commits + 1))
    )


@pytest.mark.parametrize("seed", [3, 4])
def test_texts_are_those_of_git_show(tmp_path: Path, seed: int) -> None:
    folder = random_history(tmp_path / "in/r", seed, 160)
    snapshot, entries = read(tmp_path / "in", **ALL)
    assert [e.path for e in entries] == sorted(
        f"commit/{own}".encode() for own in run(folder, "rev-list", "HEAD").decode().split()
    )
    assert (
        snapshot.revision_id == run(folder, "rev-parse", "HEAD").decode().strip() and snapshot.branch_name == "refs/heads/main"
    )
    checked = 0
    for entry in entries:
        own = entry.path.decode().removeprefix("commit/")
        if entry.data is None:
            assert entry.reason in {
                *("merge", "several_files", "no_change", "symlink", "submodule", "file_deleted", "mode_change", "hostile_path")
            }
            continue
        said = run(folder, "diff-tree", "--root", "-r", "-z", "--no-renames", "--no-commit-id", "--name-status", own)
        status, changed = said.split(b"\0")[:2]
        wanted = {
            "before": "" if status == b"A" else run(folder, "show", f"{own}^:{os.fsdecode(changed)}").decode(),
            "message": run(folder, "show", "-s", "--format=%s", own).decode().removesuffix("\n"),
            "after": run(folder, "show", f"{own}:{os.fsdecode(changed)}").decode(),
            "changed": "",
        }
        assert parts(entry) == wanted and entry.segments is not None and entry.segments[0]["name"] == "/" + changed.decode()
        assert (
            str(entry.facts["committer_date"])
            == run(folder, "show", "-s", "--format=%cd", "--date=format-local:%Y-%m-%d %H:%M:%S", own).decode().strip()
        )
        checked += 1
    assert checked > 10


def test_the_newest_of_a_file_is_taken(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 6)
    run(folder, "gc", "-q")
    own = run(folder, "rev-list", "HEAD").decode().split()
    _, entries = read(tmp_path)
    found = {e.path.decode().removeprefix("commit/"): e for e in entries}
    assert found.keys() == {*own} and parts(found[own[0]])["message"] == "Change it to 6"
    assert {found[o].reason for o in own[1:]} == {"older_commit"} and found[own[3]].detail == f"commit {own[0]} is newer"
    assert reasons(read(tmp_path, per_file=2)[1]) == {None: 2, "older_commit": 4}
    assert reasons(read(tmp_path, per_file=None)[1]) == {None: 6}


def test_a_fork_gives_the_same_records(tmp_path: Path) -> None:
    edited(tmp_path / "a/one", 5)
    (tmp_path / "b").mkdir()
    run(tmp_path / "b", "clone", "-q", "--bare", str(tmp_path / "a/one"), "two.git")
    assert read(tmp_path / "a", per_file=None)[1] == read(tmp_path / "b", per_file=None)[1]


def test_more_commits_than_the_limit_are_counted(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 9)
    _, entries = read(tmp_path, max_commits=4, per_file=None)
    newest = {f"commit/{own}".encode() for own in run(folder, "rev-list", "-4", "HEAD").decode().split()}
    assert {e.path for e in entries} == newest | {b""} and entries[-1].reason == "too_many_commits"
    assert entries[-1].detail == "more than max_commits=4; without a row are 5 commits; git rev-list HEAD lists them"
    assert "without a row" not in str(read(tmp_path, max_commits=9)[1])
    long = edited(tmp_path / "r", 3, b"d/" * 50 + b"a.py")
    assert reasons(read(tmp_path, Limits(max_names_bytes=100))[1]) == {None: 1, "too_many_commits": 1} and long


def test_a_shallow_clone_names_where_it_ends(tmp_path: Path) -> None:
    folder = edited(tmp_path / "whole/r", 6)
    (tmp_path / "in").mkdir()
    run(tmp_path / "in", "clone", "-q", "--depth=3", f"file://{folder}", "shallow")
    before = planned(tmp_path / "in")
    own = run(folder, "rev-list", "HEAD").decode().split()
    found = {e.path: e for e in read(tmp_path / "in", per_file=None)[1]}
    assert found.keys() == {f"commit/{o}".encode() for o in own[:3]}
    last = found[f"commit/{own[2]}".encode()]
    assert (last.reason, last.detail) == ("missing_object", f"its parent, commit {own[3]}")
    run(tmp_path / "in/shallow", "fetch", "-q", "--unshallow")
    assert planned(tmp_path / "in").fingerprint != before.fingerprint
    assert reasons(read(tmp_path / "in", per_file=None)[1]) == {None: 6}


def test_grafts_and_replacements_are_not_followed(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 4)
    own = run(folder, "rev-list", "HEAD").decode().split()
    (folder / ".git/info/grafts").write_text(f"{own[3]} {own[0]}\n{own[0]} {own[3]}\n")  # a circle
    run(folder, "replace", own[1], own[3])
    assert reasons(read(tmp_path, per_file=None)[1]) == {None: 4}


def test_damaged_and_missing_objects_are_rows(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 6)
    own = run(folder, "rev-list", "HEAD").decode().split()

    def loose(name: str) -> Path:
        hex_id = run(folder, "rev-parse", name).decode().strip()
        return folder / f".git/objects/{hex_id[:2]}/{hex_id[2:]}"

    blob, tree, parent = loose(f"{own[0]}:a.py"), loose(f"{own[2]}^{{tree}}"), loose(own[5])
    blob.unlink()
    tree.chmod(0o644)
    tree.write_bytes(b"no tree")
    parent.unlink()
    found = {e.path.decode().removeprefix("commit/"): e for e in read(tmp_path, per_file=None)[1]}
    wanted = ("missing_object", "corrupt_object", "corrupt_object", None, "missing_object")
    assert [found[o].reason for o in own[:5]] == [*wanted]
    assert found[own[0]].detail == f"/a.py, object {blob.parent.name}{blob.name}"


def test_a_bomb_of_commits_costs_what_the_limit_says(tmp_path: Path) -> None:
    big = b"x = 1\n" * 30_000
    stream = b"".join(commit(n, b"Change it\n", [file(b"a.py", big + b"%d\n" % n)]) for n in range(1, 101))
    folder = take(tmp_path / "r", stream)
    run(folder, "gc", "-q")
    _, entries = read(tmp_path, Limits(max_inflated_bytes=10 << 20), per_file=None, show=Excerpt(max_chars=10**6))
    assert len(entries) == 100 and sum(entry.reason == "inflates_too_far" for entry in entries) > 50
    assert 0 < reasons(entries)[None] < 90 and reasons(entries)["inflates_too_far"] == 100 - reasons(entries)[None]


def test_a_spent_budget_leaves_no_commit_uncounted(tmp_path: Path) -> None:
    edited(tmp_path / "r", 40)
    _, entries = read(tmp_path, Limits(max_inflated_bytes=16_000), per_file=None)
    assert entries[-1].path == b"" and entries[-1].reason == "inflates_too_far" and 20 < len(entries) < 40
    assert 0 < reasons(entries)[None] < len(entries), "the newest have texts"
    assert f"without a row are {41 - len(entries)} commits" in (entries[-1].detail or "")


def test_files_of_no_repository_have_no_history(tmp_path: Path) -> None:
    edited(tmp_path / "r", 2)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a.py").write_text("x = 1\n")
    source = Commits(roots=(str(tmp_path),))
    assert [(r.name, r.left_out) for r in source.planned()] == [("plain", "no_history"), ("r", "")]
    assert [r.name for r in source.plan()] == ["r"]
    assert str(source.count(source.planned()[0], Limits())).startswith("1 files; find")
    assert str(source.count(source.planned()[1], Limits())) == "2 commits; git rev-list HEAD lists them"


@pytest.mark.parametrize("head", ["nonsense", "ref: refs/heads/none", f"{'1' * 40}"])
def test_a_head_that_leads_nowhere_is_one_row(tmp_path: Path, head: str) -> None:
    folder = edited(tmp_path / "r", 2)
    (folder / ".git/HEAD").write_text(head)
    [entry] = read(tmp_path)[1]
    assert entry.path == b"" and entry.reason in {"unreadable_repository", "no_revision"} and entry.kind == "commit"


def test_what_decides_a_record_is_in_its_fingerprint(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 2)
    first = planned(tmp_path).fingerprint
    (folder / "not committed").touch()
    assert planned(tmp_path).fingerprint == first, "the work tree is not read"
    shown = (Excerpt(seed=1), Excerpt(max_chars=7), Excerpt(whole_rate=0.5), Excerpt(context_lines=7))
    for options in ({"max_commits": 7}, {"per_file": 2}, *({"show": show} for show in shown)):
        assert planned(tmp_path, **options).fingerprint != first
    source = Commits(roots=(str(tmp_path),))
    assert source.fingerprint(replace(planned(tmp_path), fingerprint="")) == first


def test_the_newest_of_very_many_commits_are_read(tmp_path: Path) -> None:
    take(tmp_path / "r", b"".join(commit(n, b"m", []) for n in range(1, 4001)))
    _, entries = read(tmp_path, max_commits=1000)
    assert reasons(entries) == {"no_change": 1000, "too_many_commits": 1}
    assert "without a row are 3,000 commits" in (entries[-1].detail or "")
