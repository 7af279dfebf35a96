"""Instructions of a history that git made: each message ends where the history says; licences, benchmarks, forks, and the second time."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import committed
import pytest

from starmill.alignment.commits.recipe import CommitsRecipe
from starmill.alignment.commits.run import run, tried
from starmill.core.conversations import Conversation, conversation
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, NotThere
from starmill.reports import instructions

KEPT = [said for said, why in committed.HISTORY if not why]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed.write(tmp_path_factory.mktemp("history"))


def read(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


def bytes_of(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def test_each_commit_ends_where_the_history_says(history: Path, tmp_path: Path) -> None:
    wanted, told = CommitsRecipe(str(tmp_path / "w"), str(history)), []
    done = run(wanted, lambda text: None, "", told.append)
    first, last = done.funnel
    assert first == tried(wanted)
    assert first.dropped == dict(Counter(why for _, why in committed.HISTORY if why)) and last.kept == first.kept == len(KEPT)
    assert len(told) == 3
    rows = read(tmp_path / "w/instructions/part-00000.jsonl")
    assert sorted(row["instruction"].partition("\n")[0] for row in rows) == sorted(
        ["Return the sum of three numbers", "Fix the rounding of large values (old)", "Handle the end of a file"]
    )
    for row in rows:
        assert isinstance(conversation(row), Conversation)
        number = int(row["path"].split("/")[1])
        assert row["instruction"].endswith(f"\n\n```python\n{committed.text(100 + number)}```")
        assert row["response"] == f"```python\n{committed.text(number)}```" and row["seed"] == committed.text(100 + number)
        assert row["swhid"].startswith("swh:1:rev:") and row["repository"] == "own" and row["licenses"] == []
        assert [*row][:6] == ["instruction", "response", "name", "number", "concepts", "difficulty"]
    before = bytes_of(tmp_path / "w")
    assert run(wanted, lambda text: None, "", told.append).funnel == done.funnel and bytes_of(tmp_path / "w") == before
    assert len(told) == 3, "nothing was made again"
    told_of = instructions.tell(Workspace(str(tmp_path / "w")), rows[0]["swhid"])
    assert [one["stage"] for one in told_of["seeds"][0]["stages"]] == ["commits", "select"]
    [lost] = instructions.tell(Workspace(str(tmp_path / "w")), "/4/module.py")["seeds"]
    assert lost["stages"] == [
        {"stage": "commits", "kept": False, "reason": "not_capitalized", "detail": committed.HISTORY[4][0]}
    ]
    assert "module.py" in instructions.page(instructions.gather(Workspace(str(tmp_path / "w"))))


def test_what_depends_on_the_options(history: Path, tmp_path: Path) -> None:
    wanted = CommitsRecipe(str(tmp_path / "w"), str(history))

    def reasons(wanted: CommitsRecipe) -> dict[str, int]:
        return run(wanted, lambda text: None, "").funnel[0].dropped

    rules = replace(wanted.rules, added=True, version_rate=1.0, capitalized=False)
    fewer = reasons(replace(wanted, rules=rules))
    assert not {"nothing_before", "not_capitalized"} & {*fewer}
    assert fewer["sets_a_version"] == 1, "a message that is a version is none of a share"
    assert reasons(replace(wanted, rules=replace(wanted.rules, languages=("Go",)))) == {
        "another_language": len(committed.HISTORY)
    }
    (tmp_path / "verbs").write_text("fix\n")
    assert reasons(replace(wanted, rules=replace(wanted.rules, verbs=str(tmp_path / "verbs"))))["not_imperative"] > 3
    run(replace(wanted, response="diff"), lambda text: None, "")
    assert all(row["response"].startswith("```diff\n--- a/") for row in read(tmp_path / "w/instructions/part-00000.jsonl"))


def test_licences_are_those_of_the_repository_files(history: Path, tmp_path: Path) -> None:
    rows = [
        {"kind": "code", "repo_name": "own", "path": "/1/module.py", "detected_licenses": ["MIT"]},
        {"kind": "code", "repo_name": "own", "path": "/x.py", "detected_licenses": ["ISC"]},
        {"kind": "code", "repo_name": "other", "path": "/x.py", "detected_licenses": ["GPL-3.0-only"]},
    ]
    committed.write_rows(tmp_path / "code", [[{**row, "content": "x"} for row in rows]])
    wanted = CommitsRecipe(str(tmp_path / "w"), str(history), code=str(tmp_path / "code"))
    run(wanted, lambda text: None, "")
    found = {row["path"]: row["licenses"] for row in read(tmp_path / "w/instructions/part-00000.jsonl")}
    assert found == {"/1/module.py": ["MIT"], "/2/module.py": ["ISC", "MIT"], "/3/module.py": ["ISC", "MIT"]}
    assert "- MIT: 3" in (tmp_path / "w/instructions/README.md").read_text()
    committed.write_rows(tmp_path / "code", [[{**rows[2], "content": "x"}]])
    assert run(wanted, lambda text: None, "").funnel[0].dropped["no_license"] == len(KEPT)


def test_selection(history: Path, tmp_path: Path) -> None:
    """A fork's commits, and what a benchmark has, leave in the second stage."""
    once = [row for part in range(2) for row in Workspace(str(history)).table(f"dataset/part-{part:05d}.parquet").to_pylist()]
    forked = [{**row, "repo_name": "fork"} for row in once]
    committed.write_rows(tmp_path / "twice", [once, forked])
    wanted = CommitsRecipe(str(tmp_path / "w"), str(tmp_path / "twice"))
    done = run(wanted, lambda text: "HumanEval 1" if "Handle" in text else None, "")
    assert done.funnel[1].dropped == {"same_instruction": 2, "contaminated": 2} and done.funnel[1].kept == 2
    near = [{**row, "repo_name": "fork", "content": row["content"].replace("_5 = compute", "_x = compute")} for row in once]
    committed.write_rows(tmp_path / "near", [once, near])
    done = run(replace(wanted, commits=str(tmp_path / "near"), near=0.4), lambda text: None, "")
    assert done.funnel[1].dropped == {"near_duplicate": len(KEPT)}
    assert {row["name"] for row in read(tmp_path / "w/dropped/select/part-00000.jsonl")}


def test_what_is_refused(history: Path, tmp_path: Path) -> None:
    wanted = CommitsRecipe(str(tmp_path / "w"), str(tmp_path))
    with pytest.raises(NotThere, match=r"^commits: .*no complete dataset"):
        run(wanted, lambda text: None, "")
    with pytest.raises(NotThere, match=r"^code: .*no complete dataset"):
        run(replace(wanted, commits=str(history), code=str(tmp_path)), lambda text: None, "")
    committed.write_rows(tmp_path / "code", [[{"kind": "code", "repo_name": "a", "path": "/a", "content": "x"}]])
    with pytest.raises(InputError, match="no record of kind commit"):
        run(replace(wanted, commits=str(tmp_path / "code")), lambda text: None, "")
    with pytest.raises(InputError, match=r"rules\.verbs: .*none: not there"):
        run(
            replace(wanted, commits=str(history), rules=replace(wanted.rules, verbs=str(tmp_path / "none"))),
            lambda text: None,
            "",
        )
