"""The table as a person and a program see it."""

from starmill.core.dataset import Workspace
from starmill.reports.contamination import Benchmark, Place, Table, Task, data, lines
from starmill.reports.query import RAW, Labels

TASKS = (
    Task("lab", "Lab/0", 1, {"exact": 1}, (Place("r", "/a.py", "exact", 3, 1200),)),
    Task(
        "lab",
        "Lab/1",
        1200,
        {"exact": 2, "hidden": 1198},
        (Place("r", "/b.py", "hidden", 3, 9), Place("s", "/c.py", "exact", 0, 7)),
    ),
)
TABLE = Table("dataset", 5000, 12_340_000, 1201, (Benchmark("lab", 4, 2, 1201), Benchmark("none", 9, 0, 0)), TASKS)


def test_as_text() -> None:
    told = data(Workspace("w"), TABLE, RAW)
    first, head, lab, none, *tasks = lines(told, 1)
    assert first == f"dataset/ of {Workspace('w').root}: 1,201 of 5,000 texts (12.34 MB) hold a text of a benchmark"
    assert head.split() == ["benchmark", "tasks", "found", "share", "files"]
    assert lab.split() == ["lab", "4", "2", "50.00%", "1,201"] and none.split() == ["none", "9", "0", "0.00%", "0"]
    assert tasks == [
        "lab Lab/1: 1,200 files (exact 2, hidden 1,198)",
        "  r:/b.py  hidden, characters 3 to 9",
        "  s:/c.py  exact, characters 0 to 7",
        "and 1 more tasks; see them with --tasks 2",
    ]
    assert [*lines(told, 2)][-2:] == ["lab Lab/0: 1 files (exact 1)", "  r:/a.py  exact, characters 3 to 1,200"]


def test_names_are_shown_as_the_labels_say() -> None:
    hidden = Labels(lambda told: {**told, "tasks": []})
    assert data(Workspace("w"), TABLE, hidden)["tasks"] == []
    assert data(Workspace("w"), TABLE, RAW)["tasks"][1]["matchers"] == {"exact": 2, "hidden": 1198}
