"""Use a trained model."""

import sys
from typing import Annotated, Literal

import typer

from starmill.cli import options
from starmill.core.errors import InputError, UsageError
from starmill.core.files import read_small
from starmill.core.terminal import escaped, say

MAX_PROMPT = 64 << 20  # bytes: more tokens than any model has positions


def complete(
    model: options.Model,
    prompt: Annotated[str | None, typer.Option(help="Text to continue.")] = None,
    prompt_file: Annotated[str | None, typer.Option(help="File with the text to continue; - is standard input.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Text before the hole (with --suffix)."), options.MAY_BE_EMPTY] = None,
    suffix: Annotated[str | None, typer.Option(help="Text after the hole (with --prefix)."), options.MAY_BE_EMPTY] = None,
    max_new_tokens: options.MaxNewTokens = 64,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    top_k: Annotated[int, typer.Option(min=0, max=1 << 20, help="Sample from so many likeliest tokens; 0: all.")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="Text to end before; may be given several times.")] = None,
    stop_at_block: Annotated[
        bool, typer.Option("--stop-at-block", help="End with the function or block that is being written.")
    ] = False,
    seed: options.Seed = 0,
    dtype: Annotated[Literal["stored", "float32", "bfloat16"], typer.Option(help="Of the weights in memory.")] = "stored",
    device: options.Device = None,
    no_file_start: Annotated[
        bool, typer.Option("--no-file-start", help="Do not begin with <file_sep>, as files do in training.")
    ] = False,
) -> None:
    """Complete code with a trained model: left to right, or into the middle."""
    middle = (prefix, suffix) if prefix is not None and suffix is not None else None
    given = [value is not None for value in (prompt, prompt_file, prefix, suffix)]
    if given not in ([True, False, False, False], [False, True, False, False], [False, False, True, True]):
        raise UsageError("complete: give one of --prompt, --prompt-file, or --prefix and --suffix")
    if prompt_file is not None:
        try:
            with options.files():
                prompt = sys.stdin.read() if prompt_file == "-" else read_small(prompt_file, MAX_PROMPT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"--prompt-file {prompt_file}: not UTF-8 (byte {error.start:,}); give a text") from None
    text = middle or prompt or ""
    with options.needs("trainer"):
        from starmill.model.complete import complete_one

        completion = complete_one(
            model, text, dtype, device, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k,
            stops=stop or [], stop_at_block=stop_at_block, seed=seed, file_start=not no_file_start,
        )  # fmt: skip
    before, after = text if isinstance(text, tuple) else (text, "")
    if not sys.stdout.isatty():
        print(f"{before}{completion}{after}")  # a file or a program gets the text as it is
        return
    before, completion, after = (escaped(part, keep="\n\t") for part in (before, completion, after))
    print(f"{before}\033[1m{completion}\033[0m{after}")


def chat(
    model: options.Model,
    system: Annotated[str | None, typer.Option(help="What stands above the conversation.")] = None,
    max_new_tokens: options.MaxNewTokens = 512,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    seed: options.Seed = 0,
    dtype: Annotated[Literal["stored", "float32", "bfloat16"], typer.Option(help="Of the weights in memory.")] = "stored",
    device: options.Device = None,
) -> None:
    """Talk with a trained model: a line of the input is a turn, and its end ends it.

    A model that has a chat template is asked by it; a base model, which has none, after a page of examples (serving/assistant.txt).
    """
    with options.needs("trainer"), options.files():
        from starmill.serving.talk import Talk

        talk = Talk(model, system or "", dtype, device)
    by_hand, shown = sys.stdin.isatty(), sys.stdout.isatty()
    while True:
        if by_hand:
            print("> ", end="", flush=True)
        if not (line := sys.stdin.readline()):
            return
        if not line.strip():
            continue
        most, sampled = max_new_tokens or 512, temperature or 0.0
        for piece in talk.reply(line.strip(), most, sampled, 1.0 if top_p is None else top_p, seed):
            print(escaped(piece, keep="\n\t") if shown else piece, end="", flush=True)
        say("", flush=True)
