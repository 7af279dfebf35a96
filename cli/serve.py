"""Serve a trained model to editors and programs."""

import sys
from typing import Annotated, Literal

import typer

from starmill.cli import options
from starmill.core.errors import UsageError
from starmill.core.terminal import say


def serve(
    model: options.Model,
    host: Annotated[
        str, typer.Option(help="The address to listen at; beyond this machine it needs --api-key-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen at; 0: any that is free.")] = 8080,
    served_name: Annotated[str | None, typer.Option(help="What clients call the model (default: its folder's name).")] = None,
    api_key_file: Annotated[str | None, typer.Option(help="File with the key that clients must send.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=4096, help="Answers that are written at once.")] = 16,
    queue: Annotated[int, typer.Option(min=0, max=1 << 20, help="Answers that may wait; beyond them clients get 429.")] = 64,
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
    """Serve a trained model: OpenAI's API (completions, chat) and that of Text Generation Inference."""
    if host not in ("127.0.0.1", "::1", "localhost") and api_key_file is None:
        raise UsageError(f"--host {host!r:.100}: whoever reaches it could use the model; give --api-key-file too")
    with options.files(), options.needs("trainer"):
        from starmill.serving import checks

        found = checks.folder(model, device)
        key = None if api_key_file is None else checks.read_key(api_key_file)
        known = None
        if release is not None:
            place = options.place_of(release, "", None)
            with options.needs("pipelines"):
                from starmill.serving.attribution import Release
            known = Release(place)
        listening = checks.bound(host, port)
    with listening, options.needs("serving"):
        from starmill.serving import server
        from starmill.serving.service import Limits

        limits = Limits(new_tokens=longest, seconds=timeout)
        ready = server.service(found, served_name, rows, queue, limits, dtype, device, seed)
        ready.release = known
        server.run(ready, listening, key, lambda said: say(said, to=sys.stderr, flush=True))
