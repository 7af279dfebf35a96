"""A catalog gives what the index of one machine gives, whatever is odd in the export, however often it is killed and by how many made."""

import hashlib
import json
import multiprocessing
import random
import signal
from dataclasses import replace
from pathlib import Path

import catalogs
import exports
import pytest
from samples import sample
from small_tree import commit, git

from starmill.core.errors import InputError, UsageError
from starmill.pipelines.run import catalog
from starmill.pipelines.sources.source import Limits


def grown(root: Path, seed: int) -> Path:
    """A repository of random files in folders of which some are equal, with a link, in two commits."""
    rng = random.Random(seed)
    folders = ["", "a/", "a/b/c/", "a.b/", "a-b/", "z/"]
    place = commit(root, {f"{rng.choice(folders)}f{n}{rng.choice(['.py', 'é'])}": rng.randbytes(50) for n in range(20)})
    commit(place, {f"{folder}same/x.py": "same\n" for folder in folders} | {"shared/deep/y": "y\n"}, "folders")
    (place / "link").symlink_to("a/b")
    return commit(place, {"later": f"{seed}\n"}, "last")


def hostile(root: Path) -> Path:
    """A repository whose folders an export can lose, forge, or hold as git of old wrote them."""
    place = commit(root, {n: f"text of {n}\n" for n in ("good", "unknown/x", "forged/x", "skipped", "absent", "hidden")})
    one, two = (git(place, "rev-parse", f"HEAD:{name}").strip() for name in ("good", "hidden"))
    data = b"".join(f"{m} {n}\0".encode() + bytes.fromhex(o) for m, n, o in [("100664", "z", one), ("100644", "a", two)])
    odd = git(place, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=data).strip()
    tree = git(place, "ls-tree", "HEAD").rstrip() + f"\n040000 tree {odd}\todd\n160000 commit {'1' * 40}\tmodule\n"
    made = git(place, "mktree", "--missing", given=tree.encode()).strip()
    bomb = made
    for _ in range(12):  # 3 ** 12 ways to one folder
        bomb = git(place, "mktree", given="".join(f"040000 tree {bomb}\t{n}\n" for n in range(3)).encode()).strip()
    git(place, "update-ref", "HEAD", git(place, "commit-tree", made, "-m", "odd").strip())
    return place


def damage(rows: exports.Rows) -> None:
    by_name = {row["name"]: row for row in rows["directory_entry"]}
    blob = {n: by_name[n.encode()]["target"] for n in ("skipped", "absent", "hidden")}
    known = {row["sha1_git"]: row for row in rows["content"]}
    known[blob["hidden"]]["status"] = "hidden"
    rows["skipped_content"] = [{**known[blob["skipped"]], "status": "absent", "reason": "Content too large"}]
    rows["content"] = [r for r in rows["content"] if r["sha1_git"] not in (blob["absent"], blob["skipped"])]
    unknown, forged = (by_name[n]["target"] for n in (b"unknown", b"forged"))
    rows["directory_entry"] = [r for r in rows["directory_entry"] if r["directory_id"] != unknown]
    for row in rows["directory_entry"]:
        if row["directory_id"] == forged:  # that holds the root: no hash can
            row.update(target=by_name[b"good"]["directory_id"], perms=0o40000, type="dir")
    rows["origin"].append({"id": "0" * 40, "url": "https://github.com/never/visited"})
    rows["origin_visit_status"].append({"origin": "https://github.com/o/r0.git", "visit": 1, "date": 1, "status": "failed"})


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dump")
    places = {f"https://github.com/o/r{n}": grown(root / f"r{n}", n) for n in range(3)}
    places["https://github.com/o/hostile"] = hostile(root / "hostile")
    return exports.write(root / "dump", places, change=damage)


def test_the_rows_are_those_of_one_machines_index(dump: Path, tmp_path: Path) -> None:
    index, beam = (catalogs.source(dump, tmp_path / name) for name in ("index", "catalog"))
    catalogs.make(beam, shares=2)
    # A directory that is said to hold one above it has no size.
    given = [
        catalogs.everything(of, limits, ["o/hostile"]) for limits in (Limits(), Limits(max_files=9)) for of in (beam, index)
    ]
    assert given[0] == given[1] and given[2] == given[3] != given[0] and len(given[0]) == 6
    reasons = {entry.reason for _, _, found, *_ in given[0] for entry in found}  # type: ignore[misc,attr-defined]
    assert reasons >= {None, "symlink", "submodule", "corrupt_object", "missing_object", "skipped_content", "hidden_content"}
    before = catalogs.files(tmp_path / "catalog")
    catalogs.make(beam, shares=2)
    assert before == catalogs.files(tmp_path / "catalog"), "nothing is due"
    plain = catalogs.source(dump, tmp_path / "plain")
    catalogs.make_plainly(plain, buckets=4, shares=2)
    assert before == catalogs.files(tmp_path / "plain") | {n: d for n, d in before.items() if n.endswith("stages.json")}


def test_a_catalog_that_is_killed_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    export = sample("swh-export/export")
    expected = json.loads((export / "expected.json").read_text())
    whole, killed = (catalogs.source(export, tmp_path / name) for name in ("whole", "killed"))
    catalogs.make_plainly(whole, buckets=2)
    clean = multiprocessing.get_context("spawn")  # a fork of this process would have locks of Beam's threads
    child = clean.Process(target=catalogs.make_until, args=(killed, 2, 13))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(InputError, match="no catalog is finished there; run `starmill catalog`"):
        killed.plan()
    catalogs.make(killed, 2)
    assert catalogs.files(tmp_path / "killed") == catalogs.files(tmp_path / "whole")
    for repository in killed.plan():
        snapshot, found = killed.read(repository, Limits())
        wanted = expected[repository.name]
        assert (snapshot.revision_id, snapshot.directory_id) == (wanted["head"], wanted["root"])
        of_hex = {e.path.hex(): e.data and hashlib.sha1(e.data).hexdigest() for e in found}
        files = wanted["files_by_hex_path"]
        assert {*of_hex} == {*files} and all(files[path]["sha1"] == own for path, own in of_hex.items() if own)


def test_a_directory_of_more_roots_than_are_followed_is_a_row(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    places = {f"https://github.com/o/{n}": commit(tmp_path / n, {n: f"{n}\n", "same/x": "x\n"}) for n in names}
    beam = catalogs.source(exports.write(tmp_path / "dump", places), tmp_path / "catalog")
    catalogs.make_plainly(beam, most_roots=2)
    found = {r.name: {e.path: e.reason for e in beam.read(r, Limits())[1]} for r in beam.plan()}
    kept = [n for n in names if found[f"o/{n}"] == {n.encode(): None, b"same/x": None}]
    [cut] = {*names} - {*kept}
    assert found[f"o/{cut}"] == {cut.encode(): None, b"same": "too_many_roots"}


def test_what_cannot_be_made_is_told_first(dump: Path, tmp_path: Path) -> None:
    of = catalogs.source(dump, tmp_path / "catalog")
    for sources, message in (
        ({}, "the recipe has no source of kind swh; name one"),
        ({"a": of, "b": of}, "several sources of kind swh; give --source one of: a, b"),
        ({"a": replace(of, catalog=None)}, r"--set sources\.a\.catalog=PLACE"),
    ):
        with pytest.raises(UsageError, match=message):
            catalog.planned(sources, None)
    with pytest.raises(UsageError, match="power of two"):
        catalog.planned({"a": of}, "a", buckets=6)
    with pytest.raises(UsageError, match="no source of kind swh is called 'c'; give --source one of: a, b"):
        catalog.planned({"a": of, "b": of}, "c")
    plan = catalog.planned({"a": of}, "a")
    assert plan.buckets == 16 and [line.split()[:2] for line in catalog.lines(plan)][-3:] == [
        ["dataset", name] for name in ("levels", "files", "repositories")
    ]
    assert "made" in "".join(catalog.lines(plan)) and not (tmp_path / "catalog").exists()
