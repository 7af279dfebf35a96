"""The graph of the fingerprints: rows name the part and the row of their file."""

from pathlib import Path

import released_workspace as released

from starmill.pipelines.stages import index as stage
from starmill.transforms.attribution import fingerprints
from starmill.transforms.attribution.squash import Squashed


def test_rows_name_the_files_that_have_them(tmp_path: Path) -> None:
    rows = [released.row("o/r", f"/{k}", "".join(f"{i} times {k} is {i * k}\n" for i in range(150))) for k in range(7)]
    place = released.build(tmp_path, [rows[:4], rows[4:]], group=2)
    release = place.manifest("dataset")
    graph = stage.exchange(place, release)
    blocks = [block for given in graph.inputs for _, block in graph.read(given)]
    made = graph.write(0, blocks)["fingerprints"]
    released.derive(place)
    table = place.table("fingerprints/part-00000.parquet")
    assert place.read("fingerprints/part-00000.parquet") == made.data and made.rows == table.num_rows
    wanted = set()
    for k, row in enumerate(rows):
        _, hashes = fingerprints.chosen(Squashed.of(row["content"]).grams)
        wanted |= {(h, int(k >= 4), k - 4 * (k >= 4), 0) for h in hashes.tolist()}
    assert [tuple(r.values()) for r in table.to_pylist()] == sorted(wanted)
    assert stage.parts(release) == 1
