"""Which datasets were cleaned: complete ones without files; neither an empty one nor one that is not finished."""

from pathlib import Path

from starmill.core.dataset import Sidecar, StageName, Workspace, output
from starmill.reports.cleaned import first_kept, is_cleaned


def test_by_the_manifest_and_the_files(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    stages = (StageName("ingest", "records"), StageName("curate", "curated"), StageName("release", "dataset"))
    for stage in stages:
        made = (output(f"{stage.dataset}/part-00000.parquet", b"x"), output(f"dropped/{stage.name}/part-00000.parquet", b"y"))
        workspace.commit(Sidecar(stage.name, stage.dataset, 0, "k", made), [b"x", b"y"])
        assert not is_cleaned(workspace, stage.dataset), "it has no manifest"
        workspace.finish(stage.dataset, "k", 1, "v")
        assert not is_cleaned(workspace, stage.dataset) and first_kept(workspace, stages) == 0
    for gone, first in (("records", 1), ("curated", 2)):
        workspace.remove(f"{gone}/part-00000.parquet")
        assert is_cleaned(workspace, gone) and first_kept(workspace, stages) == first
    workspace.commit(Sidecar("measure", "measures", 0, "k", ()), [])
    workspace.finish("measures", "k", 1, "v")
    assert not is_cleaned(workspace, "measures") and first_kept(workspace, ()) == 0
