"""Real repositories made by git, in every state they come in: each id is git's own, each damage is an entry with its reason."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from starmill.core import swhid
from starmill.pipelines.sources import git as source
from starmill.pipelines.sources.source import Entry, Snapshot, label

LIMIT = 1 << 20


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    who = {f"GIT_{r}_{w}": v for r in ("AUTHOR", "COMMITTER") for w, v in (("NAME", "a"), ("EMAIL", "a@b.c"))}
    dates = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00+02:00", "GIT_COMMITTER_DATE": "2021-02-03T04:05:06Z"}
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who, **dates}
    done = subprocess.run(["git", *arguments], cwd=folder, env=clean, input=given, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape")


def commit(folder: Path, files: dict[str, bytes]) -> Path:
    if not (folder / ".git").exists():
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "a commit")
    return folder


def versions(n: int) -> bytes:
    """A file of 400 lines of which version n changes one: git stores it as a delta."""
    return b"".join(b"line %d of the file, version %d\n" % (i, n if i == n else 0) for i in range(400))


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    folder = commit(
        tmp_path / "in/r", {"main.c": versions(0), "lib/a.h": b"#define A\n", "lib.c": b"", "é/日本.py": b"x = 1\n"}
    )
    for n in range(1, 12):
        commit(folder, {"main.c": versions(n), f"copy{n}.c": versions(n)})
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    os.symlink(b"main.c", os.path.join(os.fsencode(folder), b"latin\xe9"))
    Path(os.fsdecode(os.path.join(os.fsencode(folder), b"odd\xff.c"))).write_bytes(b"int x;\n")
    commit(folder, {"last.txt": b"the end\n"})
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/sub")
    git(folder, "commit", "-q", "-m", "a submodule")
    return folder


def read(folder: Path, root: Path | None = None, limit: int = LIMIT) -> tuple[Snapshot, list[Entry]]:
    snapshot, entries = source.read(folder, root or folder.parent, limit)
    return snapshot, list(entries)


def told(entries: list[Entry]) -> dict[str, str | None]:
    shown = ((*label(e.path), e.reason) for e in entries)
    return {path: reason or hostile for path, hostile, reason in shown}


def fingerprint(folder: Path) -> str:
    return source.look(folder, folder.parent)[1]


def listed(folder: Path) -> dict[bytes, tuple[str, str]]:
    """Git's own account: path -> (mode, id)."""
    rows = os.fsencode(git(folder, "ls-tree", "-r", "-z", "HEAD")).split(b"\0")[:-1]
    return {row.split(b"\t", 1)[1]: (row[:6].decode(), row.split(b"\t")[0][-40:].decode()) for row in rows}


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
        ("refs/heads/main", b"3" * 64 + b"\n", "unreadable_repository", "not a SHA-1 commit id"),
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
    assert told(read(tmp_path / "sha256")[1]) == {"/": "unreadable_repository"}
    (tmp_path / "new/.git/reftable").mkdir()
    assert told(read(tmp_path / "new")[1]) == {"/": "unreadable_repository"}
    (tmp_path / "hollow/.git").mkdir(parents=True)
    assert told(read(tmp_path / "hollow")[1]) == {"/": "unreadable_repository"}
    git(commit(tmp_path / "blank", {}), "status")
    assert read(tmp_path / "blank")[1] == []


def by_hand(folder: Path, root_tree: str) -> Path:
    """Point HEAD at a tree that git's own commands would not have made."""
    made = git(folder, "commit-tree", root_tree, "-m", "by hand").strip()
    git(folder, "update-ref", "HEAD", made)
    return folder


def raw_tree(folder: Path, entries: list[tuple[bytes, bytes, str]]) -> str:
    data = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(hex_id) for mode, name, hex_id in entries)
    return git(folder, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=data).strip()


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


def test_a_bomb_of_references_ends(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_ENTRIES", 1000)
    tree = raw_tree(sample, [(b"100644", b"f", git(sample, "rev-parse", "HEAD:lib/a.h").strip())])
    for _ in range(12):  # 10 to the 12th files in 13 objects
        tree = raw_tree(sample, [(b"40000", b"%d" % i, tree) for i in range(10)])
    _, entries = read(by_hand(sample, tree))
    assert len(entries) <= 1001 and sum(e.reason == "too_many_files" for e in entries) == 1


def test_large_blobs_are_not_read(tmp_path: Path) -> None:
    folder = commit(tmp_path / "r", {"big.txt": b"\n" * 5_000_000, "edge": b"x" * LIMIT, "fits": b"y" * (LIMIT - 1)})
    for _ in ("loose", "packed"):
        _, entries = read(folder)
        assert told(entries) == {"/big.txt": "too_large", "/edge": "too_large", "/fits": None}
        assert [e.size for e in entries] == [5_000_000, LIMIT, 0]
        git(folder, "gc", "-q")
