"""A model behind a port: loaded, served until it is told to stop, and then drained."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable

import torch
import uvicorn

from starmill.model import devices
from starmill.model.exchange.huggingface import load
from starmill.serving.app import application
from starmill.serving.checks import Folder
from starmill.serving.service import Limits, Service
from starmill.serving.upstream import Front
from starmill.serving.worker import Worker

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DRAIN = 60  # seconds for answers that are under way when it is told to stop


def service(
    found: Folder,
    name: str | None = None,
    rows: int = 16,
    queue: int = 64,
    drafts: int | None = None,
    limits: Limits | None = None,
    dtype: str = "stored",
    device: str | None = None,
    seed: int = 0,
) -> Service:
    """Return the model of a folder, loaded and ready to answer. Raises InputError or UsageError."""
    where = devices.usable(device)
    # OpenMP's threads are those of the thread that computes, and are never given back. Were there some of this one beside those of the
    # engine's, there would be more than cores, and all would sleep at every barrier instead of waiting: a token took 1.8 times as long.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        decoder = load(found.place, None if dtype == "stored" else getattr(torch, dtype), where)
    finally:
        torch.set_num_threads(threads)
    return Service(
        name or found.place.resolve().name,
        Worker(decoder, found.tokenizer, rows, queue, drafts),
        found.template,
        limits or Limits(),
        seed,
        str(decoder.tokens.weight.dtype).removeprefix("torch."),
        where,
        created=int(time.time()),
    )


def configured(found: Service | Front, listening: socket.socket, key: str | None) -> uvicorn.Config:
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


def run(found: Service | Front, listening: socket.socket, key: str | None, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, which lets the answers under way end; a second one does not wait for them."""
    host, port = listening.getsockname()[:2]
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    other = f", by {found.worker.url}" if isinstance(found, Front) else f" and {where}/generate"
    tell(f"{found.name} ({found.dtype}, {found.device}) answers at {where}/v1{other}; Ctrl-C ends it")
    asyncio.run(uvicorn.Server(configured(found, listening, key)).serve(sockets=[listening]))
