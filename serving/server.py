"""A model's folder behind a port: loaded, bound, served until it is told to stop, and then drained."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable
from pathlib import Path

import torch
import uvicorn

from starmill.core.errors import InputError, MachineError, UsageError, one_line
from starmill.core.files import read_small
from starmill.core.tokenizer import Tokenizer
from starmill.model import template
from starmill.model.complete import refuse_other_tokenizer
from starmill.model.exchange import folders
from starmill.model.exchange.huggingface import load
from starmill.serving.app import application
from starmill.serving.service import Limits, Service
from starmill.serving.worker import Worker

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_KEY = 4096  # bytes
DRAIN = 60  # seconds for answers that are under way when it is told to stop


def service(
    folder: str,
    name: str | None = None,
    rows: int = 16,
    queue: int = 64,
    limits: Limits | None = None,
    dtype: str = "stored",
    device: str | None = None,
    seed: int = 0,
) -> Service:
    """Return the model of a folder, ready to answer. Raises InputError or UsageError, which name the folder."""
    place = Path(folder)
    config = folders.shape(place)
    folders.places_of(place, config)
    tokenizer = Tokenizer.load(place / "tokenizer.json", any_family=True)
    try:
        refuse_other_tokenizer(tokenizer, config)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    chat = template.of_folder(place)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {where}: {str(error).splitlines()[0]:.200}; give cpu, or leave it out") from None
    decoder = load(folder, None if dtype == "stored" else getattr(torch, dtype), where)
    return Service(
        name or place.resolve().name,
        Worker(decoder, tokenizer, rows, queue),
        chat,
        limits or Limits(),
        seed,
        str(decoder.tokens.weight.dtype).removeprefix("torch."),
        where,
        created=int(time.time()),
    )


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError for an address that is none, MachineError for one that is taken."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise UsageError(f"--host {host!r:.100}: no address ({error.strerror}); give one such as 127.0.0.1") from None
    # asyncio sends small pieces at once where it knows that a socket is TCP's, and create_server does not say so: 40 ms a piece.
    made = socket.socket(found[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(found[4])
        made.listen(2048)
    except OSError as error:
        made.close()
        raise MachineError(f"--host {host} --port {port}: {one_line(error)}; give another --port") from None
    return made


def read_key(place: str) -> str:
    """Return the key in a file. Raises InputError for one that is no single line of ASCII."""
    key = read_small(place, MAX_KEY).decode("utf-8", "replace").strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(f"--api-key-file {place}: no key in it; give one line of letters and digits")
    return key


def configured(found: Service, listening: socket.socket, key: str | None) -> uvicorn.Config:
    """Return how a model is served at a socket; without a key it is this machine's own where nobody else reaches it."""
    hosts = LOOPBACK if key is None and ipaddress.ip_address(listening.getsockname()[0]).is_loopback else ()
    return uvicorn.Config(
        application(found, key, hosts),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN,
    )


def run(found: Service, listening: socket.socket, key: str | None, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, which lets the answers under way end; a second one does not wait for them."""
    host, port = listening.getsockname()[:2]
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    tell(f"{found.name} ({found.dtype}, {found.device}) answers at {where}/v1 and {where}/generate; Ctrl-C ends it")
    asyncio.run(uvicorn.Server(configured(found, listening, key)).serve(sockets=[listening]))
