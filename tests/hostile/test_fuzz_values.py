"""Fuzz targets of what reads values: recipes, command lines, workspaces, shards, tokenizers, models."""

import functools
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import small_workspace
from fuzz import Target, fuzz

from starmill.core import recipe as recipes
from starmill.core import values
from starmill.core.dataset import Count, LastRun, Manifest, Sidecar, StageName, Workspace, output
from starmill.core.errors import StarmillError
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer
from starmill.model.exchange.families import config_values
from starmill.model.exchange.huggingface import shape
from starmill.model.presets import PRESETS
from starmill.pipelines import recipe as data_recipes
from starmill.pipelines.costs import rates
from starmill.pipelines.run import place
from starmill.pipelines.runners.flink import Flink
from starmill.pipelines.stages import vocabulary
from starmill.reports import funnel, query, settings
from starmill.trainer import config as train_recipes

ROOT = Path(__file__).resolve().parent.parent.parent


# Recipes and command lines.


def yaml(data: bytes, folder: Path) -> object:
    """Read a data recipe and a training recipe from a file."""
    (folder / "r.yaml").write_bytes(data)
    for load in (lambda path: data_recipes.load(path, [], [], None), lambda path: train_recipes.load(path, [])):
        try:
            load(str(folder / "r.yaml"))
        except StarmillError as error:
            assert len(str(error)) < 20_000
    return None


def set_(data: bytes, folder: Path) -> object:
    """Take an option of the command line, and build the recipe that it gives."""
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")
    return data_recipes.build(recipes.override({"workspace": "w"}, [text]))


def plain_values(data: bytes, folder: Path) -> object:
    """Read YAML; its errors are ValueErrors, which callers make an error of the file."""
    try:
        return values.parse(data.decode("utf-8", "replace"))
    except ValueError:
        return None


# What lies in a workspace.


def workspace_file(name: str, ask: Callable[[Workspace], object]) -> Callable[[bytes, Path], object]:
    """Return what asks a workspace with one damaged file."""

    def read(data: bytes, folder: Path) -> object:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return ask(Workspace(str(folder)))

    return read


def published(folder: Path) -> Sequence[bytes]:
    """A sidecar, a manifest and the list of stages."""
    workspace = Workspace(str(folder / "w"))
    sidecar = Sidecar(
        "ingest",
        "records",
        0,
        "key",
        (output("records/part-00000.parquet", b"x", 1),),
        (Count("s", "", "", 1, 1),),
        {"a": "b"},
        ("code",),
    )
    workspace.commit(sidecar, [b"x"])
    workspace.finish("records", "key", 1, "v")
    workspace.publish_last_run(LastRun((StageName("ingest", "records"),), 1))
    return [workspace.read(name) for name in ("records/part-00000.json", "records/manifest.json", "stages.json")]


def ask_all(workspace: Workspace) -> None:
    """Read whatever a file of a workspace may be taken for."""
    for name, cls in (("f.json", Sidecar), ("f.json", Manifest), ("f.json", LastRun)):
        workspace.load(name, cls)


@functools.cache
def small(folder: Path) -> dict[str, bytes]:
    """Return the files of a workspace with shards."""
    top = small_workspace.build(folder / "small")
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def shard(suffix: str) -> Callable[[bytes, Path], object]:
    """Return what opens and reads shards of which one file is damaged; its sha256 is that of the damaged bytes."""

    def read(data: bytes, folder: Path) -> object:
        for path, good in small(folder.parent / "examples").items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(good)
        target = next(p for p in folder.rglob("*") if p.name.endswith(suffix))
        was, now = (hashlib.sha256(d).hexdigest() for d in (target.read_bytes(), data))
        target.write_bytes(data)
        for manifest in folder.rglob("shards/*.json"):
            manifest.write_text(manifest.read_text("utf-8", "replace").replace(was, now)) if suffix != manifest.name else None
        for opened in open_shards(str(folder)):
            [opened.tokens(i).sum() for i in range(min(opened.documents, 50))]
            opened.table.to_pylist()
        return None

    return read


def tokenizer(data: bytes, folder: Path) -> object:
    """Load a tokenizer and, once it says that it loses nothing, use it."""
    loaded = Tokenizer.load(data)
    loaded.check_lossless()
    text = "def f(x):\n    return  x  # <fim_prefix> é漢\n"
    assert loaded.decode(loaded.encode(text).tolist()) == text
    return None


def model(data: bytes, folder: Path) -> object:
    """Read the shape of a model."""
    (folder / "config.json").write_bytes(data)
    return shape(folder)


class Answers(BaseHTTPRequestHandler):
    """A server that answers with what it is given."""

    said = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        pass


def flink(data: bytes, folder: Path) -> object:
    """Ask what should be a Flink for its slots and jobs."""
    with HTTPServer(("127.0.0.1", 0), type("Saying", (Answers,), {"said": data})) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        options = ("--runner=FlinkRunner", f"--flink_master=127.0.0.1:{server.server_port}", "--job_name=other")
        try:
            Flink(options).check("/w")
            Flink(options).make_room(seconds=0)
        finally:
            server.shutdown()
    return None


def named(data: bytes, folder: Path) -> object:
    """Read what a person gives to a view."""
    return query.parse(data.decode("utf-8", "surrogateescape"))


def models(folder: Path) -> Sequence[bytes]:
    """The config.json of one model of each family."""
    return [json.dumps(config_values(PRESETS[name])).encode() for name in ("starcoder2-3b", "starcoderbase-1b")]


MADE = workspace_file(vocabulary.MADE, vocabulary.made)
JOB = {"jid": "a", "name": "b", "end-time": 5}
OVERVIEW = json.dumps({"slots-total": 1, "slots-available": 1, "taskmanagers": 1, "jobs": [JOB]})
RATES = json.dumps(
    {"format": 1, "version": "1", "processor": "p", "observations": [], "kept": {"ingest": [1, 2]}, "coefficients": {}}
)
TARGETS: dict[str, Target] = {
    "recipes": Target(lambda _: [p.read_bytes() for p in sorted((ROOT / "recipes").rglob("*.yaml"))], yaml, 100),
    "--set": Target(lambda _: [b"minhash.threshold=0.8", b"sources.a={kind: folders, roots: [x]}", b"ingest.part_bytes=1"], set_),
    "yaml": Target(lambda _: [b"a: &a [1, 2]\nb: *a\nc: {d: 3e-4}\n", b"? x\n: - y\n  - z: |\n      w\n"], plain_values, 200),
    "sidecars": Target(published, workspace_file("f.json", ask_all), 200),
    "timings": Target(lambda _: [b'{"ingest": 1.5}'], workspace_file("timings.json", funnel.timings)),
    "settings": Target(lambda _: [b'{"format": 1, "stages": {"ingest": {"minhash": 3}}}'], workspace_file(settings.PLACE, settings.read)),
    "manifest of a tokenizer": Target(lambda _: [b'{"key": "k", "sha256": "s", "outputs": []}'], MADE),
    "marker of a workspace": Target(lambda _: [b"starmill"], workspace_file(".starmill", place.claim), 50),
    "shard index": Target(lambda folder: [small(folder)["shards/part-00000.idx"]], shard(".idx"), 100),
    "shard tokens": Target(lambda folder: [small(folder)["shards/part-00000.bin"]], shard(".bin"), 50),
    "shard side table": Target(lambda folder: [small(folder)["shards/part-00000.docs.parquet"]], shard(".docs.parquet"), 100),
    "shard manifest": Target(lambda folder: [small(folder)["shards/manifest.json"]], shard("manifest.json"), 100),
    "tokenizer": Target(lambda folder: [small(folder)["tokenizer/tokenizer.json"]], tokenizer, 60),
    "model config": Target(models, model, 200),
    "replies of Flink": Target(lambda _: [OVERVIEW.encode()], flink, 60),
    "rates": Target(lambda _: [RATES.encode()], lambda data, folder: ((folder / "r").write_bytes(data), rates.load(str(folder / "r")))),
    "queries": Target(lambda _: [b"swh:1:cnt:" + b"a" * 40 + b";path=/a%3B;origin=x", b"r:/a.py"], named),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str, tmp_path: Path) -> None:
    fuzz(TARGETS[name], tmp_path)
