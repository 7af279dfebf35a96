"""Parts of older code that has the same bytes get today's key, with the evidence; others are told, and stay."""

import os
import signal
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import apache_beam as beam
import pytest

from starmill.cli import __main__ as cli
from starmill.core import recipe
from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.core.storage import Storage
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import interrupt, job, keys
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.run.verify import Verified, compare, verify
from starmill.pipelines.runners.local import Local
from starmill.pipelines.stages import ingest
from starmill.pipelines.stages.stage import Build

LOCAL = Local()


@pytest.fixture
def options(tmp_path: Path) -> Recipe:
    for i in range(3):
        (tmp_path / f"in/r{i}").mkdir(parents=True)
        (tmp_path / f"in/r{i}/a.py").write_text(f"def area(width, height):\n    return width * height * {i}\n" * 5)
    sources = {"input": {"kind": "folders", "roots": [str(tmp_path / "in")]}}
    return recipe.build(Recipe, {"workspace": str(tmp_path / "w"), "sources": sources, "ingest": {"part_bytes": 1}})


def mill(options: Recipe, *names: str) -> None:
    for name in names:
        run_stage(name, options, LOCAL, quiet=True)


def under(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Let today's code be another."""
    monkeypatch.setattr(keys, "version", lambda stage, makers=(): version)


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.parquet")}


def test_equal_bytes_get_todays_key(options: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, "old")
    mill(options, "ingest", "measure", "curate", "dedup")
    before = files(tmp_path / "w")
    assert verify("curate", options, LOCAL, 2, quiet=True) == Verified("curate", (), (), 0), "up to date"
    under(monkeypatch, "new")
    for name in ("ingest", "measure", "curate", "dedup"):
        found = verify(name, options, LOCAL, 2, quiet=True)
        assert found.is_equal and found.rekeyed == 3 and len(found.parts) == (3 if name == "dedup" else 2)
    manifest = Workspace(options.workspace).manifest("curated")
    assert manifest is not None and {p.key.partition(".")[2] for p in manifest.parts} == {"new"}
    [evidence] = manifest.verified
    assert (evidence["code"], evidence["equal_to"], len(evidence["parts"]), evidence["of"]) == ("new", "old", 2, 3)
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "w").rglob("*.json")}
    mill(options, "ingest", "measure", "curate", "dedup")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "w").rglob("*.json")} == stamps, "nothing is made again"
    assert files(tmp_path / "w") == before


def test_other_bytes_are_told_and_nothing_changes(options: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, "old")
    mill(options, "ingest", "measure")
    manifest = (tmp_path / "w/measures/manifest.json").read_bytes()
    from starmill.transforms.measure import text

    monkeypatch.setattr(text.Text, "__call__", lambda self, block, before=text.Text.__call__: _one_more(before(self, block)))
    under(monkeypatch, "new")
    found = verify("measure", options, LOCAL, 2, quiet=True)
    assert not found.is_equal and len(found.differing) == 2 and found.rekeyed == 0
    assert (tmp_path / "w/measures/manifest.json").read_bytes() == manifest


def _one_more(block):
    import pyarrow as pa
    import pyarrow.compute as pc

    from starmill.transforms.step import append

    return append(block, {"num_lines": pc.add(block.column("num_lines"), 1).cast(pa.int32())})


def test_other_values_are_not_verified(options: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    mill(options, "ingest", "measure", "curate")
    other = replace(options, curate=replace(options.curate, licenses=replace(options.curate.licenses, keep=("permissive",))))
    with pytest.raises(UsageError, match="3 of 3 parts of curated/ are of other values"):
        verify("curate", other, LOCAL, 2)


@dataclass(frozen=True)
class Elsewhere(Local):
    """The local runner in this process, as if its workers were on other machines."""

    is_local = False


@dataclass(frozen=True)
class Templates(Elsewhere):
    """One whose jobs are written down only."""

    waits = False


def test_a_killed_verify_in_a_bucket_leaves_no_evidence_and_is_swept(options: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(options, workspace=f"memory://{uuid.uuid4().hex}")
    workspace = Workspace(options.workspace)
    under(monkeypatch, "old")
    mill(options, "ingest")
    manifest = workspace.manifest("records")
    assert manifest is not None
    left = (
        "verify/records/part-00000.parquet",
        "verify/cache/x/ab/abc",
        *(f"verify/records/part-{k:05d}.json" for k in range(3)),
    )

    def killed() -> None:
        for path in left[:2]:
            workspace.publish(path, b"half")
        for part in manifest.parts:
            Workspace(f"{options.workspace}/verify").publish_sidecar(part)

    under(monkeypatch, "new")
    killed()
    with monkeypatch.context() as patched:  # a job that makes nothing: what lies there is of the killed one
        patched.setattr(job, "run", lambda *_: None)
        assert verify("ingest", options, Elsewhere(), 3, quiet=True).differing == (0, 1, 2)
    assert Storage(options.workspace).below("verify") == []
    killed()
    with pytest.raises(UsageError, match="nobody waits"):
        verify("ingest", options, Templates(), 3)
    assert {*Storage(options.workspace).below("verify")} == {*left}
    with interrupt.exclusive(workspace):  # as the next `starmill run`
        assert Storage(options.workspace).below("verify") == []
    assert (
        verify("ingest", options, Elsewhere(), 3, quiet=True).rekeyed == 3 and Storage(options.workspace).below("verify") == []
    )


def test_a_worker_that_is_killed_ends_no_verify(
    options: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    under(monkeypatch, "old")
    mill(options, "ingest")
    under(monkeypatch, "new")
    flag, made = tmp_path / "killed", ingest.STAGE

    def deadly(recipe: Recipe, workspace: Workspace) -> Build:
        build = made.graph(recipe, workspace)

        def die_once(part: int) -> int:
            try:
                flag.touch(exist_ok=False)
            except FileExistsError:
                return part
            os.kill(os.getpid(), signal.SIGKILL)

        return lambda pipeline, due: build(pipeline, due) | beam.Map(die_once)

    monkeypatch.setattr(ingest, "STAGE", replace(made, graph=deadly))
    assert verify("ingest", options, Local(workers=2), 3).rekeyed == 3 and flag.exists()
    assert "verify ingest a worker process was ended by SIGKILL" in capfd.readouterr().err


@pytest.mark.parametrize("sample", [0, -1])
def test_a_sample_of_no_part_is_no_evidence(options: Recipe, monkeypatch: pytest.MonkeyPatch, sample: int) -> None:
    under(monkeypatch, "old")
    mill(options, "ingest")
    under(monkeypatch, "new")
    with pytest.raises(UsageError, match=f"--sample {sample}: no part would be compared"):
        verify("ingest", options, LOCAL, sample)
    manifest = Workspace(options.workspace).manifest("records")
    assert manifest is not None and manifest.version == "old"


def flip(path: Path) -> bytes:
    """Change one bit in the middle of a file; return what was there."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 0x10]) + whole[len(whole) // 2 + 1 :])
    return whole


def test_files_that_changed_are_found_and_made_again(options: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    mill(options, "ingest", "measure")
    workspace, place = Workspace(options.workspace), Path(options.workspace)
    found = compare(workspace)
    made = [*place.rglob("*.parquet"), *place.glob("hashes/part-*.bin")]
    assert found.files == len(made) and not found.damaged
    assert found.bytes == sum(p.stat().st_size for p in made)
    names = ("records/part-00001.parquet", "dropped/measure/part-00002.parquet")
    whole = {name: flip(place / name) for name in names}
    (place / "measures/part-00000.json").write_bytes(bytes(100))
    found = compare(workspace)
    assert len(found.damaged) == 3 and all(any(name in line for line in found.damaged) for name in names)
    assert {k: sorted(workspace.published(k)) for k in ("records", "measures")} == {"records": [0, 2], "measures": [0, 1]}
    mill(options, "ingest", "measure")
    assert not compare(workspace).damaged and {name: (place / name).read_bytes() for name in names} == whole
    arguments = ["verify", "smoke", "--all", "--workspace", options.workspace]
    assert cli.main(arguments) == 0 and "0 are damaged" in capsys.readouterr().out
    flip(place / names[0])
    assert cli.main(arguments) == 1 and names[0] in capsys.readouterr().err
    assert cli.main([*arguments, "--stage", "ingest"]) == 2
