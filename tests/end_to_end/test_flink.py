"""The small tree on a real Flink session cluster, by the commands of docs/flink.md: every dataset has the local run's digest."""

import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import catalogs
import miniature
import psutil
import pyarrow.parquet as pq
import pytest
import small_tagger
import sorts
import stranger
import toolchains
from counted import KeptOnFlink, of_sidecars, published
from flink_shell import CACHE, Shell, running
from pages import ROOT, commands
from samples import SAMPLES, sample
from small_tree import starmill

from starmill.core.dataset import Workspace
from starmill.pipelines import recipe as recipes
from starmill.pipelines import stages
from starmill.pipelines.run import catalog, threads
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.runners.pool import TOKEN
from starmill.pipelines.stages import STAGES

pytestmark = pytest.mark.timeout(1800)  # the first run builds jars
UP, RUN, STATUS, DOWN, OWN = commands(ROOT / "docs" / "flink.md")


@pytest.fixture(scope="module")
def shell(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("home"), milled)
    started = shell(UP).stdout
    assert started.count("taskmanager-") == 2 and "2 of 2 slots free" in started
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN, shell.environment[TOKEN])  # for runs in this process
        yield shell
    shell(DOWN)
    assert "make flink-up" in shell(STATUS, check=False).stderr
    assert not running(str(shell.home / "flink"))


@pytest.fixture(scope="module")
def ran(shell: Shell) -> "subprocess.CompletedProcess[str]":
    """The main job, once."""
    return shell(RUN)


def digests(workspace: Path) -> dict[str, str | None]:
    manifests = {stage: Workspace(str(workspace)).manifest(stages.load(stage).dataset) for stage in STAGES}
    return {stage: manifest.digest if manifest else None for stage, manifest in manifests.items()}


@pytest.mark.flink
def test_the_bytes_are_the_local_runs(shell: Shell, milled: Path, ran: "subprocess.CompletedProcess[str]") -> None:
    assert digests(shell.home / "made") == digests(milled / "work")
    for folder in (stages.load(name).dataset for name in STAGES):
        local = {p.name: p.read_bytes() for p in (milled / "work" / folder).glob("part-*") if p.suffix != ".json"}
        assert (
            local
            and {p.name: p.read_bytes() for p in (shell.home / "made" / folder).glob("part-*") if p.name in local} == local
        )


@pytest.mark.flink
def test_progress_and_counters_arrive(shell: Shell, milled: Path, ran: "subprocess.CompletedProcess[str]") -> None:
    for stage in STAGES:
        manifest = Workspace(str(milled / "work")).manifest(stages.load(stage).dataset)
        assert manifest
        parts = len(manifest.parts)
        assert re.search(rf"^{stage} +{parts}/{parts} parts, \d+ s", ran.stderr, re.MULTILINE), ran.stderr
    assert re.search(r"^dedup +shuffled [\d.,]+ MB, [1-9][\d,]* bytes per file; resolved in", ran.stderr, re.MULTILINE)


@pytest.mark.flink
def test_each_stage_is_one_job_and_workers_are_reused(shell: Shell, ran: "subprocess.CompletedProcess[str]") -> None:
    jobs = shell.get("jobs/overview")["jobs"]
    assert [re.sub(r"-[0-9a-f]{16}$", "", job["name"]) for job in sorted(jobs, key=lambda job: job["start-time"])] == [
        f"starmill-{stage}" for stage in STAGES
    ]
    assert shell(STATUS).stdout.count("FINISHED") == len(STAGES)
    # One to see whether the pool works, of `flink-up` and of the run, then one a TaskManager for each of the five jobs at most.
    started = (shell.home / "flink" / "log" / "pool.log").read_text().count("started, process")
    assert started <= 2 + 2 * len(STAGES)


@pytest.mark.flink
def test_a_stranger_gets_no_work(shell: Shell, ran: "subprocess.CompletedProcess[str]") -> None:
    # Beam's own services, in TaskManagers and in the job server, listen at all interfaces: docs/flink.md.
    for name in ("pool", "jobmanager"):
        found = [c for c in psutil.Process(shell.processes()[name]).net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert found and {c.laddr.ip.removeprefix("::ffff:") for c in found} == {"127.0.0.1"}, name
    before, log = shell.workers(), shell.home / "flink" / "log" / "pool.log"
    started = log.read_text().count("started, process")
    stranger.is_refused(shell.ports["pool"])
    assert log.read_text().count("started, process") == started and set(shell.workers()) <= set(before)


@pytest.mark.flink
def test_the_miniature_is_the_local_runs(shell: Shell) -> None:
    """Dumps of every sort, all kinds of records."""
    miniature.make(shell.home / "miniature", SAMPLES if SAMPLES.exists() else None)
    recipe = ROOT / "recipes/data/miniature.yaml"
    compilers, options = toolchains.of_the_miniature(), shell.options()
    starmill("run", str(recipe), "--workspace", "local", "--workers", "1", *compilers, cwd=shell.home)
    shell(shlex.join(["starmill", "run", str(recipe), "--workspace", f"{shell.home}/flinks", *compilers, "--", *options]))
    assert digests(shell.home / "flinks") == digests(shell.home / "local")


@pytest.mark.flink
def test_with_a_model_that_finds_names_the_bytes_are_the_local_runs(shell: Shell) -> None:
    small_tagger.plant(shell.home / "named")
    tagger = small_tagger.make(shell.home / "tagger")
    given = ("run", "smoke", "--input", f"{shell.home}/named", "--quiet", "--set", f"release.redact.model={tagger}")
    given += ("--set", "release.redact.model_device=cpu")
    starmill(*given, "--workspace", "named-here", "--workers", "1", cwd=shell.home)
    shell(shlex.join(["starmill", *given, "--workspace", f"{shell.home}/named-there", "--", *shell.options()]))
    assert digests(shell.home / "named-there") == digests(shell.home / "named-here")
    rows = [row for part in (shell.home / "named-there/dataset").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    assert {span["kind"] for row in rows for span in row["redactions"]} == {"NAME", "PASSWORD"}


@pytest.mark.flink
def test_one_cluster_a_folder(shell: Shell) -> None:
    again = shell(UP, check=False)
    assert again.returncode and "is up already" in again.stderr


@pytest.mark.clusters
def test_a_job_server_of_its_own(shell: Shell, milled: Path) -> None:
    jar, *_ = Path(CACHE).glob("starmill/flink/beam-*-flink-*/*-job-server.jar")
    shutil.copy(jar, shell.home / "job-server.jar")
    shell(OWN)  # a job server is started and stopped for each stage
    assert digests(shell.home / "on-flink") == digests(milled / "work")
    refused = shell(OWN.replace(":50000", ":1"), check=False)
    assert refused.returncode == 3 and "no worker pool answers at 127.0.0.1:1" in refused.stderr


@pytest.mark.flink
def test_a_catalog_of_software_heritage_has_the_local_runs_bytes(shell: Shell, tmp_path: Path) -> None:
    export = sample("swh-export/export")
    local, flink = (catalogs.source(export, tmp_path / name) for name in ("local", "flink"))
    catalogs.make_plainly(local, buckets=2)
    catalog.run(catalog.planned({"heritage": flink}, None, 2), choose(tuple(shell.options()), 1), quiet=True)
    assert catalogs.files(tmp_path / "flink") == catalogs.files(tmp_path / "local")
    assert catalogs.everything(flink) == catalogs.everything(local)


@pytest.mark.flink
def test_hours_sorted_by_flink_have_the_local_runs_bytes(shell: Shell, tmp_path: Path) -> None:
    place = sorts.generated(tmp_path / "hours", 8)
    local, flink = (sorts.source(place, threads=str(tmp_path / name)) for name in ("local", "flink"))
    sorts.make_plainly(local, buckets=2)
    threads.run(threads.planned({"github": flink}, None, 2), choose(tuple(shell.options()), 1), quiet=True)
    assert catalogs.files(tmp_path / "flink") == catalogs.files(tmp_path / "local")
    assert sorts.records(flink) == sorts.records(sorts.indexed(place))


@pytest.mark.clusters
def test_counters_agree_with_the_sidecars(shell: Shell) -> None:
    recipe = replace(recipes.load(str(shell.home / "recipe.yaml"), [], [], None), workspace=str(shell.home / "counted"))
    engine = KeptOnFlink(tuple(shell.options()))
    for stage in STAGES:
        run_stage(stage, recipe, engine, quiet=True)
        assert published(engine.counted(stage)) == of_sidecars(Workspace(recipe.workspace), stage)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.clusters
def test_a_run_that_is_ended_takes_its_job_along(shell: Shell, number: signal.Signals) -> None:
    before = shell.get("jobs/overview")["jobs"]
    run = start(shell, number.name)
    while not [job for job in unfinished(shell) if job["state"] == "RUNNING"]:
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(number)
    _, errors = run.communicate(timeout=400)
    assert run.returncode == 130 and "run the same command to continue" in errors
    last_is_canceled(shell, len(before) + 1)


@pytest.mark.clusters
def test_ctrl_c_while_the_job_is_handed_in(shell: Shell) -> None:
    before = {job["jid"] for job in shell.get("jobs/overview")["jobs"]}
    for attempt in range(5):
        run = start(shell, f"early-{attempt}")
        assert run.stderr
        while "0/" not in run.stderr.readline():  # a second after the stage began; handing in takes some
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=400)
        assert run.returncode == 130, errors
        after = [job["state"] for job in shell.get("jobs/overview")["jobs"] if job["jid"] not in before]
        assert set(after) <= {"CANCELED"}, after
        if after:
            return
    pytest.fail("the signal always came before the job was handed in")


@pytest.mark.clusters
def test_the_job_of_a_killed_driver_makes_room(shell: Shell) -> None:
    before = {job["jid"] for job in shell.get("jobs/overview")["jobs"]}

    def jobs() -> list[dict]:
        mine = [job for job in shell.get("jobs/overview")["jobs"] if job["jid"] not in before]
        return sorted(mine, key=lambda job: job["start-time"])

    run = start(shell, "killed", "ingest")
    while not (found := jobs()) or found[0]["state"] != "RUNNING" or not shell.workers():
        assert run.poll() is None
        shell.signal_workers(signal.SIGSTOP)  # so that this job is not over before the next driver looks
        time.sleep(0.02)
    run.kill()
    run.communicate()
    again = start(shell, "killed", "ingest")
    try:
        while jobs()[0]["state"] == "RUNNING":
            assert again.poll() is None, again.communicate()
            shell.signal_workers(signal.SIGSTOP)
            time.sleep(0.02)
    finally:
        shell.signal_workers(signal.SIGCONT)
    _, errors = again.communicate(timeout=400)
    assert again.returncode == 0, errors
    first, second = jobs()
    assert first["state"] == "CANCELED" and second["state"] == "FINISHED"
    assert first["name"] == second["name"] and first["end-time"] <= second["start-time"]


def start(shell: Shell, workspace: str, what: str = "run") -> "subprocess.Popen[str]":
    given = ["recipe.yaml", "--workspace", workspace, "--", *shell.options()]
    command = ["env", "--default-signal=HUP,INT", "starmill", what, *given]
    return subprocess.Popen(command, cwd=shell.home, env=shell.environment, stderr=subprocess.PIPE, text=True)


def unfinished(shell: Shell) -> list[dict]:
    return [job for job in shell.get("jobs/overview")["jobs"] if job["end-time"] < 0]


def last_is_canceled(shell: Shell, jobs: int) -> None:
    found = sorted(shell.get("jobs/overview")["jobs"], key=lambda job: job["start-time"])
    assert len(found) == jobs and found[-1]["state"] == "CANCELED", found
