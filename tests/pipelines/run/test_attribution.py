"""The portrait and the fingerprints of a release: equal bytes however they are made, made once, made again where they are lost."""

from pathlib import Path

import pytest
import released_workspace as released

from starmill.core.dataset import Workspace
from starmill.core.errors import MachineError, UsageError
from starmill.pipelines.run import attribution, job
from starmill.pipelines.run.verify import compare
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import index, portrait, trigrams
from starmill.transforms.attribution import fingerprints
from starmill.transforms.attribution import portrait as bloom

ROWS = [released.row("o/r", f"/{k}.py", "".join(f"f{i}_{k}(x, {i * k})\n" for i in range(90))) for k in range(12)]
BOTH = (("portrait", portrait), ("fingerprints", index))
EACH = (*BOTH, ("trigrams", trigrams))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(bloom, "PARTITION_BYTES", 5_000)
    monkeypatch.setattr(fingerprints, "PARTITION_BYTES", 5_000)
    return released.build(tmp_path / "w", [ROWS[:5], ROWS[5:]], group=3)


def digests(workspace: Workspace) -> list[str]:
    return [manifest.digest for name, _ in BOTH if (manifest := workspace.manifest(name))]


def test_bytes_are_equal_on_two_workers_and_for_other_row_groups(place: Workspace, tmp_path: Path) -> None:
    released.derive(place)
    made = digests(place)
    assert len(made) == 2 and all(len(place.published(name)) > 2 for name, _ in BOTH)
    assert digests(released.derive(released.build(tmp_path / "v", [ROWS[:5], ROWS[5:]], group=5))) != made, "another release"
    for name, stage in BOTH:
        before = {o.path: place.read(o.path) for p in place.manifest(name).parts for o in p.outputs}
        place.remove(f"{name}/part-00001.json")
        attribution.make(place, stage, choose(("--runner=FnApiRunner",), 2), quiet=True)
        assert {o.path: place.read(o.path) for p in place.manifest(name).parts for o in p.outputs} == before
    assert digests(place) == made


def test_what_is_there_is_not_made_again_and_what_changed_is(place: Workspace) -> None:
    released.derive(place)
    when = {name: place.published(name) for name, _ in BOTH}
    released.derive(place)
    assert {name: place.published(name) for name, _ in BOTH} == when
    before = digests(place)
    released.derive(released.build(place.root, [ROWS[:5], ROWS[5:11]]))
    assert all(a != b for a, b in zip(digests(place), before, strict=True))


def test_damaged_files_are_found_and_made_again(place: Workspace) -> None:
    released.derive(place)
    before = {name: sorted(place.published(name)) for name, _ in BOTH}
    path = place.manifest("fingerprints").parts[1].outputs[0].path
    data = bytearray(whole := place.read(path))
    data[9] ^= 1
    Path(place.root, path).write_bytes(data)
    Path(place.root, "portrait/part-00000.json").write_bytes(b"{")
    told = compare(place).damaged
    assert len(told) == 2 and path in told[1] and "portrait/part-00000.json" in told[0]
    assert "part 1 of fingerprints/ counts as not made: the next `starmill run`, `portrait` or `index`" in told[1].lower()
    released.derive(place)
    assert not compare(place).damaged and place.read(path) == whole
    assert {name: sorted(place.published(name)) for name, _ in BOTH} == before


def test_a_release_that_is_absent_or_damaged_is_refused(place: Workspace, tmp_path: Path) -> None:
    for _, stage in EACH:
        with pytest.raises(UsageError, match=rf"{stage.NAME}: .*run `starmill release` first"):
            attribution.make(Workspace(str(tmp_path / "none")), stage, choose(()), quiet=True)
    data = bytearray(place.read("dataset/part-00001.parquet"))
    data[100] ^= 1
    place.publish("dataset/part-00001.parquet", bytes(data))
    said = {path: place.read(path) for path in ("dataset/manifest.json", "dataset/part-00001.json")}
    for _, stage in EACH:
        for path, before in said.items():  # of which the error before takes the part back
            place.publish(path, before)
        with pytest.raises((MachineError, job.StageError), match="not those that were published"):
            attribution.make(place, stage, choose(()), quiet=True)
