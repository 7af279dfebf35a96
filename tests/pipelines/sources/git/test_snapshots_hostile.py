"""Git repositories that no one made by accident: nothing outside is read, every bomb ends in rows, in bounded memory."""

import os
import subprocess
from pathlib import Path

import pytest
from repositories import by_hand, fingerprint, git, listed, nest, raw_tree, read, sample, told

from starmill.pipelines.sources.git import snapshots as source
from starmill.pipelines.sources.source import Counted, Limits, label

__all__ = ["sample"]


def test_trees_made_by_an_attacker(sample: Path) -> None:
    blob = git(sample, "rev-parse", "HEAD:lib/a.h").strip()
    inner = raw_tree(sample, [(b"100644", b"f", blob)])
    names = [b"..", b".git", b"a\nb", b"\x1b[31m", b"dup", b"dup", b"x" * 5000]
    tree = raw_tree(sample, [*((b"100644", n, blob) for n in names), (b"40000", b"..", inner), (b"40000", b".GIT", inner)])
    _, entries = read(by_hand(sample, tree))
    shown = [(*label(e.path), e.reason) for e in entries]
    assert [path for path, hostile, reason in shown if not (hostile or reason)] == ["/dup", "/dup"]
    assert sum("hostile_path" in (hostile, reason) for _, hostile, reason in shown) == 7


def test_a_tree_that_is_cut_off_or_no_tree(sample: Path) -> None:
    for data in (b"100644 name\0short", b"99 x\0" + b"1" * 20, b"\xff" * 30):
        bad = git(sample, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=data).strip()
        _, entries = read(by_hand(sample, raw_tree(sample, [(b"40000", b"bad", bad)])))
        assert [(e.path, e.reason, e.detail) for e in entries] == [(b"bad", "corrupt_object", f"tree {bad}")]


def test_a_tree_deeper_than_the_limit(sample: Path) -> None:
    blob = git(sample, "rev-parse", "HEAD:lib/a.h").strip()
    tree = raw_tree(sample, [(b"100644", b"f", blob)])
    for _ in range(70):
        tree = raw_tree(sample, [(b"100644", b"f", blob), (b"40000", b"d", tree)])
    _, entries = read(by_hand(sample, tree))
    kept = [e for e in entries if e.reason is None]
    assert len(kept) == 64 and max(e.path.count(b"/") for e in kept) == 63
    assert sorted(told(entries).items())[-1][1] is None
    assert {e.path.count(b"/"): e.reason for e in entries if e.reason} == {64: "too_deep"}


def test_a_bomb_of_references_ends(sample: Path) -> None:
    tree = raw_tree(sample, [(b"100644", b"f", git(sample, "rev-parse", "HEAD:lib/a.h").strip())])
    for _ in range(12):  # 10 to the 12th files in 13 objects
        tree = raw_tree(sample, [(b"40000", b"%d" % i, tree) for i in range(10)])
    _, entries = read(by_hand(sample, tree), max_files=1000)
    assert len(entries) <= 1001 and sum(e.reason == "too_many_files" for e in entries) == 1


@pytest.mark.slow
def test_a_directory_of_a_million_entries(sample: Path) -> None:
    blob = git(sample, "rev-parse", "HEAD:lib/a.h").strip()
    made = by_hand(sample, raw_tree(sample, [(b"100644", b"%07d" % n, blob) for n in range(1_000_000)]))
    _, entries = read(made, max_files=1000)
    lost = [(e.reason, e.detail) for e in entries if e.data is None]
    assert [e.path for e in entries if e.data is not None] == [b"%07d" % n for n in range(1000)]
    assert [reason for reason, _ in lost] == ["too_many_files"] and "999,000" in str(lost[0][1]), lost


def test_links_inside_a_git_folder_lead_nowhere_outside(sample: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(sample), "packed")
    git(tmp_path / "packed", "repack", "-q", "-a", "-d")
    objects, top = sample / ".git/objects", tmp_path / "top"
    head, fans = git(sample, "rev-parse", "HEAD"), sorted(objects.glob("[0-9a-f]?"))

    def bare(place: Path) -> Path:
        (place / "refs").mkdir(parents=True)
        (place / "objects").mkdir()
        (place / "HEAD").write_text(head)
        return place

    def fan(store: Path) -> None:
        for folder in fans:
            (store / folder.name).symlink_to(folder)

    def file(store: Path) -> None:
        for folder in fans:
            (store / folder.name).mkdir()
            for found in folder.iterdir():
                (store / folder.name / found.name).symlink_to(found)

    def pack(store: Path) -> None:
        (store / "pack").symlink_to(tmp_path / "packed/objects/pack")

    def packs(store: Path) -> None:
        (store / "pack").mkdir()
        for found in (tmp_path / "packed/objects/pack").iterdir():
            (store / "pack" / found.name).symlink_to(found)

    def alternates(store: Path) -> None:
        (store / "info").mkdir()
        (tmp_path / "alternates").write_text(f"{objects}\n")
        (store / "info/alternates").symlink_to(tmp_path / "alternates")

    for link in (fan, file, pack, packs, alternates):
        link(bare(top / link.__name__) / "objects")
        before, (_, entries) = source.look(top / link.__name__, top), read(top / link.__name__, top)
        assert [e.reason for e in entries] == ["unreadable_repository"], link.__name__
        assert before[0] <= 5000, "the size of what is outside is not looked at"
        whole = read(top / link.__name__, tmp_path)[1]
        assert len(whole) == len(listed(sample)), f"{link.__name__}: but for the root, the links are good"
    (tmp_path / "packed-refs").write_text(f"{head.strip()} refs/heads/main\n")
    fan(bare(top / "packed_refs") / "objects")
    (top / "packed_refs/HEAD").write_text("ref: refs/heads/main\n")
    (top / "packed_refs/packed-refs").symlink_to(tmp_path / "packed-refs")
    [entry] = read(top / "packed_refs", top)[1]
    assert (entry.reason, entry.detail) == ("unreadable_repository", "packed-refs leads out of the input")


def test_planning_opens_nothing_outside(sample: Path, tmp_path: Path) -> None:
    git(sample, "gc", "-q")
    top = tmp_path / "top"
    git(tmp_path, "clone", "-q", "--bare", str(sample), str(top / "r.git"))
    place = next((top / "r.git/objects/pack").glob("*.idx"))
    (top / "r.git/objects/0a").symlink_to(tmp_path)
    place.unlink()
    place.symlink_to("/proc/self/mem")  # who reads it meets an error of the machine
    assert source.look(top / "r.git", top)[1] and read(top / "r.git", top)[1][0].reason == "unreadable_repository"


@pytest.mark.parametrize(
    "said", [b"gitdir: ../gone-\xff\xfe", b"gitdir: \xed\xa0\x80", b"gitdir: \0", b"gitdir:", b"gitdir: a\nb"]
)
def test_names_of_places_that_are_not_text(tmp_path: Path, said: bytes) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    (tmp_path / "in/r/.git").write_bytes(said)
    assert fingerprint(tmp_path / "in/r") and told(read(tmp_path / "in/r")[1]) == {"/": "unreadable_repository"}
    (tmp_path / "in/b.git").mkdir()
    for file in ("HEAD", "commondir"):
        (tmp_path / "in/b.git" / file).write_bytes(said.replace(b"gitdir:", b"ref: refs/heads/" if file == "HEAD" else b""))
        assert fingerprint(tmp_path / "in/b.git")
        assert [e.reason for e in read(tmp_path / "in/b.git")[1]] in (["unreadable_repository"], ["no_revision"])


def test_folders_in_objects_that_git_never_makes_are_not_walked(sample: Path) -> None:
    before = source.look(sample, sample.parent)
    nest(sample / ".git/objects", 1200)
    try:
        assert source.look(sample, sample.parent) == before and len(read(sample)[1]) == len(listed(sample))
    finally:
        subprocess.run(["rm", "-rf", str(sample)], check=True)


def test_a_bomb_of_names_ends(sample: Path) -> None:
    tree = raw_tree(sample, [(b"100644", b"%d" % i, git(sample, "rev-parse", "HEAD:lib/a.h").strip()) for i in range(300)])
    for _ in range(14):
        tree = raw_tree(sample, [(b"40000", b"n" * 250, tree)])
    _, entries = read(by_hand(sample, tree), max_names_bytes=500_000)
    lost = [e for e in entries if e.reason]
    assert 100 < len(entries) < 150 and [e.reason for e in lost] == ["too_many_files"]
    assert "more than max_names_bytes=500000" in str(lost[0].detail) and f"git ls-tree -r -t {tree} lists all" in str(
        lost[0].detail
    )


@pytest.mark.parametrize("form", ["loose", "packed"])
def test_a_blob_that_is_named_often_inflates_no_further_than_allowed(sample: Path, form: str) -> None:
    blob = git(sample, "hash-object", "-w", "--stdin", given=b" " * 100_000).strip()
    by_hand(sample, raw_tree(sample, [(b"100644", b"%03d" % i, blob) for i in range(500)]))
    if form == "packed":
        git(sample, "gc", "-q")
    _, entries = read(sample, max_inflated_bytes=1_000_000)
    assert [e.reason for e in entries] == [None] * 9 + ["inflates_too_far"] * 491
    assert {e.detail for e in entries[9:]} == {f"blob {blob}: beyond max_inflated_bytes or max_inflation of the repository"}
    assert all(e.reason is None for e in read(sample)[1])


def test_what_may_be_inflated_grows_with_what_is_stored(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = git(sample, "hash-object", "-w", "--stdin", given=b" " * 500_000).strip()
    by_hand(sample, raw_tree(sample, [(b"100644", b"%03d" % i, blob) for i in range(500)]))
    monkeypatch.setattr(source, "FREE_BYTES", 1_000_000)
    stored, read_by_factor = source.look(sample, sample.parent)[0], []
    for factor in (1, 100):
        read_by_factor.append(sum(len(e.data or b"") for e in read(sample, max_inflation=factor)[1]))
        assert read_by_factor[-1] <= 1_000_000 + factor * stored
    assert read_by_factor[0] < read_by_factor[1] < 250_000_000


def test_a_folder_that_lies_too_deep_says_how_its_files_are_listed(sample: Path) -> None:
    tree = below = raw_tree(sample, [(b"100644", b"f", git(sample, "rev-parse", "HEAD:lib/a.h").strip())])
    for _ in range(65):
        tree = raw_tree(sample, [(b"40000", b"d", tree)])
    [entry] = read(by_hand(sample, tree))[1]
    assert (entry.reason, entry.detail) == ("too_deep", f"1 files; git ls-tree -r {below} lists them")


def test_a_thousand_packs_do_not_take_all_handles_of_files(sample: Path) -> None:
    git(sample, "gc", "-q")
    for place in [*(sample / ".git/objects/pack").glob("*.idx"), *(sample / ".git/objects/pack").glob("*.pack")]:
        for i in range(1000):
            os.link(place, place.with_name(f"pack-{i}{place.suffix}"))
    assert len(read(sample)[1]) == len(listed(sample))


def test_what_has_no_row_is_counted_as_git_does(sample: Path) -> None:
    blob = git(sample, "rev-parse", "HEAD:lib/a.h").strip()
    tree = raw_tree(sample, [(b"100644", b"f%d" % i, blob) for i in range(10)])
    for _ in range(3):
        tree = raw_tree(sample, [(b"40000", b"%d" % i, tree) for i in range(10)])
    folder = by_hand(sample, tree)
    limits = Limits(max_files=1500)
    assert source.count(folder, folder.parent, limits) == Counted(10_000, True, "git ls-tree -r HEAD")
    entries = read(folder, max_files=1500)[1]
    [lost] = [e for e in entries if e.reason == "too_many_files"]
    listed = [e for e in entries if e.reason is None]
    assert lost.path == b"" and f"; {10_000 - len(listed):,} files have no row: git ls-tree -r" in str(lost.detail)
    for _ in range(20):  # 10 to the 24th: no walk would end
        tree = raw_tree(sample, [(b"40000", b"%d" % i, tree) for i in range(10)])
    found = source.count(by_hand(sample, tree), folder.parent, limits)
    assert (found.files, found.exact) == (10**18, False)
