"""The source of Software Heritage against git: what `git ls-tree` and `git cat-file` say is what comes out, or a row that says why not."""

import gzip
import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import catalogs
import contents as double
import exports
import hours
import pytest
from samples import sample
from small_tree import commit, git

from starmill.core.errors import InputError, UsageError
from starmill.core.swhid import object_id
from starmill.pipelines.run import threads
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.source import Entry, Limits, Repository, Snapshot
from starmill.pipelines.sources.swh.reader import SoftwareHeritage

LIMITS = Limits()
FACTS = {
    "id": 7,
    "default_branch": "main",
    "license": {"spdx_id": "MIT"},
    "created_at": "2014-12-16T22:25:58Z",
    "language": "C",
}
ODD = {0o120000: "symlink", 0o160000: "submodule"}


def source(place: Path, form: str = "orc", **options: object) -> SoftwareHeritage:
    return SoftwareHeritage(
        export=str(place / form), contents=str(place / "content"), catalog=str(place.parent / "catalog"), **options
    )  # type: ignore[arg-type]


def read(of: SoftwareHeritage, name: str, limits: Limits = LIMITS) -> tuple[Snapshot, list[Entry]]:
    [repository] = [r for r in of.plan() if r.name == name]
    snapshot, entries = of.read(repository, limits)
    return snapshot, list(entries)


def reasons(found: list[Entry]) -> dict[bytes, str | None]:
    return {e.path: e.reason for e in found}


def test_the_true_export_gives_what_git_says_in_both_forms(tmp_path: Path) -> None:
    export = sample("swh-export/export")
    expected, given = json.loads((export / "expected.json").read_text()), []
    for form in ("orc", "parquet"):
        of = SoftwareHeritage(export=str(export / form), contents=str(export / "content"), catalog=str(tmp_path / "catalog"))
        assert {r.name for r in of.plan()} == {*expected}
        for name, wanted in expected.items():
            snapshot, found = read(of, name)
            assert (snapshot.revision_id, snapshot.branch_name, snapshot.directory_id) == tuple(
                wanted[k] for k in ("head", "branch", "root")
            )
            files = wanted["files_by_hex_path"]
            assert [e.path.hex() for e in found] == sorted(files)
            for entry in found:
                said = files[entry.path.hex()]
                assert entry.reason == (
                    "skipped_content" if entry.path == b"big.txt" else ODD.get(int(said["mode"], 8) & 0o170000)
                )
                assert entry.data is None or hashlib.sha1(entry.data).hexdigest() == said["sha1"]
            given.append((form, name, snapshot, found))
    half = len(given) // 2
    assert [g[1:] for g in given[:half]] == [g[1:] for g in given[half:]]


def grown(root: Path, seed: int, files: int) -> Path:
    """A repository of random files in random folders, in two commits, some texts twice, with links, tags and odd names."""
    rng = random.Random(seed)
    folders = ["", "a/", "a/b/", "a/b/c/", "a.b/", "a-b/", "z/"]
    texts = [rng.randbytes(rng.randrange(300)) for _ in range(files // 2 + 1)]
    made = {f"{rng.choice(folders)}f{n}{rng.choice(['', '.py', ' x', 'é'])}": rng.choice(texts) for n in range(files)}
    place = commit(root, made)
    (place / "link").symlink_to("a/b")
    (place / "a/run.sh").parent.mkdir(exist_ok=True)
    (place / "a/run.sh").write_text("#!/bin/sh\n")
    (place / "a/run.sh").chmod(0o755)
    git(place, "tag", "light")
    git(place, "tag", "-a", "v1", "-m", "annotated")
    return commit(place, {"later": "text\n"}, "second")


@pytest.mark.parametrize("form", ["orc", "parquet"])
def test_an_export_of_random_repositories_gives_what_git_says(tmp_path: Path, form: str) -> None:
    places = {f"https://github.com/owner/r{n}": grown(tmp_path / f"r{n}", n, 5 + 40 * n) for n in range(4)}
    of = source(exports.write(tmp_path / "dump", places, form), form)
    for url, place in places.items():
        snapshot, found = read(of, url.removeprefix("https://github.com/"))
        listed = exports.listed(place)
        assert [e.path for e in found] == sorted(listed) and len(found) > 5
        for entry in found:
            mode, own = listed[entry.path]
            assert entry.reason == ODD.get(mode & 0o170000)
            assert entry.data is None or entry.data == exports.run(place, "cat-file", "blob", own)
        assert snapshot.revision_id == git(place, "rev-parse", "HEAD").strip() and snapshot.branch_name == "refs/heads/main"
        assert snapshot.directory_id == git(place, "rev-parse", "HEAD^{tree}").strip()
        [repository] = [r for r in of.plan() if url.endswith(r.name)]
        assert repository.size_bytes == sum(len(e.data or b"") for e in found) + len("a/b"), "with what its link says"
        assert of.count(repository, Limits()).files == len(listed)


def test_a_table_may_be_parquet_beside_orc_and_hold_what_is_below_roots_alone(tmp_path: Path) -> None:
    """So an export takes directories that a program took out of the compressed graph."""
    place = grown(tmp_path / "r", 3, 60)
    places = {"https://github.com/owner/r": place}
    whole = exports.write(tmp_path / "dump", places)
    _, wanted = read(source(whole), "owner/r")
    below = {git(place, "rev-parse", "HEAD^{tree}").strip()}
    below |= {*git(place, "ls-tree", "-rtd", "--format=%(objectname)", "HEAD").split()}

    def reached(rows: exports.Rows) -> None:
        assert len(below) < len({row["directory_id"] for row in rows["directory_entry"]}), "an older commit has others"
        rows["directory_entry"] = [row for row in rows["directory_entry"] if row["directory_id"] in below]

    taken = exports.write(tmp_path / "taken", places, "parquet", reached)
    for path in (whole / "orc/directory_entry").iterdir():
        path.unlink()
    for path in (taken / "parquet/directory_entry").iterdir():
        path.rename(whole / "orc/directory_entry" / path.name)
    _, found = read(source(whole), "owner/r")
    assert found == wanted and len(found) > 50


def test_facts_of_gharchive_are_the_repositorys_and_another_state_of_it(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"a.py": "x = 1\n"})
    dump = exports.write(tmp_path / "dump", {"https://github.com/me/toy": place})
    before, _ = read(source(dump), "me/toy")
    [bare] = source(dump).plan()
    assert (before.github_id, before.star_events_count, before.gha_license_id) == (None, 0, None)
    hours.hour(
        tmp_path / "hours/2015-01-01-0.json.gz",
        hours.event("WatchEvent", {"action": "started"}, "00:00:01", 1),
        hours.opened(3, 2),
        hours.event(
            "PullRequestEvent", {"action": "opened", "pull_request": hours.issue(4, base={"repo": FACTS})}, "00:00:02", 3
        ),
    )
    talk = GHArchive(hours=str(tmp_path / "hours"), threads=str(tmp_path / "sorted"))
    threads.run(threads.planned({"talk": talk}, None, 4), choose((), 1), quiet=True)
    shutil.copytree(tmp_path / "sorted/repositories", dump / "orc/gharchive")
    after, found = read(source(dump), "me/toy")
    told = {
        "github_id": 7,
        "star_events_count": 1,
        "gha_license_id": "MIT",
        "gha_created_at": datetime(2014, 12, 16, 22, 25, 58),
    }
    assert after == replace(before, **told, gha_language="C") and [e.data for e in found] == [b"x = 1\n"]
    [known] = source(dump).plan()
    assert bare.fingerprint != known.fingerprint == source(dump).fingerprint(known)
    large = catalogs.source(dump, tmp_path / "joined")
    catalogs.make_plainly(large)
    assert read(large, "me/toy") == (after, found), "of a catalog too"


def test_trees_that_no_git_of_today_writes_are_read_as_git_reads_them(tmp_path: Path) -> None:
    """Modes of old, entries out of order, a name twice: the export's entries are another tree, and its raw manifest is the true one."""
    place = commit(tmp_path / "r", {"one": "1\n", "two": "2\n"})
    one, two = (git(place, "rev-parse", f"HEAD:{name}").strip() for name in ("one", "two"))
    entries = [("100664", "z", one), ("100644", "a", two), ("100644", "z", two)]
    data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(own) for mode, name, own in entries)
    (place / "raw").write_bytes(data)
    tree = git(place, "hash-object", "-t", "tree", "-w", "--literally", "raw").strip()
    git(place, "update-ref", "HEAD", git(place, "commit-tree", tree, "-m", "odd").strip())
    dump = exports.write(tmp_path / "dump", {"https://github.com/o/r": place})
    snapshot, found = read(source(dump), "o/r")
    assert snapshot.directory_id == tree and [(e.path, e.data) for e in found] == [
        (b"a", b"2\n"),
        (b"z", b"1\n"),
        (b"z", b"2\n"),
    ]


def test_what_is_dangling_skipped_hidden_or_another_tree_is_a_row(tmp_path: Path) -> None:
    names = ("good", "absent", "skipped", "hidden", "large", "unknown/x", "forged/x", "empty/x")
    place = commit(tmp_path / "r", {n: f"text of {n}\n" * (9 if n == "large" else 1) for n in names})
    own = {n: git(place, "rev-parse", f"HEAD:{n.split('/')[0]}").strip() for n in names}

    def change(rows: exports.Rows) -> None:
        known = {row["sha1_git"]: row for row in rows["content"]}
        rows["content"] = [r for r in rows["content"] if r["sha1_git"] not in (own["absent"], own["skipped"])]
        known[own["hidden"]]["status"] = "hidden"
        rows["skipped_content"] = [{**known[own["skipped"]], "status": "absent", "reason": "Content too large"}]
        rows["directory_entry"] = [r for r in rows["directory_entry"] if r["directory_id"] != own["unknown/x"]]
        # A folder that holds the root: no hash can, so that the export lies.
        [root] = {r["directory_id"] for r in rows["directory_entry"] if r["name"] == b"good"}
        for row in rows["directory_entry"]:
            if row["directory_id"] == own["forged/x"]:
                row.update(target=root, perms=0o40000, type="dir")

    of = source(exports.write(tmp_path / "dump", {"https://github.com/o/r": place}, change=change))
    _, found = read(of, "o/r", Limits(max_file_bytes=100))
    assert reasons(found) == {
        b"absent": "missing_content",
        b"empty/x": None,
        b"forged": "corrupt_object",
        b"good": None,
        b"hidden": "hidden_content",
        b"large": "too_large",
        b"skipped": "skipped_content",
        b"unknown": "missing_object",
    }
    details = {e.path: (e.detail, e.size) for e in found}
    assert details[b"skipped"] == (f"blob {own['skipped']}: skipped: Content too large", 16) and details[b"large"][1] == 126


def test_an_export_that_says_things_twice_and_apart_gives_the_same(tmp_path: Path) -> None:
    """At least once is what an export promises; and should a directory's entries lie apart, they are found all the same."""
    place = grown(tmp_path / "r", 5, 60)

    def change(rows: exports.Rows) -> None:
        for table in ("directory_entry", "content", "revision", "snapshot_branch", "origin_visit_status", "origin"):
            rows[table] = rows[table] + rows[table][::-1]
        random.Random(1).shuffle(rows["directory_entry"])

    once = source(exports.write(tmp_path / "one/dump", {"https://github.com/o/r": place}))
    twice = source(exports.write(tmp_path / "two/dump", {"https://github.com/o/r": place}, change=change))
    assert (
        read(once, "o/r") == read(twice, "o/r")
        and once.plan()[0].size_bytes <= twice.plan()[0].size_bytes <= 2 * once.plan()[0].size_bytes
    )


def test_a_tree_of_trees_is_cut_off_at_the_limit_and_counted(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"x": "1\n"})
    tree = git(place, "rev-parse", "HEAD^{tree}").strip()
    for _ in range(40):  # a bomb of 10**40 files in forty trees
        tree = git(place, "mktree", given="".join(f"040000 tree {tree}\t{n}\n" for n in range(10)).encode()).strip()
    git(place, "update-ref", "HEAD", git(place, "commit-tree", tree, "-m", "bomb").strip())
    of = source(exports.write(tmp_path / "dump", {"https://github.com/o/r": place}))
    _, found = read(of, "o/r", Limits(max_files=500))
    assert reasons(found)[b""] == "too_many_files" and len(found) < 500
    assert not of.count(of.plan()[0], Limits(max_files=500)).exact


HOSTILE: dict[str, Callable[[bytes], bytes | None]] = {
    "missing_content": lambda data: None,
    "zeroed_object": lambda data: b"\0" * len(data),
    "truncated_content": lambda data: data[:-9],
    "wrong_content": lambda data: gzip.compress(b"other", mtime=0),
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_what_the_store_does_not_give_is_a_row_and_read_again_once_it_does(tmp_path: Path, reason: str) -> None:
    place = commit(tmp_path / "r", {"a": "one\n" * 30, "b": "two\n"})
    of = source(exports.write(tmp_path / "dump", {"https://github.com/o/r": place}))
    at = tmp_path / "dump/content" / hashlib.sha1(b"one\n" * 30).hexdigest()
    whole, broken = at.read_bytes(), HOSTILE[reason](at.read_bytes())
    at.unlink()
    if broken is not None:
        at.write_bytes(broken)
    before = of.plan()
    assert reasons(read(of, "o/r")[1]) == {b"a": reason, b"b": None}
    at.unlink(missing_ok=True)
    at.write_bytes(whole)
    after = of.plan()
    assert after[0].fingerprint == before[0].fingerprint and after[0].state != before[0].state, (
        "a repository that lost a record"
    )
    assert reasons(read(of, "o/r")[1]) == {b"a": None, b"b": None}


def test_what_a_remote_store_lacks_is_read_again_once_a_person_asks_for_it(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"a": "one\n", "b": "two\n"})
    dump = exports.write(tmp_path / "dump", {"https://github.com/o/r": place})
    with double.contents() as server:
        server.put(b"two\n")
        first = replace(source(dump), contents=server.url, misses=str(tmp_path / "misses"))
        assert reasons(read(first, "o/r")[1]) == {b"a": "missing_content", b"b": None}
        assert first.take_counts()["requests"] == 2 and not first.take_counts()
        server.put(b"one\n")
        assert reasons(read(first, "o/r")[1]) == {b"a": "missing_content", b"b": None} and server.asked.total() == 3
        again = replace(first, ask_again=1)
        before, after = first.plan()[0], again.plan()[0]
        assert before.fingerprint == after.fingerprint and before.state != after.state == again.plan()[0].state
        assert reasons(read(again, "o/r")[1]) == {b"a": None, b"b": None}


def test_a_damaged_index_is_built_again_and_another_export_has_its_own(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"a": "one\n"})
    of = source(exports.write(tmp_path / "dump", {"https://github.com/o/r": place}))
    first = of.plan()
    [folder] = [p for p in (tmp_path / "catalog").iterdir() if p.is_dir()]
    damaged = folder / "names"
    damaged.write_bytes(b"b" * damaged.stat().st_size)
    assert [e.reason for e in of.read(first[0], LIMITS)[1]] == ["unreadable_repository"], "what a worker is given is checked"
    assert of.plan() == first and damaged.read_bytes() == b"a"
    assert [e.data for e in of.read(first[0], LIMITS)[1]] == [b"one\n"]
    commit(place, {"a": "three\n"}, "again")
    exports.write(tmp_path / "dump", {"https://github.com/o/r": place})
    assert [e.data for e in read(of, "o/r")[1]] == [b"three\n"]
    assert of.fingerprint(first[0]) != first[0].fingerprint and of.plan()[0].place == first[0].place


def test_an_export_that_cannot_be_used_names_the_file_and_the_fix(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"a": "one\n"})
    dump = exports.write(tmp_path / "dump", {"https://github.com/o/r": place})
    with pytest.raises(InputError, match=r"nowhere: no export of Software Heritage; name the folder"):
        replace(source(dump), export=str(tmp_path / "nowhere")).plan()
    with pytest.raises(InputError, match="no such folder of contents; name the one"):
        replace(source(dump), contents=str(tmp_path / "nowhere")).plan()
    with pytest.raises(InputError, match="no catalog is finished there; run `starmill catalog`"):
        replace(source(dump), catalog="memory://bucket/catalog").plan()
    with pytest.raises(UsageError, match="user or password"):
        replace(source(dump), export="https://user:secret@host/export").plan()
    cut = dump / "orc/content/content-0.orc"
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"content-0\.orc: .*; it is damaged, .*: fetch it again"):
        source(dump).plan()
    cut.unlink()
    (dump / "orc/content/content-1.orc").unlink()
    with pytest.raises(InputError, match="without its table 'content'; fetch"):
        source(dump).plan()
    planned = Repository("o/r", {}, 0, "x")
    assert [e.reason for e in source(dump).read(planned, Limits())[1]] == ["unreadable_repository"]


def test_a_folder_above_the_tables_is_found_and_what_lies_on_this_machine_is_told(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"a": "one\n"})
    dump = exports.write(tmp_path / "dump", {"https://github.com/o/r": place}, "parquet")
    of = replace(source(dump), export=str(dump))
    # `content` of the store beside the tables is no table: it has no file of one.
    assert [r.name for r in of.plan()] == ["o/r"] and of.places() == (str(dump), str(dump / "content"))
    assert of.reads_this_machine
    assert not replace(of, export="s3://b/orc", contents="https://host/content").reads_this_machine
    assert object_id("tree", b"") == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
