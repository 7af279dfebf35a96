"""What a record shows of a commit: lines, windows, subjects, and texts in any encoding."""

import difflib
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from repositories import git
from tedious_texts import is_linear

from starmill.pipelines.sources.git.commits_text import Excerpt, changed, entry, subject, texts
from starmill.pipelines.sources.git.history import Change, Commit, Lost, Side
from starmill.pipelines.sources.source import Entry
from starmill.transforms.decide.commits import CommitRules

OWN = "17" * 20
SHOW = Excerpt()
LATIN = "Größe für Ärzte\n"
COMMIT = Commit(OWN, "t", (), None, None, b"Say what was done\n")


def parts(found: Entry) -> dict[str, str]:
    assert found.data is not None and found.segments is not None
    text = found.data.decode()
    return {s["role"]: text[s["start"] : s["end"]] for s in found.segments}


def made(old: bytes, new: bytes, show: Excerpt = SHOW, own: str = OWN, message: bytes = COMMIT.message) -> Entry:
    change = Change(b"src/a.py", Side(0o100644, "b"), Side(0o100644, "a"))
    return entry(replace(COMMIT, own=own, message=message), change, old, new, show)


def numbered(*wanted: int | str) -> bytes:
    return "".join(f"{n}\n" for n in wanted).encode()


def test_a_record_and_its_segments() -> None:
    found = made(b"a\nb\nc\n", b"a\nx\ny\nc\n", Excerpt(whole_rate=1))
    assert found.path == b"commit/" + OWN.encode() and found.kind == "commit" and found.reason is None
    assert found.data == b"a\nb\nc\n\nSay what was done\na\nx\ny\nc\n" and found.segments is not None
    assert [(s["role"], s["name"]) for s in found.segments] == [
        ("before", "/src/a.py"),
        ("message", "Say what was done"),
        ("after", "/src/a.py"),
        ("changed", "2"),
    ]
    assert parts(found) == {"before": "a\nb\nc\n", "message": "Say what was done", "after": "a\nx\ny\nc\n", "changed": ""}
    assert found.facts["revision_id"] == OWN


def test_of_a_long_subject_rules_see_the_beginning() -> None:
    found = made(b"a\n", b"b\n", message=b"word " * 10_000)
    assert found.segments is not None and found.segments[1]["name"] == "word " * 200
    assert len(parts(found)["message"]) == 49_999


def test_a_window_begins_above_the_first_changed_line() -> None:
    # The released code began each one at line 0.
    old, new = [*range(200)], [*range(100), "x", *range(102, 200)]
    above, below = set(), set()
    for n in range(400):
        said = parts(made(numbered(*old), numbered(*new), Excerpt(whole_rate=0), own=f"{n:040x}"))
        before, after = said["before"].splitlines(), said["after"].splitlines()
        first, last = int(before[0]), int(before[-1])
        assert before == [str(n) for n in range(first, last + 1)] and first <= 100 and last >= 101
        assert after == [str(n) for n in range(first, 100)] + ["x"] + [str(n) for n in range(102, last + 1)]
        above.add(100 - first)
        below.add(last - 101)
    assert above == below == {*range(33)}


@pytest.mark.parametrize(("at", "until"), [(0, 2), (4, 6), (8, 10)])
def test_a_file_that_only_lost_lines_is_not_shown_as_empty(at: int, until: int) -> None:
    old = [*range(10)]
    new = [*old[:at], *old[until:]]
    found = made(numbered(*old), numbered(*new), Excerpt(whole_rate=0, context_lines=0))
    said = parts(found)
    around = [*old[max(0, at - 1) : at], *old[until : until + 1]]
    assert said["after"] == numbered(*around).decode() != "" and found.segments is not None
    assert CommitRules(small_rate=1).judge("/commit/1", found.segments, "Python") != "empty_after"
    assert parts(made(b"a\n", b"", Excerpt(whole_rate=0)))["after"] == ""


def test_a_share_shows_the_whole_file() -> None:
    old, new = numbered(*range(500)), numbered(*range(250), "x", *range(250, 500))
    whole = [parts(made(old, new, own=f"{n:040x}"))["before"] == old.decode() for n in range(1000)]
    assert abs(sum(whole) / 1000 - 0.2) < 0.04
    assert whole != [parts(made(old, new, Excerpt(seed=1), own=f"{n:040x}"))["before"] == old.decode() for n in range(1000)]


def test_the_changed_range_holds_every_difference() -> None:
    draw = random.Random(5)
    for _ in range(300):
        old = [draw.choice("abc") for _ in range(draw.randrange(8))]
        new = [draw.choice("abc") for _ in range(draw.randrange(8))]
        start, (end, new_end) = changed(old, new)
        assert old[:start] == new[:start] and old[end:] == new[new_end:] and start <= min(end, new_end)
        opcodes = [op for op in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if op[0] != "equal"]
        if opcodes:
            assert start <= len(old) and (old[start:end], new[start:new_end]) != ([], [])
            assert min(op[1] for op in opcodes) >= 0 and (start == len(old) or start == len(new) or old[start] != new[start])
        else:
            assert (start, end, new_end) == (len(old),) * 3


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b"", b"x\n", ("", "x\n")),
        (b"x\n", b"", ("x\n", "")),
        (b"", b"", ("", "")),
        (b"\xef\xbb\xbfx\n", b"y\n", ("x\n", "y\n")),
        (
            LATIN.encode("latin-1"),
            f"{LATIN}mehr\n".encode("latin-1"),
            (LATIN, f"{LATIN}mehr\n"),
        ),
        (LATIN.encode("latin-1"), f"{LATIN}x\n".encode(), (LATIN, f"{LATIN}x\n")),
        ("für 1\n".encode("utf-16"), "für 2\n".encode("utf-16"), ("für 1\n", "für 2\n")),
        ("für 1\n".encode("utf-16"), "für 1\n".encode("latin-1"), Lost("no_change")),
        (b"a\0", b"x\n", Lost("nul_bytes")),
        (b"x\n", b"a\0", Lost("nul_bytes")),
        (b"x\n", bytes(random.Random(6).randrange(1, 256) for _ in range(400)), Lost("undecodable")),
        (b"x" * 100, b"x" * 101, Lost("too_large")),
        (b"\xef\xbb\xbfx\n", b"x\n", Lost("no_change")),
    ],
    ids=[
        "added",
        "emptied",
        "empty",
        "mark",
        "latin",
        "to utf-8",
        "utf-16",
        "from utf-16",
        "nul before",
        "nul after",
        "no text",
        "long",
        "mark gone",
    ],
)
def test_texts(old: bytes, new: bytes, found: tuple[str, str] | Lost) -> None:
    assert texts(old, new, 100) == found


def test_what_is_no_text_is_an_entry_that_names_its_file() -> None:
    found = made(b"a\0b", b"x\n")
    assert (found.data, found.reason, found.detail, found.size) == (None, "nul_bytes", "/src/a.py", 3)
    odd = entry(COMMIT, Change(b"a\xff\n", None, Side(0o100644, "a")), b"", b"x\n", Excerpt())
    assert (odd.data, odd.reason, odd.detail) == (None, "hostile_path", r"/a\xff\n")


MESSAGES = {
    "one line": b"Fix it\n",
    "a body": b"Fix it\n\nBecause it was broken.\n",
    "two lines": b"Fix it\nall of it\n\nbody\n",
    "empty lines first": b"\n \n\nFix it\n",
    "indented": b"  Fix it\n",
    "spaces behind": b"Fix it \t\r\nand more  \n",
    "an empty line of spaces": b"Fix it\n  \t\nbody\n",
    "nothing": b"",
    "only lines": b"\n\n",
    "other white space": b"Fix\x0bit\x0c\n\x0b\nmore\n",
    "utf-8": "Größe 日本\n".encode(),
    "a nul": b"Fix it",
}


def test_subjects_are_gits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    tree = git(tmp_path, "mktree").strip()
    for name, message in MESSAGES.items():
        data = b"tree %s\nauthor a <b> 1 +0000\ncommitter a <b> 1 +0000\n\n%s" % (tree.encode(), message)
        own = git(tmp_path, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=data).strip()
        said = subprocess.run(
            ["git", "-C", str(tmp_path), "show", "-s", "--format=%s", "--encoding=UTF-8", own], capture_output=True, check=True
        )
        assert subject(replace(COMMIT, message=message)) == said.stdout.decode().removesuffix("\n"), name


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (b"Fix it\nSigned-off-by: Jane Roe <jane@roe.org>\n", "Fix it"),
        (b"Fix it\nCo-authored-by: Jane Roe <jane@roe.org>\nCC: me\n", "Fix it"),
        (b"Signed-off-by: Jane Roe <jane@roe.org>\n", ""),
        (b"Signed-off-by: Jane\nFix it\n", "Fix it"),
        (b"cc: find headers\n", "cc: find headers"),
        (b"Fix it by: hand\n", "Fix it by: hand"),
        ("Größe für Ärzte".encode("latin-1"), "Größe für Ärzte"),
    ],
    ids=["signed", "written together", "nothing else", "first", "a word like one", "within a line", "latin"],
)
def test_lines_that_name_people_are_no_subject(message: bytes, found: str) -> None:
    assert subject(replace(COMMIT, message=message, encoding="ISO-8859-1")) == found


def test_time_is_linear() -> None:
    def run(size: int) -> None:
        half = b"a\n" * (size // 4)
        made(half + half, half + b"b\n" + half, Excerpt(max_chars=10**9))

    assert is_linear(run, 800_000)
