"""The sections with rows and texts: each sample, mark and number of the data is there, as text."""

import json
from typing import Any

import pytest
import reported
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from starmill.core.dataset import Workspace
from starmill.reports.page import examples, gather
from starmill.transforms.clean.redact import labels


@pytest.fixture(scope="module")
def found(workspace: Workspace) -> dict[str, Any]:
    return gather.data(workspace, labels.hidden)


def test_reasons_with_their_samples(found: dict[str, Any]) -> None:
    made = HTMLParser(examples.reasons(found))
    names = [d.css_first(".reason-name").text() for d in made.css("details")]
    assert names == [r["reason"] for r in found["reasons"]] and len(names) == 9
    assert len(made.css(".example")) == sum(len(r["samples"]) for r in found["reasons"])
    assert {"auto-generated", "GNU GENERAL PUBLIC LICENSE"} <= {m.text() for m in made.css("mark")}
    assert not made.css("img, script") and "\\u202eevil\\x1b[31m" in made.text()
    assert "Nothing was dropped" in examples.reasons(found | {"reasons": []})


def test_thresholds_say_what_they_drop(found: dict[str, Any]) -> None:
    figures = HTMLParser(examples.thresholds(found)).css("figure")
    assert len(figures) == len(found["thresholds"]) > 9
    for figure, item in zip(figures, found["thresholds"], strict=True):
        values = json.loads(figure.attributes["data-values"])
        beyond = values["files"][values["at"] + 1 :] if item["side"] == "above" else values["files"][: values["at"] + 1]
        assert f"drops {sum(beyond)} of {sum(item['files'])} record" in figure.css_first(".drops").text()
        assert int(figure.css_first("input").attributes["max"]) == len(item["edges"]) - 1
    assert "settings.json" in examples.thresholds(found | {"thresholds": []})


def test_licences_twins_and_redactions(found: dict[str, Any]) -> None:
    licences = HTMLParser(examples.licences(found))
    assert [d.css_first(".reason-name").text() for d in licences.css("details")] == ["MIT", "no licence found", "GPL-3.0-only"]
    assert "/COPYING" in licences.text() and "Decided by: nothing found." in licences.text()
    twins = HTMLParser(examples.twins(found))
    assert [m.text() for m in twins.css("mark")] == ["step_7", "turn_7"] and "Jaccard 0.9100" in twins.text()
    assert [c.text() for c in twins.css("td.gone, td.new")] == ["def step_7(value):", "def turn_7(value):"]
    redactions = HTMLParser(examples.redactions(found))
    assert [m.text() for m in redactions.css("mark")] == ["<EMAIL>"] and "1 place" in redactions.text()
    for name in ("licences", "twins", "redactions", "contamination"):
        empty = found | {"licences": {"found": []}, "twins": [], "redactions": [], "contamination": {"tasks": []}}
        assert len(getattr(examples, name)(empty)) < 400


def test_contamination_by_benchmark_and_task(found: dict[str, Any]) -> None:
    row = HTMLParser(examples.contamination(found)).css_first("tbody tr")
    assert [c.text() for c in row.css("th, td")] == ["smoke", "Own/0", "1"]


def test_the_index_of_the_search_prints(found: dict[str, Any]) -> None:
    made = HTMLParser(examples.search(found))
    index = json.loads(made.css_first("#places").text())
    paths = [path for paths in index["paths"] for path in paths]
    assert len(paths) == 14 and all(path.isprintable() for path in paths) and any("</script>" in path for path in paths)
    assert "All 14 records" in made.text() and reported.EMAIL not in made.text()
    sampled = found | {"looked_at": {"parts": 1, "of": 5, "records": 14}}
    assert "14 records out of 14 in 1 part of 5" in examples.search(sampled)
