"""Two hundred streams at once, of which some leave and some are malformed: the others get what they get alone, and nothing stays behind."""

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from servers import Running, Serve

from starmill.model.complete import complete

PROMPTS = ("def f(x):", "import", "x = 1\ny", "class A:", "return")
BAD: tuple[bytes, ...] = (
    b"{",
    b"[]",
    b'{"prompt": 1}',
    b'{"prompt": "x", "max_tokens": -1}',
    b'{"prompt": "x", "n": 1e9}',
    b"\xff\xfe",
    b"null",
)


async def told(client: httpx.AsyncClient, number: int, draw: random.Random) -> str | int | None:
    """Return the text of a stream; a status where it is refused; None where the client left."""
    kind = draw.choice(("stays", "stays", "leaves", "malformed"))
    if kind == "malformed":
        headers = {"Content-Type": "application/json"}
        return (await client.post("/v1/completions", content=draw.choice(BAD), headers=headers)).status_code
    body = {"prompt": PROMPTS[number % len(PROMPTS)], "max_tokens": 5 + number % 30, "temperature": 0, "stream": True}
    text = ""
    async with client.stream("POST", "/v1/completions", json=body) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                text += json.loads(line.removeprefix("data: "))["choices"][0]["text"]
                if kind == "leaves":
                    return None
    return text


async def storm(url: str, seed: int, streams: int = 200) -> list[str | int | None]:
    limits = httpx.Limits(max_connections=streams)
    draws = [random.Random(f"{seed} {number}") for number in range(streams)]
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits, verify=False) as client:
        return await asyncio.gather(*(told(client, number, draw) for number, draw in enumerate(draws)))


def settled(running: Running) -> None:
    for _ in range(100):
        if not running.service.worker.open and running.service.worker.engine.counts == (0, 0):
            return
        running.client.get("/health")
    raise AssertionError((running.service.worker.open, running.service.worker.engine.counts))


@pytest.mark.slow
def test_two_hundred_streams(serve: Serve) -> None:
    running = serve(rows=16)
    whole = {prompt: complete(running.decoder, running.tokenizer, [prompt], 34, file_start=True)[0] for prompt in PROMPTS}
    for seed in range(2):
        found = asyncio.run(storm(running.url, seed))
        texts = {number: text for number, text in enumerate(found) if isinstance(text, str)}
        assert len(texts) > 60 and None in found and 400 in found and {one for one in found if isinstance(one, int)} == {400}
        for number, text in texts.items():
            prompt = PROMPTS[number % len(PROMPTS)]
            (alone,) = complete(running.decoder, running.tokenizer, [prompt], 5 + number % 30, file_start=True)
            assert text == alone and whole[prompt].startswith(text[:1])
        settled(running)


# Resident memory of a server in a process of its own, behind some hundred requests each time, in MB.
MEASURED = """
import asyncio, sys
sys.path[:0] = sys.argv[3:]
from test_load import storm
from pathlib import Path
for seed in range(int(sys.argv[2])):
    asyncio.run(storm(sys.argv[1], seed))
"""


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
def test_memory_stays(folder: Path) -> None:
    command = [sys.executable, "-m", "starmill.cli", "serve", str(folder), "--port", "0", "--queue", "400"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "answers at" in line)
        url = line.partition("answers at ")[2].partition("/v1")[0]
        sizes = []
        for _ in range(4):
            here = str(Path(__file__).parent)
            subprocess.run([sys.executable, "-c", MEASURED, url, "2", here], check=True, timeout=300)
            sizes.append(resident(server.pid))
        server.terminate()
        assert server.wait(60) == -15
    assert sizes[-1] - sizes[1] < 8, f"MB of memory behind 400 requests each: {sizes}"
