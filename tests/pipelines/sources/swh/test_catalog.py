"""Reading a catalog: the row groups of one root, and what is unfinished, damaged, or of another export."""

from pathlib import Path

import catalogs
import exports
import pyarrow.parquet as pq
import pytest
from small_tree import commit

from starmill.core.errors import InputError, MachineError
from starmill.pipelines.sources.git.objects import MissingObject
from starmill.pipelines.sources.source import Limits, Repository
from starmill.pipelines.sources.swh import catalog as swh_catalog
from starmill.pipelines.sources.swh.catalog import Catalog, opened
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.swh.tables import export
from starmill.pipelines.stages.catalog import exchange


def made(root: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> SoftwareHeritage:
    """Two repositories in row groups of a few rows."""
    monkeypatch.setattr(exchange, "GROUP_BYTES", 200)
    folders = {f"{n}/{name}": f"{n} {name}\n" for n in range(12) for name in ("a", "b")}
    places = {f"https://github.com/o/{n}": commit(root / n, folders | {"own": n} | files) for n in ("one", "two")}
    of = catalogs.source(exports.write(root / "dump", places), root / "catalog")
    catalogs.make_plainly(of)
    return of


def test_rows_are_found_in_every_group_of_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = made(tmp_path, monkeypatch)
    counted: list[int] = []
    real = swh_catalog._group
    monkeypatch.setattr(swh_catalog, "_group", lambda *given: counted.append(given[-1]) or real(*given))
    assert catalogs.everything(of) == catalogs.everything(catalogs.source(tmp_path / "dump", tmp_path / "index"))
    groups = {
        name: pq.read_metadata(tmp_path / f"catalog/{name}/part-00000.parquet").num_row_groups for name in ("trees", "blobs")
    }
    assert min(groups.values()) > 5 and {*counted} == {*range(max(groups.values()))}
    catalog = opened(str(of.catalog), export(of.export), verify=True)
    assert isinstance(catalog, Catalog)
    (head, _, place), _ = catalog.heads()
    assert catalog.head(head.name, place["part"]) is not None
    assert catalog.head("o/none", "0") is None and catalog.head("o/one", "") is None
    below = catalog.below(head)
    with pytest.raises(MissingObject):
        below.read("f" * 40, "tree", 1 << 20)
    assert below.contents([]) == [] and below.contents([b"f" * 20]) == [None]
    counted.clear()
    below.read(str(head.directory), "tree", 1 << 20)
    assert len(counted) <= 3 < groups["trees"], "not the whole part"


def test_what_is_no_finished_catalog_of_the_export_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = made(tmp_path, monkeypatch)
    read, place = export(of.export), str(of.catalog)
    assert opened(str(tmp_path / "nothing"), read, verify=True) is None, "an index may be made there"
    with pytest.raises(InputError, match=r"memory://none: no catalog is finished there; run `starmill catalog`"):
        opened("memory://none", read, verify=True)
    with pytest.raises(InputError, match="of another state of"):
        opened(place, read.only(read.paths("content")[0]), verify=False)
    marked = tmp_path / "catalog/catalog.json"
    said = marked.read_bytes()
    marked.unlink()
    with pytest.raises(InputError, match="no catalog is finished there"):
        of.plan()
    assert [e.reason for e in of.read(Repository("o/one", {}, 0, ""), Limits())[1]] == ["unreadable_repository"]
    marked.write_bytes(said.replace(b'"digest": "', b'"digest": "0'))
    with pytest.raises(InputError, match="of two runs"):
        of.plan()


def test_damage_is_found_by_the_plan_and_mended_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = made(tmp_path, monkeypatch)
    before = catalogs.files(tmp_path / "catalog")
    for dataset in ("trees", "blobs", "repositories"):
        file = tmp_path / f"catalog/{dataset}/part-00000.parquet"
        data = file.read_bytes()
        file.write_bytes(data[:-9])
        with pytest.raises(MachineError, match=r"part-00000.parquet: absent or cut off; run `starmill catalog`"):
            of.plan()
        file.write_bytes(data[:40] + b"damage" + data[46:])
        with pytest.raises(MachineError, match=r"part-00000.parquet: not as it was published; run `starmill catalog`"):
            of.plan()
        catalogs.make_plainly(of)
        assert catalogs.files(tmp_path / "catalog") == before and len(of.plan()) == 2
