"""The first sections say what the funnel and the mixture say; an empty workspace has something to say too."""

import re
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from starmill.core.dataset import Workspace
from starmill.reports import funnel
from starmill.reports.page import gather, overview


@pytest.fixture(scope="module")
def found(workspace: Workspace) -> dict[str, Any]:
    return gather.data(workspace)


def cells(made: str) -> list[list[str]]:
    return [[c.text(strip=True) for c in row.css("th, td")] for row in HTMLParser(made).css("tbody tr")]


def test_the_numbers(found: dict[str, Any]) -> None:
    tiles = {
        t.css_first(".said").text(): t.css_first(".value").text() for t in HTMLParser(overview.numbers(found)).css(".tile")
    }
    assert (
        tiles["records met"] == "14"
        and tiles["records kept"] == "3"
        and tiles["tokens"] == "1k"
        and tiles["reasons to drop"] == "9"
    )
    assert "All 2 parts were read." in overview.numbers(found)
    sampled = found | {"looked_at": {"parts": 128, "of": 50_000, "records": 4000}}
    assert "128 drawn parts with 4,000 records" in overview.numbers(sampled) and "50,000 parts" in overview.numbers(sampled)


def test_the_funnel_s_tables_are_the_funnel(found: dict[str, Any], workspace: Workspace) -> None:
    made = HTMLParser(overview.funnel(found))
    assert [p.attributes["data-tab"] for p in made.css(".panel")] == ["Reasons", "Kinds", "Languages", "Licences"]
    stages = funnel.measure(workspace)
    whole = cells(made.css(".panel")[0].css_first("[data-unit=records]").html)
    assert whole == [["all records", *(str(f.into.files) for f in stages), str(stages[-1].kept.files)]]
    kinds = {row[0]: row[1:] for row in cells(made.css(".panel")[1].css_first("[data-unit=records]").html)}
    assert kinds == {
        kind: [str(f.kept_by_kind[kind].files + f.dropped_by_kind[kind].files) for f in stages]
        + [str(stages[-1].kept_by_kind[kind].files)]
        for kind in ("code", "issue")
    }
    licences = {row[0]: row[1:] for row in cells(made.css(".panel")[3].css_first("[data-unit=records]").html)}
    assert licences == {
        "permissive": ["3", "2", "2"],
        "no_license": ["2", "2", "1"],
    }


def test_many_kinds_are_all_in_the_table(found: dict[str, Any]) -> None:
    tally = {"kept": {"files": 2, "bytes": 20}, "dropped": {"files": 1, "bytes": 10}}
    stage = found["stages"][0] | {"kinds": {f"kind{i:02}": tally for i in range(20)}}
    made = HTMLParser(overview.funnel(found | {"stages": [stage]}))
    panel = made.css(".panel")[1]
    assert [row[:2] for row in cells(panel.css_first("[data-unit=records]").html)] == [[f"kind{i:02}", "3"] for i in range(20)]
    assert [li.text(strip=True) for li in panel.css("[data-unit=records] .key li")] == [
        *(f"kind{i:02}" for i in range(7)),
        "others",
    ]
    assert re.search(r"<title>others: 26 kept by ingest</title>", panel.html)


def test_mixture_and_costs(found: dict[str, Any]) -> None:
    rows = cells(overview.mixture(found))
    assert rows[0][:1] + rows[0][3:5] == ["code", "1,000", "100.0 %"] and rows[-1][0] == "all"
    costs = {row[0]: row for row in cells(overview.costs(found))}
    assert costs["measure"][1] == "10.0" and costs["release"][1] == "not known" and costs["ingest"][4] == "6"


def test_nothing_is_told_of_nothing() -> None:
    empty = {"stages": [], "reasons": [], "mixture": {"kinds": [], "total": {}}}
    for made in (overview.numbers, overview.funnel, overview.mixture, overview.costs):
        assert HTMLParser(made(empty)).css_first("section h2") is not None
