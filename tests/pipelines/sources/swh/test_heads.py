"""Which revision stands for an origin: the visit, HEAD and where it leads, and what is said where it leads to none."""

from pathlib import Path

import exports
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.pipelines.sources.gharchive import sorted as gharchive_sorted
from starmill.pipelines.sources.swh.heads import Head, heads, name_of
from starmill.pipelines.sources.swh.tables import export

REVISION, OTHER, RELEASE, TAG, TREE, ABSENT = (f"{n:040x}" for n in range(1, 7))
URL = "https://github.com/o/r"
MAIN = {"refs/heads/main": ("revision", OTHER)}
# The branches of a snapshot: what each points to; then the branch and revision of the head, or its reason and words of its detail.
CASES: dict[str, tuple[dict[str, tuple[str, str]], tuple[str, str]]] = {
    "alias": (
        {"HEAD": ("alias", "refs/heads/dev"), "refs/heads/dev": ("revision", REVISION), **MAIN},
        ("refs/heads/dev", REVISION),
    ),
    "chain": ({"HEAD": ("alias", "a"), "a": ("alias", "b"), "b": ("alias", "c"), "c": ("revision", REVISION)}, ("c", REVISION)),
    "direct": ({"HEAD": ("revision", REVISION), **MAIN}, ("HEAD", REVISION)),
    "main": (MAIN | {"refs/heads/master": ("revision", REVISION)}, ("refs/heads/main", OTHER)),
    "master": ({"refs/heads/master": ("revision", REVISION)}, ("refs/heads/master", REVISION)),
    "circle": ({"HEAD": ("alias", "a"), "a": ("alias", "HEAD")}, ("no_main_branch", "a circle of aliases: HEAD -> a -> HEAD")),
    "circle, main": ({"HEAD": ("alias", "HEAD"), **MAIN}, ("refs/heads/main", OTHER)),
    "endless": (
        {"HEAD": ("alias", "0"), **{str(n): ("alias", str(n + 1)) for n in range(40)}},
        ("no_main_branch", "a chain of more than 5 of aliases: HEAD -> 0 -> 1"),
    ),
    "dangling": (
        {"HEAD": ("alias", "refs/heads/gone")},
        ("no_main_branch", "no branch HEAD -> refs/heads/gone; no branch refs"),
    ),
    "dangling, main": ({"HEAD": ("alias", "refs/heads/gone"), **MAIN}, ("refs/heads/main", OTHER)),
    "no hexadecimals": ({"HEAD": ("alias", "hex:refs"), **MAIN}, ("refs/heads/main", OTHER)),
    "tag": ({"HEAD": ("alias", "refs/tags/v"), "refs/tags/v": ("release", RELEASE)}, ("refs/tags/v", REVISION)),
    "tag of a tag": ({"HEAD": ("release", TAG)}, ("HEAD", REVISION)),
    "tag that is absent": ({"HEAD": ("release", ABSENT)}, ("missing_revision", f"release {ABSENT} is not in the export")),
    "revision that is absent": (
        {"HEAD": ("revision", ABSENT)},
        ("missing_revision", f"revision {ABSENT} is not in the export"),
    ),
    "content": ({"HEAD": ("content", REVISION)}, ("no_main_branch", "HEAD is a content")),
    "no type": ({"HEAD": ("\x1b[31m", REVISION)}, ("no_main_branch", "")),
    "nothing": ({}, ("no_main_branch", "no branch HEAD; no branch refs/heads/main; no branch refs/heads/master")),
    "pulls": ({"refs/pull/1/head": ("revision", REVISION)}, ("no_main_branch", "no branch HEAD")),
}
KNOWN: exports.Rows = {
    "revision": [{"id": own, "directory": TREE, "date": 5, "committer_date": 32_503_680_000} for own in (REVISION, OTHER)],
    "release": [
        {"id": RELEASE, "target": REVISION, "target_type": "revision"},
        {"id": TAG, "target": RELEASE, "target_type": "release"},
    ],
}


def snapshot(own: str, branches: dict[str, tuple[str, str]]) -> list[dict]:
    def coded(kind: str, target: str) -> str:
        return target.removeprefix("hex:") if target.startswith("hex:") or kind != "alias" else target.encode().hex()

    return [
        {"snapshot_id": own, "name": name.encode(), "target": coded(kind, target), "target_type": kind}
        for name, (kind, target) in branches.items()
    ]


def found(folder: Path, visits: list[dict], branches: list[dict], form: str = "orc", **rows: list[dict]) -> list[Head]:
    made = {"origin_visit_status": visits, "snapshot_branch": branches, **KNOWN, **rows}
    return heads(export(str(exports.save(folder / form, made, form))))


@pytest.mark.parametrize("form", ["orc", "parquet"])
def test_where_head_leads(tmp_path: Path, form: str) -> None:
    visits = [
        {"origin": f"{URL}{n:02}", "visit": 1, "date": 1, "status": "full", "snapshot": f"{n:040x}"} for n in range(len(CASES))
    ]
    branches = [row for n, (given, _) in enumerate(CASES.values()) for row in snapshot(f"{n:040x}", given)]
    for head, (case, (_, wanted)) in zip(found(tmp_path, visits, branches, form), CASES.items(), strict=True):
        if head.reason:
            assert head.reason == wanted[0] and head.detail.startswith(wanted[1]) and len(head.detail) < 400, case
        else:
            assert (head.branch, head.revision) == wanted, case
            assert (head.directory, head.date, head.committed) == (TREE, 5, 32_503_680_000), case


def test_the_default_branch_of_gharchive_stands_before_main(tmp_path: Path) -> None:
    trunk, gone = {"refs/heads/trunk": ("revision", REVISION), **MAIN}, {"HEAD": ("alias", "refs/heads/gone")}
    told = {"o/r0": "trunk", "O/R1": "trunk", "o/r2": "absent", "o/r3": None, "o/r4": "trunk", "o/r5~2": "trunk"}
    given = [trunk, gone | trunk, trunk, trunk, {"HEAD": ("revision", OTHER), **trunk}, trunk]
    visits = [
        {"origin": f"{URL}{n}{'.git' * (n == 1)}", "visit": 1, "date": 1, "status": "full", "snapshot": f"{n:040x}"}
        for n in range(len(given))
    ]
    rows = [row for n, branches in enumerate(given) for row in snapshot(f"{n:040x}", branches)]
    before = found(tmp_path, visits, rows)
    assert {head.branch for head in before} == {"refs/heads/main", "HEAD"}
    facts = [dict.fromkeys(gharchive_sorted.KNOWN.names) | {"name": name, "branch": branch} for name, branch in told.items()]
    (tmp_path / "orc/gharchive").mkdir()
    pq.write_table(pa.Table.from_pylist(facts, gharchive_sorted.KNOWN), tmp_path / "orc/gharchive/part-00000.parquet")
    after = heads(export(str(tmp_path / "orc")))
    assert [head.branch for head in after] == [*["refs/heads/trunk"] * 2, *["refs/heads/main"] * 2, "HEAD", "refs/heads/main"]
    assert [head.revision for head in after] == [REVISION, REVISION, OTHER, OTHER, OTHER, OTHER]


def test_what_gharchive_tells_of_a_repository_is_that_of_its_last_owner(tmp_path: Path) -> None:
    visit = {"origin": URL, "visit": 1, "date": 1, "status": "full", "snapshot": TAG}
    found(tmp_path, [visit], snapshot(TAG, MAIN))
    (tmp_path / "orc/gharchive").mkdir()
    none = dict.fromkeys(gharchive_sorted.KNOWN.names)
    rows = [
        none | {"repo": "9", "name": "O/R", "last": "2015", "stars": 1, "license": "MIT", "created": "1970-01-01T00:01:00Z"},
        none | {"repo": "8", "name": "o/r", "last": "2016", "stars": 7, "forks": 2, "created": "never", "language": "C"},
        none | {"repo": "o/r", "name": "o/other", "last": "2017", "stars": 9},
    ]
    for n, some in enumerate((rows, rows[::-1], rows[:1], [none | {"repo": "o/r", "name": "o/r"}])):
        pq.write_table(pa.Table.from_pylist(some, gharchive_sorted.KNOWN), tmp_path / "orc/gharchive/part-00000.parquet")
        [head] = heads(export(str(tmp_path / "orc")))
        facts = (head.github, head.stars, head.forks, head.license, head.created, head.language)
        assert facts == [*[(8, 7, 2, None, None, "C")] * 2, (9, 1, 0, "MIT", 60, None), (None, 0, 0, None, None, None)][n]


def test_a_branch_may_be_a_directory(tmp_path: Path) -> None:
    visit = {"origin": URL, "visit": 1, "date": 1, "status": "full", "snapshot": TAG}
    [head] = found(tmp_path, [visit], snapshot(TAG, {"HEAD": ("directory", TREE)}))
    assert (head.branch, head.revision, head.directory, head.reason) == ("HEAD", None, TREE, "")


VISITS: dict[str, tuple[list[tuple[int, int, str, str | None]], str | None]] = {
    "the last full one": ([(1, 10, "full", REVISION), (2, 20, "full", OTHER), (2, 19, "created", None)], OTHER),
    "by its date": ([(2, 10, "full", REVISION), (1, 20, "full", OTHER)], OTHER),
    "full before partial": ([(1, 10, "full", REVISION), (2, 20, "partial", OTHER)], REVISION),
    "partial where none is full": ([(1, 10, "partial", REVISION), (2, 20, "failed", OTHER), (3, 30, "partial", OTHER)], OTHER),
    "no snapshot": ([(1, 10, "created", None), (1, 11, "not_found", None), (2, 20, "full", None)], None),
}


def test_which_visit_counts(tmp_path: Path) -> None:
    visits = [
        {"origin": f"{URL}{n}", "visit": visit, "date": date, "status": status, "snapshot": own}
        for n, (given, _) in enumerate(VISITS.values())
        for visit, date, status, own in given
    ]
    branches = [row for own in (REVISION, OTHER) for row in snapshot(own, {"HEAD": ("revision", own)})]
    made = found(
        tmp_path, visits, branches, origin=[{"id": "", "url": f"{URL}0"}, {"id": "", "url": "https://never.visited/x"}]
    )
    assert [h.revision for h in made] == [wanted for _, wanted in VISITS.values()] + [None]
    assert [h.reason for h in made[-2:]] == ["no_snapshot"] * 2 and made[-1].name == "never.visited/x"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/Owner/name", "Owner/name"),
        ("git://github.com/owner/name.git", "owner/name"),
        ("https://github.com/owner/name/", "owner/name"),
        ("https://GitLab.com/group/sub/name.git", "gitlab.com/group/sub/name"),
        ("https://user:secret@host:8080/x", "host:8080/x"),
        ("deb://Debian/packages/hello", "debian/packages/hello"),
        ("no url", "no url"),
        ("", "unnamed"),
        ("https://github.com/o/\x1b[31m\u202e", "o/\\x1b[31m\\u202e"),
    ],
)
def test_the_name_of_an_origin(url: str, name: str) -> None:
    assert name_of(url) == name


def test_names_are_unique_and_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    urls = ["https://github.com/o/r", "https://github.com/o/r.git", "http://github.com/o/r", "git://github.com/o/r/"]
    visits = [{"origin": url, "visit": 1, "date": 1, "status": "full", "snapshot": REVISION} for url in urls]
    one, two = (found(tmp_path / str(n), visits[::step], []) for n, step in enumerate((1, -1)))
    assert one == two and [h.name for h in one] == ["o/r", "o/r~2", "o/r~3", "o/r~4"]
