"""A catalog whose directories come from a compressed graph gives what the table of the export gives: of roots, and of them alone."""

import hashlib
import json
import pickle
import random
from pathlib import Path

import catalogs
import exports
import graphs
import pyarrow.parquet as pq
import pytest
from samples import sample
from small_tree import commit, git

from starmill.core.errors import InputError
from starmill.pipelines.run import catalog
from starmill.pipelines.sources.source import Limits
from starmill.pipelines.sources.swh.tables import export

TABLES = {"directory": ["id", "raw_manifest"], "directory_entry": ["directory_id", "name", "type", "target", "perms"]}


def rows_of(dump: Path) -> exports.Rows:
    """The rows of the tables of directories, as a graph is made of them."""
    read, rows = export(str(dump)), {}
    for table, columns in TABLES.items():
        found = [row for block in read.blocks(table, columns) for row in block.to_pylist()]
        texts = {"id", "directory_id", "type", "target"}
        rows[table] = [{k: v.decode() if k in texts else v for k, v in row.items()} for row in found]
    return rows


def grown(root: Path, seed: int) -> Path:
    """A repository of random files in folders of which some are equal, of a link, a program and a submodule, in two commits."""
    rng = random.Random(seed)
    folders = ["", "a/", "a/b/c/", "a.b/", "a-b/", "z/"]
    place = commit(root, {f"{rng.choice(folders)}f{n}{rng.choice(['.py', 'é'])}": rng.randbytes(50) for n in range(20)})
    (place / "link").symlink_to("a/b")
    (place / "program").write_text("#!/bin/sh\n")
    (place / "program").chmod(0o755)
    commit(place, {f"{folder}same/x.py": "same\n" for folder in folders} | {"twice": "same\n"}, "folders")
    tree = git(place, "ls-tree", "HEAD").rstrip() + f"\n160000 commit {'1' * 40}\tmodule\n"
    made = git(place, "mktree", "--missing", given=tree.encode()).strip()
    git(place, "update-ref", "HEAD", git(place, "commit-tree", made, "-m", "last").strip())
    return place


def test_a_graph_gives_what_the_table_gives_without_the_table(tmp_path: Path) -> None:
    places = {f"https://github.com/o/r{n}": grown(tmp_path / f"r{n}", n) for n in range(4)}
    rows: exports.Rows = {}
    dump = exports.write(tmp_path / "dump", places, change=rows.update)
    bare = catalogs.without_entries(dump, tmp_path / "bare")
    index = catalogs.source(dump, tmp_path / "index")
    service = graphs.Service(rows)
    with graphs.serve(service) as server:
        beam = catalogs.source(bare, tmp_path / "beam")
        catalogs.make_plainly(beam, 4, shares=2, graph=server)
        assert service.asked["Stats"] == 1 and service.asked["Traverse"] <= 4, "once for each bucket of roots"
        [made] = catalog.planned({"a": beam}, "a", graph=server).traversed()
    assert repr(pickle.loads(pickle.dumps(made))) == repr(made), "workers get it"
    given = [catalogs.everything(of) for of in (beam, index)]
    for one, other in zip(*given, strict=True):
        assert one[0].size_bytes == other[0].size_bytes  # type: ignore[index]
        assert one[1:] == other[1:], "snapshot, files, count"  # type: ignore[index]
    for repository in beam.plan():
        listed = exports.listed(tmp_path / repository.name.removeprefix("o/"))
        found = {e.path: e for e in beam.read(repository, Limits())[1]}
        assert {*found} == {*listed}
        for path, (mode, own) in listed.items():
            reason = {0o120000: "symlink", 0o160000: "submodule"}.get(mode)
            data = found[path].data
            assert found[path].reason == reason
            assert reason or hashlib.sha1(b"blob %d\0%s" % (len(data or b""), data or b"")).hexdigest() == own
    paths = (tmp_path / "beam/directories").glob("*.parquet")
    kept = sum(pq.read_metadata(path).num_rows for path in paths)
    assert kept < len({row["directory_id"] for row in rows["directory_entry"]}), "those of older commits are not asked for"


@pytest.mark.parametrize("buckets", [1, 4])
def test_the_true_export_gives_what_its_own_list_says(tmp_path: Path, buckets: int) -> None:
    place = sample("swh-export/export")
    expected = json.loads((place / "expected.json").read_text())
    bare = catalogs.without_entries(place, tmp_path / "bare")
    table, graph = (catalogs.source(of, tmp_path / n) for n, of in (("table", place), ("graph", bare)))
    catalogs.make_plainly(table, buckets)
    with graphs.serve(graphs.Service(rows_of(place / "orc"))) as server:
        catalogs.make_plainly(graph, buckets, graph=server)
    for repository in graph.plan():
        snapshot, found = graph.read(repository, Limits())
        wanted = expected[repository.name]
        assert (snapshot.revision_id, snapshot.directory_id) == (wanted["head"], wanted["root"])
        of_hex = {e.path.hex(): e.data and hashlib.sha1(e.data).hexdigest() for e in found}
        files = wanted["files_by_hex_path"]
        assert {*of_hex} == {*files} and all(files[path]["sha1"] == own for path, own in of_hex.items() if own)
    for name in ("repositories", "trees", "blobs"):
        for part in range(buckets):
            file = f"{name}/part-{part:05d}.parquet"
            assert pq.read_table(tmp_path / "graph" / file) == pq.read_table(tmp_path / "table" / file)


def test_an_export_without_the_table_needs_a_graph(tmp_path: Path) -> None:
    place = commit(tmp_path / "r", {"a": "one\n"})
    bare = catalogs.without_entries(exports.write(tmp_path / "dump", {"https://github.com/o/r": place}), tmp_path / "bare")
    of = catalogs.source(bare, tmp_path / "catalog")
    with pytest.raises(InputError, match="without its table 'directory_entry'; fetch directory_entry/ beside"):
        of.plan()
    with pytest.raises(InputError, match="without its table 'directory_entry'"):
        catalog.planned({"a": of}, "a")
    said = [*catalog.lines(catalog.planned({"a": of}, "a", graph="127.0.0.1:1"))]
    assert said[1].startswith("graph 127.0.0.1:1: the directories") and "directory_entry" not in "".join(said[2:])
    assert any(line.split()[:2] == ["dataset", "directories"] for line in said)
    nobody = commit(tmp_path / "none", {"a": "one\n"})
    dump = exports.write(tmp_path / "empty", {"https://github.com/o/n": nobody}, change=lambda r: r["snapshot_branch"].clear())
    rootless = catalogs.source(catalogs.without_entries(dump, tmp_path / "rootless"), tmp_path / "made")
    with graphs.serve(graphs.Service({"directory": [], "directory_entry": []})) as server:
        catalogs.make_plainly(rootless, 2, graph=server)
    assert [r.size_bytes for r in rootless.plan()] == [0], "no origin has a root"
