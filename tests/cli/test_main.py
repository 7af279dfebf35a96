"""The command line: help everywhere, Beam's options handed through, one clear line for a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from starmill.cli import __main__ as cli
from starmill.core import __version__
from starmill.core.dataset import STAGES
from starmill.pipelines.run import mill, stage


def run(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "starmill.cli", *arguments], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("command", [*STAGES, "run", "why", "locate", "funnel", "status", "pool", "bench", "estimate"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main([command, "--help"])
    assert exit_.value.code == 0 and f"usage: starmill {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "plan", "launch", "complete", "export"])
def test_the_other_programs_have_theirs(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0 and f"usage: starmill {command}" in done.stdout


def test_version_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"starmill {__version__}\n"
    with pytest.raises(SystemExit) as exit_:
        cli.main([])
    assert exit_.value.code == 2


def test_what_follows_the_dashes_is_beams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engines: list[stage.Engine] = []
    monkeypatch.setattr(mill, "run_stage", lambda name, options, engine: engines.append(engine))
    given = ["--runner=FlinkRunner", "--set", "x=y", "--input", "--parallelism=4"]
    arguments = ["curate", "smoke", "--workspace", str(tmp_path), "--workers", "3", "--quiet", "--no-funnel"]
    assert cli.main([*arguments, "--", *given]) == 0
    assert engines == [stage.Engine(tuple(given), 3, True)]


def test_a_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    (tmp_path / "in/r/a.py").write_text("x = 1\n")
    arguments = ["run", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--dry-run"]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "part     0       1 repositories" in shown and "stage ingest    to be made" in shown
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "smoke", "--workspace", "URL", "--", "--runner=DataflowRunner", "--region=r"],
        ["run", "smoke", "--set", "workspace=URL", "--dry-run"],
        ["tokenize", "smoke", "--set", "tokenizer=URL"],
        [
            "run",
            "smoke",
            "--workspace",
            "gs://b/w",
            "--",
            "--runner=DataflowRunner",
            "--project=my-project",
            "--temp_location=URL",
        ],
        ["funnel", "URL"],
        ["status", "--workspace=URL"],
        ["why", "x", "--workspace", "URL", "--traceback"],
        ["train", "smoke", "--workspace", "URL"],
        ["launch", "kubernetes", "tiny", "--output", "URL"],
    ],
)
def test_credentials_in_a_url_are_never_printed(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    url = "s3://AKIAKEY:se/cret@bucket/work"
    assert cli.main([word.replace("URL", url) for word in arguments]) in (1, 2)
    told = "".join(capfd.readouterr())
    assert "in the environment" in told and "cret@" not in told and "AKIAKEY" not in told


def test_a_benchmark_that_is_not_there_is_told_before_the_first_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "repository").mkdir(parents=True)
    arguments = ["run", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--quiet"]
    assert cli.main([*arguments, "--set", "release.benchmarks=[nope]"]) == 1
    assert "no benchmark 'nope' ships" in capsys.readouterr().err and not (tmp_path / "w").exists()


def test_nothing_to_do_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert cli.main(["ingest", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--quiet"]) == 1
    assert "no repositories found" in capsys.readouterr().err
