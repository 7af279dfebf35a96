"""Serve a trained model to editors and programs."""

import sys
from typing import Annotated, Any, Literal

import typer

from starmill.cli import options
from starmill.core.errors import UsageError
from starmill.core.terminal import say


def serve(
    weights: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Folder with config.json, model.safetensors and tokenizer.json; or give --engine."
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="openai:URL", help="Stand before another server of OpenAI's API, such as vLLM, instead of a model."
        ),
    ] = None,
    engine_key_file: Annotated[
        str | None, typer.Option(help="File with the key that the server behind --engine wants.")
    ] = None,
    fim_tokens: Annotated[
        bool,
        typer.Option(
            "--fim-tokens", help="The server behind --engine takes no suffix: put StarCoder's tokens into the prompt."
        ),
    ] = False,
    host: Annotated[
        str, typer.Option(help="The address to listen at; beyond this machine it needs --api-key-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen at; 0: any that is free.")] = 8080,
    served_name: Annotated[str | None, typer.Option(help="What clients call the model (default: its folder's name).")] = None,
    api_key_file: Annotated[str | None, typer.Option(help="File with the key that clients must send.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=4096, help="Answers that are written at once.")] = 16,
    queue: Annotated[int, typer.Option(min=0, max=1 << 20, help="Answers that may wait; beyond them clients get 429.")] = 64,
    drafts: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=64,
            help="Tokens that are guessed ahead of an answer at most; answers stay the same (default: 15 on a CPU, else 0).",
        ),
    ] = None,
    longest: Annotated[int, typer.Option(min=1, max=1 << 24, help="The longest answer, in tokens.")] = 4096,
    timeout: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds for an answer.")] = 600.0,
    release: Annotated[
        str | None,
        typer.Option(metavar="WORKSPACE", help="Say which files of this release hold what is written; see `starmill index`."),
    ] = None,
    seed: options.Seed = 0,
    dtype: Annotated[Literal["stored", "float32", "bfloat16"], typer.Option(help="Of the weights in memory.")] = "stored",
    device: options.Device = None,
) -> None:
    """Serve a model, or stand before another server: OpenAI's API and that of Text Generation Inference."""
    if host not in ("127.0.0.1", "::1", "localhost") and api_key_file is None:
        raise UsageError(f"--host {host!r:.100}: whoever reaches it could use the model; give --api-key-file too")
    if (weights is None) == (engine is None):
        raise UsageError("give a model's folder, or --engine openai:URL, and not both")
    if engine is None and (engine_key_file or fim_tokens):
        raise UsageError("--engine-key-file, --fim-tokens: for the server behind --engine alone; give that, or leave them out")
    if engine is not None and (served_name or device or drafts is not None):
        raise UsageError("--served-name, --device, --drafts: of a model that is here; leave them out with --engine")
    with options.files(), options.needs("trainer"):
        from starmill.serving import checks

        found = None if weights is None else checks.folder(weights, device)
        url = None if engine is None else checks.address(engine)
        theirs = None if engine_key_file is None else checks.read_key(engine_key_file)
        key = None if api_key_file is None else checks.read_key(api_key_file)
        known = None
        if release is not None:
            place = options.place_of(release, "", None)
            with options.needs("pipelines"):
                from starmill.serving.attribution import Release
            known = Release(place)
        listening = checks.bound(host, port)
    with listening, options.needs("serving"):
        from starmill.serving import server, upstream
        from starmill.serving.service import Limits

        limits = Limits(new_tokens=longest, seconds=timeout)
        ready: Any
        if found is not None:
            ready = server.service(found, served_name, rows, queue, drafts, limits, dtype, device, seed)
        else:
            assert url is not None
            models = upstream.models(url, theirs)
            ready = upstream.Front(models, upstream.Upstream(url, rows + queue, theirs, limits), fim_tokens, limits)
        ready.release = known
        server.run(ready, listening, key, lambda said: say(said, to=sys.stderr, flush=True))
