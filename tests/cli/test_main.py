"""The command line: help everywhere, Beam's options handed through, one clear line for a mistake."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import hostile_models
import pytest

from starmill.cli import __main__ as cli
from starmill.core import __version__
from starmill.pipelines.stages import STAGES
from starmill.reports import funnel

EVERY = [name for room in cli.ROOMS for name, _ in cli.commands(room)]


def apart(*arguments: str, without: Sequence[str] = (), after: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the command in a process where some libraries are not installed; `after` is code that runs at its end."""
    code = f"import sys\nfor name in {list(without)}: sys.modules[name] = None\nfrom starmill.cli.__main__ import main\n"
    code += f"status = main(sys.argv[1:])\n{after}\nsys.exit(status)"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_commands_are_found_in_their_modules() -> None:
    assert {*STAGES, "run", "why", "locate", "funnel", "status", "pool", "bench", "estimate"} <= {*EVERY}
    assert {"train", "plan", "launch", "complete", "export"} <= {*EVERY} and len(EVERY) == len({*EVERY})


@pytest.mark.parametrize("command", [*EVERY, "launch slurm", "launch kubernetes"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: starmill {command}" in told and "--help" in told


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_map_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out
    assert [name for name in EVERY if not re.search(rf"^  {name} +[A-Z]", told, re.M)] == []
    assert (
        len({len(re.match(r"  \S+ +", line)[0]) for line in told.partition("\nTry:")[0].splitlines() if line[:2] == "  "}) == 1
    )
    assert max(map(len, told.splitlines())) < 128 and told.count("\n  starmill ") == 3


def test_what_the_map_says_to_try_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for line in cli.TRY.splitlines()[1:]:
        assert cli.main([*line.split()[1:3], "--help"]) == 0
    assert "No such" not in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"starmill {__version__}\n"


def test_a_command_that_is_none_has_a_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["funel"]) == 2
    assert "Did you mean 'funnel'?" in capsys.readouterr().err


def test_the_map_views_and_completion_load_neither_beam_nor_torch(tmp_path: Path) -> None:
    heavy = "assert not {'apache_beam', 'torch', 'starmill.trainer.config'} & {*sys.modules}, sorted(sys.modules)"
    help_needs = heavy.replace("{'", "{'numpy', 'pyarrow', 'fsspec', '", 1)  # a quarter of a second each time
    for arguments in (["--help"], ["run", "--help"], ["train", "--help"]):
        done = apart(*arguments, after=help_needs)
        assert done.returncode == 0, done.stderr
    done = apart("funnel", "--workspace", str(tmp_path), after=heavy)
    assert done.returncode == 0, done.stderr
    asked = {"_STARMILL_COMPLETE": "complete_bash", "COMP_WORDS": "starmill plan starcoder2-3", "COMP_CWORD": "2"}
    code = f"import os, sys\nos.environ.update({asked})\nfrom starmill.cli.__main__ import main\nmain([])\n{help_needs}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "starcoder2-3b-16k" in done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("without", "arguments", "extra"),
    [
        ("torch", ["train", "tiny", "--workspace", "w"], "trainer"),
        ("torch", ["complete", "whole", "--prompt", "x"], "trainer"),
        ("uvicorn", ["serve", "whole", "--port", "0"], "serving"),
        ("apache_beam", ["run", "smoke", "--dry-run"], "pipelines"),
        ("s3fs", ["funnel", "--workspace", "s3://my-bucket/work"], "cloud"),
    ],
)
def test_what_is_not_installed_is_one_line(
    without: str, arguments: list[str], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # with what is looked at before these libraries are imported
    hostile_models.whole(tmp_path / "whole")
    (tmp_path / "w/shards").mkdir(parents=True)
    (tmp_path / "w/shards/manifest.json").touch()
    done = apart(*arguments, without=[without])
    assert done.returncode == 3 and f"pip install 'starmill[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("starmill: ")


def test_a_bug_of_ours_shows_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(funnel, "show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["funnel", "--workspace", str(tmp_path)])


def test_where_an_error_came_from_is_shown_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "no-such", "--workspace", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main(["run", "no-such", "--workspace", str(tmp_path), "--traceback"]) == 2
    told = capsys.readouterr().err
    assert "Traceback" in told and told.splitlines()[-1].startswith("starmill: no-such: no such recipe")


def test_a_stopped_command_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(funnel, "show", stop)
    assert cli.main(["funnel", "--workspace", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "starmill: stopped\n"


def test_an_input_may_be_several_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abc":
        (tmp_path / name / "r").mkdir(parents=True)
        (tmp_path / name / "r" / "x.py").write_text("x = 1\n")
    inputs = [str(tmp_path / name) for name in "ab"]
    arguments = ["run", "smoke", "--input", *inputs, f"--input={tmp_path / 'c'}", "--workspace", str(tmp_path / "w")]
    assert cli.main([*arguments, "--dry-run", "--json"]) == 0
    assert [part["repositories"] for part in json.loads(capsys.readouterr().out)["parts"]] == [3]


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
