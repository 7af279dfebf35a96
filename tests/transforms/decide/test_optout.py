"""Lists of opt-outs: what each form of a line names, what it does not, lines that are refused; a plain scan as oracle."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core.errors import InputError
from starmill.transforms.decide.optout import OptOut, Origin, Wishes, joined, wishes
from starmill.transforms.step import judge_rows

SHA = "ab" * 20
FILE = {"repo_name": "Some-One/Project", "path": "/src/old/a.py", "github_id": 42, "content_id": "1" * 40, "directory_id": "2" * 40,
        "revision_id": "3" * 40, "snapshot_id": "4" * 40, "parent": None}  # fmt: skip
THREAD = {**dict.fromkeys(FILE), "repo_name": "Some-One/Project", "path": "/issues/17"}
COMMIT = {**dict.fromkeys(FILE), "repo_name": "Some-One/Project", "path": f"/commit/{SHA}"}


def reason(row: dict[str, Any], *lines: str, records: Any = "files") -> str | None:
    step = OptOut(wishes(lines, "list"), records=records)
    block = pa.RecordBatch.from_pylist(
        [row], schema=pa.schema([(n, pa.int64() if n == "github_id" else pa.string()) for n in step.reads])
    )
    return next(iter(step(block).reasons), None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("some-one", "opted_out_owner"),
        ("SOME-ONE/project", "opted_out_repository"),
        ("https://github.com/some-one/project.git", "opted_out_repository"),
        ("http://www.github.com/some-one/", "opted_out_owner"),
        ("github:42", "opted_out_repository"),
        ("some-one/project:/src", "opted_out_path"),
        ("some-one/project:src/old/a.py", "opted_out_path"),
        ("some-one/project:/src/old/", "opted_out_path"),
        ("https://github.com/some-one/project/blob/main/src/old/a.py", "opted_out_path"),
        ("https://github.com/some-one/project/tree/main/src%2Fold", "opted_out_path"),
        (f"swh:1:cnt:{'1' * 40}", "opted_out_swhid"),
        (f"swh:1:dir:{'2' * 40}", "opted_out_swhid"),
        (f"SWH:1:rev:{'3' * 40}", "opted_out_swhid"),
        (f"swh:1:snp:{'4' * 40}", "opted_out_swhid"),
        ('{"some-one": ["all"]}', "opted_out_owner"),
        ('{"another": ["some-one/project"], "third": null}', "opted_out_repository"),
        ('{"Some-One": ["Project"]}', "opted_out_repository"),
        # What is near is not meant.
        ("some-on", None),
        ("some-one/projec", None),
        ("github:4", None),
        ("some-one/project:/sr", None),
        ("some-one/project:/SRC", None),  # paths are told apart by case
        ("some-one/project:/src/old/a.py/b", None),
        ("some-one/project#17", None),
        (f"swh:1:cnt:{'2' * 40}", None),
        ('{"some-one": ["Commits", "GitHub issue"]}', None),
        ('{"some-one": []}', None),
        ("# some-one", None),
        ("   ", None),
    ],
)
def test_what_a_line_names_of_files(line: str, why: str | None) -> None:
    assert reason(FILE, line) == why


@pytest.mark.parametrize(
    ("line", "threads", "commits"),
    [
        ("some-one", "opted_out_owner", "opted_out_owner"),
        ("some-one/project#17", "opted_out_thread", None),
        ("some-one/project#0017", "opted_out_thread", None),
        ("some-one/project#1", None, None),
        ("https://github.com/some-one/project/issues/17", "opted_out_thread", None),
        ("https://github.com/some-one/project/pull/17", "opted_out_thread", None),  # a number is one thread's
        (f"some-one/project@{SHA.upper()}", None, "opted_out_commit"),
        (f"https://github.com/some-one/project/commit/{SHA}", None, "opted_out_commit"),
        (f"swh:1:rev:{SHA}", None, "opted_out_swhid"),
        ('{"some-one": ["GitHub issue"]}', "opted_out_threads", None),
        ('{"some-one": ["Commits"]}', None, "opted_out_commits"),
        ('{"some-one": ["all"]}', "opted_out_owner", "opted_out_owner"),
    ],
)
def test_what_a_line_names_of_threads_and_commits(line: str, threads: str | None, commits: str | None) -> None:
    assert reason(THREAD, line, records="threads") == threads
    assert reason({**THREAD, "path": "/pull/17"}, line, records="threads") == threads
    assert reason(COMMIT, line, records="commits") == commits


def test_a_text_that_was_made_of_a_content_goes_with_it() -> None:
    assert reason({**FILE, "parent": f"swh:1:cnt:{'9' * 40}"}, f"swh:1:cnt:{'9' * 40}") == "opted_out_swhid"


@pytest.mark.parametrize(
    "line",
    ["two words", "a/b:", "a/b#x", f"a/b@{SHA[:10]}", "swh:1:rel:" + "0" * 40, "swh:1:cnt:12", "https://github.com/a/b/wiki/Page",
     "https://github.com/",
     "github:x", '{"a": "all"}', '{"a": [1]}', '{"a b": ["all"]}', '{"a": ["x y"]}', '{"a": ["all"', "{" * 5000,
     "a@b", "x" * 300, "a//b", "a/b:/"],
)  # fmt: skip
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    with pytest.raises(InputError, match=r"list.txt, line 3: ") as told:
        wishes(["# ours", "fine", line, "also-fine"], "list.txt")
    assert line[:50] in str(told.value) and len(str(told.value)) < 700


def test_the_detail_tells_dates_and_nobody_s_name() -> None:
    step = OptOut(wishes(["some-one"], "l"), (Origin("2026-11-20", "0" * 64, 1), Origin("2023-11-20", "1" * 64, 5)))
    block = pa.RecordBatch.from_pylist([FILE, {**FILE, "repo_name": "b/c"}])
    split = step(block)
    assert split.details == ("lists of 2023-11-20, 2026-11-20",) and split.kept.column("repo_name").to_pylist() == ["b/c"]
    assert step.material() == ("0" * 64, "1" * 64)
    assert step.told() == {
        "opted_out": [
            "list of 2026-11-20 with 1 wishes (sha256 000000000000)",
            "list of 2023-11-20 with 5 wishes (sha256 111111111111)",
        ]
    }


def test_lists_add_up() -> None:
    one, two = wishes(["a", "a/b"], "one"), wishes(["A/B", "c#"[:1]], "two")
    assert joined([one, two]) == Wishes(owners=("a", "c"), repositories=("a/b",)) and len(joined([one, two])) == 3


names = st.sampled_from(["a", "B", "ab", "b-c"])
paths = st.lists(st.sampled_from(["x", "y", "xy", "X"]), min_size=1, max_size=4).map("/".join)
lines = st.one_of(names, st.builds("{}/{}".format, names, names), st.builds("{}/{}:/{}".format, names, names, paths))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(lines, max_size=8), st.lists(st.tuples(names, names, paths), min_size=1, max_size=8))
def test_a_scan_of_all_lines_gives_the_same(listed: list[str], rows: list[tuple[str, str, str]]) -> None:
    def plain(repository: str, path: str) -> str | None:
        for why in ("owner", "repository", "path"):
            for line in listed:
                whole, colon, below = line.partition(":/")
                _, slash, _ = whole.partition("/")
                kind = "path" if colon else "repository" if slash else "owner"
                same = whole.lower() == (repository.lower() if slash else repository.lower().split("/")[0])
                inside = not colon or path == f"/{below}" or path.startswith(f"/{below}/")
                if kind == why and same and inside:
                    return f"opted_out_{kind}"
        return None

    block = pa.RecordBatch.from_pylist([{**FILE, "repo_name": f"{o}/{n}", "path": f"/{p}"} for o, n, p in rows])
    got, wanted = OptOut(wishes(listed, "l"))(block), judge_rows(block, ("repo_name", "path"), plain)
    assert got.reasons == wanted.reasons and got.kept.equals(wanted.kept)


def test_a_long_list_and_deep_paths_take_linear_time() -> None:
    listed = [f"owner{i}/r:/{'d/' * 3}{i}" for i in range(20_000)] + [json.dumps({f"u{i}": ["all"] for i in range(20_000)})]
    step = OptOut(wishes(listed, "l"))
    rows = [{**FILE, "repo_name": f"owner{i}/r", "path": "/" + "d/" * 100_000} for i in range(20)]
    assert step(pa.RecordBatch.from_pylist(rows * 10)).reasons == ()
