"""Servers on real ports of this machine, and the small model behind them."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import torch
import uvicorn

from starmill.core.dataset import Workspace
from starmill.core.tokenizer import Tokenizer, huggingface_files, train
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import save
from starmill.serving import checks, server
from starmill.serving.attribution import Release
from starmill.serving.service import Limits, Service
from starmill.serving.upstream import Front

TEXTS = ["def f(x):\n    return x\nimport os\n", "Human: what is é or 漢?\n\nAssistant: -----\n"]


@dataclasses.dataclass
class Running:
    """A server that runs: where, and what it is."""

    url: str
    service: Service
    decoder: Decoder
    tokenizer: Tokenizer
    stop: Callable[[], None]
    client: httpx.Client


def write(place: Path) -> Path:
    """Write a model of 2 layers with weights from a seed, far from uniform."""
    data = train(TEXTS, 320)
    decoder = Decoder(ModelConfig(Tokenizer.load(data).vocab_size, 2, 32, 4, 2, 64, "rope", 4096))
    decoder.init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoder.head.weight.mul_(5)
    save(decoder, place, huggingface_files(data))
    return place


class Serve:
    """Starts servers, and stops them all."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._stops = folder, list[Callable[[], None]]()

    def __call__(
        self,
        key: str | None = None,
        rows: int = 4,
        queue: int = 400,
        limits: Limits | None = None,
        drafts: int | None = None,
        release: Workspace | None = None,
    ) -> Running:
        service = server.service(checks.folder(str(self.folder)), rows=rows, queue=queue, drafts=drafts, limits=limits)
        service.release = None if release is None else Release(release)
        url, client, stop = self.run(service, key)
        return Running(url, service, service.worker.decoder, service.tokenizer, stop, client)

    def run(self, service: Service | Front, key: str | None = None) -> tuple[str, httpx.Client, Callable[[], None]]:
        """Serve at a port; return where, a client of it, and what ends it."""
        listening = checks.bound("127.0.0.1", 0)
        running = uvicorn.Server(server.configured(service, listening, key))
        thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[listening])))
        thread.start()

        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = httpx.Client(base_url=url, timeout=60, verify=False)  # the authorities' certificates take a while to read

        def stop() -> None:
            client.close()
            running.should_exit = True
            thread.join(20)
            assert not thread.is_alive()

        self._stops.append(stop)
        return url, client, stop

    def close(self) -> None:
        for stop in self._stops:
            stop()
