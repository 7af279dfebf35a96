"""`starmill`: the commands are the public functions of the modules in ROOMS, and nothing else names them.

A command is one typed function (cli/options.py has what several share); its first line of documentation is its line on the map,
and that of its module the heading. Modules import what they need when a command is called: the map, the views and the shell's
completion load neither Beam nor torch. What follows `--` is Beam's and is handed through untouched.
"""

import functools
import inspect
import sys
import traceback as tracebacks
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from starmill.cli import (
    align,
    assemble,
    attribution,
    complete,
    costs,
    encoders,
    evaluate,
    look,
    mill,
    options,
    publish,
    scores,
    serve,
    train,
    withdraw,
)
from starmill.core import __version__, terminal
from starmill.core.credentials import refuse_credentials
from starmill.core.errors import Interrupted, MachineError, StarmillError, UsageError
from starmill.core.terminal import say, say_text

WRONG_USAGE: Any = typer.BadParameter.__base__  # all that typer refuses
ROOMS = (mill, look, attribution, publish, assemble, withdraw, costs, train, encoders, scores, complete, serve, evaluate, align)

MAP = """starmill mills dumps of source code into tokenized training shards, and trains StarCoder-class models on them.
A workspace holds the datasets of all stages, and for every file that left them the reason why.
A run that was stopped goes on where it was: start the same command again.
A recipe is a YAML file or the name of one that ships; --set KEY=VALUE changes any value of it.
What follows `--` goes to Apache Beam: `starmill run recipe.yaml -- --runner=FlinkRunner`."""
TRY = """Try:
  starmill run smoke --input ~/checkouts --workspace runs/mine --dry-run
  starmill funnel --workspace runs/mine
  starmill plan starcoder2-3b"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 wrong usage, 3 trouble of the machine, 130 stopped."""
    sys.excepthook = lambda _, error, __: say_text("".join(tracebacks.format_exception(error)), to=sys.stderr)
    with terminal.talking():
        try:
            status = _status(list(sys.argv[1:] if argv is None else argv))
            terminal.flush()  # here, where it can be told: the interpreter's own last flush shows a trace
        except BrokenPipeError:
            terminal.unheard(sys.stdout)
            return 1
        except MachineError as error:
            return _refused(str(error), error.status)
        return status


def _status(words: list[str]) -> int:
    try:
        program = _program(ROOMS, words[0] if words and not words[0].startswith("-") else "")
        return int(program(args=_prepared(words), prog_name="starmill", standalone_mode=False) or 0)
    except SystemExit as done:  # the shell's completion
        return int(done.code or 0)
    except WRONG_USAGE as error:
        told = error.ctx.command_path if error.ctx else "starmill"
        given: list[Any] = getattr(error.__cause__, "errors", list)()  # pydantic's, which hold the value
        got = f", got {given[0]['input']!r:.200}" if given else ""
        return _refused(f"{error.format_message().rstrip('.')}{got}; see `{told} --help`", error.exit_code)
    except StarmillError as error:
        return _refused(str(error), error.status)
    except KeyboardInterrupt:
        return Interrupted.status
    return 0


def _refused(said: str, status: int) -> int:
    """Print why a command was refused, in one line; return the status."""
    say(f"starmill: {' '.join(said.splitlines())}", to=sys.stderr)
    return status


@functools.cache  # who calls `main` again and again, such as a test, waits for it once
def _program(rooms: tuple[ModuleType, ...], name: str) -> Callable[..., Any]:
    return typer.main.get_command(app(rooms, name))


def app(rooms: Sequence[ModuleType] = ROOMS, wanted: str = "") -> typer.Typer:
    """Return the program, with every command that is found in these modules; with the wanted one alone where there is one of this name."""
    made = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_help_option=False)
    made.callback(invoke_without_command=True)(_starmill)
    found = [(name, command) for room in rooms for name, command in commands(room)]
    for name, command in [one for one in found if one[0] == wanted] or found:  # all take a quarter of a second
        if isinstance(command, typer.Typer):
            for one in command.registered_commands:
                assert one.callback is not None
                one.callback = one.callback if hasattr(one.callback, "__wrapped__") else _told(one.callback)
            made.add_typer(command, name=name)
        else:
            made.command(name.replace("_", "-"))(_told(command))
    return made


def commands(room: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the commands of a module, as they stand in it: its public functions, and groups of them."""
    for name, value in vars(room).items():
        own = inspect.isfunction(value) and value.__module__ == room.__name__
        if not name.startswith("_") and (own or isinstance(value, typer.Typer)):
            yield name.replace("_", "-"), value


def the_map() -> str:
    """Return what the program does, its commands by room, and what to try next."""
    lines = [f"Usage: starmill COMMAND [--help] ...\n\n{MAP}"]
    width = max(len(name) for room in ROOMS for name, _ in commands(room))
    for room in ROOMS:
        lines.append(f"\n{_first_line(room.__doc__)}")
        for name, command in commands(room):
            text = command.info.help if isinstance(command, typer.Typer) else command.__doc__
            lines.append(f"  {name.replace('_', '-'):<{width}} {_first_line(text)}")
    return "\n".join((*lines, f"\n{TRY}"))


def _starmill(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    help: Annotated[bool, typer.Option("--help", help="Print the map.")] = False,
) -> None:
    if version:
        say(f"starmill {__version__}")
        raise typer.Exit
    if help or context.invoked_subcommand is None:
        say_text(the_map())
        raise typer.Exit


def _prepared(words: list[str]) -> list[str]:
    """Return a command line without what no command may quote, and with Beam's options as ours. Raises UsageError."""
    found = {name: command for room in ROOMS for name, command in commands(room)}
    command = found.get(words[0]) if words else None
    parameters = inspect.signature(command).parameters if inspect.isfunction(command) else {}
    for word in words if command is not complete.complete else ():  # whose prompts may be anything
        refuse_credentials(word)  # before something quotes it
    beam: list[str] = []
    if "beam" in parameters and "--" in words:
        cut = words.index("--")
        words, beam = words[:cut], words[cut + 1 :]
    return [*(_one_by_one(words) if "inputs" in parameters else words), *(f"--beam={word}" for word in beam)]


def _one_by_one(words: list[str]) -> Iterator[str]:
    # `--input a b c`, as a shell writes out `--input ~/checkouts/*`: an option of typer's takes one value at a time.
    taking = 0
    for word in words:
        taking = 1 if word == "--input" else 0 if word.startswith("-") else taking + bool(taking)
        if taking > 2:
            yield "--input"
        yield word


def _told(command: Callable[..., int | None]) -> Callable[..., None]:
    """Return a command with --traceback, whose Ctrl-C is told, and whose returned number is the exit status."""

    hints = command.__annotations__

    @functools.wraps(command)
    def told(*, traceback: bool, **values: Any) -> None:
        try:
            for name, value in values.items():
                _refuse_empty(name, value, getattr(hints.get(name), "__metadata__", ()))
            status = command(**values)
        except KeyboardInterrupt:
            raise Interrupted("stopped") from None
        except StarmillError as error:
            shown = str if values.get("raw", True) else options.hidden  # where --raw is no option, no name is told
            if traceback:
                say_text(shown(tracebacks.format_exc()), to=sys.stderr)
            error.args = (shown(str(error)),)
            raise
        raise typer.Exit(status or 0)

    signature = inspect.signature(command)
    added = inspect.Parameter("traceback", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=options.Traceback)
    told.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])  # type: ignore[attr-defined]
    told.__annotations__ = {**command.__annotations__, "traceback": options.Traceback}
    return told


def _refuse_empty(name: str, value: Any, marks: Sequence[Any]) -> None:
    """Raise UsageError for an empty text, which would count as a value that was not given."""
    if "" in (value if isinstance(value, list | tuple) else [value]) and options.MAY_BE_EMPTY not in marks:
        said = (
            word for mark in marks if isinstance(mark, OptionInfo) for word in (mark.default, f"--{name.replace('_', '-')}")
        )
        label = next((word for word in said if isinstance(word, str)), name.upper())
        raise UsageError(f"{label}: an empty text; give a value, or leave it out")


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
