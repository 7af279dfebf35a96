"""The wheel in a fresh environment: every module and data file of the tree is in it, and no top-level name but `starmill`."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("core", "transforms", "reports", "pipelines", "model", "evaluation", "alignment", "trainer", "serving", "cli")
DATA = {".py", ".txt", ".json", ".go", ".mod", ".sum", ".toml", ".typed", ".css", ".csv", ".js", ".html", ".jsonl"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), str(ROOT)], check=True, capture_output=True
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    tree = {f"starmill/{p.relative_to(ROOT)}" for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in DATA}
    recipes = {f"starmill/{p.relative_to(ROOT)}" for p in (ROOT / "recipes").rglob("*.*") if p.is_file()}
    infra = {f"starmill/{p.relative_to(ROOT)}" for p in (ROOT / "infra/kubernetes/train").rglob("*.yaml")}
    assert names == tree | recipes | infra | {"starmill/infra/slurm/train.sbatch"}


@pytest.mark.slow
def test_a_fresh_environment_imports_every_module(wheel: Path, tmp_path: Path) -> None:
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    requirement = f"starmill[pipelines,trainer,serving] @ file://{wheel}"
    # For those who have presidio, or grammars: extras of their own.
    beyond = {
        "starmill.transforms.clean.redact.presidio",
        "starmill.transforms.measure.comments_child",
        "starmill.transforms.measure.syntax_child",
        "starmill.pipelines.sources.functions.child",
    }
    install = [uv, "pip", "install", "-q", "--python", str(python), "-c", str(ROOT / "constraints.txt"), requirement]
    subprocess.run(install, check=True)
    modules = [
        ".".join(("starmill", *p.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for folder in FOLDERS
        for p in (ROOT / folder).rglob("*.py")
        if p.name != "__main__.py"
    ]
    code = f"import importlib\nfor name in {sorted({*modules} - beyond)!r}: importlib.import_module(name)"
    subprocess.run([str(python), "-c", code], check=True, cwd=tmp_path)
    for bare in FOLDERS:
        assert subprocess.run([str(python), "-c", f"import {bare}"], cwd=tmp_path, capture_output=True).returncode, (
            f"import {bare} works"
        )
    command = [str(tmp_path / "venv/bin/starmill"), "run", "smoke", "--help"]
    assert "Usage: starmill run" in subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
