"""Which rows a list names: by kind, by columns, and by the names that redaction gives."""

import pyarrow as pa

from starmill.pipelines.run.withdrawal.chosen import BY_NAME, Chosen, judges
from starmill.transforms.decide.optout import wishes

MAIL = "jane.doe" + "@corp.io"


def rows(*found: tuple[str, str, str, str | None]) -> pa.RecordBatch:
    names = ("kind", "repo_name", "path", "content_id")
    return pa.RecordBatch.from_pydict({n: pa.array([row[i] for row in found], pa.string()) for i, n in enumerate(names)})


def chosen(*lines: str) -> Chosen:
    return Chosen(judges(wishes(lines, "list")))


def test_each_kind_is_judged_as_its_rules_ask() -> None:
    one = chosen("a/b#17", f"a/b@{'1' * 40}", '{"c": ["Commits"], "d": ["GitHub issue"]}')
    block = rows(
        ("issue", "A/b", "/issues/17", None),
        ("pull_request", "a/b", "/pulls/17", None),
        ("code", "a/b", "/issues/17", None),
        ("commit", "a/b", f"/commit/{'1' * 40}", None),
        ("commit", "c/x", "/commit/2", None),
        ("code", "c/x", "/f.py", None),
        ("issue", "d/x", "/issues/1", None),
        ("a kind of tomorrow", "a/b", "/issues/17", None),
    )
    thread, commit = "withdrawn_thread", "withdrawn_commit"
    assert one.reasons(block) == [thread, thread, None, commit, "withdrawn_commits", None, "withdrawn_threads", None]


def test_kinds_that_ask_no_list_are_asked_here() -> None:
    assert chosen("someone").reasons(rows(("documentation", "someone/x", "/a.md", None), ("ir", "else/x", "/a.ll", None))) == [
        "withdrawn_owner",
        None,
    ]


def test_a_record_is_found_by_its_redacted_names() -> None:
    one = chosen(f"a/b:/src/{MAIL}.py")
    assert one.reasons(rows(("code", "a/b", f"/src/{MAIL}.py", "c0"), ("code", "a/b", "/src/x.py", "c1"))) == [
        "withdrawn_path",
        None,
    ]
    redacted = next(path for _, path, _ in sorted(one.names) if MAIL not in path)
    block = rows(("code", "a/b", redacted, "c0"), ("code", "a/b", redacted, "other"), ("code", "a/b", "/src/x.py", "c1"))
    assert one.reasons(block, by_name=True) == [BY_NAME, None, None]
    assert one.lost(block).tolist() == [True, False, False]
    assert one.lost(rows(("code", "a/b", redacted, None))).tolist() == [True], "what left before its content was known"
    document = {"kind": "code", "repo_name": "a/b"}
    assert one.files(document, [{"path": redacted.lstrip("/"), "content_id": "c0"}, {"path": "y", "content_id": "c0"}]) == [
        BY_NAME,
        None,
    ]
    assert one.files(document, []) == []
