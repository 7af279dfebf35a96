"""The graph of the trigrams: a part for each of the release, equal whatever its row groups."""

from pathlib import Path

import released_workspace as released

from starmill.pipelines.run import attribution
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import trigrams as stage

ROWS = [released.row("o/r", f"/{k}", "".join(f"{i} times {k} is {i * k}\n" for i in range(50))) for k in range(7)]


def test_parts_are_those_of_the_release_and_equal_whatever_its_row_groups(tmp_path: Path) -> None:
    made = []
    for group in (2, 3):
        place = released.build(tmp_path / f"{group}", [ROWS[:4], ROWS[4:], []], group=group)
        manifest = attribution.make(place, stage, choose((), 1), quiet=True)
        assert manifest is not None and len(manifest.parts) == stage.parts(place.manifest("dataset")) == 3
        made.append([place.table(o.path) for part in manifest.parts for o in part.outputs])
    assert all(a.equals(b) for a, b in zip(*made, strict=True)) and [t.num_rows > 0 for t in made[0]] == [True, True, False]
