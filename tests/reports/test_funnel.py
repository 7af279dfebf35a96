"""The funnel adds up from sidecars alone."""

from pathlib import Path

import pytest

from starmill.core.dataset import Count, LastRun, Sidecar, StageName, Workspace
from starmill.reports.funnel import data, measure, show


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(str(tmp_path))
    parts = [
        (Count("", "", "C", 3, 30, "code"), Count("alpha", "few_letters", "C", 2, 5, "code")),
        (
            Count("", "", "Python", 4, 40, "code"),
            Count("alpha", "few_letters", "C", 1, 5, "code"),
            Count("html", "little_visible_text", "HTML", 1, 9, "code"),
        ),
    ]
    for i, counts in enumerate(parts):
        made.commit(Sidecar("curate", "curated", i, "k", (), counts), [])
    made.finish("curated", "k", 2, "v")
    made.publish_last_run(LastRun((StageName("ingest", "records"), StageName("curate", "curated")), 2))
    return made


def test_sums(workspace: Workspace) -> None:
    (funnel,) = measure(workspace)
    assert (funnel.into.files, funnel.kept.files, funnel.kept.bytes) == (11, 7, 70)
    assert {k: (t.files, t.bytes) for k, t in funnel.dropped.items()} == {
        ("alpha", "few_letters"): (3, 10),
        ("html", "little_visible_text"): (1, 9),
    }
    assert funnel.into.files == funnel.kept.files + sum(t.files for t in funnel.dropped.values())
    assert funnel.kept_by_language["Python"].files == 4 and funnel.dropped_by_language["C"].files == 3


def test_kinds(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    show(workspace)
    assert "by kind" not in capsys.readouterr().out, "a table of one kind says nothing"
    counts = (
        Count("", "", "", 5, 5000, "issue"),
        Count("threads", "bots_only", "", 1200, 60, "issue"),
        Count("", "e", "", 2, 0),
    )
    workspace.commit(Sidecar("curate", "curated", 2, "k", (), counts), [])
    workspace.finish("curated", "k", 3, "v")
    (told,) = data(workspace)["stages"]
    assert {kind: (t["kept"]["files"], t["dropped"]["files"]) for kind, t in told["kinds"].items()} == {
        "": (0, 2),
        "code": (7, 4),
        "issue": (5, 1200),
    }
    show(workspace)
    rows = [line.split() for line in capsys.readouterr().out.partition("by kind")[2].splitlines()]
    assert ["│", "issue", "│", "1,205", "│", "5", "│", "0.01", "│"] in rows and [
        "│",
        "code",
        "│",
        "11",
        "│",
        "7",
        "│",
        "0.00",
        "│",
    ] in rows


def test_the_table_shows_every_reason(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    show(workspace, languages=2)
    shown = capsys.readouterr().out
    for text in ("few_letters", "little_visible_text", "Python", "1 others", "63.64"):
        assert text in shown


def test_an_empty_workspace_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(Workspace(str(tmp_path)))
    assert "no stage is complete" in capsys.readouterr().out
