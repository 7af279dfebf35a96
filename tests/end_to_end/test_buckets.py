"""A workspace in a bucket holds the same bytes as one on disk, also through a network that fails; secrets reach no file and no log."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from buckets import BUCKET, SECRET, fake_gcs, gcs_environment, minio, s3_environment, s3_profile
from faults import KINDS, Faults
from pages import ROOT, commands
from small_tree import starmill

from starmill.pipelines.stages import STAGES

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(1800)]  # the first run compiles the stores

# Runs in a process of its own, as a worker does: file systems are remembered by what they were made from, not by the environment.
IN_A_WORKER = (
    "import sys; from starmill.core.storage import Storage, StorageError\n"
    "storage = Storage(sys.argv[1], patience=float(sys.argv[2]))\n"
)


def in_a_worker(code: str, url: str, environment: dict[str, str], patience: float = 120) -> str:
    command = [sys.executable, "-c", IN_A_WORKER + code, url, str(patience)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class Store:
    """A store that runs: its workspace URLs, and the environment of a client of the port given."""

    def __init__(self, scheme: str, port: int) -> None:
        self.scheme, self.port = scheme, port

    def url(self, name: str) -> str:
        return f"{self.scheme}://{BUCKET}/{name}"

    def environment(self, port: int) -> dict[str, str]:
        if self.scheme == "s3":
            return s3_environment(port, config_kwargs={"read_timeout": 2})
        return gcs_environment(port, requests_timeout=3)

    def tree(self, name: str, folder: Path) -> dict[str, bytes]:
        """Every object below a prefix, by the store's own protocol, in a folder and as a mapping."""
        code = "import fsspec; fs = storage.fs; fs.get(storage.root + '/', sys.argv[3] + '/', recursive=True)"
        command = [sys.executable, "-c", IN_A_WORKER + code, self.url(name), "60", str(folder)]
        subprocess.run(command, env={**os.environ, **self.environment(self.port)}, check=True, timeout=120)
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module", params=["s3", "gs"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    server = {"s3": minio, "gs": fake_gcs}[request.param]
    with server(tmp_path_factory.mktemp("store")) as port:
        yield Store(request.param, port)


def mill(
    place: Path, url: str, environment: dict[str, str], *, check: bool = True, **options: str
) -> subprocess.CompletedProcess[str]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        more = [a for name, value in options.items() for a in (f"--{name}", value)]
        return starmill("run", "recipe.yaml", "--workspace", url, *more, cwd=place, check=check)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def datasets(files: dict[str, bytes]) -> dict[str, bytes]:
    """What must be equal: everything but durations and the local lock."""
    return {name: data for name, data in files.items() if name not in ("timings.json", ".lock")}


def local(milled: Path) -> dict[str, bytes]:
    return datasets({str(p.relative_to(milled / "work")): p.read_bytes() for p in (milled / "work").rglob("*") if p.is_file()})


def keeps_the_secret(files: dict[str, bytes], done: subprocess.CompletedProcess[str]) -> None:
    for name, data in {**files, "stdout": done.stdout.encode(), "stderr": done.stderr.encode()}.items():
        assert SECRET.encode() not in data, name


def test_a_bucket_holds_the_same_bytes(store: Store, milled: Path, tmp_path: Path) -> None:
    environment = store.environment(store.port)
    if store.scheme == "s3":  # the other tests have keys in the environment
        environment = s3_profile(store.port, tmp_path / "credentials")
    done = mill(milled, store.url("plain"), environment, workers="2")
    files = store.tree("plain", tmp_path / "tree")
    assert datasets(files) == local(milled)
    keeps_the_secret(files, done)
    again = mill(milled, store.url("plain"), store.environment(store.port))
    assert again.stderr.count("up to date") == len(STAGES)


def test_the_commands_of_the_page(store: Store, milled: Path) -> None:
    mine = [c for c in commands(ROOT / "docs" / "buckets.md") if f" {store.scheme}://" in c]
    assert len(mine) == 4
    for command in mine:
        command = command.replace("my-bucket/work", f"{BUCKET}/plain")
        environment = {
            **os.environ,
            **store.environment(store.port),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        subprocess.run(["bash", "-c", command], cwd=milled, env=environment, check=True, capture_output=True, timeout=400)


def test_a_failing_network_loses_and_doubles_nothing(store: Store, milled: Path, tmp_path: Path) -> None:
    with Faults(store.port, rate=0.12).running() as proxy:
        done = mill(milled, store.url("faulty"), store.environment(proxy.port), workers="2")
    assert {*KINDS} <= {*proxy.seen}, proxy.seen
    files = store.tree("faulty", tmp_path)
    assert datasets(files) == local(milled)
    keeps_the_secret(files, done)


def test_training_from_a_bucket_is_training_from_disk(store: Store, milled: Path, tmp_path: Path) -> None:
    """Two ranks with an empty cache, through a network that fails: the losses of the local run to the bit, and every file once."""
    put = "import fsspec; storage.fs.put(sys.argv[3] + '/', storage.root + '/', recursive=True)"
    command = [sys.executable, "-c", IN_A_WORKER + put, store.url("trained"), "60", str(milled / "work")]
    subprocess.run(command, env={**os.environ, **store.environment(store.port)}, check=True, timeout=120)
    losses = {}
    with Faults(store.port, rate=0.2, seed=5).running() as proxy:
        for name, url in (("disk", str(milled / "work")), ("bucket", store.url("trained"))):
            sizes = (
                "steps=4",
                "optimizer.warmup_steps=1",
                "data.micro_batch=4",
                "model.layers=2",
                "data.held_out_windows=8",
                f"cache={tmp_path / 'cache'}",
            )
            settings = [word for size in sizes for word in ("--set", size)]
            command = [
                "train",
                "tiny",
                "--workspace",
                url,
                "--output",
                str(tmp_path / name),
                "--processes",
                "2",
                *settings,
            ]
            environment = {**os.environ, **store.environment(proxy.port)}
            done = subprocess.run(
                [sys.executable, "-m", "starmill.cli", *command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=500,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            assert SECRET not in done.stderr + done.stdout
            lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
            losses[name] = [(line.get("loss"), line.get("held_out_loss")) for line in lines]
    assert proxy.seen.total() > proxy.seen["none"] > 0, "the bucket was asked through the proxy"
    assert losses["bucket"] == losses["disk"] and len(losses["disk"]) == 4
    there, work = {p.name: p for p in (tmp_path / "cache").rglob("part-*")}, milled / "work" / "shards"
    assert {*there} >= {p.name for p in work.glob("part-*") if p.suffix in (".idx", ".parquet")}
    assert any(name.endswith(".bin") for name in there)
    for name, path in there.items():
        assert path.read_bytes() == (work / name).read_bytes()


def test_large_files_come_back_whole_through_every_fault(store: Store, tmp_path: Path) -> None:
    data = random.Random(7).randbytes(9 << 20)
    (tmp_path / "large").write_bytes(data)
    code = (
        f"data = open({str(tmp_path / 'large')!r}, 'rb').read()\n"
        "for name in ('f/0', 'f/1', 'f/2'):\n"
        "    storage.publish(name, data)\n"
        "    assert storage.read(name) == data and storage.size(name) == len(data)\n"
        "    with storage.open(name) as file:\n"
        "        file.seek(5_000_001); assert file.read(3_000_000) == data[5_000_001:8_000_001]\n"
        "assert storage.files('f') == ['0', '1', '2']\n"
        "storage.remove('f/1'); assert not storage.exists('f/1') and storage.files('f') == ['0', '2']\n"
    )
    with Faults(store.port, 0.4, seed=3).running() as proxy:
        in_a_worker(code, store.url("large"), store.environment(proxy.port))
    assert len(proxy.seen) > 5, proxy.seen


def test_half_a_write_is_no_file(store: Store) -> None:
    code = "try:\n    storage.publish('records/part-00000.parquet', bytes(1 << 20))\nexcept StorageError as error:\n    print(error)\n"
    with Faults(store.port, 1.0, ("cut request",)).running() as proxy:
        said = in_a_worker(code, store.url("half"), store.environment(proxy.port), patience=1)
    assert f"{store.url('half')}/records/part-00000.parquet: pipe_file failed" in said
    assert in_a_worker("print(storage.files('records'))", store.url("half"), store.environment(store.port)) == "[]\n"


def test_wrong_credentials_end_the_run_at_once_and_stay_secret(milled: Path, tmp_path: Path) -> None:
    with minio(tmp_path) as port:
        environment = s3_environment(port, secret="a-wrong-secret-91c4")
        done = mill(milled, f"s3://{BUCKET}/w", environment, check=False)
        assert done.returncode == 3 and len(done.stderr.strip().splitlines()) == 1 and "signature" in done.stderr
        assert "a-wrong-secret-91c4" not in done.stderr + done.stdout
        absent = mill(milled, "s3://no-such-bucket/w", s3_environment(port), check=False)
        assert absent.returncode == 3 and "make the bucket first" in absent.stderr
