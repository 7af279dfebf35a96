"""The revisions of an export by id, against what git says of them, and exports that say less or more than they should."""

from pathlib import Path

import exports
import pytest
from histories import random_history, run

from starmill.core.errors import InputError
from starmill.pipelines.sources.git.history import newest_first, parse
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject
from starmill.pipelines.sources.swh.history import Revisions, ensure
from starmill.pipelines.sources.swh.tables import export


def made(tmp_path: Path, form: str = "orc", change: object = lambda rows: None) -> Revisions:
    dump = exports.write(tmp_path / "swh", {"https://github.com/a/toy": tmp_path / "r"}, form, change)  # type: ignore[arg-type]
    return Revisions(ensure(export(str(dump / form)), tmp_path / "catalog", "name"))


@pytest.mark.parametrize("form", ["orc", "parquet"])
def test_every_revision_is_as_git_has_it(tmp_path: Path, form: str) -> None:
    folder = random_history(tmp_path / "r", 5, 60)
    with made(tmp_path, form) as revisions:
        wanted = {own: parse(own, data) for own, kind, data in exports.objects(folder) if kind == "commit"}
        assert {own: revisions.read(own) for own in wanted} == wanted
        tip = revisions.read(run(folder, "rev-parse", "HEAD").decode().strip())
        assert {c.own for c, _ in newest_first(revisions.read, tip)} == {*run(folder, "rev-list", "HEAD").decode().split()}
        for own in ("1" * 40, "", "x" * 40, "A" * 40):
            with pytest.raises(MissingObject):
                revisions.read(own)


def test_an_export_that_says_odd_things(tmp_path: Path) -> None:
    folder = random_history(tmp_path / "r", 5, 9)
    own = run(folder, "rev-list", "HEAD").decode().split()

    def change(rows: exports.Rows) -> None:
        rows["revision"] += [{**row} for row in rows["revision"]]  # all twice
        rows["revision_history"] += [{**row} for row in rows["revision_history"]]
        rows["revision_history"].append({"id": own[-1], "parent_id": own[0], "parent_rank": None})  # a circle
        rows["revision_history"].append({"id": own[-1], "parent_id": "no id", "parent_rank": 1})
        rows["revision"].append({"id": "2" * 40, "directory": None, "message": None, "date": None, "committer_date": None})
        rows["revision"].append({"id": "no id", "directory": None, "message": None, "date": None, "committer_date": None})

    with made(tmp_path, change=change) as revisions:
        assert revisions.read(own[-1]).parents == (own[0],)
        with pytest.raises(CorruptObject, match="without a directory"):
            revisions.read("2" * 40)
        assert {c.own for c, _ in newest_first(revisions.read, revisions.read(own[0]))} == {*own}


def test_a_file_that_is_damaged_or_a_table_that_lacks_is_named(tmp_path: Path) -> None:
    random_history(tmp_path / "r", 5, 40)
    made(tmp_path)
    place = next((tmp_path / "catalog").glob("*.revisions-1"))
    stamp = place.stat().st_mtime_ns
    made(tmp_path)
    assert place.stat().st_mtime_ns == stamp, "it is made once"
    data = place.read_bytes()
    place.write_bytes(b"x" * len(data))
    with pytest.raises(InputError, match="remove it, and it is made again"):
        made(tmp_path)
    for file in (tmp_path / "swh/orc/revision_history").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="revision_history"):
        ensure(export(str(tmp_path / "swh/orc")), tmp_path / "catalog", "less")


def test_a_cut_file_is_named_where_it_is_read(tmp_path: Path) -> None:
    folder = random_history(tmp_path / "r", 5, 40)
    made(tmp_path)
    place = next((tmp_path / "catalog").glob("*.revisions-1"))
    own = run(folder, "rev-list", "HEAD").decode().split()
    data = bytearray(place.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    place.write_bytes(data)
    with pytest.raises(InputError, match="remove it"), Revisions(place) as revisions:
        revisions.read(own[0])
