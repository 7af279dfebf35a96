"""Bundles that git made, against git: every id of its index is found, a clone's files come out, and damage costs what it hit."""

import os
import random
import struct
import tracemalloc
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from repositories import LIMIT, commit, git, listed, read, sample, told, versions

from starmill.core import swhid
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.git import bundle as gitbundle
from starmill.pipelines.sources.git.bundle import Bundle, index
from starmill.pipelines.sources.git.objects import Budget, BudgetSpent
from starmill.pipelines.sources.git.refs import Unreadable
from starmill.pipelines.sources.source import Limits

__all__ = ["sample"]


def bundle(repository: Path, name: str, *arguments: str) -> Path:
    place = repository.parent.parent / "bundles" / name
    place.parent.mkdir(exist_ok=True)
    git(repository, "bundle", "create", "-q", *arguments[:-1], str(place), *arguments[-1].split())
    return place


def offsets(place: Path, free: int = 1 << 30) -> dict[bytes, int]:
    """Return what our index says of every object."""
    found, data = Bundle(place, gitbundle.header(place, place.parent).start, 200, free).opened()
    data.close()
    return {own.tobytes(): int(at) for own, at in zip(found._ids, found._at, strict=True)}


def test_every_object_is_found_where_gits_index_has_it(sample: Path) -> None:
    for version, deltas in (("2", "true"), ("3", "true"), ("2", "false")):
        git(sample, "-c", f"repack.useDeltaBaseOffset={deltas}", "repack", "-q", "-a", "-d", "-f", "--depth=50")
        place = bundle(sample, f"all{version}{deltas}.bundle", f"--version={version}", "--all")
        head = gitbundle.header(place, place.parent)
        pack = place.with_suffix(".pack")
        pack.write_bytes(place.read_bytes()[head.start :])
        git(sample, "index-pack", str(pack))
        shown = git(sample, "show-index", given=pack.with_suffix(".idx").read_bytes()).splitlines()
        wanted = {bytes.fromhex(line.split()[1]): int(line.split()[0]) + head.start for line in shown}
        assert offsets(place) == wanted and len(wanted) > 40, (version, deltas)
        assert "chain length = 3" in git(sample, "verify-pack", "-v", str(pack)), "else nothing is proved of deltas"
    assert read(place) == read(sample) and len(read(place)[1]) == len(listed(sample))


def test_deltas_whose_base_is_named_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of packs for old clients: bases stand behind their deltas, and deltas before the objects that they are made of."""
    texts = [versions(n) for n in range(6)]
    pack, entries = b"", 0

    def entry(kind: int, data: bytes, before: bytes = b"") -> bytes:
        size, head = len(data), b""
        byte, size = (kind << 4) | (size & 15), size >> 4
        while size:
            head, byte, size = head + bytes([byte | 0x80]), size & 0x7F, size >> 7
        return head + bytes([byte]) + before + zlib.compress(data)

    def number(n: int) -> bytes:
        made = b""
        while n > 0x7F:
            made, n = made + bytes([0x80 | (n & 0x7F)]), n >> 7
        return made + bytes([n])

    for old, new in pairwise(texts):  # a delta that copies nothing
        delta = number(len(old)) + number(len(new))
        delta += b"".join(bytes([len(new[at : at + 127])]) + new[at : at + 127] for at in range(0, len(new), 127))
        pack, entries = entry(7, delta, bytes.fromhex(swhid.content_id(old))) + pack, entries + 1
    pack += entry(3, texts[0])
    (tmp_path / "p").write_bytes(b"PACK" + struct.pack(">II", 2, entries + 1) + pack)
    found = index((tmp_path / "p").read_bytes(), 0, Budget())
    monkeypatch.setattr(gitbundle, "MAX_NAMED", 2)
    assert 1 <= len(index((tmp_path / "p").read_bytes(), 0, Budget())) < 6
    assert len(found) == 6 and all(found.object_offset(bytes.fromhex(swhid.content_id(text))) for text in texts)


# ---- what a bundle says


def test_the_branch_is_that_of_a_clone(sample: Path) -> None:
    git(sample, "branch", "aaa")
    git(sample, "branch", "old", "HEAD~2")
    git(sample, "tag", "v1")
    assert gitbundle.header(bundle(sample, "a", "--all"), sample.parent.parent).head()[1] == "refs/heads/main"
    assert gitbundle.header(bundle(sample, "b", "main old"), sample.parent.parent).head()[1] == "refs/heads/main"
    assert gitbundle.header(bundle(sample, "c", "old"), sample.parent.parent).head() == (
        git(sample, "rev-parse", "old").strip(),
        "refs/heads/old",
    )
    git(sample, "checkout", "-q", "old")
    assert gitbundle.header(bundle(sample, "d", "HEAD old aaa"), sample.parent.parent).head()[1] == "refs/heads/old"
    for name, wanted, reason in (("e", "old aaa", "no_main_branch"), ("f", "v1", "no_revision")):
        snapshot, entries = read(bundle(sample, name, wanted))
        assert [e.reason for e in entries] == [reason] and snapshot.revision_id is None


def test_what_was_left_out_of_a_bundle_is_named(sample: Path) -> None:
    place = commit(commit(sample.parent / "two", {"old.py": b"x = 1\n", "lib/old.py": b"y = 1\n"}), {"new.py": b"z = 1\n"})
    first = git(place, "rev-parse", "HEAD~1").strip()
    snapshot, entries = read(bundle(place, "thin.bundle", "main ^HEAD~1"))
    assert told(entries) == {"/lib": "missing_object", "/new.py": None, "/old.py": "missing_object"}, "what is new is read"
    lost = [str(e.detail) for e in entries if e.reason]
    assert all(said.endswith(f"; it was made without what 1 commits hold ({first})") for said in lost)
    assert snapshot.revision_id == git(place, "rev-parse", "HEAD").strip()
    [entry] = read(bundle(sample, "none.bundle", "--filter=tree:0 main"))[1]
    assert entry.reason == "unreadable_repository" and "; it was made with the filter 'tree:0'" in str(entry.detail)
    partial = read(bundle(sample, "partial.bundle", "--filter=blob:none main"))[1]
    assert {e.reason for e in partial} == {"missing_object", "symlink", "submodule"} and len(partial) == len(listed(sample))


def test_a_bundle_of_another_kind_says_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    git(tmp_path / "in/r", "init", "-q", "-b", "main", "--object-format=sha256")
    git(tmp_path / "in/r", "commit", "-q", "--allow-empty", "-m", "x")
    _, [entry] = read(bundle(tmp_path / "in/r", "a.bundle", "main"))
    assert entry.reason == "unsupported_format" and "SHA-256" in str(entry.detail) and "git archive" in str(entry.detail)
    place = tmp_path / "bundles/a.bundle"
    for data, reason in (
        (b"# v4 git bundle\n\nPACK", "unsupported_format"),
        (b"# v3 git bundle\n@object-format=sha256\n\n", "unsupported_format"),
        (b"# v3 git bundle\n@shiny=1\n\n", "unsupported_format"),
        (b"# v2 git bundle\n", "unreadable_repository"),
        (b"# v2 git bundle\n" + b"x" * 70_000, "unreadable_repository"),
        (b"# v2 git bundle\nno id refs/heads/main\n\n", "unreadable_repository"),
        (b"# v2 git bundle\n" + b"1" * 40 + b"\n\n", "unreadable_repository"),
        (b"# v2 git bundle\n\n", "no_revision"),
        (b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/main\n\n", "unreadable_repository"),
        (
            b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/\xff\x1b[31m\n\nPACK\0\0\0\2\xff\xff\xff\xff",
            "unreadable_repository",
        ),
    ):
        place.write_bytes(data)
        assert [e.reason for e in read(place)[1]] == [reason], data[:40]


# ---- damage, and what no git makes


def test_a_bundle_that_is_cut_off_loses_what_it_lost(sample: Path) -> None:
    place = bundle(sample, "cut.bundle", "--all")
    whole, expected = place.read_bytes(), listed(sample)
    damage = {"missing_object", "corrupt_object", "unreadable_repository"}
    for keep in (0.1, 0.4, 0.7, 0.95):
        place.write_bytes(whole[: int(len(whole) * keep)])
        _, entries = read(place)
        assert {e.reason for e in entries} <= {None, "symlink", "submodule", "hostile_path", *damage}
        assert all(e.data is None or swhid.content_id(e.data) == expected[e.path][1] for e in entries)
        assert any(e.reason in damage for e in entries) or keep > 0.9, "the end is old versions"


def test_bytes_changed_anywhere_never_raise(sample: Path) -> None:
    place, rng = bundle(sample, "x.bundle", "--all"), random.Random(7)
    whole, expected = place.read_bytes(), listed(sample)
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.sample(range(len(data)), 3):
            data[at] = rng.randrange(256)
        place.write_bytes(data)
        for entry in read(place)[1]:
            assert (entry.data is None) == (entry.reason is not None)
            assert entry.data is None or swhid.content_id(entry.data) in {own for _, own in expected.values()}


def test_a_bomb_ends_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty deltas of one base that is half a megabyte of nothing: each is as long as that, and forty bytes in the pack."""
    place = commit(tmp_path / "in/r", {"a": b"\0" * (1 << 19)})
    for n in range(40):
        (place / f"{n}").write_bytes(b"\0" * (1 << 19) + b"%d" % n)
    git(place, "hash-object", "-w", *(str(n) for n in range(40)))
    names = git(place, "cat-file", "--batch-check=%(objectname)", "--batch-all-objects")
    pack = git(place, "pack-objects", "-q", str(tmp_path / "p"), given=names.encode()).strip()
    data = (tmp_path / f"p-{pack}.pack").read_bytes()
    assert len(index(data, 0, Budget(100 << 20))) == 43
    with pytest.raises(BudgetSpent):
        index(data, 0, Budget(10 << 20))
    for name in ("MAX_OBJECTS", "MAX_NAMED"):
        with monkeypatch.context() as few:
            few.setattr(gitbundle, name, 20)
            if name == "MAX_NAMED":
                assert len(index(data, 0, Budget())) == 23, "of forty deltas twenty are followed"
            else:
                with pytest.raises(BudgetSpent, match="more than 20 objects"):
                    index(data, 0, Budget())
    made = tmp_path / "b.bundle"
    made.write_bytes(b"# v2 git bundle\n%s HEAD\n\n" % git(place, "rev-parse", "HEAD").strip().encode() + data)
    with pytest.raises(BudgetSpent):
        Bundle(made, made.read_bytes().index(b"PACK"), 1, 1 << 20).opened()


def test_contents_that_do_not_fit_are_made_again(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(sample, "gc", "-q", "--aggressive")
    place = bundle(sample, "x.bundle", "--all")
    wanted = offsets(place)
    gitbundle._indexed.cache_clear()
    monkeypatch.setattr(gitbundle, "HELD", 1000)
    assert offsets(place) == wanted
    tracemalloc.start()
    data = place.read_bytes()
    index(data, gitbundle.header(place, place.parent).start, Budget())
    assert tracemalloc.get_traced_memory()[1] < len(data) + (2 << 20)
    tracemalloc.stop()


# ---- in folders


def test_bundles_are_repositories_of_a_folder(sample: Path, tmp_path: Path) -> None:
    root = tmp_path / "bundles"
    (root / "owner").mkdir(parents=True)
    made = bundle(sample, "owner/x.bundle", "--all")
    (root / "owner/notes.txt").write_text("beside\n")
    (root / "owner/no.bundle").write_text("a text of that name\n")
    (root / "owner/link.bundle").symlink_to(made)
    os.mkfifo(root / "owner/pipe.bundle")
    (root / "top.bundle").write_bytes(made.read_bytes())
    folders = Folders(roots=(str(root),))
    planned = folders.plan()
    assert [r.name for r in planned] == ["owner", "owner/x.bundle", "top.bundle"] and planned == folders.plan()
    limits = Limits(max_file_bytes=LIMIT)
    for repository in planned[1:]:
        snapshot, entries = folders.read(repository, limits)
        assert (snapshot, list(entries)) == read(sample) and folders.fingerprint(repository) == repository.fingerprint
        assert folders.count(repository, limits).files == len(listed(sample)) and repository.size_bytes == len(
            made.read_bytes()
        )  # type: ignore[union-attr]
    assert {e.path: e.reason for e in folders.read(planned[0], limits)[1]} == {
        b"link.bundle": "symlink",
        b"no.bundle": None,
        b"notes.txt": None,
        b"pipe.bundle": "not_a_regular_file",
    }
    git(sample, "commit", "-q", "--allow-empty", "-m", "more")
    bundle(sample, "owner/x.bundle", "--all")
    assert folders.plan()[1].fingerprint == folders.fingerprint(planned[1]) != planned[1].fingerprint
    (root / "top.bundle").unlink()
    assert [e.reason for e in folders.read(planned[2], limits)[1]] == ["unreadable_repository"]
    assert folders.count(planned[2], limits).files == 0


def test_a_bundle_inside_of_a_checkout_is_its_file(sample: Path) -> None:
    place = bundle(sample, "x", "--all")
    place.rename(sample / "x.bundle")
    git(sample, "add", "x.bundle")
    git(sample, "commit", "-q", "-m", "a bundle")
    assert [r.name for r in Folders(roots=(str(sample.parent),)).plan()] == ["r"]


def test_a_header_that_leads_outside_is_not_read(sample: Path, tmp_path: Path) -> None:
    place = bundle(sample, "x.bundle", "--all")
    (tmp_path / "in/x.bundle").symlink_to(place)
    with pytest.raises(Unreadable, match="leads out of the input"):
        gitbundle.header(tmp_path / "in/x.bundle", tmp_path / "in")
