"""Hashes of a part are found again in the group's file, as a dictionary finds them; what changes leaves other groups as they are."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starmill.core import hashes
from starmill.core.dataset import LastRun, StageName, Workspace, output, part_path
from starmill.core.part import Manifest, Sidecar

HASHES = st.integers(0, (1 << 48) - 1)


def found(data: bytes, bits: int, name: int) -> list[int]:
    start, end = hashes.entries(bits, data[slice(*hashes.fan_out(bits, name))])
    return hashes.parts_of(name, data[start:end])


@given(
    st.lists(
        st.sets(st.one_of(HASHES, st.integers(0, 20), st.integers((1 << 48) - 20, (1 << 48) - 1)), max_size=60), max_size=20
    )
)
def test_a_group_answers_as_a_dictionary_does(held: list[set[int]]) -> None:
    wanted = defaultdict(list)
    for part, some in enumerate(held):
        for name in some:
            wanted[name].append(part)
    data, bits = hashes.merged(hashes.packed(some) for some in held), hashes.bits_of(sum(map(len, held)))
    assert {name: found(data, bits, name) for name in (*wanted, 3, 1 << 47)} == {
        n: wanted.get(n, []) for n in (*wanted, 3, 1 << 47)
    }


def test_a_look_into_many_names_reads_few() -> None:
    held = [{hashes.of(f"/{part}/{k}.py") for k in range(2000)} for part in range(50)]
    data, bits = hashes.merged(map(hashes.packed, held)), hashes.bits_of(100_000)
    for part, k in ((0, 0), (17, 1999), (49, 5)):
        name = hashes.of(f"/{part}/{k}.py")
        start, end = hashes.entries(bits, data[slice(*hashes.fan_out(bits, name))])
        assert hashes.parts_of(name, data[start:end]) == [part] and end - start < 8 * 2 * hashes.FEW
    assert len(data) < 100_000 * 8 * 1.01


@given(st.lists(st.integers(0, hashes.ENTRIES), max_size=40))
def test_ranges_are_all_parts_in_order_and_none_holds_too_many(sizes: list[int]) -> None:
    made = [*hashes.ranges(sizes)]
    assert [part for some in made for part in some] == [*range(len(sizes))]
    assert all(len(some) == 1 or sum(sizes[some.start : some.stop]) <= hashes.ENTRIES for some in made)


def published(workspace: Workspace, names: list[list[str]], version: str = "v") -> Manifest:
    """Publish a dataset whose parts have these names."""
    sidecars = []
    for part, some in enumerate(names):
        data = hashes.packed(map(hashes.of, some))
        sidecars.append(Sidecar("ingest", "records", part, "k", (output(part_path("hashes", part, "bin"), data),)))
        workspace.commit(sidecars[-1], [data])
    workspace.publish_last_run(LastRun((StageName("ingest", "records"),), len(names)))
    return workspace.finish("records", "key", len(names), version)


def test_a_part_that_changes_leaves_the_groups_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "ENTRIES", 4)
    workspace, read = Workspace(str(tmp_path)), list[str]()
    reads = Workspace.read
    monkeypatch.setattr(
        Workspace,
        "read",
        lambda self, path, *some: (
            [read.append(path), reads(self, path, *some)][1] if path[-4:] == ".bin" else reads(self, path, *some)
        ),
    )
    names = [[f"/{part}", f"/{part}.py"] for part in range(8)]
    published(workspace, names)
    before = workspace.groups()
    assert before is not None and [group.first for group in before] == [0, 2, 4, 6] and len(read) == 8
    read.clear()
    published(workspace, names, "another")
    assert workspace.groups() == before and not read, "the same parts: nothing is read or written"
    names[5] = ["/new"]
    published(workspace, names)
    after = workspace.groups()
    assert after is not None and [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True]
    assert sorted(read) == ["hashes/part-00004.bin", "hashes/part-00005.bin"]
    left = [name for name in workspace.files("hashes") if not name.startswith("part-")]
    assert left == sorted(["groups.json", *(group.path.removeprefix("hashes/") for group in after)])


def test_groups_of_another_manifest_are_not_believed(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    published(workspace, [["/a"], ["/b"]])
    assert workspace.groups()
    kept = workspace.read(hashes.LIST)
    published(workspace, [["/a"], ["/c"]])
    workspace.publish(hashes.LIST, kept)
    assert workspace.groups() is None
    workspace.remove("records/manifest.json")
    assert workspace.groups() is None, "while parts are made"


def test_a_part_of_an_older_starmill_has_none(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    published(workspace, [["/a"], ["/b"]])
    old = Sidecar("ingest", "records", 1, "k", ())
    workspace.commit(old, [])
    assert workspace.finish("records", "key", 2, "v").parts[1] == old
    assert workspace.groups() is None


def test_what_clean_removed_is_not_missed(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    manifest = published(workspace, [["/a"], ["/b"]])
    workspace.remove_all(part_path("hashes", part, "bin") for part in range(2))
    workspace.publish_manifest(manifest)
    assert workspace.groups(), "the group is there, and is of the same parts"
    changed = Sidecar("ingest", "records", 1, "k", (output(part_path("hashes", 1, "bin"), b"another"),))
    workspace.publish_manifest(Manifest("ingest", "records", "key", "d", "v", (manifest.parts[0], changed)))
    assert workspace.groups() is None
