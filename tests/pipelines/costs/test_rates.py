"""Rates: coefficients come back from costs that were made of them, and a file of rates from its text."""

import json
from pathlib import Path

import numpy as np
import pytest

from starmill.pipelines.costs import rates
from starmill.pipelines.costs.rates import Observation, Rates

DRIVERS = [
    {"one": 1.0, "parts": 2.0, "groups": 2.0, "bytes": 1e6},
    {"one": 1.0, "parts": 8.0, "groups": 8.0, "bytes": 4e6},
    {"one": 1.0, "parts": 2.0, "groups": 8.0, "bytes": 4e6},
]


def test_coefficients_come_back() -> None:
    table = np.array([[d["one"], d["parts"], d["groups"]] for d in DRIVERS])
    assert rates.solve(table, table @ np.array([7.0, 5.0, 2.0])) == pytest.approx([7, 5, 2])
    assert rates.solve(table, table @ np.array([0.0, 0.0, 2.0])) == pytest.approx([0, 0, 2], abs=1e-9)
    assert rates.solve(table, np.zeros(3)) == pytest.approx([0, 0, 0])


def test_nothing_costs_less_than_nothing() -> None:
    table = np.array([[1.0, 1e6], [1.0, 4e6]])
    one, slope = rates.solve(table, np.array([1.0, 5.0]))  # a straight line would begin below zero
    assert one == 0 and 1e-6 <= slope <= 5 / 4e6


def test_a_small_run_counts_as_much_as_a_large_one() -> None:
    table = np.array([[1.0], [100.0]])
    assert rates.solve(table, np.array([2.0, 100.0]))[0] == pytest.approx(
        1.2, abs=0.01
    )  # (1/2 + 1) / (1/4 + 1); by size it were 1.0


def observations() -> list[Observation]:
    made = [
        {"cpu": 3 * d["one"] + 0.1 * d["parts"] + 1e-6 * d["bytes"], "GET": 4 + 3 * d["parts"] + 2 * d["groups"]}
        for d in DRIVERS
    ]
    return [Observation("release", d, c) for d, c in zip(DRIVERS, made, strict=True)]


def test_each_cost_is_fitted_by_its_own_law() -> None:
    found = rates.fit(observations())
    assert found["release"]["cpu"] == pytest.approx({"one": 3, "parts": 0.1, "bytes": 1e-6})
    assert found["release"]["GET"] == pytest.approx({"one": 4, "parts": 3, "groups": 2})
    fitted = Rates(found, {}, {}, "")
    larger = {"one": 1.0, "parts": 100.0, "groups": 400.0, "bytes": 1e9}
    assert fitted.cost("release", "cpu", larger) == pytest.approx(3 + 10 + 1000)
    assert fitted.cost("release", "peak", larger) == 0 and fitted.cost("tokenize", "cpu", larger) == 0


def test_what_dedup_drops_is_stored_by_row_groups_and_rows_of_known_size() -> None:
    seen = [{"parts": 3.0, "dropping": 0.9, "removed": 1.0}, {"parts": 9.0, "dropping": 8.9, "removed": 43.0}]
    made = [
        Observation("dedup", d, {"stored/dropped/dedup": 1600 * d["parts"] + 3700 * d["dropping"] + 150 * d["removed"]})
        for d in seen
    ]
    found = rates.fit(made)["dedup"]["stored/dropped/dedup"]
    assert found == pytest.approx({"parts": 1600, "dropping": 3700, "removed": rates.DROPPED_ROW})


def test_a_file_of_rates_is_read_back(tmp_path: Path) -> None:
    made = Rates(rates.fit(observations()), {"ingest": (0.5, 0.25)}, {"decode": 1e-9}, "digest", tuple(observations()))
    (tmp_path / "rates.json").write_text(made.to_json())
    assert rates.load(str(tmp_path / "rates.json")) == made


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}'])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    place = tmp_path / "rates.json"
    place.write_text(text)
    with pytest.raises(ValueError, match=r"rates\.json: not the rates .*starmill bench"):
        rates.load(str(place))
    with pytest.raises(FileNotFoundError, match="starmill bench"):
        rates.load(str(tmp_path / "absent.json"))
    assert json.loads(Rates({}, {}, {}, "").to_json())["format"] == rates.FORMAT
