"""What the page shows: the same each time, without a secret, whole in its counts, and from any workspace."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import reported

from starmill.core.dataset import LastRun, Workspace, part_path
from starmill.core.errors import InputError
from starmill.core.summary import OF_REASON, Where
from starmill.reports import funnel
from starmill.reports.page import gather
from starmill.reports.page.sample import Sample
from starmill.transforms.clean.redact import labels


def test_no_secret_is_in_it(workspace: Workspace) -> None:
    said = json.dumps(gather.data(workspace, labels.hidden))
    assert reported.EMAIL not in said and reported.SECRET not in said and "<KEY-" in said
    assert reported.EMAIL in json.dumps(gather.data(workspace)), "without hiding it would be there"


def test_counts_are_those_of_the_funnel(workspace: Workspace) -> None:
    found = gather.data(workspace)
    for told, stage in zip(found["stages"], funnel.data(workspace)["stages"], strict=True):
        assert {name: told[name] for name in stage} == stage
        manifest = workspace.manifest(told["folder"])
        assert manifest is not None and told["stored_bytes"] == sum(o.bytes for p in manifest.parts for o in p.outputs)
    assert sum(r["files"] for r in found["reasons"]) == sum(s["in"]["files"] - s["kept"]["files"] for s in found["stages"])
    assert all(r["samples"] for r in found["reasons"]) and found["looked_at"] == {"parts": 2, "of": 2, "records": 13}


def test_equal_workspaces_give_equal_data(workspace: Workspace, tmp_path: Path) -> None:
    copy = Workspace(str(shutil.copytree(workspace.root, tmp_path / "copy")))
    one, two = (gather.data(w) | {"workspace": ""} for w in (workspace, copy))
    assert json.dumps(one) == json.dumps(two)


def test_a_workspace_that_is_empty_or_has_just_begun(tmp_path: Path) -> None:
    empty = Workspace(str(tmp_path / "none"))
    found = gather.data(empty)
    assert found["workspace"] == empty.root and found["stages"] == [] == found["twins"] and not (tmp_path / "none").exists()
    begun = Workspace(str(tmp_path))
    begun.publish_last_run(LastRun(reported.STAGES, 4))
    assert gather.data(begun)["stages"] == []


def test_a_run_that_was_stopped_shows_its_complete_stages(workspace: Workspace, tmp_path: Path) -> None:
    copy = Workspace(str(shutil.copytree(workspace.root, tmp_path / "copy")))
    for gone in ("shards", "dataset"):
        shutil.rmtree(Path(copy.root) / gone)
    copy.remove("settings.json")
    copy.remove("timings.json")
    copy.remove(part_path("dropped/curate", 1))
    found = gather.data(copy)
    assert [s["stage"] for s in found["stages"]] == ["ingest", "measure", "curate", "dedup"] and found["thresholds"] == []
    assert found["redactions"] == [] and found["mixture"]["kinds"] == [] and found["stages"][0]["seconds"] is None
    counted = {r["reason"]: (r["files"], len(r["samples"])) for r in found["reasons"]}
    assert counted["non_permissive"] == (2, 0), "what is counted stays, though its rows are gone"


def test_contamination_is_counted_by_task_in_few_parts(workspace: Workspace) -> None:
    sample, stages = Sample(workspace, [0], 2), [s.name for s in reported.STAGES]
    assert gather.contamination(sample, stages, [Where("decontaminate", gather.CONTAMINATED, 1, (1,))]) == {
        "parts": 1,
        "of": 1,
        "tasks": [{"benchmark": "smoke", "task": "Own/0", "records": 1}],
    }
    many = [Where("decontaminate", gather.CONTAMINATED, 200, tuple(range(100, 100 + OF_REASON)))]
    assert gather.contamination(sample, stages, many) == {"parts": gather.LOOKED_AT, "of": 200, "tasks": []}


def test_a_bucket_s_workspace_is_read_alike(workspace: Workspace) -> None:
    bucket = Workspace("memory://bucket-of-the-report")
    for file in (p for p in Path(workspace.root).rglob("*") if p.is_file()):
        bucket.publish(str(file.relative_to(workspace.root)), file.read_bytes())
    one, two = (gather.data(w, labels.hidden) | {"workspace": ""} for w in (workspace, bucket))
    assert one == two


@pytest.mark.parametrize("name", ["records", "measures", "dropped/curate", "dataset"])
@pytest.mark.parametrize(
    "damage", [lambda data: b"\0" * len(data), lambda data: data[:4] + b"\xff" * (len(data) - 600) + data[-596:]]
)
def test_a_damaged_file_is_named(workspace: Workspace, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    copy = Workspace(str(shutil.copytree(workspace.root, tmp_path / "copy")))
    place = part_path(name, 1)
    copy.publish(place, damage(copy.read(place)))
    with pytest.raises(InputError, match=f"{place}: damaged: .*verify --all"):
        gather.data(copy)


def test_a_file_of_another_kind_is_named(workspace: Workspace, tmp_path: Path) -> None:
    copy = Workspace(str(shutil.copytree(workspace.root, tmp_path / "copy")))
    copy.publish(part_path("dropped/curate", 1), copy.read(part_path("verdicts", 1)))
    with pytest.raises(InputError, match=r"has no columns blob_id, .*not what starmill writes there"):
        gather.data(copy)
