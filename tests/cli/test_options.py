"""Shared options have one text each, and the blocks that turn what a library raises into one line."""

import inspect
import typing
from collections import defaultdict
from pathlib import Path

import pytest
from typer.models import OptionInfo

from starmill.cli import __main__ as cli
from starmill.cli import launch, options
from starmill.core.errors import InputError, MachineError, NotThere


def test_an_option_of_several_commands_is_declared_once() -> None:
    """The same name is the same object, so that texts cannot drift apart; `name`s below are one command's own each time."""
    found = defaultdict(set)
    for room in cli.ROOMS:
        for name, command in cli.commands(room):
            if inspect.isfunction(command):
                for p in inspect.signature(command).parameters.values():
                    found[p.name].add((id(p.annotation), name))
    drifted = {
        name for name, uses in found.items() if len({one for one, _ in uses}) > 1 and name not in {"recipe", "workers", "dtype"}
    }
    assert drifted == set()


def test_only_a_library_that_is_missing_is_told() -> None:
    with pytest.raises(MachineError, match=r"needs nowhere, .*starmill\[trainer\]"), options.needs("trainer"):
        import nowhere  # noqa: F401
    with pytest.raises(ModuleNotFoundError), options.needs("trainer"):
        import starmill.nowhere  # noqa: F401


def test_errors_of_files() -> None:
    with pytest.raises(InputError, match=r"/none/x: No such file"), options.files():
        Path("/none/x").read_text()
    with pytest.raises(NotThere), options.files():
        raise NotThere("said already")


def test_names_of_recipes_complete() -> None:
    assert options.shipped("train")("starcoder2-7") == ["starcoder2-7b", "starcoder2-7b-16k"]
    assert "smoke" in options.shipped("data")("")


def test_every_number_of_a_command_has_two_ends() -> None:
    groups = [command for room in cli.ROOMS for _, command in cli.commands(room)]
    found = [c for c in groups if inspect.isfunction(c)] + [c.callback for c in launch.launch.registered_commands]
    hints = {
        (c.__name__, name): hint for c in found for name, hint in c.__annotations__.items() if hasattr(hint, "__metadata__")
    }
    numbers = {key: hint for key, hint in hints.items() if {int, float} & {hint.__origin__, *typing.get_args(hint.__origin__)}}
    assert len(numbers) > 20
    for key, hint in numbers.items():
        [info] = [mark for mark in hint.__metadata__ if isinstance(mark, OptionInfo)]
        assert info.min is not None and info.max is not None, key
