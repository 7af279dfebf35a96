"""Which commits there are and which file each one changed, held against what git itself says of random histories."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from histories import random_history
from repositories import git, raw_tree

from starmill.core.swhid import object_id
from starmill.pipelines.sources.git.history import Change, Commit, Comparison, Lost, lost, newest_first, parse
from starmill.pipelines.sources.git.objects import Budget, CorruptObject, MissingObject, ObjectStore


def by_git(folder: Path) -> dict[str, list[tuple[str, str, str, str, str, str]]]:
    """Git's own account of each commit: (mode before, mode after, blob before, blob after, status, path) of each file."""
    said = git(folder, "log", "--format=%x01%H", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-merges=off", "HEAD")
    found = {}
    for part in said.split("\x01")[1:]:
        own, *words = part.strip("\n\0").split("\0")
        words = [word.lstrip("\n") for word in words if word.strip("\n")]
        found[own] = [(*words[i].lstrip(":").split(" "), words[i + 1]) for i in range(0, len(words), 2)]
    return found


def store_of(folder: Path, budget: Budget | None = None) -> ObjectStore:
    return ObjectStore([folder / ".git/objects"], folder, budget)


def ours(folder: Path) -> dict[str, Change | Lost]:
    with store_of(folder) as store:
        read = lambda own: parse(own, store.read(own, "commit", 1 << 20))  # noqa: E731
        compare = Comparison(store)
        tip = read(git(folder, "rev-parse", "HEAD").strip())
        return {commit.own: compare(commit, parents) for commit, parents in newest_first(read, tip)}


def test_a_name_may_hold_the_sign_that_ends_an_address(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    tree = git(tmp_path, "mktree").strip()
    data = (
        f"tree {tree}\nauthor Roe > 1999 <r@example.org> 987654321 +0100\ncommitter C <c@example.org> 1234567890 +0000\n\nm\n"
    )
    own = git(tmp_path, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=data.encode()).strip()
    commit = parse(own, data.encode())
    said = git(tmp_path, "show", "-s", "--format=%at %ct", own).split()
    assert [int(date.replace(tzinfo=UTC).timestamp()) for date in (commit.date, commit.committer_date)] == [*map(int, said)]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_commit_is_as_git_says(tmp_path: Path, seed: int) -> None:
    folder = random_history(tmp_path / "r", seed, 150)
    said, found = by_git(folder), ours(folder)
    merges = {*git(folder, "rev-list", "--merges", "HEAD").split()}
    assert found.keys() == said.keys() and len(found) > 60 and len(merges) > 2
    seen = set()
    for own, change in found.items():
        changed = said[own]
        if own in merges:
            assert change == Lost("merge")
        elif len(changed) != 1:
            assert change == Lost("several_files" if changed else "no_change")
        else:
            [(old_mode, mode, old, new, status, path)] = changed
            if odd := {"120000", "160000"} & {old_mode, mode}:
                assert change in [Lost({"120000": "symlink", "160000": "submodule"}[mode]) for mode in odd]
            elif status == "D":
                assert change == Lost("file_deleted")
            elif old == new:
                assert change == Lost("mode_change")
            else:
                assert isinstance(change, Change) and change.path == os.fsencode(path) and change.after.blob == new
                assert change.after.mode == int(mode, 8) and (change.before is None) == (status == "A")
                assert change.before is None or (change.before.blob, change.before.mode) == (old, int(old_mode, 8))
                seen.add(status)
                continue
        seen.add(change.reason)
    assert {"A", "M", "merge", "several_files", "no_change", "symlink", "submodule", "file_deleted"} <= seen


def test_a_commit_is_as_git_reads_it(tmp_path: Path) -> None:
    folder = random_history(tmp_path / "r", 1, 20)
    with store_of(folder) as store:
        for line in git(folder, "log", "--format=%H|%T|%P|%at|%ct").splitlines():
            own, tree, parents, written, committed = line.split("|")
            commit = parse(own, store.read(own, "commit", 1 << 20))
            epoch = datetime(1970, 1, 1)
            dates = [(date - epoch).total_seconds() for date in (commit.date, commit.committer_date) if date]
            assert (commit.tree, " ".join(commit.parents), dates) == (tree, parents, [int(written), int(committed)])


TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.mark.parametrize(
    "lines",
    [["parent x"], [f"parent {'A' * 40}"], [f"parent {'1' * 39}"], [f"parent {n:040x}" for n in range(10_001)]],
    ids=["no id", "capitals", "short", "too many"],
)
def test_a_parent_that_is_none_is_named(lines: list[str]) -> None:
    with pytest.raises(CorruptObject, match="whose parent"):
        parse("0" * 40, "\n".join([f"tree {TREE}", *lines, "author a <b> 1 +0000", "", "m"]).encode())


def test_what_follows_the_author_is_no_parent() -> None:
    data = f"tree {TREE}\nauthor a <b> 1 +0000\nparent {'1' * 40}\n\nparent {'2' * 40}\n"
    assert parse("0" * 40, data.encode()).parents == ()


def commits(*parents: tuple[str, ...]) -> dict[str, Commit]:
    """Commits 0, 1... of these parents, the first the newest."""
    return {str(n): Commit(str(n), TREE, of, None, datetime(2020, 1, 1 + len(parents) - n)) for n, of in enumerate(parents)}


def test_a_history_that_goes_in_a_circle_ends() -> None:
    # No store that holds commits against their ids gives one.
    known = commits(("1", "2"), ("2", "0"), ("0", "2", "1"))
    assert [commit.own for commit, _ in newest_first(known.__getitem__, known["0"])] == ["0", "1", "2"]


def test_what_is_missing_is_lost_and_the_rest_is_found() -> None:
    known = commits(("1", "9"), ("2",), ())

    def read(own: str) -> Commit:
        if own not in known:
            raise MissingObject(own)
        return known[own]

    found = {commit.own: parents for commit, parents in newest_first(read, known["0"])}
    assert [*found] == ["0", "1", "2"] and found["0"][1] == Lost("missing_object", "its parent, commit 9")
    assert Comparison(None)(known["0"], found["0"]) == found["0"][1]  # type: ignore[arg-type]


class Trees:
    """Trees that no git would write, by any name."""

    def __init__(self, **trees: list[tuple[bytes, bytes, str]]) -> None:
        self._trees = {
            name: b"".join(m + b" " + n + b"\0" + bytes.fromhex(own.ljust(40, "0")) for m, n, own in entries)
            for name, entries in trees.items()
        }

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        found = self._trees[hex_id.rstrip("0") or "0"]
        return found


def test_folders_without_files_end() -> None:
    # Each level holds the one below twice, and none a file: 2**60 pairs that differ.
    levels = {f"a{n}": [(b"40000", b"x", f"a{n - 1}"), (b"40000", b"y", f"a{n - 1}")] for n in range(1, 61)}
    others = {f"b{n}": [(b"40000", b"x", f"b{n - 1}"), (b"40000", b"y", f"b{n - 1}")] for n in range(1, 61)}
    numbered = {f"{name[0]}{int(name[1:]):02d}1": entries for name, entries in (levels | others).items()}
    trees = {name: [(m, n, f"{own[0]}{int(own[1:]):02d}1") for m, n, own in entries] for name, entries in numbered.items()}
    trees |= {"a001": [], "b001": [(b"40000", b"z", "a001")]}
    head, before = (Commit(side, f"{side}601", ("p",) * (side == "a"), None, None) for side in "ab")
    made = Comparison(Trees(**trees))(head, [before])
    assert isinstance(made, Lost) and made.reason == "too_deep"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([(b"100644", b"a", "c1"), (b"100644", b"a", "d1")], "corrupt_object"),
        ([(b"160000", b"a", "c1")], "submodule"),
        ([(b"100644", b"x" * 5000, "c1")], "hostile_path"),
        ([(b"100664", b"old", "e1")], "no_change"),
    ],
    ids=["one name twice", "submodule", "long name", "another mode of old times"],
)
def test_odd_trees(entries: list[tuple[bytes, bytes, str]], reason: str) -> None:
    old = [(b"100644", b"old", "e1")]
    after = entries if reason == "no_change" else [*old, *entries]
    made = Comparison(Trees(a1=after, b1=old))(Commit("1", "a1", ("0",), None, None), [Commit("0", "b1", (), None, None)])
    assert isinstance(made, Lost) and made.reason == reason


def test_a_tree_that_is_cut_off_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    git(folder, "init", "-q")
    blob = git(folder, "hash-object", "-w", "--stdin", given=b"x").strip()
    whole = raw_tree(folder, [(b"100644", b"a", blob)])
    data = b"100644 a\0" + bytes.fromhex(blob)[:10]
    cut = git(folder, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=data).strip()
    assert cut == object_id("tree", data)
    with store_of(folder) as store:
        made = Comparison(store)(Commit("1", cut, ("0",), None, None), [Commit("0", whole, (), None, None)])
    assert isinstance(made, Lost) and made.reason == "corrupt_object" and "cut off" in (made.detail or "")


def test_a_spent_budget_is_named(tmp_path: Path) -> None:
    folder = random_history(tmp_path / "r", 2, 3)
    with store_of(folder, Budget(10)) as store:
        tree = git(folder, "rev-parse", "HEAD^{tree}").strip()
        made = Comparison(store)(Commit("1", tree, (), None, None), [])
    assert isinstance(made, Lost) and made.reason == "inflates_too_far"
    assert lost(CorruptObject("bad"), "it") == Lost("corrupt_object", "it: bad")
