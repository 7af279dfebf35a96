"""Sorted hours give the records that the index of one machine gives, whatever is wrong with them, and however often the sort is killed."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import catalogs
import hours
import pytest
import sorts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starmill.core.errors import InputError, UsageError
from starmill.pipelines.run import threads
from starmill.pipelines.sources.gharchive import sorted as gharchive_sorted
from starmill.pipelines.sources.source import Limits
from starmill.pipelines.stages.threads import days


def copied(place: Path, *names: str) -> Path:
    """Copy real hours under names of hours."""
    place.mkdir()
    for name in names:
        shutil.copy(hours.SHARED / name, place / name)
    return place


@pytest.mark.skipif(not hours.SHARED.is_dir(), reason=f"NOT RUN: no real hours in {hours.SHARED}")
def test_real_hours_of_all_eras_give_the_records_of_the_index(tmp_path: Path) -> None:
    place = copied(tmp_path / "hours", *(path.name for path in sorted(hours.SHARED.glob("*.json.gz"))))
    sorts.make(sorts.source(place))
    found = sorts.records(sorts.source(place, until=""))
    assert len(found) == 1700 and found == sorts.records(sorts.indexed(place, until=""))
    assert sum(1 for key in found if "~" in key[0]) > 10, "repositories that had one name after each other"
    before = catalogs.files(tmp_path / "hours.sorted")
    sorts.make(sorts.source(place))
    assert before == catalogs.files(tmp_path / "hours.sorted"), "nothing is due"
    other = sorts.source(place, threads=str(tmp_path / "plain"))
    sorts.make_plainly(other)
    assert before == catalogs.files(tmp_path / "plain"), "neither the runner nor the order of the parts shows"


@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), buckets=st.sampled_from((1, 2, 8)), span=st.sampled_from((1, 2, 9)), small=st.booleans())
def test_hostile_hours_give_the_records_of_the_index(
    tmp_path_factory: pytest.TempPathFactory, seed: int, buckets: int, span: int, small: bool
) -> None:
    place = sorts.generated(tmp_path_factory.mktemp("hostile") / "hours", seed)
    with pytest.MonkeyPatch.context() as patch:
        if small:  # of everything that waits
            for name, value in (("SPILL_ROWS", 5), ("GROUP_ROWS", 2), ("TOLD", 1)):
                patch.setattr(days, name, value)
            patch.setattr(days, "SLAB", 4)
            patch.setattr(gharchive_sorted, "SLAB", 4)
        sorts.make_plainly(sorts.source(place), buckets, span)
        wanted = sorts.records(sorts.indexed(place))
        assert len(wanted) > 20 and sorts.records(sorts.source(place)) == wanted
        limits = Limits(max_file_bytes=500)
        found = sorts.records(sorts.source(place, sample=True), limits)
    assert found == sorts.records(sorts.indexed(place, sample=True), limits)


def test_a_sort_that_is_killed_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    place = sorts.generated(tmp_path / "hours", 1)
    whole, killed = (sorts.source(place, threads=str(tmp_path / name)) for name in ("whole", "killed"))
    sorts.make_plainly(whole)
    clean = multiprocessing.get_context("spawn")  # a fork of this process would have locks of Beam's threads
    child = clean.Process(target=sorts.make_until, args=(killed, 6))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(InputError, match="no sort of hours is finished there; run `starmill threads`"):
        killed.plan()
    sorts.make(killed)
    assert catalogs.files(tmp_path / "killed") == catalogs.files(tmp_path / "whole")


def test_a_new_hour_costs_its_own_day(tmp_path: Path) -> None:
    place = sorts.generated(tmp_path / "hours", 2)
    of = sorts.source(place)
    sorts.make_plainly(of, 8)
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "hours.sorted/days").glob("part-*")}
    planned = of.plan()
    hours.hour(place / "2015-01-03-23.json.gz", hours.opened(9, 900))
    with pytest.raises(InputError, match="the sort of other hours than those that are there now; run `starmill threads`"):
        of.plan()
    plan = threads.planned({"github": of}, None)
    assert plan.buckets == 8, "the number that is there"
    assert "days         1 of 4 parts to be made" in "\n".join(threads.lines(plan))
    sorts.make_plainly(of, 8)
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "hours.sorted/days").glob("part-*")}
    assert {name for name, time in now.items() if times[name] != time} == {"part-00002.json"}
    assert not {r.fingerprint for r in of.plan()} & {r.fingerprint for r in planned if "hours" not in r.name}
    assert sorts.records(of) == sorts.records(sorts.indexed(place))


def test_hours_are_grouped_by_day_whatever_their_names(tmp_path: Path) -> None:
    for name in ("2015-1-2-3.json", "2015-01-02-15.json.gz", "2014-12-31-0.json", "2015-13-45-0.json", "notes"):
        hours.hour(tmp_path / "hours" / name)
    plan = threads.planned({"github": sorts.source(tmp_path / "hours")}, None)
    assert [[found.file for found in group] for group in plan.groups()] == [
        ["2014-12-31-0.json"],
        ["2015-01-02-15.json.gz", "2015-1-2-3.json"],
        ["2015-13-45-0.json", "notes"],
    ]
    assert [len(group) for group in threads.planned({"g": sorts.source(tmp_path / "hours")}, None, days=366).groups()] == [3, 2]


def test_what_cannot_be_made_is_told_first(tmp_path: Path) -> None:
    place = sorts.generated(tmp_path / "hours", 3, events=5)
    of = sorts.source(place)
    for sources, message in (
        ({}, "the recipe has no source of kind gharchive; name one"),
        ({"a": of, "b": of}, "several sources of kind gharchive; give --source one of: a, b"),
        ({"a": sorts.indexed(place)}, r"--set sources\.a\.threads=PLACE --set sources\.a\.index=null"),
    ):
        with pytest.raises(UsageError, match=message):
            threads.planned(sources, None)
    with pytest.raises(UsageError, match="power of two"):
        threads.planned({"a": of}, "a", buckets=6)
    with pytest.raises(UsageError, match="no source of kind gharchive is called 'c'; give --source one of: a, b"):
        threads.planned({"a": of, "b": of}, "c")
    os.mkdir(tmp_path / "none")
    with pytest.raises(InputError, match="no hour lies there"):
        threads.planned({"a": sorts.source(tmp_path / "none")}, None)
    assert "to be made" in "".join(threads.lines(threads.planned({"a": of}, None))) and not (tmp_path / "hours.sorted").exists()
