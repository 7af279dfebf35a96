"""What sorting hours of GHArchive costs: CPU seconds of reading, sorting and merging, beside the index of one machine and Python's json.

    .venv/bin/python benchmarks/threads.py [--days 1] [--days 4] [--megabytes 400] [--hours FOLDER] [--write]

Hours are generated, of `--megabytes` of JSON a day: events in the proportions and of about the sizes of the feed of 2015, objects full of
addresses, texts of words that no two share. `--hours` measures a folder of real ones too. Each way is a process of its own; CPU seconds
are without imports. Rates are of JSON as it inflates.
"""

import argparse
import datetime
import gzip
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import report

BUCKETS = 16
KINDS = {"PushEvent": 52, "CreateEvent": 13, "WatchEvent": 9, "IssueCommentEvent": 9, "IssuesEvent": 5, "PullRequestEvent": 5}
KINDS |= {"ForkEvent": 3, "DeleteEvent": 2, "PullRequestReviewCommentEvent": 2}
OF_A_USER = "html followers following gists starred subscriptions organizations repos events received_events".split()
OF_A_REPOSITORY = (
    "html forks keys collaborators teams hooks issue_events events assignees branches tags blobs git_tags git_refs trees "
    "statuses languages stargazers contributors subscribers subscription commits git_commits comments issue_comment contents "
    "compare merges archive downloads issues pulls milestones notifications labels releases git ssh clone svn"
).split()
OF_AN_ISSUE = "labels comments events html commits review_comments review_comment diff patch issue statuses repository".split()
Measured = dict[str, float]


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", action="append", type=int, help="of hours, each measured; repeatable")
    parser.add_argument("--megabytes", type=int, default=400, help="of JSON a day")
    parser.add_argument("--hours", type=Path, help="a folder of real hours, measured too")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    report.add_write(parser)
    options = parser.parse_args()
    if options.one:
        way, place = options.one
        print(json.dumps(_measured(WAYS[way](Path(place)))))
        return
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        lines = list[Iterator[str]]()
        for days in options.days or [1, 4]:
            lines.append(table(f"{days} days, generated", Path(folder) / str(days) / "hours", days, options.megabytes))
        if options.hours:
            real = Path(folder) / "real" / "hours"
            real.parent.mkdir()
            real.symlink_to(options.hours.resolve())
            lines.append(table("real hours", real, 0, 0))
        report.tell("threads", itertools.chain(heading(), *lines), options.write)


def heading() -> Iterator[str]:
    """Yield the date and the machine."""
    yield f"## {datetime.date.today()}, one of {os.cpu_count()} cores ({report.processor()})"
    yield ""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("msgspec", "isal", "pyarrow", "apache-beam"))
    yield f"Python {platform.python_version()}, {libraries}. Load average at the start: {os.getloadavg()[0]:.1f}."
    yield ""


def table(title: str, place: Path, days: int, megabytes: int) -> Iterator[str]:
    """Yield the table of a dump; one of some days is made first."""
    for day in range(days):
        generate(place, day, megabytes)
    packed = sum(path.stat().st_size for path in place.iterdir())
    found = {way: _run(way, place) for way in WAYS}
    size = found["read and mended"]["json"]
    yield f"### {title}: {size / 1e6:,.0f} MB of JSON, {packed / 1e6:,.1f} MB as gzip, {BUCKETS} buckets"
    yield ""
    yield "| way | CPU s | MB of JSON a CPU s | peak MiB | bytes written | records |"
    yield "|---|---|---|---|---|---|"
    for way, of in found.items():
        stored, records = (f"{of[name]:,.0f}" if of[name] else "" for name in ("stored", "records"))
        yield f"| {way} | {of['cpu']:.2f} | {size / 1e6 / of['cpu']:.0f} | {of['peak']:.0f} | {stored} | {records} |"
    yield ""
    days_made = found["sorted by day"]
    texts, facts, moved, rows = (days_made[name] for name in ("texts", "facts", "moved", "rows"))
    shares = f"{100 * texts / size:.2f} % of the JSON, stars, forks and names {100 * facts / size:.2f} %"
    yield f"Sorted events take {shares}: {texts / packed:.2f} and {facts / packed:.2f} times the hours' gzip."
    yield f"A row group has {days_made['footers']:,.0f} bytes in its footer."
    yield f"Exchanged are {moved:,.0f} bytes, {moved / rows:.1f} for each of {rows:,.0f} stars, forks, facts, and repositories a day."
    yield ""


def _run(way: str, place: Path) -> Measured:
    done = subprocess.run([sys.executable, __file__, "--one", way, str(place)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    found: Measured = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(work: Callable[[], Measured]) -> Measured:
    before = time.process_time()
    found = dict.fromkeys(("json", "stored", "records", "texts", "facts", "moved", "rows", "footers"), 0.0) | work()
    found.setdefault("cpu", time.process_time() - before)
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return found | {"peak": int(line.split()[1]) / 1024}


def _plain(place: Path) -> Callable[[], Measured]:
    def work() -> Measured:
        total = 0
        for path in sorted(place.iterdir()):
            with gzip.open(path) as lines:
                for line in lines:
                    json.loads(line)
                    total += len(line)
        return {"json": total}

    return work


def _parsed(place: Path) -> Callable[[], Measured]:
    from starmill.core.storage import Storage
    from starmill.pipelines.sources.gharchive import reading

    def work() -> Measured:
        total = 0
        for found in reading.listed(Storage(str(place)), 1 << 40):
            with reading.Looks(Storage(str(place)), found.file) as looks:
                total += sum(size for _, _, size in reading.found(next(looks), None, 1 << 40))
        return {"json": total}

    return work


def _sorted(place: Path) -> Callable[[], Measured]:
    """Each part of days in this process; then, not counted, what is exchanged, so that it can be read."""
    import pyarrow.parquet as pq

    from starmill.pipelines.run import threads
    from starmill.pipelines.runners import choose
    from starmill.pipelines.sources.gharchive.reader import GHArchive
    from starmill.pipelines.stages.threads.days import Days

    source = GHArchive(hours=str(place), threads=str(place.with_name("sorted")))
    plan = threads.planned({"all": source}, None, BUCKETS)

    def work() -> Measured:
        refs, days = threads.keyed(plan), Days(plan.workspace, plan.hours, plan.buckets, plan.max_hour_bytes)
        before = time.process_time()
        made = [output for ref in refs for output in days(ref).outputs]
        spent = time.process_time() - before
        moved = [
            c for manifest in [*threads.datasets(plan, choose((), 1), quiet=True)][1:] for p in manifest.parts for c in p.counts
        ]
        threads.run(plan, choose((), 1), quiet=True)
        sizes = {name: sum(o.bytes for o in made if o.path.startswith(name)) for name in ("events", "facts", "seen")}
        rows = sum(o.rows or 0 for o in made if o.path.startswith(("facts", "seen")))
        files = [pq.read_metadata(plan.workspace.path(o.path)) for o in made if o.path.startswith("events")]
        footers = sum(file.serialized_size for file in files) / sum(file.num_row_groups for file in files)
        found = {"cpu": spent, "stored": sum(o.bytes for o in made), "texts": sizes["events"], "footers": footers, "rows": rows}
        return {**found, "facts": sizes["facts"] + sizes["seen"], "moved": sum(c.bytes for c in moved)}

    return work


def _read(place: Path, **where: str) -> Callable[[], Measured]:
    from starmill.pipelines.sources.gharchive.reader import GHArchive
    from starmill.pipelines.sources.source import Limits

    source = GHArchive(hours=str(place), until="", **where)  # type: ignore[arg-type]

    def work() -> Measured:
        planned = source.plan()
        return {"records": sum(1 for unit in planned for entry in source.read(unit, Limits())[1] if entry.data is not None)}

    return work


def _indexed(place: Path) -> Callable[[], Measured]:
    from starmill.pipelines.sources.gharchive.reader import GHArchive

    index = place.with_name("index")
    source = GHArchive(hours=str(place), index=str(index))

    def work() -> Measured:
        source.plan()
        return {"stored": index.stat().st_size}

    return work


WAYS: dict[str, Callable[[Path], Callable[[], Measured]]] = {
    "Python's gzip and json": _plain,
    "read and mended": _parsed,
    "sorted by day": _sorted,
    "sorted into the index": _indexed,
    "records from the sort": lambda place: _read(place, threads=str(place.with_name("sorted"))),
    "records from the index": lambda place: _read(place, index=str(place.with_name("index"))),
}


def generate(folder: Path, day: int, megabytes: int) -> None:
    """Write the hours of a day."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, number = random.Random(day), day * 10**8
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randrange(2, 10))) for _ in range(30_000)]
    when = datetime.date(2016, 1, 1) + datetime.timedelta(day)
    for hour in range(24):
        lines, size = list[bytes](), 0
        while size < megabytes * 1_000_000 / 24:
            number += 1
            event = _event(rng, words, number, f"{when}T{hour:02}:{len(lines) // 60 % 60:02}:{len(lines) % 60:02}Z")
            lines.append(json.dumps(event, separators=(",", ":")).encode())
            size += len(lines[-1])
        (folder / f"{when}-{hour}.json.gz").write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 6, mtime=0))


def _event(rng: random.Random, words: list[str], number: int, time: str) -> dict[str, object]:
    [kind] = rng.choices([*KINDS], [*KINDS.values()])
    repo = int(200_000 * rng.random() ** 3)  # the first ones are the busiest
    text = lambda most: " ".join(rng.choices(words, k=int(rng.expovariate(1 / most)) + 3))  # noqa: E731
    user = lambda: _object(f"user{int(50_000 * rng.random() ** 2)}", "login", OF_A_USER)  # noqa: E731
    thread = {
        "id": number,
        "number": rng.randrange(1, 400),
        "title": text(6),
        "body": text(60),
        "user": user(),
        "created_at": time,
    }
    payload: dict[str, object] = {"action": "created"}
    if kind == "PushEvent":
        payload = {
            "push_id": number,
            "ref": "refs/heads/main",
            "commits": [_commit(rng, repo, text(9)) for _ in range(_many(rng))],
        }
    elif kind == "ForkEvent":
        payload = {"forkee": {**_object(f"fork/{repo}", "full_name", OF_A_REPOSITORY), "id": 10**7 + number}}
    elif kind.startswith("PullRequest"):
        ends = {
            end: {
                "sha": f"{rng.getrandbits(160):040x}",
                "user": user(),
                "repo": {**_object(f"me/{repo}", "full_name", OF_A_REPOSITORY), "id": repo, "default_branch": "main"},
            }
            for end in ("base", "head")
        }
        payload = {"action": "opened", "pull_request": {**thread, **ends}}
        if kind != "PullRequestEvent":
            hunk = "@@ -1,9 +1,9 @@\n" + "\n".join(" " + text(6) for _ in range(8))
            payload |= {"action": "created", "comment": {"id": number, "body": text(30), "user": user(), "diff_hunk": hunk}}
    elif kind.startswith("Issue"):
        payload = {"action": "opened", "issue": thread}
        if kind == "IssueCommentEvent":
            payload |= {"action": "created", "comment": {"id": number, "body": text(50), "user": user()}}
    of = {"id": str(number), "type": kind, "actor": {"id": 1, "login": f"user{rng.randrange(50_000)}"}}
    return {**of, "repo": {"id": repo, "name": f"me/{repo}"}, "payload": payload, "public": True, "created_at": time}


def _commit(rng: random.Random, repo: int, message: str) -> dict[str, object]:
    sha, mail = f"{rng.getrandbits(160):040x}", f"{rng.getrandbits(160):040x}@example.org"
    author = {"email": mail, "name": message[:12]}
    return {
        "sha": sha,
        "author": author,
        "message": message,
        "distinct": True,
        "url": f"https://api.github.com/repos/me/{repo}/{sha}",
    }


def _many(rng: random.Random) -> int:
    return int(rng.expovariate(0.4)) + 1


def _object(name: str, key: str, addresses: list[str]) -> dict[str, object]:
    at = f"https://api.github.com/repos/{name}"
    return {key: name, "id": 1, "url": at, **{f"{of}_url": f"{at}/{of}{{/other}}" for of in addresses}}


if __name__ == "__main__":
    main()
