"""Every command in README and docs/ works: shell blocks run line by line on the small tree, Python blocks run whole.

`make run` and `make test` are run in a fresh clone, by the slow test below and by CI itself.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import exports
import graphs
import pytest
import tiny_model
import toys
import typer
from pages import ROOT, blocks, commands
from typer.core import TyperGroup

from starmill.cli import __main__ as cli
from starmill.core import schema
from starmill.core.dataset import LAST_RUN
from starmill.pipelines.kinds import KINDS
from starmill.pipelines.recipe import SOURCES
from starmill.pipelines.stages import STAGES
from starmill.reports import settings
from starmill.transforms.clean.overlap.index import Matchers
from starmill.transforms.clean.redact.redact import Redact
from starmill.transforms.decide.licenses import RULES
from starmill.transforms.measure.grants import GRANTS, MENTION

# Pages whose commands need a server are run by the test that starts it (clusters.md also by test_slurm.py); those that need an
# account, as far as one gets without; those that take minutes have a test of their own.
ELSEWHERE = {
    "alignment.md": "test_alignment.py",
    "buckets.md": "test_buckets.py",
    "clusters.md": "test_kubernetes.py",
    "dataflow.md": "test_dataflow.py",
    "flink.md": "test_flink.py",
    "scale.md": "test_scale.py",
    "serving.md": "test_serving.py",
}
PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if p.name not in ELSEWHERE]


@pytest.fixture
def home(milled: Path, tmp_path: Path) -> Path:
    """A folder where the documentation's names exist: the recipes, checkouts under ~, a workspace called `work`."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copytree(milled / "work", tmp_path / "work")
    for fresh in ("runs/mine", "next"):  # licences are those found before
        shutil.copytree(milled / "work/cache", tmp_path / fresh / "cache")
        (tmp_path / fresh / ".starmill").touch()
    shutil.copy(milled / "recipe.yaml", tmp_path)
    (tmp_path / "checkouts").symlink_to(milled / "tree", target_is_directory=True)
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks", target_is_directory=True)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands(page: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    rows: exports.Rows = {"directory": [], "directory_entry": []}
    if "heritage/" in page.read_text():
        tree = home / "checkouts"
        places = {f"https://github.com/tree/{name}": tree / name for name in ("alpha", "gamma", "delta")}
        exports.write(home / "heritage", places, change=rows.update)
    if "~/published" in page.read_text():
        if not toys.SHARED.is_dir():
            pytest.skip(f"NOT RUN: {page.name}, whose commands read published benchmarks")
        (home / "published").symlink_to(toys.SHARED, target_is_directory=True)
        tiny_model.write(home / "runs/smoke-model/model")
    wanted = commands(page)
    asks = any("--graph 127.0.0.1:50091" in command for command in wanted)
    with graphs.serve(graphs.Service(rows)) if asks else nullcontext("") as graph:
        run_all([command.replace("127.0.0.1:50091", graph) for command in wanted], capfd)


def run_all(page: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    for command in page:
        if command.startswith("make "):
            continue
        if " train " in f" {command} ":  # the recipe's minute shortened; everything else as printed
            short = ("steps=4", "optimizer.warmup_steps=1", "checkpoint_every=2")
            command += "".join(f" --set {one}" for one in short if f"--set {one.partition('=')[0]}=" not in command)
        if {*command.split()[1:2]} & {"run", *STAGES}:  # several workers are test_dump_to_shards.py's
            command += " --workers 1"
        command = command.replace("swh:1:cnt:<hash>", "/lib/heapq.py").replace(
            "recipes/data/smoke.yaml", "recipes/data/smoke.yaml --set tokenizer.vocab_size=512"
        )
        program, *words = map(os.path.expanduser, shlex.split(command))
        # In this process, which has imported what the command needs; torchrun would take its place.
        here = program == "starmill" and "--processes" not in words
        status = cli.main(words) if here else subprocess.run(["bash", "-c", command], timeout=300).returncode
        said = capfd.readouterr()
        assert status == 0, f"{command}\n{said.out[-1000:]}\n{said.err[-3000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python(page: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    for block in blocks(page, "python"):
        exec(block, {"__name__": "__main__"})


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_other_pages_have_their_test(page: str, test: str) -> None:
    assert page in (ROOT / "tests/end_to_end" / test).read_text() and commands(ROOT / "docs" / page)


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        to = page.parent / target if target else page
        assert to.exists(), f"{target} of {page.name}"
        titles = re.findall(r"^#+ (.+)$", to.read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}, heading


def test_the_readme_leads_to_every_page() -> None:
    linked = {*re.findall(r"\]\(docs/([^)#]+\.md)[)#]", (ROOT / "README.md").read_text())}
    assert {p.name for p in (ROOT / "docs").glob("*.md")} - linked == {"decisions.md"} - linked


def test_commands_in_sentences_and_their_options_exist() -> None:
    program = typer.main.get_command(cli.app())
    assert isinstance(program, TyperGroup)
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks/results").glob("*.md")]
    found = [(p.name, said) for p in pages for said in re.findall(r"`starmill ([a-z][^`]*)`", p.read_text())]
    assert len(found) > 40
    for page, said in found:
        name, *words = said.partition(" -- ")[0].split()
        assert name in program.commands, f"{page}: starmill {said}"
        options = {one for p in program.commands[name].params for one in (*p.opts, *p.secondary_opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, f"{page}: starmill {said}"


def test_what_a_stage_adds_to_a_record_is_explained() -> None:
    """Columns of the licences and of `dataset/`, and the books of a workspace; the measures of texts are told together."""
    page = (ROOT / "docs/datasets.md").read_text()
    added = {*schema.DATASET.names} - {*schema.RECORDS.names} - {*schema.ANNOTATIONS.names}
    assert {"redactions", "cuts", "license_rule"} <= added
    wanted = {
        *added,
        "license_findings",
        "detected_licenses",
        *(field.name for field in schema.REDACTION),
        settings.PLACE,
        LAST_RUN,
    }
    assert {name for name in wanted if f"`{name}`" not in page} == set()


def test_the_pages_name_what_their_options_are() -> None:
    wanted = {
        "licenses.md": {*RULES, *GRANTS, MENTION},
        "decontamination.md": {field.name for field in fields(Matchers)},
        "redaction.md": {field.name for field in fields(Redact) if not field.name.startswith("model_")} - {"seed", "name"},
    }
    for page, names in wanted.items():
        text = (ROOT / "docs" / page).read_text()
        assert {name for name in names if not re.search(rf"`[^`\n]*\b{re.escape(name)}\b[^`\n]*`", text)} == set(), page


def test_every_kind_of_source_and_of_record_is_in_the_table_of_dumps() -> None:
    table = (ROOT / "docs/sources.md").read_text().partition("\n## ")[0]
    assert all(f"`{source.kind}`" in table for source in SOURCES)
    assert all(f"`{kind}`" in table for kind in KINDS)


def test_the_costs_are_what_the_published_rates_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    section = (ROOT / "docs/sources.md").read_text().partition("\n## Costs\n")[2].partition("\n## ")[0]
    table = [line.split(" | ")[1:] for line in section.splitlines() if line.startswith("| ")][1:]
    estimates = [command for command in commands(ROOT / "docs/sources.md") if command.startswith("starmill estimate ")]
    assert len(estimates) == len(table) > 3
    for command, told in zip(estimates, table, strict=True):
        assert cli.main(shlex.split(command)[1:]) == 0
        said = capsys.readouterr().out
        [together] = [line for line in said.splitlines() if line.startswith("together")]
        assert together.split()[2:] == [cell.strip(" |") for cell in told], command
        assert "other options" not in said, f"{command}: measure benchmarks/results/rates.json anew"


def test_the_first_result_is_on_the_first_screen() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert lines.index("make run") < 24
    assert "make test" in lines and "make test" in (ROOT / ".ci/run").read_text()


def test_the_readme_tells_what_ran_from_what_was_only_validated() -> None:
    text = (ROOT / "README.md").read_text()
    promise = text.partition("```")[0]
    assert "not run there yet](#what-has-run-and-what-was-only-validated)" in promise, "said where the engines are first named"
    table = text.partition("## What has run, and what was only validated\n")[2].partition("\n## ")[0]
    rows = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if line.startswith("| ")}
    assert {name for name, row in rows.items() if "| ran: " in row} == {"this machine", "Flink", "buckets", "Slurm"}
    assert "**no pod ran**" in rows["Kubernetes"] and "**only validated**" in rows["Dataflow, images, GPUs"]
    for page, said in {"dataflow.md": "Nothing of starmill has run on Google's machines", "clusters.md": "No pod ran"}.items():
        assert said in (ROOT / "docs" / page).read_text(), f"{page} and README's table say the same"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_make_run_in_a_fresh_clone(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "starmill")], check=True)
    uv = [str(Path(sys.executable).parent / "uv"), "cache", "dir"]
    # What this environment's own setup downloaded is not downloaded again: minutes that would only test the network.
    cache = subprocess.run(uv, check=True, capture_output=True, text=True).stdout.strip()
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_CACHE_DIR": cache} | {
        k: v for k, v in os.environ.items() if "CERT" in k or "PROXY" in k.upper() or k == "OMP_WAIT_POLICY"
    }
    done = subprocess.run(["make", "run"], cwd=tmp_path / "starmill", env=clean, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    for text in (
        "Funnel of",
        "near_duplicate",
        "dataset/ (",
        "shards/ (",
        "def read_lines(path):",
        "  SWHID       swh:1:cnt:",
        "starmill why os.py",
    ):
        assert text in done.stdout
    losses = [float(x) for x in re.findall(r"held-out loss (\d+\.\d+) after", done.stderr)]
    assert len(losses) == 2 and losses[-1] < losses[0] - 2 and "StarCoderBase saw a trillion" in done.stderr
    again = subprocess.run(["make", "-n", "setup"], cwd=tmp_path / "starmill", env=clean, capture_output=True, text=True)
    assert "pip install" not in again.stdout, "a second call reuses the environment"
