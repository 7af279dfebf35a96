"""What a thread's events become: a text with segments, and who is who in it."""

from collections.abc import Sequence
from typing import Any

from starmill.pipelines.sources.gharchive.events import Event
from starmill.pipelines.sources.gharchive.pulls import Files, Hunk, Show, Window, shown
from starmill.pipelines.sources.gharchive.threads import Said, Texts, entry
from starmill.pipelines.sources.source import Entry

TEXTS = Texts(100, 20)
OPENED = {"title": "It crashes", "body": "Ask Ann or @BOB.", "author": "ann"}


def said(minute: int, what: str, login: str = "ann", text: str = "", id_: int | None = None, **more: Any) -> Said:
    return Said(f"2015-01-01T00:{minute:02}:00Z", str(id_ or minute), Event(what, login, text, **more))


def record(thread: str, *events: Said) -> list[tuple[str, str | None, str]]:
    made = entry(thread, iter(events), TEXTS, 10 << 20)
    assert made.data is not None and made.segments is not None and made.path == thread.encode()
    text = made.data.decode()
    bounds = [(s["start"], s["end"]) for s in made.segments]
    assert bounds == sorted(bounds) and bounds[-1][1] == len(text)
    return [(s["role"], s["name"], text[s["start"] : s["end"]]) for s in made.segments]


def test_an_issue() -> None:
    found = record(
        "issues/1",
        said(0, "opened", **OPENED),
        said(1, "comment", "bob", "Works for me, ann."),
        said(2, "comment", "ann", "See \u6f22\u5b57."),
        said(3, "closed", "bob"),
        said(4, "comment", "carl", "Again!"),
        said(5, "reopened", "ann"),
    )
    assert found == [
        ("title", "username_0", "It crashes"),
        ("body", "username_0", "Ask Ann or @username_1.".replace("Ann", "username_0")),
        ("comment", "username_1", "Works for me, username_0."),
        ("comment", "username_0", "See \u6f22\u5b57."),
        ("closed", "username_1", ""),
        ("comment", "username_2", "Again!"),
        ("reopened", "username_0", ""),
    ]


def test_an_issue_that_began_before_the_hours_did_has_its_title_and_author() -> None:
    found = record("issues/1", said(1, "comment", "bob", "Late.", **OPENED), said(2, "comment", "ann", "Thanks.", **OPENED))
    assert found[0] == ("title", "username_0", "It crashes") and found[1][:2] == ("body", "username_0")
    assert [part[:2] for part in found[2:]] == [("comment", "username_1"), ("comment", "username_0")]


def test_events_of_one_second_come_in_an_order_that_makes_sense_whatever_their_ids() -> None:
    found = record(
        "issues/1",
        said(0, "closed", "bob", id_=2),
        said(0, "comment", "bob", "Fixed.", id_=30),
        said(0, "comment", "bob", "Sorry.", id_=4),
        said(0, "opened", id_=99, **OPENED),
    )
    assert [(role, text) for role, _, text in found[2:]] == [("comment", "Sorry."), ("comment", "Fixed."), ("closed", "")]


def test_bots_are_not_heard_and_neither_is_who_talks_to_them() -> None:
    found = record(
        "issues/1",
        said(0, "opened", **OPENED),
        said(1, "comment", "bob", "/retest"),
        said(2, "comment", "k8s-ci-robot", "ok"),
        said(3, "comment", "bob", "thanks, @dependabot, rebase"),
        said(4, "comment", "dependabot[bot]", "done"),
        said(5, "comment", "bob", "/shrug is for people"),
    )
    assert [part for part in found if part[0] == "comment"] == [("comment", "username_1", "/shrug is for people")]
    of_bot = record(
        "issues/1", said(0, "opened", "x[bot]", title="Bump", body="auto", author="x[bot]"), said(1, "comment", "ann", "No.")
    )
    assert of_bot == [("title", "bot", "Bump"), ("comment", "username_0", "No.")]


def test_a_pull_request() -> None:
    found = record(
        "pull/1",
        said(
            0, "opened", **{**OPENED, "title": "Fix the crash", "body": "It was a race of two threads."}, base="b1", head="h1"
        ),
        said(1, "review", "bob", "Nearly.", own=71, state="changes_requested"),
        said(
            2, "hunk", "bob", "This needs a lock around it.", own=72, review=71, path="a.py", line=9, hunk="@@ -1 +1 @@\n-x\n+y"
        ),
        said(
            3, "hunk", "ann", "A lock is there, @bob, look up.", own=73, review=70, reply=72, path="a.py", base="b1", head="h2"
        ),
        said(4, "comment", "carl", "too short"),
        said(5, "comment", "carl", "I measured it: twice as fast. <!-- secret -->", own=74),
        said(6, "review", "bob", "", own=75, state="approved"),
        said(7, "closed", "bob", merged=True, base="b2"),
    )
    assert found == [
        ("title", "username_0", "Fix the crash"),
        ("body", "username_0", "It was a race of two threads."),
        ("status", None, "opened"),
        ("base", "0", ""),
        ("head", "0", ""),
        ("review", "username_1", "Nearly."),
        ("event_id", None, "0"),
        ("review_state", "changes_requested", "changes_requested"),
        ("code", None, ""),
        ("event_id", None, "1"),
        ("reply_to_review", None, "0"),
        ("path", None, "a.py"),
        ("line", None, "9"),
        ("hunk", None, "@@ -1 +1 @@\n-x\n+y"),
        ("code_comment", "username_1", "This needs a lock around it."),
        ("head", "1", ""),
        ("code", None, ""),
        ("event_id", None, "2"),
        ("reply_to_comment", None, "1"),
        ("path", None, "a.py"),
        ("code_comment", "username_0", "A lock is there, @username_1, look up."),
        ("comment", "username_2", "I measured it: twice as fast."),
        ("event_id", None, "3"),
        ("review", "username_1", ""),
        ("event_id", None, "4"),
        ("review_state", "approved", "approved"),
        ("base", "1", ""),
        ("status", "username_1", "closed"),
        ("is_merged", "True", "True"),
    ]


def test_texts_of_a_pull_request_are_cut() -> None:
    long = {"title": "t" * 600, "body": "b" * 1100, "author": "ann"}
    assert ("version", None, "") in record("pull/1", said(0, "opened", **{**long, "title": "Bump Dependencies"}))
    found = record(
        "pull/1",
        said(0, "opened", **long),
        said(1, "hunk", "bob", "x" * 20, own=1, path="p", hunk="h" * 10_001),
        said(2, "comment", "bob", "Codecov report: 97 %"),
        said(3, "comment", "bob", "found by Qwiet AI, which looks for flaws"),
    )
    sizes = {role: len(text) for role, _, text in found}
    assert (sizes["title"], sizes["body"]) == (500, 1000)
    assert ("hunk", None, "[OMITTED]") in found and found[-1] == ("comment", "username_1", "[OMITTED]CodeCov")
    many = "\n".join(str(n) for n in range(90))
    opened = said(0, "opened", **{**OPENED, "body": many})
    [body] = [text for role, _, text in record("pull/1", opened) if role == "body"]
    assert body.split("\n") == [*map(str, range(60)), "[Truncated]", *map(str, range(70, 90))], "80 lines; an issue has 100"
    assert ("body", "username_0", many) in record("issues/1", opened)


def test_what_has_no_text_and_what_has_too_much_says_so() -> None:
    def reason(*events: Said, most: int = 1000) -> tuple[Entry, str | None]:
        found = entry("issues/1", iter(events), TEXTS, most)
        return found, found.reason

    assert reason(said(0, "seen"), said(1, "closed"))[1] == "no_text"
    assert reason(said(0, "opened", **OPENED), said(1, "comment", "bob", "x" * 1000))[1] == "too_large"
    found, why = reason(said(0, "opened", **OPENED), *(said(1, "comment", "bob", "x" * 30, id_=n) for n in range(1, 40)))
    assert why == "too_large" and found.size > 4000
    each_says_all = (said(n % 60, "comment", "bob", "x", id_=n, **{**OPENED, "body": "y" * 500}) for n in range(1, 20))
    assert reason(*each_says_all)[1] is None, "a body that each event repeats counts once"


def test_files_of_a_pull_request_stand_where_its_base_and_heads_are_said() -> None:
    asked = []

    def files_of(base: str, heads: Sequence[str]) -> Files:
        asked.append((base, [*dict.fromkeys(heads)]))
        hunks = {"h1": (Hunk("a.py", "@@ 1"), Hunk("a.py", "@@ 2")), "h2": (Hunk("b.py", "@@ 3"),), "h3": ()}
        return Files((Window("a.py", 0, 1, "old\n"), Window("b.py", 0, 1, "b\n")), hunks)

    ends = {"base": "b", "author": "ann"}
    events = [
        said(0, "opened", **OPENED | ends, head="h1"),
        said(1, "comment", "bob", "Please mend the second as well."),
        said(2, "seen", **ends, head="h2"),
        said(3, "closed", "bob", **ends | {"base": "later"}, head="h3", merged=True),
    ]
    made = entry("pull/7", iter(events), TEXTS, 10 << 20, files_of)
    assert asked == [("b", ["h1", "h2", "h3"])] and made.data is not None and made.segments is not None
    text = made.data.decode()
    found = [(s["role"], s["name"], text[s["start"] : s["end"]]) for s in made.segments]
    at = found.index(("status", None, "opened"))
    assert found[at + 1 : at + 9] == [
        ("base", "0", ""),
        ("base_file", "a.py", "old\n"),
        ("base_file", "b.py", "b\n"),
        ("head", "0", ""),
        ("diff", None, ""),
        ("diff_hunk", "a.py", "@@ 1"),
        ("diff_hunk", "a.py", "@@ 2"),
        ("comment", "username_1", "Please mend the second as well."),
    ]
    assert [part[:2] for part in found[at + 9 :]] == [
        ("head", "1"),
        ("diff", None),
        ("diff_hunk", "b.py"),
        ("base", "1"),
        ("head", "2"),
        ("status", "username_1"),
        ("is_merged", "True"),
    ]


def test_comments_on_code_are_numbered_as_the_window_that_is_shown() -> None:
    base = [f"line {n}" for n in range(1, 61)]
    head = [*base[:39], "changed", *base[40:]]
    text, made_of = "".join(f"{x}\n" for x in base), "".join(f"{x}\n" for x in head)
    own = Show(window_lines=5, whole_rate=0.0, min_context_lines=3, max_context_lines=3)
    ends = {"base": "b", "author": "ann", "head": "h"}
    hunk = "@@ -37,7 +37,7 @@ line 30\n line 37\n line 38\n line 39\n-line 40\n+changed"
    events = [
        said(0, "opened", **OPENED | ends),
        said(1, "hunk", "bob", "Why is that so, dear Ann?", path="a.py", line=40, hunk=hunk),
    ]
    seen = set()
    for number in range(12):
        files = shown(f"pull/{number}", {"a.py": text}, {"h": {"a.py": made_of}}, own)
        made = entry("pull/7", iter(events), TEXTS, 10 << 20, lambda base, heads, files=files: files)
        assert made.data is not None and made.segments is not None
        parts = {s["role"]: made.data.decode()[s["start"] : s["end"]] for s in made.segments}
        above = 39 - files.windows[0].start
        seen.add(above >= 3)
        if above >= 3:
            assert parts["base_file"].split("\n")[int(parts["line"]) - 1] == "line 40"
            assert parts["hunk"].partition(",")[0] == parts["diff_hunk"].partition(",")[0]
        else:
            assert (parts["hunk"], parts["line"]) == (hunk, "40"), "it begins above the window"
    assert seen == {True, False}
