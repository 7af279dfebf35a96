"""Workspaces: parts are there whole or not at all, on a local disk and on an object-store-like file system."""

import json
import threading
import uuid
from dataclasses import asdict, replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from starmill.core.dataset import Count, Manifest, ParquetPart, Sidecar, Workspace, at_once, output, part_number, part_path
from starmill.core.errors import InputError
from starmill.core.files import TEMPORARY, writer_of
from starmill.core.part import Output, Tokens

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCHEMA = pa.schema([("path", pa.string()), ("n", pa.int64())])


@pytest.fixture(params=["local", "memory"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "w") if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def rows(n: int) -> pa.RecordBatch:
    return pa.record_batch([[f"/{i}" for i in range(n)], list(range(n))], schema=SCHEMA)


def commit(workspace: Workspace, part: int, key: str, n: int = 3) -> Sidecar:
    parquet = ParquetPart(SCHEMA)
    parquet.write(rows(n))
    data = parquet.close()
    sidecar = Sidecar(
        "ingest", "records", part, key, (output(part_path("records", part), data, n),), (Count("", "", "", n, 10 * n),)
    )
    workspace.commit(sidecar, [data])
    return sidecar


def test_a_part_comes_back_as_it_was(workspace: Workspace) -> None:
    sidecar = commit(workspace, 0, "k")
    assert workspace.sidecar("records", 0) == sidecar
    assert workspace.table(part_path("records", 0)).to_pylist() == rows(3).to_pylist()
    assert [b.schema.names for b in workspace.blocks(part_path("records", 0), ["n"])] == [["n"]]


def test_done_means_this_key_and_whole_outputs(workspace: Workspace) -> None:
    assert not workspace.is_done("records", 0, "k")
    commit(workspace, 0, "k")
    assert workspace.is_done("records", 0, "k")
    assert not workspace.is_done("records", 0, "other recipe")
    path = part_path("records", 0)
    workspace.publish(path, workspace.read(path)[:-1])
    assert not workspace.is_done("records", 0, "k"), "a truncated output"
    workspace.remove(path)
    assert not workspace.is_done("records", 0, "k"), "a lost output"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2] + b"\xff" + whole[len(whole) // 2 + 1 :],
        lambda whole: bytes(len(whole)),
        lambda whole: b'{"stage": "ingest"}',
        lambda whole: b"[]",
        lambda whole: b"",
        lambda whole: b"[" * 100_000,
        lambda whole: b'{"format": true}',
        lambda whole: whole.replace(b'"format": 1', b'"format": -1'),
        lambda whole: whole.replace(b'"dataset": "records"', b'"dataset": "curated"'),
    ],
)
def test_a_damaged_file_counts_as_absent_and_is_named_once(workspace: Workspace, damage, capsys) -> None:
    commit(workspace, 0, "k")
    workspace.finish("records", "key", 1, "v")
    for path, read in (
        ("records/part-00000.json", lambda: workspace.sidecar("records", 0)),
        ("records/manifest.json", lambda: workspace.manifest("records")),
    ):
        workspace.publish(path, damage(workspace.read(path)))
        assert read() is None and read() is None
        [said] = capsys.readouterr().err.splitlines()
        assert said.startswith(f"{workspace.path(path)}: damaged (") and "makes it again" in said
    assert not workspace.is_done("records", 0, "k")
    workspace.sweep("records", 0, due=())
    commit(workspace, 0, "k")
    assert workspace.finish("records", "key", 1, "v").parts == (workspace.sidecar("records", 0),)


def test_nothing_outside_is_touched(tmp_path: Path) -> None:
    workspace, outside = Workspace(str(tmp_path / "w")), tmp_path / "outside"
    outside.mkdir()
    for name in ("part-00000.parquet", "part-00000.json"):
        (outside / name).write_text("mine")
    sidecar = commit(workspace, 0, "k")
    for path in ("../outside/part-00000.parquet", f"{outside}/part-00000.parquet", "records/part-00001.parquet", "stages.json"):
        workspace.publish_sidecar(replace(sidecar, outputs=(replace(sidecar.outputs[0], path=path),)))
        assert workspace.sidecar("records", 0) is None
    workspace.sweep("records", 0, due=())
    (tmp_path / "w/linked").symlink_to(outside)
    (tmp_path / "w/records/part-00001.parquet").symlink_to(outside / "part-00000.parquet")
    for work in (
        lambda: workspace.sweep("linked", 0, due={0}),
        lambda: workspace.publish("linked/part-00000.json", b""),
        lambda: workspace.remove("linked/part-00000.json"),
        lambda: workspace.clear("linked"),
        lambda: workspace.table("records/part-00001.parquet"),
        lambda: workspace.publish("records/part-00001.parquet", b""),
        lambda: workspace.remove("records/../../outside/part-00000.parquet"),
    ):
        with pytest.raises(InputError, match=r"a link inside|leads out"):
            work()
    assert {p.name: p.read_text() for p in outside.iterdir()} == dict.fromkeys(
        ("part-00000.parquet", "part-00000.json"), "mine"
    )


def test_half_a_sidecar_is_none(workspace: Workspace) -> None:
    commit(workspace, 0, "k")
    workspace.finish("records", "key", 1, "v")
    for path in (part_path("records", 0, "json"), "records/manifest.json"):
        whole = workspace.read(path)
        for length in (0, 1, len(whole) // 2, len(whole) - 2):
            workspace.publish(path, whole[:length])
            assert workspace.sidecar("records", 0) is None or workspace.manifest("records") is None
        assert not workspace.is_done("records", 0, "k")
    assert workspace.sidecar("records", 0) is None and workspace.manifest("records") is None


def test_the_manifest_needs_every_part(workspace: Workspace) -> None:
    commit(workspace, 0, "k")
    with pytest.raises(FileNotFoundError, match="part 1 of 2"):
        workspace.finish("records", "key", 2, "v")
    commit(workspace, 1, "k")
    manifest = workspace.finish("records", "key", 2, "v")
    assert workspace.manifest("records") == manifest
    assert [p.part for p in manifest.parts] == [0, 1]


def test_equal_data_has_equal_digests_whatever_the_key(workspace: Workspace) -> None:
    commit(workspace, 0, "k")
    before = workspace.finish("records", "a", 1, "v").digest
    commit(workspace, 0, "another key")
    assert workspace.finish("records", "b", 1, "v2").digest == before
    commit(workspace, 0, "k", n=4)
    assert workspace.finish("records", "a", 1, "v").digest != before


def test_sweep_removes_what_is_not_of_this_run(workspace: Workspace) -> None:
    for part in range(3):
        commit(workspace, part, "k")
    workspace.finish("records", "key", 3, "v")
    workspace.sweep("records", 2, due={1})
    assert workspace.files("records") == ["part-00000.json", "part-00000.parquet", "part-00001.parquet"]


def test_sweep_asks_for_many_removals_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    class Slow(LocalFileSystem):
        """Removes parts four at a time, or raises."""

        protocol = "slow"

        def rm_file(self, path: str) -> None:
            if "part-" in path:
                together.wait(timeout=60)
            super().rm_file(path)

    fsspec.register_implementation("slow", Slow, clobber=True)
    for part in range(4):
        commit(Workspace(str(tmp_path)), part, "k")
    workspace = Workspace(f"slow://{tmp_path}")
    workspace.sweep("records", 4, due=range(4))
    assert workspace.files("records") == [f"part-{k:05d}.parquet" for k in range(4)]
    for part in range(4):
        commit(Workspace(str(tmp_path)), part, "k")
    workspace.sweep("records", 0, due=())
    assert workspace.files("records") == []


def test_a_manifest_that_is_refused_was_never_there(workspace: Workspace) -> None:
    commit(workspace, 0, "k")

    def refuse(manifest: Manifest) -> None:
        assert manifest.parts[0].key == "k" and workspace.manifest("records") is None
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        workspace.finish("records", "key", 1, "v", refuse)
    assert workspace.manifest("records") is None


def test_outputs_that_are_not_what_their_sidecar_says(workspace: Workspace) -> None:
    sidecars = [commit(workspace, part, "k") for part in range(3)]
    assert [*workspace.torn(sidecars)] == []
    workspace.publish(part_path("records", 1), b"of another job")
    workspace.remove(part_path("records", 2))
    assert [(s.part, o.path) for s, o in workspace.torn(sidecars)] == [(k, part_path("records", k)) for k in (1, 2)]


def test_parts_are_what_is_called_so(workspace: Workspace) -> None:
    commit(workspace, 3, "k")
    workspace.publish("records/.tmp-812-part-00003.parquet", b"half")
    workspace.publish("records/part-of-something.parquet", b"")
    assert workspace.parts("records") == [part_path("records", 3)] and workspace.parts("nowhere") == []
    assert [*workspace.published("records")] == [3]
    assert [part_number(n) for n in ("part-00007.json", "part-123456.docs.parquet", "manifest.json")] == [7, 123456, None]


def test_temporary_files_of_a_killed_writer_go(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    commit(workspace, 0, "k")
    (tmp_path / "mine").mkdir()
    ours = f"{TEMPORARY}{writer_of('records/part-00001.parquet')}part-00001.parquet"
    theirs = [tmp_path / n for n in (".tmp-notes", "records/.tmp-123-part-00001.parquet", f"mine/{ours}", f"records/{ours}~")]
    for place in (*theirs, tmp_path / "records" / ours):
        place.write_bytes(b"half")
    (tmp_path / "outside").symlink_to(tmp_path / "records")
    workspace.sweep_temporary()
    assert all(place.exists() for place in theirs) and not (tmp_path / "records" / ours).exists()
    assert part_path("records", 0) in workspace.parts("records")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(TypeError):
        workspace.publish("records/x", "not bytes")  # type: ignore[arg-type]
    assert workspace.files("records") == []


def test_row_groups_are_the_blocks_written(tmp_path: Path) -> None:
    parquet = ParquetPart(SCHEMA)
    for n in (3, 0, 5):
        parquet.write(rows(n))
    (tmp_path / "x.parquet").write_bytes(parquet.close())
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 5]
    assert parquet.rows == 8


def test_questions_are_asked_together_and_answered_in_order() -> None:
    together = threading.Barrier(8)

    def ask(number: int) -> int:
        together.wait(timeout=60)  # raises unless eight ask at once
        return number * number

    assert list(at_once(ask, range(16))) == [n * n for n in range(16)]
    with pytest.raises(ZeroDivisionError):
        list(at_once(lambda n: 1 // n, range(3)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 9}', "made by a newer starmill"),
    ],
)
def test_a_file_of_another_format_is_refused(workspace: Workspace, text: str, message: str) -> None:
    for path, read in (
        ("records/part-00000.json", lambda: workspace.sidecar("records", 0)),
        ("records/manifest.json", lambda: workspace.manifest("records")),
        ("stages.json", workspace.last_run),
    ):
        workspace.publish(path, text.encode())
        with pytest.raises(InputError, match=f"{path}: .*{message}"):
            read()


@given(
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.lists(st.tuples(TEXT, st.floats(0, 1e15, allow_subnormal=False).filter(lambda f: f == 0 or f > 1e-3)), max_size=3),
)
def test_files_are_written_as_json_s_own_encoder_would(lineage: dict[str, str], tokens: list[tuple[str, float]]) -> None:
    counts = tuple(Count(word, "", "C", 1, 2) for word in lineage)
    held = tuple(Tokens("code", word, 1, 2, epoch) for word, epoch in tokens)
    sidecar = Sidecar("s", "records", 1, "k", (Output("records/part-00001.parquet", "a" * 64, 5),), counts, lineage, (), held)
    folder = Workspace(f"memory://json-{len(lineage)}")
    folder.publish_sidecar(sidecar)
    wanted = json.dumps({"format": 1, **asdict(sidecar)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert folder.read("records/part-00001.json").decode() == wanted
