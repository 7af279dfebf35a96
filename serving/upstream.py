"""Another server behind this one: requests of OpenAI's kind go there, and what comes back is passed on piece by piece.

So the playground, the attribution and the limits of this server stand before vLLM, llama.cpp or whatever speaks OpenAI's API. A suffix
becomes a prompt with the tokens of a hole where the model behind takes none (vLLM). Nothing of a request but its body goes there, and of
an answer nothing but its status and body comes back.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from starmill.core.errors import InputError, one_line
from starmill.serving.bodies import Refused, fields_of
from starmill.serving.metrics import Metrics
from starmill.serving.service import ANY_MODEL, Limits, Reply, Stream
from starmill.serving.worker import Busy

LARGEST = 64 << 20  # bytes of an answer that comes whole
LONGEST = 1 << 20  # bytes of an event
CONNECT = 10.0  # seconds
HOLE = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
SAID = {401: "its key is wrong; give --engine-key-file", 403: "its key is wrong; give --engine-key-file"}


class _Counts:
    """What the metrics ask an engine for."""

    def __init__(self) -> None:
        self.counts = (0, 0)
        self.drafted = self.accepted = 0


class Upstream:
    """The connection, in the place of a worker: `most` requests at a time, beyond which Busy is raised."""

    def __init__(self, url: str, most: int, key: str | None, limits: Limits) -> None:
        """Connect to nothing yet."""
        self.engine, self.most, self.open, self.cancelled, self.alive = _Counts(), most, 0, 0, True
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        waits = httpx.Timeout(limits.seconds, connect=CONNECT)
        pool = httpx.Limits(max_connections=None, max_keepalive_connections=16)
        # Neither a proxy nor a password file of this machine may learn of prompts, and no answer sends them elsewhere.
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=waits,
            limits=pool,
            trust_env=False,
            follow_redirects=False,
            verify=url.startswith("https:"),  # else the authorities are not asked, and take a while to read
        )
        self.url = url

    def start(self) -> None:
        """Begin; there is nothing to do."""

    async def stop(self) -> None:
        """Close the connections."""
        self.alive = False
        await self._client.aclose()

    async def send(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Return an answer whose body is still to be read; it is counted until `close`. Raises Busy, Refused."""
        if self.open >= self.most:
            raise Busy(f"{self.open} requests are with the server behind this one, and there is room for {self.most}")
        self.open += 1
        try:
            asked = self._client.build_request("POST", path, json=body)
            return await self._client.send(asked, stream=True)
        except BaseException as error:
            self.open -= 1
            if isinstance(error, httpx.TimeoutException):
                raise Refused("the server behind this one did not answer in time", None, 504, "timeout_error") from None
            if isinstance(error, httpx.HTTPError):
                raise Refused("the server behind this one cannot be reached", None, 502, "server_error") from None
            raise

    async def close(self, answer: httpx.Response) -> None:
        """Let go of an answer; one that is not whole is given up there too."""
        self.open -= 1
        await answer.aclose()


def models(url: str, key: str | None) -> list[dict[str, Any]]:
    """Return the models of a server. Raises InputError for one that does not answer as OpenAI's does."""
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with (
            httpx.Client(timeout=CONNECT, trust_env=False, headers=headers) as client,
            client.stream("GET", f"{url}/v1/models") as reply,
        ):
            data = bytearray()
            for piece in reply.iter_bytes():
                data += piece
                if len(data) > LONGEST:
                    raise ValueError("a list of more than 1 MiB")
        if reply.status_code != 200:
            raise ValueError(SAID.get(reply.status_code, f"status {reply.status_code}"))
        found = [one for one in json.loads(data)["data"] if isinstance(one["id"], str)]
        if not found:
            raise ValueError("no models")
        return found
    except (httpx.HTTPError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"--engine openai:{url}: no list of models at /v1/models ({one_line(error)}); start that server first"
        ) from None


@dataclass
class Front:
    """What stands before another server, in the place of a Service. `known`: the models there; the first is the one for any name."""

    known: list[dict[str, Any]]
    worker: Upstream
    holes: bool  # whether a suffix is put into the prompt
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    release: Any = None
    dtype: str = "of another server"
    device: str = "of another server"

    @property
    def name(self) -> str:
        """That of the first model."""
        return str(self.known[0]["id"])


async def told_models(front: Front) -> Reply:
    """GET /v1/models: those of the server behind, with what the playground asks for."""
    data = []
    for one in front.known:
        size = one.get("max_model_len") or (one.get("meta") or {}).get("n_ctx_train")
        named = {"id": one["id"], "object": "model", "created": one.get("created", 0), "owned_by": str(one.get("owned_by", ""))}
        data.append(
            named | {"max_model_len": size if isinstance(size, int) else None, "attribution": front.release is not None}
        )
    return {"object": "list", "data": data}


async def completions(front: Front, body: bytes) -> Reply:
    """POST /v1/completions. A suffix goes on as it is, or into the prompt."""
    asked = _asked(front, body)
    if front.holes and asked.get("suffix"):
        prompt, suffix = asked.get("prompt"), asked.pop("suffix")
        if not isinstance(prompt, str) or not isinstance(suffix, str):
            raise Refused("suffix: with a prompt that is one text alone", "suffix")
        asked["prompt"] = f"{HOLE[0]}{prompt}{HOLE[1]}{suffix}{HOLE[2]}"
    return await _passed(front, "/v1/completions", asked)


async def chat(front: Front, body: bytes) -> Reply:
    """POST /v1/chat/completions."""
    return await _passed(front, "/v1/chat/completions", _asked(front, body))


OPENAI = {"/v1/completions": completions, "/v1/chat/completions": chat}


def _asked(front: Front, body: bytes) -> dict[str, Any]:
    asked = fields_of(body)
    name = asked.get("model")
    if name in (None, "", *ANY_MODEL):
        asked["model"] = front.name
    elif name not in [one["id"] for one in front.known]:
        raise Refused(f"The model {name!r:.100} does not exist; there is {front.name!r:.100}", "model", 404, "NotFoundError")
    for field_ in ("max_tokens", "max_completion_tokens"):
        most = asked.get(field_)
        if isinstance(most, int) and most > front.limits.new_tokens:
            asked[field_] = front.limits.new_tokens
    return asked


async def _passed(front: Front, path: str, asked: dict[str, Any]) -> Reply:
    answer = await front.worker.send(path, asked)
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code == 200 and kind == "text/event-stream":
        return _stream(front, answer)
    try:
        data = bytearray()
        async for piece in answer.aiter_bytes():
            data += piece
            if len(data) > LARGEST:
                raise Refused("the server behind this one answers too much", None, 502, "server_error")
    except httpx.HTTPError:
        raise Refused("the server behind this one broke off", None, 502, "server_error") from None
    finally:
        await front.worker.close(answer)
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = None
    if answer.status_code != 200:
        raise _refusal(answer.status_code, found)
    if not isinstance(found, dict):
        raise Refused("the server behind this one answers no JSON", None, 502, "server_error")
    return found


def _refusal(status: int, found: Any) -> Refused:
    """Return how an error of the server behind is told: what the client can mend as it is there, all else as this server's trouble."""
    error = found.get("error", found) if isinstance(found, dict) else {}
    error = error if isinstance(error, dict) else {"message": error}
    said = str(error.get("message") or "no reason given")[:2000]
    if status in SAID:
        return Refused(f"the server behind this one refuses this server: {SAID[status]}", None, 502, "server_error")
    if status == 429 or status == 503:
        return Refused(f"the server behind this one is busy: {said}; try again soon", None, 429, "rate_limit_error")
    if 400 <= status < 500:
        param, kind = error.get("param"), error.get("type")
        return Refused(
            said, param if isinstance(param, str) else None, status, kind if isinstance(kind, str) else "invalid_request_error"
        )
    return Refused(f"the server behind this one failed with status {status}", None, 502, "server_error")


def _stream(front: Front, answer: httpx.Response) -> Stream:
    closing: list[asyncio.Task[None]] = []

    def close() -> None:
        if not closing:
            closing.append(asyncio.ensure_future(front.worker.close(answer)))

    async def pieces() -> AsyncIterator[bytes]:
        held = b""
        try:
            async for piece in answer.aiter_bytes():
                # Whole events alone go on, so that an error behind them is an event of its own.
                held = (held + piece).replace(b"\r\n", b"\n")
                whole, end, held = held.rpartition(b"\n\n")
                if end:
                    yield whole + end
                if len(held) > LONGEST:
                    raise Refused("the server behind this one sends an event of more than 1 MiB", None, 502, "server_error")
        except httpx.HTTPError:
            front.worker.cancelled += 1
            raise Refused("the server behind this one broke off", None, 502, "server_error") from None
        if held.strip():
            yield held + b"\n\n"

    return Stream(pieces(), close)
