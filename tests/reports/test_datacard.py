"""The card: its figures against the rows themselves, its front matter as the hub's library reads it, and hostile names in it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from mixed import release, rows

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.reports import datacard
from starmill.reports.publish import plan_data

MARK = {"kind": "EMAIL", "start": 0, "end": 7}
ROWS = [
    row | {"license_type": ["permissive", "no_license", None][i % 3], "detected_licenses": [["MIT"], [], ["MIT", "Apache-2.0"]][i % 3],
           "redactions": [MARK] * (i % 2)}
    for i, row in enumerate(rows(8))
]  # fmt: skip
METHOD: dict[str, Any] = {
    "sources": {"dump": {"kind": "folders", "roots": ["a place"]}},
    "near_duplicates": {"threshold": 0.7},
    "steps": {
        "sift": {"code": [["alpha", {"min_fraction": 0.25}, ["v1"]]], "issue": [["alpha", {"min_fraction": 0.25}, ["v1"]]]}
    },
    "card": {"name": 'Own: "set" | #1', "version": "1.0.0", "date": None, "contact": None},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return release(tmp_path_factory.mktemp("workspace"), all_rows=ROWS)


def card(workspace: Workspace, method: dict[str, Any] = METHOD) -> tuple[dict[str, Any], str]:
    found = datacard.facts(workspace, "datacard")
    text = datacard.text(workspace, found, method, plan_data(found.manifest))
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_figures_are_those_of_the_rows(workspace: Workspace) -> None:
    told = datacard.data(workspace, datacard.facts(workspace, "datacard"), METHOD)
    assert told["records"] == len(ROWS) and told["bytes"] == sum(row["length_bytes"] for row in ROWS)
    assert told["license_types"] == Counter(row["license_type"] or "" for row in ROWS)
    assert told["licenses"] == Counter(name for row in ROWS for name in row["detected_licenses"])
    assert told["redactions"] == {"EMAIL": told["redacted_records"]} == {"EMAIL": sum(len(row["redactions"]) for row in ROWS)}
    counted = Counter((row["kind"], row["language"] or "") for row in ROWS)
    assert {(one["kind"], one["language"]): one["records"] for one in told["languages"]} == counted
    json.dumps(told)
    _, body = card(workspace)
    for name, number in (*told["licenses"].items(), ("code", told["kinds"]["code"]["records"])):
        assert f"| {name} | {number:,} |" in body


def test_the_front_matter_is_what_the_hub_reads(workspace: Workspace, tmp_path: Path) -> None:
    from huggingface_hub import DatasetCard

    found = datacard.facts(workspace, "datacard")
    (tmp_path / "README.md").write_text(datacard.text(workspace, found, METHOD, plan_data(found.manifest)))
    loaded = DatasetCard.load(tmp_path / "README.md").data.to_dict()
    assert loaded["pretty_name"] == METHOD["card"]["name"] and loaded["license"] == "other"
    names = [config["config_name"] for config in loaded["configs"]]
    assert names == ["all", "code", "code-C", "code-JSON", "code-Java", "issue", "issue-no-language", "notebook_script",
                     "notebook_script-Python"]  # fmt: skip
    assert [config["config_name"] for config in loaded["configs"] if config.get("default")] == ["all"]


def test_kinds_with_the_same_steps_are_told_once(workspace: Workspace) -> None:
    _, body = card(workspace)
    assert "### sift: code, issue\n\n- `alpha` (min\\_fraction: 0.25; with v1)" in body


def test_who_to_write_to_and_which_lists_were_applied(workspace: Workspace) -> None:
    assert "No list of opt-outs was applied" in card(workspace)[1]
    lists = {"code": [["opt_out", {"opted_out": ["list of 2026-11-20, 12 entries"]}, []]]}
    told = card(workspace, {**METHOD, "steps": {"sift": lists}, "card": {**METHOD["card"], "contact": "data@example.org"}})[1]
    assert "- list of 2026-11-20, 12 entries" in told and "write to data@example.org" in told


def test_names_from_a_dump_are_text(tmp_path: Path) -> None:
    evil = "<script>x</script>\n# Heading | [a](http://b) `c`\x1b[31m\u202e"
    mine = [{**ROWS[0], "language": evil, "detected_licenses": [evil]}]
    front, body = card(release(tmp_path, all_rows=mine), {**METHOD, "card": {**METHOD["card"], "name": "a\u2028b"}})
    assert (
        "<script" not in body.replace("\\<script", "")
        and "\n# Heading" not in body
        and "\x1b" not in body
        and "\u202e" not in body
    )
    assert "](http" not in body.replace("\\](http", "") and front["pretty_name"] == "a\u2028b"


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"datacard: .* has no manifest"):
        datacard.facts(Workspace(str(tmp_path)), "datacard")
