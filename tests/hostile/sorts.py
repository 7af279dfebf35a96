"""Hours sorted in this process, what two ways of sorting give, and hours with everything that may be wrong."""

import gzip
import json
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import catalogs
import hours
import pytest

from starmill.core.dataset import Manifest, Sidecar, Workspace
from starmill.core.part import PartRef
from starmill.pipelines.run import keys, threads
from starmill.pipelines.runners import choose
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.sources.gharchive.reader import BUCKETS, GHArchive
from starmill.pipelines.sources.source import Limits
from starmill.pipelines.stages.stage import Build, Stage
from starmill.pipelines.stages.threads.days import DATASET, Days

Record = tuple[Any, ...]


def source(place: Path, **options: Any) -> GHArchive:
    """Return the source of a folder of hours that are sorted beside it."""
    return GHArchive(**{"hours": str(place), "threads": str(place.with_suffix(".sorted")), **options})


def indexed(place: Path, **options: Any) -> GHArchive:
    """Return the source of the same hours in an index beside them."""
    return GHArchive(**{"hours": str(place), "index": str(place.with_suffix(".index")), **options})


def make(of: GHArchive, buckets: int = 4, days: int = 1, workers: int = 1) -> None:
    """Sort the hours of a source."""
    threads.run(threads.planned({"github": of}, None, buckets, days), choose((), workers), quiet=True)


def make_plainly(of: GHArchive, buckets: int = 4, days: int = 1) -> None:
    """Sort the hours of a source without Beam."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "run_stage", _plainly)
        make(of, buckets, days)


def _plainly(
    workspace: Workspace, stage: Stage, refs: Sequence[PartRef], graph: Build, runner: Runner, version: str, quiet: bool
) -> Manifest:
    if stage.dataset != DATASET:
        return catalogs.plainly(workspace, stage, refs, graph, runner, version, quiet)  # type: ignore[arg-type]
    [work] = [cell.cell_contents for cell in graph.__closure__ or () if isinstance(cell.cell_contents, Days)]  # type: ignore[attr-defined]
    for ref in reversed(refs):
        if not workspace.is_done(DATASET, ref.part, ref.key):
            assert work(ref).part == ref.part
    return workspace.finish(DATASET, keys.key(version, [ref.key for ref in refs]), len(refs), version)


def make_until(of: GHArchive, parts: int) -> None:
    """Sort the hours of a source, and end this process by SIGKILL once it has published so many parts."""
    published, publish = [0], Workspace.publish_sidecar

    def last(self: Workspace, sidecar: Sidecar) -> None:
        publish(self, sidecar)
        published[0] += 1
        if published[0] == parts:
            os.kill(os.getpid(), signal.SIGKILL)

    Workspace.publish_sidecar = last  # type: ignore[method-assign]
    make(of)


def records(of: GHArchive, limits: Limits | None = None) -> dict[tuple[str, str, int], Record]:
    """Return all that a source gives, by repository and path: what ingest makes a row of."""
    found: dict[tuple[str, str, int], Record] = {}
    for repository in of.plan():
        snapshot, entries = of.read(repository, limits or Limits())
        for entry in entries:
            name = (entry.repo_name or repository.name.encode()).decode()
            assert not name.startswith(BUCKETS)
            # Of what is lost no fact is kept.
            facts = {**snapshot.columns(), **entry.facts} if entry.data is not None else {}
            said = (entry.data, entry.reason, entry.detail, entry.size, entry.kind, json.dumps(entry.segments), facts)
            key = (name, entry.path.decode(), entry.data is None)
            assert key not in found
            found[key] = said
    return found


def generated(place: Path, seed: int, events: int = 60) -> Path:
    """Write hours of three days, with names that change, events that come twice, and damage of every sort."""
    rng = random.Random(seed)
    repos = [(n % 6 + 1, f"{rng.choice(('ann', 'bob-b'))}/toy{rng.randrange(3)}") for n in range(12)] + [(None, "old/one")]
    made = [_event(rng, rng.choice(repos), n) for n in range(events)]
    names = [f"2015-01-0{day}-{n}.json.gz" for day in (1, 2, 3) for n in rng.sample(range(24), 2)] + ["odd.json.gz"]
    held: dict[str, list[bytes]] = {name: [] for name in names}
    for event in made:
        for name in rng.sample(names, rng.choice((1, 1, 1, 2, 3))):
            if rng.random() < 0.1:  # the same event, told otherwise
                event = {**event, "payload": {**event["payload"], "action": "reopened"}}
            held[name] += [hours.line(event)] * rng.choice((1, 1, 1, 2))
    place.mkdir(parents=True, exist_ok=True)
    for name, lines in held.items():
        rng.shuffle(lines)
        data = b"\n".join(_damaged(rng, line) for line in lines) + b"\n"
        half = data.index(b"\n", len(data) // 2) + 1 if len(data) > 1 else 0
        members = [gzip.compress(part, 1, mtime=0) for part in (data[:half], data[half:])]
        whole = b"".join(members)
        (place / name).write_bytes(
            rng.choice((whole, whole, whole, data, whole[:-9], whole[: len(members[0]) - 4], whole + bytes(9)))
        )
    (place / "2015-01-02-24.json").write_bytes(rng.choice((b"", b"<html>", b"{}\n" * 30)))
    return place


def _event(rng: random.Random, repo: tuple[int | None, str], number: int) -> dict[str, Any]:
    time, thread = f"{rng.randrange(24):02}:00:0{rng.randrange(3)}", rng.randrange(1, 4)
    text = rng.choice(("Why?", "It does, since the new one came.", "\u00e9\u4e2d\U0001f600 " * 9, "x" * 3000))
    kind = rng.randrange(6)
    if kind == 0:
        event = hours.opened(thread, number, time, body=text)
    elif kind == 1:
        event = hours.comment(thread, number, text, time=time)
    elif kind == 2:
        event = hours.event("WatchEvent", {"action": "started"}, time, number)
    elif kind == 3:
        facts = {"id": repo[0], "full_name": repo[1], "language": rng.choice(("C", None)), "default_branch": f"b{number % 3}"}
        pull = hours.issue(thread + 10, body=text, base={"sha": "b" * 40, "repo": facts}, head={"sha": f"{number:040}"})
        event = hours.event(
            "PullRequestEvent", {"action": rng.choice(("opened", "closed")), "pull_request": pull}, time, number
        )
    elif kind == 4:
        forkee = {
            "id": rng.choice((3, 77)),
            "full_name": "ann/toy1",
            "license": {"spdx_id": "MIT"},
            "created_at": "2014-12-16T22:25:58Z",
        }
        event = hours.event("ForkEvent", {"forkee": forkee}, time, number)
    else:
        event = hours.event("PushEvent", {"commits": []}, time, number)
    event["repo"] = {"id": repo[0], "name": repo[1]}
    if rng.random() < 0.1:
        event["repo"]["name"] = rng.choice(("ann/..", "x/.GIT", "none", "a/b/c"))
    return event


def _damaged(rng: random.Random, line: bytes) -> bytes:
    cut = rng.randrange(len(line))
    return rng.choice(
        (*[line] * 12, line[:cut], line[cut:], line + line, bytes(9) + line, line[:cut] + line, b"", b"\xff" + line)
    )
