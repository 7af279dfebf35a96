"""The portrait's graph: every gram of every part reaches the partition that is asked for it."""

from pathlib import Path

import numpy as np
import pytest
import released_workspace as released

from starmill.pipelines.stages import portrait as stage
from starmill.transforms.attribution import portrait
from starmill.transforms.attribution.squash import Squashed


def test_all_grams_of_a_release_are_in_its_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait, "PARTITION_BYTES", 4_000)
    rows = [released.row("o/r", f"/{k}", "".join(f"{i} times {k} is {i * k}\n" for i in range(150))) for k in range(5)]
    place = released.build(tmp_path, [rows[:2], rows[2:]])
    release = place.manifest("dataset")
    assert stage.size_of(release) == sum(len(r["content"]) for r in rows)
    graph = stage.exchange(place, release)
    blocks = [found for given in graph.inputs for found in graph.read(given)]
    assert {number for number, _ in blocks} == {*range(stage.parts(release))} and stage.parts(release) > 2
    wanted = np.concatenate([Squashed.of(r["content"]).grams[::50] for r in rows])
    assert sorted(np.concatenate([b.column(0).to_numpy() for _, b in blocks]).tolist()) == sorted(wanted.tolist())
    held = {
        number: graph.write(number, [b for n, b in blocks if n == number])["portrait"] for number in range(stage.parts(release))
    }
    assert sum(file.rows for file in held.values()) == len(wanted)
    released.derive(place)
    assert portrait.Portrait(place).has(wanted).all()
    assert place.read("portrait/part-00001.bloom") == held[1].data
