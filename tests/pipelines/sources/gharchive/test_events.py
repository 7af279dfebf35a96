"""Events of every era, and every damage that GHArchive's hours have."""

import pytest
from hours import comment, event, issue, line, opened, timeline

from starmill.pipelines.sources.gharchive.events import EVENT, BadEvent, Event, Facts, Row, add_all, instant, rows

GOOD = line(opened(3, 1))


def one(data: bytes) -> tuple[tuple[str, str, str], Event]:
    [row], lost = rows(data)
    assert not lost
    return (row.repo, row.thread, row.time), EVENT.decode(row.data)


def test_an_issue_of_2015() -> None:
    place, found = one(GOOD)
    assert place == ("7", "issues/3", "2015-01-01T00:00:00Z")
    assert (found.what, found.login, found.title, found.body, found.author) == (
        "opened",
        "ann",
        "It crashes",
        "At start.",
        "ann",
    )


def test_a_comment_on_a_pull_request_is_the_pull_requests() -> None:
    place, found = one(line(comment(4, 2, "Why?", pull_request={"url": "u"})))
    assert place[1] == "pull/4" and (found.what, found.login, found.text, found.own) == ("comment", "bob-b", "Why?", 1002)
    assert one(line(comment(4, 2, "Why?", pull_request=None)))[0][1] == "issues/4"


def test_the_line_of_a_comment_on_code_is_one_of_the_file_in_every_era() -> None:
    hunk = "@@ -2045,6 +2044,157 @@ def f():\n a\n-b\n+c\n+d"
    for year, places, expected in [
        ("2015", {"original_position": 76, "position": None}, 2046),  # of the diff of the whole file
        ("2021", {"original_position": 4, "original_line": 2050, "line": None}, 2050),
        ("2023", {"original_position": 4, "original_line": 2050, "line": 2051}, 2051),
    ]:
        said = {"id": 5, "body": "Why?", "path": "a.py", "diff_hunk": hunk, "user": {"login": "bob-b"}, **places}
        data = line(event("PullRequestReviewCommentEvent", {"comment": said, "pull_request": issue(4)}, "01:00:00", 9))
        _, found = one(data)
        assert (year, found.line, found.hunk) == (year, expected, hunk)


def test_the_timeline_has_no_ids_and_no_texts_of_issues() -> None:
    place, found = one(line(timeline("IssuesEvent", {"number": 294, "action": "opened", "issue": 5082481}, "issues/294")))
    assert place == ("me/old", "issues/294", "2012-06-14T22:01:46Z") and (found.what, found.title) == ("opened", None)
    said = {"issue_id": 3497442, "comment_id": 6344615}
    place, found = one(line(timeline("IssueCommentEvent", said, "issues/500#issuecomment-6344615", id=9)))
    assert place[:2] == ("9", "issues/500") and found.what == "seen"
    hunk = {"comment": {"id": 5, "body": "Add it.", "path": "a.py", "user": {"login": "bob-b"}}}
    place, found = one(line(timeline("PullRequestReviewCommentEvent", hunk, "pull/228#r989247")))
    assert place[1] == "pull/228" and (found.what, found.text, found.path, found.login) == ("hunk", "Add it.", "a.py", "bob-b")
    [first], [second] = (rows(line(timeline("WatchEvent", {"action": "started"}, "")))[0] for _ in range(2))
    assert first == second and first.id, "the same event twice is one event"


def test_a_pull_request_before_and_after_the_cut() -> None:
    repo = {
        "id": 7,
        "name": "toy",
        "default_branch": "develop",
        "license": {"spdx_id": "MIT"},
        "created_at": "2014-12-16T22:25:58Z",
    }
    stated = issue(8, base={"sha": "b" * 40, "repo": repo}, head={"sha": "h" * 40}, merged=True)
    found, lost = rows(
        line(event("PullRequestEvent", {"action": "closed", "number": 8, "pull_request": stated}, "01:00:00", 9))
    )
    facts, pull = (EVENT.decode(row.data) for row in found)
    assert not lost and facts.facts == Facts("develop", "MIT", "2014-12-16T22:25:58Z", None) and found[0].thread == ""
    assert (pull.what, pull.merged, pull.base, pull.title) == ("closed", True, "b" * 40, "It crashes")
    cut = {
        "id": 1,
        "number": 8,
        "head": {"ref": "x", "sha": "h"},
        "base": {"ref": "m", "sha": "b", "repo": {"id": 7, "name": "toy"}},
    }
    place, found2 = one(line(event("PullRequestEvent", {"action": "merged", "number": 8, "pull_request": cut}, "01:00:00", 9)))
    assert place[1] == "pull/8" and (found2.what, found2.merged, found2.title) == ("closed", True, None)


def test_a_fork_says_what_the_fork_is() -> None:
    fork = {"id": 70, "full_name": "bob-b/toy", "default_branch": "main", "license": None}
    found, _ = rows(line(event("ForkEvent", {"forkee": fork}, "01:00:00", 9)))
    assert [(row.repo, row.name, EVENT.decode(row.data).what) for row in found] == [
        ("7", "me/toy", "fork"),
        ("70", "bob-b/toy", "facts"),
    ]


NUMBERS = '"payload":{"action":"opened","size":' + "9" * 400 + ","
NO_TIME = {"id": 70, "full_name": "bob-b/toy", "created_at": "2015-02-30T25:00:00+01:00"}
DAMAGE = {
    "NULs before": (bytes(500) + GOOD, 1, False),
    "NULs within": (GOOD.replace(b":", b"\0:\0"), 1, False),
    "two glued": (GOOD + line(opened(4, 2)), 2, False),
    "a lost head": (b'me":"x","type":"PushEvent"}' + GOOD, 1, True),
    "a lost tail": (GOOD[:90] + line(opened(4, 2)), 1, True),
    "a lost tail alone": (GOOD[:90], 0, True),
    "many lost heads": (GOOD[:20] * 300 + GOOD, 1, True),
    "not JSON": (b"<html>", 0, True),
    "a list": (b"[1, 2]", 0, True),
    "no object": (b"null", 0, True),
    "NaN": (GOOD.replace(b'"payload":{', b'"payload":{"size":NaN,'), 1, False),
    "a lone surrogate": (GOOD.replace(b"At start", b"At \\ud800 start"), 1, False),
    "no UTF-8": (GOOD.replace(b"At start", b"At \xff start"), 1, False),
    "a key twice": (b'{"type":"PushEvent",' + GOOD[1:], 1, False),
    "a huge number": (GOOD.replace(b'"payload":{"action":"opened",', NUMBERS.encode()), 1, False),
    "deep nesting": (GOOD.replace(b'"payload":{', b'"payload":{"deep":' + b"[" * 5000 + b"]" * 5000 + b","), 0, True),
    "a title that is a number": (GOOD.replace(b'"It crashes"', b"17"), 0, True),
    "no payload": (line({**opened(3, 1), "payload": {}}), 0, True),
    "payload null": (line({**opened(3, 1), "payload": None}), 0, True),
    "no repository": (line({**opened(3, 1), "repo": None}), 0, True),
    "a hostile repository": (line({**opened(3, 1), "repo": {"id": 1, "name": "../../etc"}}), 0, True),
    "no time": (line({**opened(3, 1), "created_at": "yesterday"}), 0, True),
    "a time that is none": (line({**opened(3, 1), "created_at": "2015-02-30T25:00:00+01:00"}), 0, True),
    "a fork of no time": (line(event("ForkEvent", {"forkee": NO_TIME}, "01:00:00", 9)), 0, True),
    "a negative number": (GOOD.replace(b'"number":3', b'"number":-3'), 0, True),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_costs_only_what_is_damaged(case: str) -> None:
    data, whole, lost = DAMAGE[case]
    found, told = rows(data)
    assert (len(found), bool(told)) == (whole, lost), told
    assert all(len(said) <= 200 for said in told)


@pytest.mark.parametrize("case", [*DAMAGE, "an event on two lines"])
def test_lines_that_are_read_at_once_give_what_each_gives_alone(case: str) -> None:
    data = GOOD.replace(b'"actor":', b'"actor":\n') if case == "an event on two lines" else DAMAGE[case][0]
    for lines in ([GOOD, data], [data, GOOD, b"", data], [GOOD] * 3):
        parts = b"\n".join(lines).split(b"\n")
        alone = [rows(part) if part else ([], []) for part in parts]
        wanted = [(n, said, len(parts[n - 1])) for n, (_, lost) in enumerate(alone, 1) for said in lost]
        for end in (b"", b"\n"):
            found: list[Row] = []
            assert add_all(b"\n".join(lines) + end, len(alone), found) == wanted
            assert found == [row for made, _ in alone for row in made]


def test_events_of_other_kinds_give_nothing_whatever_they_hold() -> None:
    assert rows(line(event("PushEvent", {"issue": "none", "number": "x"}, "00:00:00", 5))) == ([], [])
    assert rows(line({"type": "GistEvent", "actor": None, "created_at": "2011-02-12T00:00:00Z", "payload": 5})) == ([], [])


def test_times_of_every_era() -> None:
    assert instant("2015-01-01T00:00:06Z") == "2015-01-01T00:00:06Z"
    for said in ("2012-06-14T15:01:46-07:00", "2012/06/14 15:01:46 -0700", "2012-06-14T22:01:46.123Z"):
        assert instant(said) == "2012-06-14T22:01:46Z"
    for wrong in ("", "2012", "2012-13-01T00:00:00Z+", "0001-01-01T00:00:00+23:59", "٢٠١٥-01-01T00:00:00Z"):
        with pytest.raises(BadEvent):
            instant(wrong)


@pytest.mark.parametrize("name", ["me/..", "../toy", "./toy", "me/.git", "me/.GIT"])
def test_a_name_that_leads_elsewhere_as_a_path_is_none(name: str) -> None:
    event = opened(1, 1)
    event["repo"]["name"] = name
    found, lost = rows(line(event))
    assert not found and len(lost) == 1 and "is no owner/name" in lost[0]
