"""The contract of a command, held by every one that is found, and by a toy one: a typed function in a module of the command line."""

import inspect
import os
import re
import sys
import types
from typing import Annotated

import pytest
import typer

from starmill.cli import __main__ as cli
from starmill.cli import look, options

EVERY = {name.replace("_", "-"): command for room in cli.ROOMS for name, command in cli.commands(room)}
every_command = pytest.mark.parametrize("name", EVERY)


@every_command
def test_a_command_has_help_that_names_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    told = capsys.readouterr().out
    first = (EVERY[name].info.help if isinstance(EVERY[name], typer.Typer) else EVERY[name].__doc__).splitlines()[0]
    assert first and first in " ".join(told.split())
    if not isinstance(EVERY[name], typer.Typer):
        typed = [p for p in inspect.signature(EVERY[name]).parameters.values() if p.annotation is p.empty]
        assert not typed, "what the line may say is read from types"
        assert "--traceback" in told


@every_command
def test_an_option_that_is_none_is_wrong_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--no-such-option-anywhere"]) == 2
    assert "--no-such-option-anywhere" in capsys.readouterr().err


@pytest.mark.parametrize("line", [[], ["--version"], ["status", "--workspace", "none"]], ids=" ".join)
def test_a_reader_who_has_enough_ends_a_command_quietly(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patched, open(writing, "w") as closed:
        patched.setattr(sys, "stdout", closed)
        assert cli.main(line) == 1
        print("what the interpreter flushes at its end", file=closed)
    assert capfd.readouterr().err == ""


def test_a_reader_who_has_enough_is_not_told_of_a_file() -> None:
    with pytest.raises(BrokenPipeError), options.files():
        raise BrokenPipeError


@pytest.mark.parametrize("name", [name for name, _ in cli.commands(look)])
def test_a_view_has_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_a_new_command_is_a_function_of_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def dig_here(
        place: Annotated[str, typer.Argument(help="Where.")],
        depth: Annotated[int, typer.Option(help="In metres.")] = 1,
        as_json: options.Json = False,
    ) -> int:
        """Dig a hole."""
        options.show(as_json, {"place": place, "depth": depth}, [f"{depth} m at {place}"])
        return 0

    room = types.ModuleType("toy", "Toys.")
    dig_here.__module__ = room.__name__
    vars(room)["dig_here"] = dig_here
    monkeypatch.setattr(cli, "ROOMS", (*cli.ROOMS, room))
    for holds in (test_a_command_has_help_that_names_its_options, test_an_option_that_is_none_is_wrong_usage):
        monkeypatch.setitem(EVERY, "dig-here", dig_here)
        holds("dig-here", capsys)
    assert cli.main(["--help"]) == 0
    assert re.search(r"\nToys\.\n  dig-here +Dig a hole\.", capsys.readouterr().out)
    assert cli.main(["dig-here", "garden", "--depth", "3", "--json"]) == 0
    assert capsys.readouterr().out.split() == ["{", '"place":', '"garden",', '"depth":', "3", "}"]
    assert cli.main(["dig-here", "garden", "--depth", "deep"]) == 2
