"""What days say of repositories: reduced by id, with names that are unique, whatever the order of what is exchanged."""

import random
from pathlib import Path

import hours
import pyarrow as pa
import sorts

from starmill.core.dataset import Workspace
from starmill.pipelines.sources.gharchive.sorted import bucket_of
from starmill.pipelines.stages.threads.facts import AGAIN, NAMED, KnownOf, Names, Repositories

UNUSED = Workspace("memory://unused")


def test_the_last_repository_of_a_name_keeps_it() -> None:
    rows = [("a/x", "2015", "1"), ("a/x", "2016", "2"), ("a/x", "2016", "10"), ("b/y", "2014", "3")]
    random.Random(0).shuffle(rows)
    blocks = [
        pa.RecordBatch.from_pylist([dict(zip(NAMED.names, map(str.encode, row), strict=True))], schema=NAMED) for row in rows
    ]
    made, _ = Names(UNUSED, 4).write(0, blocks)["names"]
    assert made.to_pylist() == [{"repo": b"10", "place": 2}, {"repo": b"1", "place": 3}]


def test_names_and_ids_travel_and_no_text(tmp_path: Path) -> None:
    secret = "a body that nobody may send"
    said = [hours.opened(1, 1, body=secret), hours.comment(1, 2, secret), hours.event("WatchEvent", {}, "00:00:01", 3)]
    place = hours.hour(tmp_path / "hours/2015-01-01-0.json.gz", *said).parent
    sorts.make_plainly(sorts.source(place))
    workspace = Workspace(str(tmp_path / "hours.sorted"))
    works = (KnownOf(workspace, 4), "0"), (Names(workspace, 4), "0 4"), (Repositories(workspace, 4), "0 4")
    moved = [(bucket, block) for work, given in works for bucket, block in work.read(given)]
    assert {bucket for bucket, block in moved if block.schema.names[0] == "repo"} == {bucket_of("7", 4)} and len(moved) == 3
    assert secret.encode() not in b"".join(repr(block.to_pylist()).encode() for _, block in moved)
    [row] = [row for part in range(4) for row in workspace.table(f"repositories/part-{part:05}.parquet").to_pylist()]
    assert (row["repo"], row["name"], row["last"], row["rows"], row["stars"]) == ("7", "me/toy", "2015-01-01T00:10:00Z", 2, 1)


def test_a_repository_without_threads_is_none(tmp_path: Path) -> None:
    place = hours.hour(tmp_path / "hours/0.json.gz", hours.event("WatchEvent", {}, "00:00:01", 3)).parent
    sorts.make_plainly(sorts.source(place))
    assert sorts.source(place).plan() == []


def test_a_second_place_is_written_into_the_name(tmp_path: Path) -> None:
    first, second = hours.opened(1, 1), hours.opened(1, 2, time="03:00:00")
    second["repo"] = {"id": 8, "name": "me/toy"}
    place = hours.hour(tmp_path / "hours/0.json.gz", first, second).parent
    sorts.make_plainly(sorts.source(place), buckets=2)
    workspace = Workspace(str(tmp_path / "hours.sorted"))
    again = pa.RecordBatch.from_pylist([{"repo": b"7", "place": 2}], schema=AGAIN)
    made, _ = Repositories(workspace, 2).write(bucket_of("7", 2), [again])["repositories"]
    assert {row["repo"]: row["name"] for row in made.to_pylist()}["7"] == "me/toy~2"
    assert {name for name, *_ in sorts.records(sorts.source(place))} == {"me/toy", "me/toy~2"}
