"""Hours to records: real hours of five eras against plain json and gzip, and generated ones with everything that may be wrong."""

import collections
import gzip
import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest
from hours import SHARED, comment, event, hour, issue, line, opened, timeline
from small_tree import commit, git

from starmill.cli import __main__ as cli
from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.source import Entry, Limits, Repository, Snapshot
from starmill.pipelines.stages import STAGES
from starmill.reports import funnel

Records = dict[tuple[str, str], Entry]


def records(place: Path, **options: str) -> tuple[Records, dict[str, Snapshot]]:
    """Return what the hours in a folder give, by repository and path."""
    source = GHArchive(hours=str(place), index=str(place.with_suffix(".index")), **options)  # type: ignore[arg-type]
    found, facts = {}, {}
    for repository in source.plan():
        facts[repository.name], entries = source.read(repository, Limits())
        found |= {(repository.name, entry.path.decode()): entry for entry in entries}
    return found, facts


def real(place: Path) -> list[bytes]:
    """Return the lines of an hour."""
    return gzip.decompress(place.read_bytes()).splitlines()


def oracle(place: Path) -> dict[tuple[str, str], set[str]]:
    """Return the titles of all threads of the API's era, by plain json."""
    titles: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    for said in map(json.loads, real(place)):
        if "repo" in said and re.fullmatch("Issues?.*|PullRequest.*", said["type"]):
            payload = said["payload"]
            of = payload.get("pull_request") or payload["issue"]
            pull = "pull_request" in payload or "pull_request" in of
            titles[said["repo"]["name"], f"{'pull' if pull else 'issues'}/{of['number']}"].add(of.get("title") or "")
    return titles


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"NOT RUN: no real hours in {SHARED}")
@pytest.mark.parametrize("name", ["2015-01-01-0.json.gz", "2021-2023.json.gz", "2025-11.json.gz"])
def test_real_hours_of_the_api(tmp_path: Path, name: str) -> None:
    hour(tmp_path / "hours/0.json.gz", *real(SHARED / name))
    found, _ = records(tmp_path / "hours", until="")
    wanted = oracle(SHARED / name)
    assert found.keys() == wanted.keys()
    for key, entry in found.items():
        if wanted[key] == {""}:
            assert entry.reason == "no_text"
            continue
        assert entry.data is not None and entry.segments
        title = entry.segments[0]
        said = re.sub(r"username_\d+", "", entry.data.decode()[: title["end"]])
        assert any(len(said) <= len(t) and {*said.split()} & {*t.split()} for t in wanted[key]), key


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"NOT RUN: no real hours in {SHARED}")
def test_real_hours_of_the_timeline_lose_no_thread(tmp_path: Path) -> None:
    wanted, texts = set(), 0
    for name in ("2012-06-14-15.json.gz", "2014-06-01-1.json.gz"):
        events = [json.loads(data) for data in real(SHARED / name)]
        for said in events:
            if said["type"].startswith(("Issue", "PullRequest")):
                owner, name_ = said["repository"]["owner"], said["repository"]["name"]
                number = said["payload"].get("number") or re.search(r"/(?:issues|pull)/(\d+)", said["url"])[1]  # type: ignore[index]
                wanted.add((f"{owner}/{name_}", int(number)))
                texts += said["type"] == "PullRequestEvent"
        hour(tmp_path / f"hours/{name}", *map(line, events))
    found, _ = records(tmp_path / "hours")
    # Of one name are some with an id and some of before ids were told.
    assert {(name.partition("~")[0], int(path.rpartition("/")[2])) for name, path in found} == wanted
    assert {entry.reason for entry in found.values()} == {None, "no_text"} and texts > 150
    assert all(path.startswith("pull/") for (_, path), entry in found.items() if entry.reason is None)


def test_every_damage_costs_only_what_is_damaged_and_is_told(tmp_path: Path) -> None:
    good = [line(opened(n, n)) for n in range(1, 9)]
    place = tmp_path / "hours"
    hour(place / "2017-11-08-1.json.gz", good[0] + good[1], bytes(50) + good[2])
    hour(place / "2014-1-1-3.json.gz", good[3][:40], good[4][70:] + good[3])
    (place / "2020-08-21-9.json").write_bytes(good[4])
    (place / "2020-08-22-1.json.gz").touch()
    (place / "2013-11-25-15.json.gz").write_bytes(b"<?xml version='1.0'?><Error>AccessDenied</Error>")
    hour(place / "html.json.gz", b"<html>")
    whole, cut = hour(tmp_path / "a", good[5]).read_bytes(), hour(tmp_path / "b", good[6], good[7]).read_bytes()
    (place / "cut.json.gz").write_bytes(whole + cut[: len(cut) - 9])
    found, _ = records(place)
    kept = {path: entry for (name, path), entry in found.items() if name == "me/toy"}
    assert sorted(kept) == [f"issues/{n}" for n in range(1, 7)] and all(entry.data for entry in kept.values())
    told = sorted(
        (name.rpartition("/")[2], path[:17], entry.reason) for (name, path), entry in found.items() if name != "me/toy"
    )
    assert told == [
        ("2013-11-25-15.json.gz", "", "not_events"),
        ("2014-1-1-3.json.gz", "line/000000000001", "bad_event"),
        ("2014-1-1-3.json.gz", "line/000000000002", "bad_event"),
        ("2020-08-22-1.json.gz", "", "empty_file"),
        ("cut.json.gz", "", "cut_member"),
        ("html.json.gz", "", "not_events"),
    ]


def test_a_thread_that_spans_hours_and_names_is_one_record(tmp_path: Path) -> None:
    renamed = (7, "us/toy-2")
    later = comment(1, 3, "Mended in 2.", time="05:00:00")
    later["repo"] = {"id": renamed[0], "name": renamed[1]}
    hour(tmp_path / "a/0.json.gz", opened(1, 1), comment(1, 2, "Why?"))
    hour(tmp_path / "a/5.json.gz", comment(1, 2, "Why?"), later)
    hour(tmp_path / "b/0.json.gz", later, comment(1, 2, "Why?"), opened(1, 1))
    (one, _), (other, _) = records(tmp_path / "a"), records(tmp_path / "b")
    assert one == other and [*one] == [("us/toy-2", "issues/1")]
    data = one["us/toy-2", "issues/1"].data
    assert data == b"It crashes\nAt start.\nWhy?\nMended in 2."


def test_repositories_of_one_name_stay_apart(tmp_path: Path) -> None:
    first, second = opened(1, 1), opened(1, 2, time="03:00:00")
    second["repo"] = {"id": 8, "name": "me/toy"}
    hour(tmp_path / "h/0.json.gz", second, first)
    found, facts = records(tmp_path / "h")
    assert {(name, facts[name].github_id) for name, _ in found} == {("me/toy", 8), ("me/toy~2", 7)}


def test_facts_of_a_repository(tmp_path: Path) -> None:
    repo = {"id": 7, "name": "toy", "default_branch": "old", "language": "C", "created_at": "2014-12-16T22:25:58Z"}
    pulls = [
        event("PullRequestEvent", {"action": "opened", "pull_request": issue(n, base={"repo": {**repo, **more}})}, time, n)
        for n, time, more in (
            (2, "02:00:00", {"default_branch": "develop", "license": {"spdx_id": "MIT"}}),
            (1, "01:00:00", {}),
        )
    ]
    stars = [event("WatchEvent", {"action": "started"}, "00:00:01", 100 + n % 3) for n in range(5)]  # two of them twice
    fork = event("ForkEvent", {"forkee": {"id": 9, "full_name": "bob-b/toy"}}, "00:00:01", 99)
    hour(tmp_path / "h/0.json.gz", *pulls, *stars, fork)
    found, facts = records(tmp_path / "h")
    assert {name for name, _ in found} == {"me/toy"}, "a fork without issues is no repository of records"
    known = facts["me/toy"]
    assert (known.star_events_count, known.fork_events_count, known.github_id, known.branch_name) == (
        3,
        1,
        7,
        "refs/heads/develop",
    )
    assert (known.gha_license_id, known.gha_language, known.gha_created_at) == ("MIT", "C", datetime(2014, 12, 16, 22, 25, 58))


def test_what_the_options_leave_out_is_told(tmp_path: Path) -> None:
    hour(tmp_path / "h/0.json.gz", opened(1, 1), comment(1, 2, "later", time="04:00:00"), opened(2, 3, time="05:00:00"))
    found, _ = records(tmp_path / "h", until="2015-01-01T03:00:00Z")
    assert {path: (entry.reason, entry.data) for (_, path), entry in found.items()} == {
        "issues/1": (None, b"It crashes\nAt start."),
        "issues/2": ("outside_time", None),
    }
    found, _ = records(tmp_path / "h", since="2015-01-02")
    assert {entry.reason for entry in found.values()} == {"outside_time"}


def test_another_cut_is_another_input(tmp_path: Path) -> None:
    hour(tmp_path / "h/0.json.gz", opened(1, 1))

    def planned(**options: str) -> list[Repository]:
        return GHArchive(hours=str(tmp_path / "h"), index=str(tmp_path / "i"), **options).plan()  # type: ignore[arg-type]

    assert planned() == planned() != planned(until="2023-07-26")


def test_a_dry_run_says_which_days_are_read_and_what_later_ones_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hour(tmp_path / "h/0.json.gz", opened(1, 1))
    where = {"kind": "gharchive", "hours": str(tmp_path / "h"), "index": str(tmp_path / "i")}

    def told(**options: str) -> str:
        (tmp_path / "r.yaml").write_text(
            json.dumps({"workspace": str(tmp_path / "w"), "sources": {"all": {**where, **options}}})
        )
        assert cli.main(["run", str(tmp_path / "r.yaml"), "--dry-run"]) == 0
        return capsys.readouterr().out

    assert "source all: 1 hours" in (said := told()) and "until 2025-10-07" in said and "no_text" not in said
    assert "opened from 2025-10-07 on have no text" in told(until="")


def test_timeline_threads_without_text_are_rows(tmp_path: Path) -> None:
    said = timeline("IssueCommentEvent", {"issue_id": 1, "comment_id": 2}, "issues/500#issuecomment-2")
    hour(tmp_path / "h/0.json.gz", said)
    found, _ = records(tmp_path / "h")
    assert {key: entry.reason for key, entry in found.items()} == {("me/old", "issues/500"): "no_text"}


def test_what_is_no_regular_file_is_told_and_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    hour(tmp_path / "h/0.json.gz", opened(1, 1))
    hour(tmp_path / "private.json.gz", opened(2, 2))
    (tmp_path / "h/link.json.gz").symlink_to(tmp_path / "private.json.gz")
    os.mkfifo(tmp_path / "h/pipe.json.gz")
    (tmp_path / "h/2016").mkdir()
    (tmp_path / "h" / os.fsdecode(b"\xe9.json.gz")).write_bytes(b"no UTF-8 in its name, and no gzip")
    found, _ = records(tmp_path / "h")
    assert {(name, path): entry.reason for (name, path), entry in found.items()} == {
        ("me/toy", "issues/1"): None,
        ("gharchive/hours/2016", ""): "not_a_regular_file",
        ("gharchive/hours/%E9.json.gz", ""): "not_events",
        ("gharchive/hours/link.json.gz", ""): "symlink",
        ("gharchive/hours/pipe.json.gz", ""): "not_a_regular_file",
    }


def test_what_another_run_did_to_the_index_while_it_was_read_is_noticed(tmp_path: Path) -> None:
    hour(tmp_path / "h/0.json.gz", opened(1, 1))
    (tmp_path / "h/1.json.gz").write_bytes(b"no gzip")
    of = GHArchive(hours=str(tmp_path / "h"), index=str(tmp_path / "index"))
    planned = of.plan()
    assert len(planned) == 2 and [of.fingerprint(r) for r in planned] == [r.fingerprint for r in planned]
    hour(tmp_path / "h/1.json.gz", opened(2, 2))
    of.plan()
    assert not {of.fingerprint(r) for r in planned} & {r.fingerprint for r in planned}


@pytest.mark.parametrize("wrong", [{"last_lines": 100}, {"index": "s3://bucket/index"}, {"index": "h/events.index"}])
def test_options_that_cannot_work_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must "):
        GHArchive(**{"hours": "h", "index": "i", **wrong})


def test_hours_to_shards(tmp_path: Path) -> None:
    """Through every stage of a run."""
    mail, why = "ann" + "@real-site.org", "Because the buffer is full before anybody reads it, as in the other one. " * 3
    stated = issue(8, "Mend the buffer", "It grows until it is read.", base={"sha": "b" * 40}, merged=True)
    said = {"id": 5, "body": why, "state": "approved", "user": {"login": "bob-b"}}
    events = [
        opened(1, 1, body=f"Write to {mail} or @bob-b."),
        comment(1, 2, why),
        event("IssuesEvent", {"action": "closed", "issue": issue(1)}, "00:20:00", 3, "bob-b"),
        opened(2, 4, time="00:30:00", body="short"),
        opened(3, 5, time="00:31:00", body=f"Write to {mail} or @bob-b.", title="It crashes"),
        comment(3, 6, why, time="00:32:00"),
        event("PullRequestReviewEvent", {"action": "created", "review": said, "pull_request": stated}, "01:00:00", 7, "bob-b"),
        event("PullRequestEvent", {"action": "closed", "pull_request": stated}, "01:05:00", 8, "bob-b"),
    ]
    hour(tmp_path / "h/0.json.gz", *events[:5])
    hour(tmp_path / "h/1.json.gz", *events[3:])
    source = {"kind": "gharchive", "hours": str(tmp_path / "h"), "index": str(tmp_path / "i")}
    tokenizer_options = {"vocab_size": 320, "sample_bytes": 1000}
    options = build({"workspace": str(tmp_path / "w"), "sources": {"all": source}, "tokenizer": tokenizer_options})
    for stage in STAGES:
        run_stage(stage, options, choose((), workers=1), quiet=True)
    tokenizer = Tokenizer.load(f"{options.workspace}/tokenizer/tokenizer.json")
    [shard] = open_shards(options.workspace)
    documents = {
        (row["kind"], row["files"][0]["path"]): tokenizer.decode(shard.tokens(i).tolist())
        for i, row in enumerate(shard.table.to_pylist())
    }
    dropped = {(f.stage, step, reason) for f in funnel.measure(Workspace(options.workspace)) for step, reason in f.dropped}
    [kept] = {("issue", "issues/1"), ("issue", "issues/3")} & documents.keys()  # one of the two is a duplicate
    assert documents == {
        kept: "<issue_start>Title: It crashes\nusername_0: Write to <EMAIL> or @username_1.<issue_comment>username_1: "
        + why.strip()
        + ("<issue_closed>" if kept[1] == "issues/1" else "")
        + "<|endoftext|>",
        (
            "pull_request",
            "pull/8",
        ): "<pr>Title: Mend the buffer\nusername_0: It grows until it is read.<pr_status>opened<repo_name>me/toy"
        f"<pr_review>username_1: {why.strip()}<pr_event_id>0<pr_review_state>approved<pr>username_1<pr_status>closed<pr_is_merged>True"
        "<|endoftext|>",
    }
    assert {("curate", "threads", "thread_too_short"), ("dedup", "exact", "exact_duplicate")} <= dropped


def pull_request(number: int, id_: int, action: str, base: str, head: str, **more: object) -> dict:
    of = {"number": number, "title": "Subtract where the third adds", "body": "It was the wrong way round all along.", **more}
    of |= {"user": {"login": "ann"}, "base": {"sha": base, "repo": None}, "head": {"sha": head, "repo": None}}
    return event("PullRequestEvent", {"action": action, "pull_request": of}, f"00:00:{id_:02}", id_)


def test_files_of_pull_requests_come_from_mirrors(tmp_path: Path) -> None:
    code = "".join(f"def function_{n}(value):\n    return value + {n}\n\n" for n in range(20))
    work = commit(tmp_path / "work", {"a.py": code})
    ids = [git(work, "rev-parse", "HEAD").strip()]
    commit(work, {"a.py": code.replace("+ 3", "- 3")})
    ids.append(git(work, "rev-parse", "HEAD").strip())
    git(tmp_path, "clone", "-q", "--mirror", "work", "mirrors/me/toy.git")
    hour(tmp_path / "hours/2015-01-01-0.json.gz", *(pull_request(n, n, "opened", *ids) for n in range(1, 60)))
    found, _ = records(tmp_path / "hours", repositories=str(tmp_path / "mirrors"))
    for entry in found.values():
        assert entry.data and [s["role"] for s in entry.segments or ()][4:] == ["base_file", "head", "diff", "diff_hunk"]
        assert b"+    return value - 3\n" in entry.data
    few, _ = records(tmp_path / "hours", repositories=str(tmp_path / "mirrors"), sample=True)  # type: ignore[arg-type]
    assert {entry.reason for entry in few.values()} == {None, "not_sampled"} and len(few) == 59
    hour(tmp_path / "lost/0.json.gz", pull_request(8, 8, "opened", ids[0], "f" * 40), pull_request(9, 9, "opened", *ids))
    lost, _ = records(tmp_path / "lost", repositories=str(tmp_path / "mirrors"))
    assert {path: entry.reason for (_, path), entry in lost.items()} == {
        "pull/8": None,
        "pull/8/files": "missing_object",
        "pull/9": None,
    }
    assert f"head {'f' * 40}" in (lost["me/toy", "pull/8/files"].detail or "")
    source = GHArchive(
        hours=str(tmp_path / "hours"), index=str(tmp_path / "hours.index"), repositories=str(tmp_path / "mirrors")
    )
    [planned] = source.plan()
    git(tmp_path / "mirrors/me/toy.git", "hash-object", "-w", "--stdin", given=b"more")
    assert source.plan()[0].fingerprint != planned.fingerprint, "a mirror that was fetched again is read again"
    assert records(tmp_path / "hours")[0].keys() == found.keys()
