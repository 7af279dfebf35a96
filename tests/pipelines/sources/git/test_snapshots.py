"""Real repositories made by git, in every state they come in: each id is git's own, each damage is an entry with its reason."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from repositories import LIMIT, commit, fingerprint, git, listed, read, sample, told

from starmill.core import swhid
from starmill.pipelines.sources.git import snapshots as source
from starmill.pipelines.sources.source import Entry, Snapshot

__all__ = ["sample"]


def assert_equals_git(folder: Path, snapshot: Snapshot, entries: list[Entry]) -> None:
    assert snapshot.directory_id == git(folder, "rev-parse", "HEAD^{tree}").strip()
    assert snapshot.revision_id == git(folder, "rev-parse", "HEAD").strip()
    expected = listed(folder)
    assert len(entries) == len(expected)
    for entry, (path, (mode, hex_id)) in zip(entries, sorted(expected.items()), strict=True):
        if entry.data is not None:
            assert entry.path == path and swhid.content_id(entry.data) == hex_id and mode.startswith("100")
        else:
            assert entry.reason == {"120000": "symlink", "160000": "submodule"}[mode]


@pytest.mark.parametrize("form", ["loose", "packed", "bare", "both", "reference deltas", "detached"])
def test_every_id_is_gits(sample: Path, tmp_path: Path, form: str) -> None:
    folder = sample
    if form == "packed":
        git(folder, "gc", "-q", "--aggressive")
        assert not list((folder / ".git/objects").glob("[0-9a-f]?")) and not (folder / ".git/refs/heads/main").exists()
    elif form == "bare":
        git(tmp_path / "in", "clone", "-q", "--bare", "r", "bare.git")
        folder = tmp_path / "in/bare.git"
    elif form == "both":
        git(folder, "gc", "-q")
        (folder / "after.py").write_bytes(b"y = 2\n")
        git(folder, "add", "after.py")
        git(folder, "commit", "-q", "-m", "after the pack")
    elif form == "reference deltas":
        git(folder, "-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f")
    elif form == "detached":
        git(folder, "checkout", "-q", "--detach")
    snapshot, entries = read(folder)
    assert_equals_git(folder, snapshot, entries)
    assert snapshot.branch_name == (None if form == "detached" else "refs/heads/main")
    assert snapshot.revision_date == datetime(2019, 12, 31, 22) and snapshot.committer_date == datetime(2021, 2, 3, 4, 5, 6)
    reasons = told(entries)
    assert reasons["/link"] == "symlink" and reasons["/vendor/sub"] == "submodule" and reasons[r"/odd\xff.c"] == "hostile_path"
    assert reasons["/run.sh"] is None and reasons["/é/日本.py"] is None and reasons["/lib.c"] is None


def test_deltas_are_really_there(sample: Path) -> None:
    git(sample, "gc", "-q", "--aggressive")
    index = next((sample / ".git/objects/pack").glob("*.idx"))
    chains = git(sample, "verify-pack", "-v", str(index))
    assert "chain length = 3" in chains, "else the test above proves nothing about deltas"


def test_the_work_tree_and_the_configuration_do_not_matter(sample: Path) -> None:
    before = read(sample)
    (sample / "main.c").write_bytes(b"changed, not committed\n")
    (sample / "new.c").write_bytes(b"never added\n")
    (sample / ".git/config").write_text("[core]\n\tworktree = /etc\n\tfsmonitor = touch /tmp/x\n\x00garbage")
    assert read(sample) == before


def test_the_fingerprint_follows_head(sample: Path) -> None:
    first = fingerprint(sample)
    git(sample, "gc", "-q")
    assert fingerprint(sample) == first
    commit(sample, {"more.c": b"int y;\n"})
    assert fingerprint(sample) != first


def test_objects_that_come_later_are_seen(sample: Path, tmp_path: Path) -> None:
    git(sample, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "in/partial.git"
    git(clone.parent, "clone", "-q", "--bare", "--filter=blob:none", f"file://{sample}", "partial.git")
    before = fingerprint(clone)
    assert "missing_object" in told(read(clone)[1]).values() and fingerprint(clone) == before
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "archive", "-o", os.devnull, "HEAD")  # fetches the blobs
    assert git(clone, "rev-parse", "HEAD") == head and "missing_object" not in told(read(clone)[1]).values()
    after = fingerprint(clone)
    assert after != before
    git(clone, "repack", "-q", "-a", "-d")
    assert fingerprint(clone) == after, "the same objects in one pack"


@pytest.mark.parametrize("version", [1, 2])
def test_an_index_tells_how_many_objects_it_lists(sample: Path, version: int) -> None:
    git(sample, "-c", f"pack.indexVersion={version}", "repack", "-q", "-a", "-d", "-f")
    [index] = (sample / ".git/objects/pack").glob("*.idx")
    assert source._indexed(str(index)) == len(git(sample, "show-index", given=index.read_bytes()).splitlines()) > 40


@pytest.mark.parametrize(
    "person",
    [
        b"Doe <d@example.org> 1112911993 +0000",
        b"Doe > 2005 <d@example.org> 1112911993 +0000",
        b"Doe <d> 7 +0000 <d@example.org> 1112911993 -0730",
        b"Doe <d@example.org>> 1112911993 +0000",
        b"Doe <d@example.org> 1112911993",  # no time zone
        b"Doe <d@example.org> 1112911993 UTC",
        b"Doe <d@example.org> 1112911993 +",
        b"Doe <d@example.org>1112911993+0000",
        b"Doe <d@example.org> \t 1112911993\t+0000\r",
        b"Doe <d@example.org> 0001112911993 +0000",
        b"Doe <d@example.org> 0 +0000",
        b"Doe <d@example.org> -1112911993 +0000",
        b"Doe <d@example.org> 1112911993.5 +0000",
        b"Doe <d@example.org> 99999999999999999999 +0000",
        b"Doe <d@example.org> " + b"9" * 5000 + b" +0000",
        b"Doe <d@example.org> 8999999999 +99999999",
        b"Doe <d@example.org>",
        b"Doe d@example.org> 1112911993 +0000",
        b"Doe d@example.org 1112911993 +0000",
        b"> 5 +0000 <",
        b"\xff\xfe <\xe9> 1112911993 +0000",
        b"<> 1112911993 +0000",
        b"A <a@example.org> 1 +0000\nauthor B <b@example.org> 1112911993 +0000",
        b"A <a@example.org> 1112911993 +0000\n author B <b@example.org> 2 +0000",
        b"",
    ],
)
def test_the_date_of_an_author_is_gits(tmp_path: Path, person: bytes) -> None:
    folder = commit(tmp_path / "r", {"a.py": b"x = 1\n"})
    tree = git(folder, "rev-parse", "HEAD^{tree}").strip().encode()
    data = b"tree %s\nauthor %s\ncommitter C <c@example.org> 1300000000 +0000\n\nauthor X <x> 3 +0000\n" % (tree, person)
    made = git(folder, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=data).strip()
    git(folder, "update-ref", "HEAD", made)
    said = git(folder, "log", "-1", "--format=%at").strip()
    expected = int(said) if said and len(said) < 15 else None  # a column of nanoseconds ends in 2262
    snapshot, entries = read(folder)
    assert told(entries) == {"/a.py": None} and snapshot.committer_date == datetime(2011, 3, 13, 7, 6, 40)
    found = snapshot.revision_date
    assert (found and int(found.replace(tzinfo=UTC).timestamp())) == expected


def test_shallow_linked_and_shared(sample: Path, tmp_path: Path) -> None:
    top = tmp_path / "in"
    git(top, "clone", "-q", "--depth=1", f"file://{sample}", "shallow")
    git(sample, "worktree", "add", "-q", "--detach", str(top / "linked"))
    git(top, "clone", "-q", "--shared", "--bare", "r", "shared.git")
    assert not list((top / "shared.git/objects").glob("[0-9a-f]?")), "has nothing of its own"
    for name in ("shallow", "linked", "shared.git"):
        assert_equals_git(top / name, *read(top / name, top))


def test_nothing_outside_of_the_input_is_read(sample: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    git(inside, "clone", "-q", "--shared", "--bare", str(sample), "shared.git")
    git(sample, "worktree", "add", "-q", "--detach", str(inside / "linked"))
    (inside / "head").mkdir()
    git(inside / "head", "init", "-q", "--bare", "-b", "main")
    (inside / "head/refs/heads/main").symlink_to(sample / ".git/refs/heads/main")
    (inside / "objects").mkdir()
    git(inside / "objects", "init", "-q", "--bare", "-b", "main")
    (inside / "objects/refs/heads/main").write_text(git(sample, "rev-parse", "HEAD"))
    for child in ("objects/objects/info", "objects/objects/pack", "objects/objects"):
        os.rmdir(inside / child)
    (inside / "objects/objects").symlink_to(sample / ".git/objects")
    for name in ("shared.git", "linked", "head", "objects"):
        _, entries = read(inside / name, inside)
        assert told(entries) == {"/": "unreadable_repository"}, name
        assert "root:" not in str(entries[0].detail)


def test_a_missing_object_is_named(sample: Path) -> None:
    blob = git(sample, "rev-parse", "HEAD:lib/a.h").strip()
    (sample / f".git/objects/{blob[:2]}/{blob[2:]}").unlink()
    _, entries = read(sample)
    lost = next(e for e in entries if e.path == b"lib/a.h")
    assert (lost.reason, lost.detail) == ("missing_object", f"blob {blob}")
    assert sum(e.data is not None for e in entries) == len(listed(sample)) - 4  # symlinks, the submodule, this one
    tree = git(sample, "rev-parse", "HEAD:é").strip()
    (sample / f".git/objects/{tree[:2]}/{tree[2:]}").unlink()
    _, entries = read(sample)
    assert next((e.reason, e.detail) for e in entries if e.path == "é".encode()) == ("missing_object", f"tree {tree}")


def test_damage_in_an_object_is_that_objects(sample: Path) -> None:
    blob = git(sample, "rev-parse", "HEAD:lib/a.h").strip()
    other = git(sample, "rev-parse", "HEAD:last.txt").strip()
    place = sample / f".git/objects/{blob[:2]}/{blob[2:]}"
    place.chmod(0o644)
    # A good object of another name: only its hash tells.
    for data in (
        (sample / f".git/objects/{other[:2]}/{other[2:]}").read_bytes(),
        place.read_bytes()[:-6],
        b"",
        b"garbage" * 50,
    ):
        place.write_bytes(data)
        _, entries = read(sample)
        assert told(entries)["/lib/a.h"] == "corrupt_object"
        assert told(entries)["/main.c"] is None


@pytest.mark.parametrize("keep", [0, 11, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_pack_loses_what_it_lost(sample: Path, keep: float) -> None:
    git(sample, "gc", "-q")
    expected = listed(sample)
    pack = next((sample / ".git/objects/pack").glob("*.pack"))
    pack.chmod(0o644)
    data = pack.read_bytes()
    pack.write_bytes(data[: int(len(data) * keep) if 0 < keep < 1 else int(keep)])
    snapshot, entries = read(sample)
    damage = {"unreadable_repository", "corrupt_object", "missing_object"}
    assert {e.reason for e in entries} <= {None, "symlink", "submodule", "hostile_path", *damage}
    assert any(e.reason in damage for e in entries) or keep >= 0.6, (
        "the end of a pack is old versions, which HEAD does not need"
    )
    if snapshot.revision_id is None:
        assert told(entries) == {"/": "unreadable_repository"}
    for entry in entries:
        assert entry.data is None or swhid.content_id(entry.data) == expected[entry.path][1]


@pytest.mark.parametrize(
    ("file", "content", "reason", "detail"),
    [
        ("HEAD", b"", "unreadable_repository", "there is no HEAD"),
        ("HEAD", b"\x00\xff garbage", "unreadable_repository", "not a SHA-1 commit id"),
        ("HEAD", b"ref: ../../../etc/passwd\n", "unreadable_repository", "HEAD points to"),
        ("HEAD", b"ref: refs/../../x\n", "unreadable_repository", "HEAD points to"),
        ("HEAD", b"ref: refs/heads/none\n", "no_revision", "refs/heads/none"),
        ("HEAD", b"ref: refs/heads/" + b"n" * 9000, "unreadable_repository", "ENAMETOOLONG"),
        ("HEAD", b"2" * 40 + b"\n", "unreadable_repository", "MissingObject"),
        ("refs/heads/main", b"3" * 64 + b"\n", "unsupported_format", "SHA-256 ids"),
        ("refs/heads/main", b"ref: refs/heads/main\n", "unreadable_repository", "not a SHA-1 commit id"),
        ("refs/heads/main", b"garbage\n", "unreadable_repository", "not a SHA-1 commit id"),
    ],
)
def test_heads_that_lead_nowhere(sample: Path, file: str, content: bytes, reason: str, detail: str) -> None:
    (sample / ".git" / file).write_bytes(content)
    snapshot, entries = read(sample)
    assert snapshot == Snapshot() and [(e.path, e.reason) for e in entries] == [(b"", reason)]
    assert detail in str(entries[0].detail)


def test_repositories_without_a_commit_or_of_another_kind(tmp_path: Path) -> None:
    for name, arguments in (("new", []), ("sha256", ["--object-format=sha256"])):
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "-q", *arguments)
    assert told(read(tmp_path / "new")[1]) == {"/": "no_revision"}
    git(tmp_path / "sha256", "commit", "-q", "--allow-empty", "-m", "x")
    assert told(read(tmp_path / "sha256")[1]) == {"/": "unsupported_format"}
    (tmp_path / "hollow/.git").mkdir(parents=True)
    assert told(read(tmp_path / "hollow")[1]) == {"/": "unreadable_repository"}
    git(commit(tmp_path / "blank", {}), "status")
    assert read(tmp_path / "blank")[1] == []


def test_large_blobs_are_not_read(tmp_path: Path) -> None:
    folder = commit(tmp_path / "r", {"big.txt": b"\n" * 5_000_000, "edge": b"x" * LIMIT, "fits": b"y" * (LIMIT - 1)})
    for _ in ("loose", "packed"):
        _, entries = read(folder)
        assert told(entries) == {"/big.txt": "too_large", "/edge": "too_large", "/fits": None}
        assert [e.size for e in entries] == [5_000_000, LIMIT, 0]
        git(folder, "gc", "-q")
