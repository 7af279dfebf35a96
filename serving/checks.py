"""What is looked at before PyTorch is imported: a model's folder or the server behind this one, the address to listen at, keys."""

import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starmill.core.errors import InputError, MachineError, UsageError, one_line
from starmill.core.files import read_small
from starmill.core.tokenizer import Tokenizer
from starmill.model import devices, template
from starmill.model.complete import refuse_other_tokenizer
from starmill.model.exchange import folders

MAX_KEY = 4096  # bytes
KIND = "openai:"  # of an engine that is another server


@dataclass(frozen=True)
class Folder:
    """A model that can be loaded: where it lies, its tokenizer and its chat template, if it has one."""

    place: Path
    tokenizer: Tokenizer
    template: template.Template | None


def folder(place: str, device: str | None = None) -> Folder:
    """Return a model's folder. Raises InputError or UsageError, which name what is wrong with it."""
    config = folders.shape(Path(place))
    folders.places_of(Path(place), config)
    tokenizer = Tokenizer.load(Path(place) / "tokenizer.json", any_family=True)
    try:
        refuse_other_tokenizer(tokenizer, config)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    if device:
        devices.refuse("--device ", device)
    return Folder(Path(place), tokenizer, template.of_folder(Path(place)))


def address(engine: str) -> str:
    """Return the URL of `openai:URL`, up to and without /v1. Raises UsageError.

    >>> address("openai:http://127.0.0.1:8000/v1/")
    'http://127.0.0.1:8000'
    """
    url = engine.removeprefix(KIND).rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(url)
        good = engine.startswith(KIND) and parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None:
        raise UsageError(
            f"--engine {engine!r:.200}: give openai: and the URL of a server, such as openai:http://127.0.0.1:8000"
        )
    return url


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
