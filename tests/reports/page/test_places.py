"""The index has every record and what became of it; a large one is a drawn choice."""

import pytest
import reported

from starmill.core.dataset import Workspace
from starmill.reports.page import places
from starmill.reports.page.places import index
from starmill.reports.page.sample import Sample
from starmill.transforms.clean.redact import labels

STAGES = [s.name for s in reported.STAGES]


def flat(found: dict) -> dict[tuple[str, str], str]:
    return {
        (repository, path): found["ends"][end]
        for repository, paths, ends in zip(found["repositories"], found["paths"], found["found"], strict=True)
        for path, end in zip(paths, ends, strict=True)
    }


def test_every_record_is_in_it(workspace: Workspace) -> None:
    found = index(Sample(workspace, [0, 1], 2, labels.hidden), STAGES)
    wanted = {
        (r["row"]["repo_name"], labels.hidden(r["row"]["path"])): ": ".join(r["dropped"] or ())
        for part in reported.records()
        for r in part
    }
    assert flat(found) == wanted | {("three/web", "/logo.png"): "ingest: decode: nul_bytes"} and found["of"] == 14


def test_a_large_index_is_a_drawn_choice(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = flat(index(Sample(workspace, [0, 1], 2), STAGES))
    monkeypatch.setattr(places, "MOST", 5)
    found = index(Sample(workspace, [0, 1], 2), STAGES)
    assert len(flat(found)) == 5 and flat(found).items() <= whole.items() and found["of"] == 14
    assert found == index(Sample(workspace, [0, 1], 2), STAGES)
    monkeypatch.setattr(places, "BYTES", 20)
    assert 0 < sum(len(path) for _, path in flat(index(Sample(workspace, [0, 1], 2), STAGES))) <= 20
    assert index(Sample(workspace, [], 2), STAGES)["repositories"] == []
