"""The list of records that a step is not asked about: it is read strictly, filled from notes, and decides keys and rows."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.core import skips
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, MachineError
from starmill.core.skips import Skip

SLOW = Skip("curate", "picky", "code", "r", "/b", "2", "took an hour")


def block() -> pa.RecordBatch:
    n = 12
    return pa.record_batch(
        {
            "kind": ["code"] * n,
            "repo_name": ["r"] * n,
            "path": [f"/{'abcdefghijkl'[i]}" for i in range(n)],
            "content_id": pa.array([str(i + 1) for i in range(n - 1)] + [None], pa.string()),
        }
    )


def listed(*found: Skip) -> str:
    return json.dumps({"format": 1, "skips": [{f: getattr(s, f) for f in s.__struct_fields__} for s in found]})


@pytest.mark.parametrize("url", ["{tmp}", "memory://skips-{name}"])
def test_notes_of_several_workers_become_one_list(url: str, tmp_path: Path) -> None:
    workspace = Workspace(url.format(tmp=tmp_path, name=tmp_path.name))
    for part, names in ((0, "ab"), (7, "c")):
        with skips.making(workspace, part, "", 5.0), skips.at("measure", "licenses", block()):
            for name in names:
                with skips.with_own_limit(block()) as seconds:
                    assert seconds == 5.0
                skips.give_up(block().filter(pa.array([p == f"/{name}" for p in block().column("path").to_pylist()])))
    assert {part: len(notes.skips) for part, notes in skips.gather(workspace).items()} == {0: 2, 7: 1}
    found = skips.read(workspace)
    assert [(s.path, s.reason) for s in found] == [(f"/{n}", "took longer than max_record_seconds=5") for n in "abc"]
    written = workspace.read(skips.LIST)
    assert not any(notes.skips for notes in skips.gather(workspace).values()) and workspace.read(skips.LIST) == written


def test_what_is_left_out_is_so_by_step_name_and_content(tmp_path: Path) -> None:
    others = [
        SLOW,
        Skip("curate", "picky", "code", "r", "/l", "", "x"),
        Skip("curate", "picky", "code", "r", "/c", "other", "x"),
    ]
    with skips.making(Workspace(str(tmp_path)), 0, skips.packed(others), 5.0):
        asked, gone, said = skips.divide("curate", "picky", block())
        assert gone is not None and gone.column("path").to_pylist() == ["/b", "/l"] and said == ["took an hour", "x"]
        assert asked.num_rows == 10 and skips.divide("curate", "other", block())[0].num_rows == 12
        assert skips.key_now("abc.code", "curate") == skips.key("abc.code", others) != "abc.code"
        assert skips.key_now("abc.code", "measure") == "abc.code"
    assert skips.divide("curate", "picky", block())[1] is None and skips.key_now("abc.code", "curate") == "abc.code"


def test_a_machine_that_is_slow_with_everything_is_told(tmp_path: Path) -> None:
    with skips.making(Workspace(str(tmp_path)), 3, "", 5.0), skips.at("measure", "licenses", block()):
        for row in range(skips.MOST):
            skips.give_up(block().slice(row, 1))
        with pytest.raises(
            MachineError, match=r"more than 8 records of part 3 .* fewer --workers, or raise max_record_seconds"
        ):
            skips.give_up(block().slice(8, 1))
    assert len(skips.gather(Workspace(str(tmp_path)))[3].skips) == skips.MOST, "the next run goes on behind these"
    with pytest.raises(MachineError, match="r:/a: took longer"):
        skips.give_up(block())


def test_only_parts_that_hold_a_record_have_it(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.publish("records/part-00000.parquet", b"")
    pq.write_table(pa.Table.from_batches([block()]), workspace.path("records/part-00000.parquet"))
    changed = Skip("curate", "picky", "code", "r", "/b", "another content", "took an hour")
    assert skips.held(workspace, "records/part-00000.parquet", [changed, SLOW]) == [SLOW]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 50,
        "[]",
        '{"format": 2, "skips": []}',
        '{"skips": []}',
        '{"format": 1, "skips": [{}]}',
        listed(SLOW).replace('"path"', '"Path"'),
        listed(SLOW).replace('"/b"', "7"),
        listed(SLOW).replace('"reason"', '"seconds": 3, "reason"'),
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_list_is_no_empty_list(text: str, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    assert skips.read(workspace) == ()
    workspace.publish(skips.LIST, listed(SLOW).encode())
    assert skips.read(workspace) == (SLOW,)
    workspace.publish(skips.LIST, text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"skips\.json: damaged \(.*put a copy of it back, or remove it"):
        skips.read(workspace)
