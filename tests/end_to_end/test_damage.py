"""Damage in a finished workspace, whatever files it has: one byte of each published file, and everything that is no book in each book."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from starmill.core import hashes, recipe, summary
from starmill.core.dataset import Workspace, sidecar_path
from starmill.core.errors import StarmillError
from starmill.core.shards import open_shards
from starmill.pipelines import stages
from starmill.pipelines.costs.traffic import PROTOCOL, Traffic, counting
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.run.verify import compare
from starmill.pipelines.runners.local import Local
from starmill.pipelines.stages import vocabulary
from starmill.reports import settings

AGAIN = r"starmill (run|tokenize)`"


def mill(options: Recipe, *names: str) -> None:
    for name in names or stages.STAGES:
        run_stage(name, options, Local(), quiet=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Two parts of near twins and exact copies, milled."""
    place = tmp_path_factory.mktemp("damage")
    for i in range(4):
        (place / f"in/r{i}").mkdir(parents=True)
        lines = [f"def area_{k}(width, height):\n    return width * height * {k}\n" for k in range(60 - i % 2)]
        (place / f"in/r{i}/a.py").write_text("".join(lines))
    values = {
        "workspace": str(place / "w"),
        "sources": {"input": {"kind": "folders", "roots": [str(place / "in")]}},
        "ingest": {"part_bytes": 10_000},
        "tokenizer": {"vocab_size": 300},
    }
    options = recipe.build(Recipe, values)
    mill(options)
    assert Workspace(options.workspace).last_run().parts == 2
    return options


@pytest.fixture
def options(finished: Recipe, tmp_path: Path) -> Recipe:
    """A copy of the finished workspace."""
    shutil.copytree(finished.workspace, tmp_path / "w")
    return replace(finished, workspace=str(tmp_path / "w"))


def contents(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "timings.json"}


def flip(place: Path, at: float) -> None:
    data = bytearray(place.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1
    place.write_bytes(data)


def published(workspace: Workspace) -> tuple[dict[str, str], dict[str, str]]:
    """A path of each kind of published file, with the stage that made it, and the stage that reads a path first."""
    made, readers = dict[str, str](), dict[str, str]()
    for name in reversed(stages.STAGES):
        manifest = workspace.manifest(stages.load(name).dataset)
        assert manifest is not None
        made |= {o.path: name for part in manifest.parts for o in part.outputs}
        readers |= {path: name for part in manifest.parts for path in part.lineage}
    known = vocabulary.made(workspace)
    made |= dict.fromkeys(known["outputs"] if known else (), "tokenize")
    kinds = {(path.rpartition("/")[0], path.partition(".")[2]): path for path in sorted(made)}
    return {path: made[path] for path in kinds.values()}, readers


def forget(workspace: Workspace, name: str) -> None:
    """Make all parts of a stage due."""
    dataset = stages.load(name).dataset
    workspace.remove_all([f"{dataset}/manifest.json", *(sidecar_path(dataset, part) for part in workspace.published(dataset))])


@pytest.mark.parametrize(("url", "at"), [("{}", 0.5), (f"{PROTOCOL}://{{}}", 1.0)])  # the end of Parquet is its magic number
def test_a_byte_of_a_published_file_is_noticed_by_who_reads_it_first(
    options: Recipe, tmp_path: Path, url: str, at: float
) -> None:
    fsspec.register_implementation(PROTOCOL, counting(Traffic()), clobber=True)
    place = Path(options.workspace)
    before, options = contents(place), replace(options, workspace=url.format(place))
    workspace = Workspace(options.workspace)
    made, readers = published(workspace)
    for path in [path for path in made if path in readers]:
        flip(place / path, at)
        forget(workspace, readers[path])
        with pytest.raises(StarmillError, match=f"{path}: its bytes are not those that were published.*{AGAIN}"):
            mill(options, readers[path])
        assert workspace.manifest(stages.load(made[path]).dataset) is None
        mill(options, made[path], readers[path])
        assert contents(place) == before, path
    unread = [path for path in made if path not in readers]
    assert len(unread) > 5
    for path in unread:
        if path.startswith(stages.load("tokenize").dataset):
            flip(place / path, at)
            with pytest.raises(StarmillError, match=f"{path}: its sha256 is not the manifest's.* copy the shard"):
                for shard in open_shards(options.workspace, str(tmp_path / path)):  # as a trainer's node does
                    shard.tokens(0)
            flip(place / path, at)
    for path in unread:
        flip(place / path, at)
    told = compare(workspace).damaged
    assert sorted(path for path in unread for line in told if path in line) == sorted(unread) and len(told) == len(unread)
    mill(options)
    assert contents(place) == before


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda whole: whole[: len(whole) // 2] + b"\xff" + whole[len(whole) // 2 + 1 :],
    lambda whole: bytes(len(whole)),  # what a power cut leaves
    lambda whole: whole[: len(whole) // 2],
    lambda whole: b"",
    lambda whole: b"null",
    lambda whole: b'{"stage": "ingest"}',
    lambda whole: b"[" * 100_000,
    lambda whole: re.sub(rb": \d+\b", b": " + b"9" * 400, whole),
    lambda whole: re.sub(rb": \d+\b", b": NaN", whole),
    lambda whole: whole.replace(b': "', b': [[]], "x": "'),
)


@pytest.mark.parametrize("shift", [0, 3, 7])
def test_a_damaged_book_counts_as_absent_and_is_named(options: Recipe, capfd: pytest.CaptureFixture[str], shift: int) -> None:
    place = Path(options.workspace)
    before = contents(place)
    known = vocabulary.made(Workspace(options.workspace))
    books = [path for path in sorted(before) if path.endswith(".json") and path not in (known["outputs"] if known else ())]
    damaged = {book: DAMAGES[(number + shift) % len(DAMAGES)](before[book]) for number, book in enumerate(books)}
    damaged = {book: data for book, data in damaged.items() if data != before[book]}
    assert len(damaged) > 20
    for book, data in damaged.items():
        (place / book).write_bytes(data)
    mill(options)
    assert contents(place) == before
    said = capfd.readouterr().err
    unnamed = [book for book in damaged if f"{book}: damaged (" not in said]
    # Values of a recipe may be anything: those that are no recipe's are only replaced.
    odd = [settings.PLACE] if b'"x"' in damaged.get(settings.PLACE, b"") else []
    books = [hashes.LIST, *odd]
    anew = [book for book in unnamed if book.startswith("plans/") or book.endswith(f"/{summary.NAME}") or book in books]
    assert anew == unnamed, "plans, sums and the list of hashes are written anew before they are read"


@pytest.mark.parametrize(
    "book", ["stages.json", "curated/part-00001.json", "shards/manifest.json", "curated/part-00000.parquet"]
)
def test_what_is_no_file_is_refused_and_left_alone(options: Recipe, tmp_path: Path, book: str) -> None:
    place, outside = Path(options.workspace, book), tmp_path / "outside.json"
    outside.write_text("mine")
    place.unlink()
    place.symlink_to(outside)
    with pytest.raises(StarmillError, match=f"{book}.*a link inside"):
        mill(options)
    place.unlink()
    place.mkdir()
    (place / "mine").write_text("mine")
    with pytest.raises(StarmillError, match=f"{book}.*a folder where a file must lie"):
        mill(options)
    assert outside.read_text() == (place / "mine").read_text() == "mine"
