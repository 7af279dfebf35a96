"""Reading sorted hours: a row group of each part at a time, and what is unfinished or damaged."""

import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hours
import pyarrow as pa
import pytest
import sorts
from small_tree import commit, git

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, MachineError
from starmill.core.storage import Storage
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.local import Local
from starmill.pipelines.sources.gharchive import sorted as sorting
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.source import Limits
from starmill.pipelines.stages.threads import days


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sorts.generated(tmp_path_factory.mktemp("sorted") / "hours", 4)
    sorts.make_plainly(sorts.source(made))
    return made


def test_a_reader_holds_a_row_group_of_each_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, 6):
        events = [{**hours.comment(n, 100 * day + n, "Why?"), "created_at": f"2015-01-0{day}T00:00:00Z"} for n in range(1, 90)]
        hours.hour(tmp_path / f"hours/2015-01-0{day}-0.json.gz", *events)
    monkeypatch.setattr(days, "GROUP_ROWS", 4)
    sorts.make_plainly(sorts.source(tmp_path / "hours"), buckets=1)
    real, alive, most, asked = sorting._group, list[Any](), 0, 0

    def group(*given: Any) -> tuple[pa.Table | None, int]:
        nonlocal most, asked
        table, many = real(*given)
        alive.append(weakref.ref(table))
        most, asked = max(most, sum(held() is not None for held in alive)), asked + 1
        return table, many

    monkeypatch.setattr(sorting, "_group", group)
    found = [(thread, len([*events])) for _, thread, events in sorting.opened(str(tmp_path / "hours.sorted")).threads(0)]
    assert sorted(found) == sorted((f"issues/{n}", 5) for n in range(1, 90))
    assert asked == 5 * 23 and most <= 6


def test_a_plan_is_buckets_and_damaged_hours(place: Path) -> None:
    of = sorts.source(place)
    planned = of.planned()
    assert planned == of.planned() == sorted(planned, key=lambda r: r.name) and all(r.fingerprint for r in planned)
    assert [r.fingerprint for r in planned] == [of.fingerprint(r) for r in planned]
    assert {r.name.rpartition("/")[0] for r in planned} == {"gharchive/threads", "gharchive/hours"}
    for repository in planned:
        entries = [*of.read(repository, Limits())[1]]
        assert of.count(repository, Limits()).files == len(entries) > 0
    other = replace(of, until="2015-01-02")
    assert not {r.fingerprint for r in other.planned()} & {r.fingerprint for r in planned}
    assert [r.left_out for r in replace(of, max_repositories=1).planned()].count("") == 1


def test_a_repository_that_is_left_out_of_a_bucket_is_a_row(place: Path) -> None:
    everything, of = sorts.records(sorts.source(place)), sorts.source(place, exclude=("ann/*",))
    found = sorts.records(of)
    mine = {name for name, *_ in everything if name.startswith("ann/")}
    assert len(mine) > 1 and {name for name, *_ in found} == {name for name, *_ in everything}
    rows = {key: row for key, row in found.items() if row[1] == "excluded"}
    assert rows.keys() == {(name, "", True) for name in mine} and all("issues and pull requests" in r[2] for r in rows.values())
    kept = {key: row for key, row in everything.items() if key[0] not in mine}
    assert {key: row for key, row in found.items() if key not in rows} == kept and len(kept) > 5
    assert of.plan()[-1].fingerprint != sorts.source(place).plan()[-1].fingerprint
    one = next(iter(sorted(mine)))
    only = sorts.records(sorts.source(place, include=(one, "gharchive/*")))
    assert {name for (name, *_), row in only.items() if row[1] != "not_included" and "gharchive" not in name} == {one}


def test_what_is_no_finished_sort_is_told(place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sort of hours is finished there; run `starmill threads`"):
        sorts.source(place, threads=str(tmp_path / "none")).plan()
    with pytest.raises(InputError, match="no sort of hours"):
        sorting.opened("memory://nothing")


def test_damage_and_what_has_gone_fails_the_part(tmp_path: Path) -> None:
    place = hours.hour(tmp_path / "hours/2015-01-01-0.json.gz", hours.opened(1, 1), b"{").parent
    of = sorts.source(place)
    sorts.make_plainly(of, buckets=1)
    planned = of.plan()
    for folder in ("events-000", "repositories", "lost"):
        file = tmp_path / f"hours.sorted/{folder}/part-00000.parquet"
        whole = file.read_bytes()
        flipped = whole[:150] + bytes([whole[150] ^ 255]) + whole[151:]  # a byte of a text: the page's checksum tells
        for data in (whole[: len(whole) // 2], flipped if folder == "events-000" else b"", None):
            file.unlink() if data is None else file.write_bytes(data)
            with pytest.raises(MachineError, match=r"part-00000.parquet: .*; run `starmill threads` with the same recipe"):
                [[*of.read(repository, Limits())[1]] for repository in planned]
            if data is None or len(data) != len(whole):
                with pytest.raises(MachineError, match="absent or cut off"):
                    of.plan()
        file.write_bytes(whole)
    assert of.plan() == planned


def test_mirrors_of_a_bucket_are_in_its_fingerprint(tmp_path: Path) -> None:
    place = pull_request_of(tmp_path / "work", tmp_path / "hours")
    git(tmp_path, "clone", "-q", "--mirror", "work", "mirrors/me/toy.git")
    sorts.make_plainly(sorts.source(place))
    of = sorts.source(place, repositories=str(tmp_path / "mirrors"))
    [planned], [found] = of.plan(), sorts.records(of).values()
    assert b"-line_7 = 7\n+line_7 = 0\n" in found[0]
    assert sorts.records(of) == sorts.records(sorts.indexed(place, repositories=str(tmp_path / "mirrors")))
    git(tmp_path / "mirrors/me/toy.git", "hash-object", "-w", "--stdin", given=b"more")
    assert of.plan()[0].fingerprint != planned.fingerprint


@pytest.mark.parametrize("way", [sorts.indexed, sorts.source])
def test_a_damaged_mirror_is_read_again_once_it_is_mended_where_it_lies(way: Callable[..., GHArchive], tmp_path: Path) -> None:
    mirror = tmp_path / "mirrors/me/toy"
    place = pull_request_of(mirror, tmp_path / "hours")
    sorts.make_plainly(sorts.source(place))
    blob = git(mirror, "rev-parse", "HEAD:a.py").strip()
    stored = mirror / f".git/objects/{blob[:2]}/{blob[2:]}"
    whole = stored.read_bytes()
    stored.chmod(0o644)
    of = way(place, repositories=str(tmp_path / "mirrors"))
    values = {name: getattr(of, name) for name in ("kind", "hours", "index", "threads", "repositories")}
    options = build({"workspace": str(tmp_path / "w"), "sources": {"github": values}})

    def milled() -> tuple[bytes, float]:
        assert run_stage("ingest", options, Local(), quiet=True)
        workspace = Workspace(options.workspace)
        written = workspace.published("records")[0]
        assert written
        return workspace.table("records/part-00000.parquet").column("content")[0].as_py().encode(), written

    stored.write_bytes(whole[:-6])
    damaged = milled()
    assert b"line_7 = 0" not in damaged[0] and milled() == damaged, "damage that stays is not read again"
    stored.write_bytes(whole)
    mended = milled()
    assert b"+line_7 = 0" in mended[0] and mended[1] > damaged[1]
    again = milled()  # whole by now: no later change of its files matters
    git(mirror, "gc", "-q")
    assert milled() == again and again[0] == mended[0]


def pull_request_of(work: Path, place: Path) -> Path:
    """Write a repository of two commits, and an hour with a pull request from one to the other; return the folder of the hour."""
    ids = []
    for lost in (None, 7):
        commit(work, {"a.py": "".join(f"line_{n} = {n * (n != lost)}\n" for n in range(50))})
        ids.append(git(work, "rev-parse", "HEAD").strip())
    ends = {"base": {"sha": ids[0], "repo": None}, "head": {"sha": ids[1], "repo": None}}
    said = hours.event("PullRequestEvent", {"action": "opened", "pull_request": hours.issue(1, **ends)}, "00:00:01", 1)
    return hours.hour(place / "2015-01-01-0.json.gz", said).parent


def test_hours_of_a_bucket_are_sorted_into_a_bucket(place: Path, tmp_path: Path) -> None:
    url = "memory://sorted-hours"
    for path in place.iterdir():
        Storage(f"{url}/hours").publish(path.name, path.read_bytes())
    of = GHArchive(hours=f"{url}/hours", threads=f"{url}/threads")
    sorts.make_plainly(of)
    assert sorts.records(of) == sorts.records(sorts.indexed(place, index=str(tmp_path / "index"))) != {}
    Storage(f"{url}/threads").remove("events-000/part-00001.parquet")
    with pytest.raises(MachineError, match="absent or cut off"):
        of.plan()


def test_one_way_of_sorting_is_given(tmp_path: Path) -> None:
    for wrong in ({"index": "i"}, {"threads": None}):
        with pytest.raises(ValueError, match="index and threads: one of the two must be given"):
            sorts.source(tmp_path / "hours", **wrong)
    with pytest.raises(ValueError, match="must not lie in "):
        sorts.source(tmp_path, threads=os.fspath(tmp_path / "sorted"))
    far = replace(sorts.source(tmp_path / "hours"), hours="memory://hours", threads="memory://sorted")
    assert not far.reads_this_machine and sorts.source(tmp_path / "hours").reads_this_machine
