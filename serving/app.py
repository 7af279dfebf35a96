"""The HTTP application: what may be asked, under which limits, and how each client is told what went wrong.

A request that nobody waits for any more is given up, whether its answer is sent in pieces or whole. Bodies must say that they are JSON: a
page of a stranger cannot make a browser send that here without asking first, and it is never allowed to (no CORS). The server's own
page (serving/playground.py) may.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from starmill.core.errors import one_line
from starmill.serving import openai_api, playground, tgi_api, upstream
from starmill.serving.bodies import Refused
from starmill.serving.metrics import CONTENT_TYPE
from starmill.serving.service import Reply, Service, Stream, event
from starmill.serving.upstream import Front
from starmill.serving.worker import Busy, Failed

log = logging.getLogger(__name__)
Handler = Callable[[Any, bytes], Awaitable[Reply]]
OPENAI: dict[str, Handler] = {
    "/v1/completions": openai_api.completions,
    "/v1/chat/completions": openai_api.chat,
    "/v1/fim/completions": openai_api.fill,
}
TGI: dict[str, Handler] = {"/": tgi_api.root, "/generate": tgi_api.generate, "/generate_stream": tgi_api.generate_stream}
GONE = 499  # what is counted for a client that left
RETRY_AFTER = {"Retry-After": "1"}  # seconds


def application(service: Service | Front, key: str | None = None, hosts: Collection[str] = ()) -> Starlette:
    """Return the application.

    With a `key`, only who sends it as a bearer token is answered, but for /health and the files of the playground. With `hosts`, only
    who asks for one of these: a page whose name was made to mean this machine asks for its own.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.worker.start()
        try:
            yield
        finally:
            await service.worker.stop()

    def checked(path: str, answer: Callable[[Request], Awaitable[Response]], refused: Callable[[Exception], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            begun = time.monotonic()
            try:
                _admit(request, key, hosts)
                response = await answer(request)
            except ClientDisconnect:
                response = Response(status_code=GONE)
            except Exception as error:
                response = refused(error)
            if isinstance(response, Pieces):
                response.done = lambda status: service.metrics.answered(path, status, time.monotonic() - begun)
            else:
                service.metrics.answered(path, response.status_code, time.monotonic() - begun)
            return response

        return endpoint

    def post(path: str, handler: Handler, refused: Callable[[Exception], Response]) -> Route:
        async def answer(request: Request) -> Response:
            body = await _body(request, service)
            deadline = time.monotonic() + service.limits.seconds
            async with asyncio.timeout(service.limits.seconds):
                reply = await _unless_gone(request, handler(service, body))
            return Pieces(reply, refused, deadline) if isinstance(reply, Stream) else _json(reply)

        return Route(path, checked(path, answer, refused), methods=["POST"])

    def file(path: str, made: Response) -> Route:
        async def answer(request: Request) -> Response:
            try:
                _admit(request, None, hosts)
            except Refused as error:
                return openai_error(error)
            return made

        return Route(path, answer, methods=["GET"])

    def get(path: str, handler: Callable[[Any], Awaitable[Reply]], refused: Callable[[Exception], Response]) -> Route:
        async def answer(_: Request) -> Response:
            return _json(await handler(service))

        return Route(path, checked(path, answer, refused))

    def page(path: str, handler: Callable[[Any, Request], Awaitable[Response]]) -> Route:
        async def answer(request: Request) -> Response:
            async with asyncio.timeout(service.limits.seconds):
                return await handler(service, request)

        return Route(path, checked(path, answer, openai_error), methods=["GET"])

    async def metrics(_: Request) -> Response:
        engine = service.worker.engine
        writing, waiting = engine.counts
        service.metrics.counted("drafted_tokens", engine.drafted)
        service.metrics.counted("accepted_tokens", engine.accepted)
        gauges = {
            "rows": ("Rows that are being written.", writing),
            "waiting": ("Rows that wait in the engine.", waiting),
            "open": ("Rows that are owed to clients.", service.worker.open),
            "cancelled": ("Rows that were given up since the server began.", service.worker.cancelled),
        }
        return Response(service.metrics.text(gauges), headers={"Content-Type": CONTENT_TYPE})

    async def health(_: Request) -> Response:
        return Response(status_code=200 if service.worker.alive else 503)

    fronts = isinstance(service, Front)
    routes = [
        *(post(path, handler, openai_error) for path, handler in (upstream.OPENAI if fronts else OPENAI).items()),
        *(post(path, handler, tgi_error) for path, handler in ({} if fronts else TGI).items()),
        *(post(path, handler, openai_error) for path, handler in _release(service).items()),
        *(page(path, handler) for path, handler in _pages(service).items()),
        get("/v1/models", upstream.told_models if fronts else openai_api.models, openai_error),
        *([] if fronts else [get("/info", tgi_api.info, tgi_error)]),
        Route("/metrics", checked("/metrics", metrics, tgi_error)),
        Route("/health", health),
        *(file(path, made) for path, made in playground.files().items()),
    ]

    async def elsewhere(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = f"{status}: no such address or method here" if status in (404, 405) else f"{status}"
        return openai_error(Refused(said, None, status))

    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: elsewhere})


def _release(service: Service | Front) -> dict[str, Handler]:
    """Return what is answered about a release, if the server has one."""
    if service.release is None:
        return {}
    from starmill.serving import attribution

    return {
        "/attribute": attribution.attribute,
        "/overlap": attribution.overlap,
        "/attribution": attribution.attribution,
        "/search": attribution.search,
    }


def _pages(service: Service | Front) -> dict[str, Callable[[Any, Request], Awaitable[Response]]]:
    """Return what is shown of a release, if the server has one."""
    if service.release is None:
        return {}
    from starmill.serving import attribution

    return {"/search": attribution.search_page, "/in/{owner}": attribution.owner_page}


class Pieces(Response):
    """A reply in pieces that ends when the client leaves, and tells errors in its last piece."""

    def __init__(self, stream: Stream, refused: Callable[[Exception], Response], deadline: float) -> None:
        """`deadline` in seconds of time.monotonic."""
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self.stream, self.refused, self.deadline = stream, refused, deadline
        self.done: Callable[[int], None] = lambda _: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        writing, gone = asyncio.ensure_future(self._write(send)), asyncio.ensure_future(_left(receive))
        status = GONE
        try:
            left = self.deadline - time.monotonic()
            await asyncio.wait({writing, gone}, timeout=left + 5, return_when=asyncio.FIRST_COMPLETED)  # 5 s for the last piece
            if writing.done():
                with suppress(OSError):
                    status = writing.result()
        finally:
            for task in (writing, gone):
                task.cancel()
            await asyncio.gather(writing, gone, return_exceptions=True)
            self.stream.close()
            self.done(status)

    async def _write(self, send: Send) -> int:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        status = 200
        try:
            async with asyncio.timeout(self.deadline - time.monotonic()):
                async for piece in self.stream.pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except Exception as error:
            told = self.refused(error)
            status = told.status_code
            await send({"type": "http.response.body", "body": event(msgspec.Raw(bytes(told.body))), "more_body": True})
            await send({"type": "http.response.body", "body": openai_api.DONE, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return status


async def _body(request: Request, service: Service | Front) -> bytes:
    """Return the body. Raises Refused for one that is too long, too slow, or no JSON by its own account."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("send the header Content-Type: application/json", None, 415)
    data, most = bytearray(), service.limits.body_bytes
    try:
        async with asyncio.timeout(service.limits.body_seconds):
            async for piece in request.stream():
                data += piece
                if len(data) > most:
                    raise Refused(f"the body has more than {most:,} bytes", None, 413)
    except TimeoutError:
        raise Refused(f"the body did not come within {service.limits.body_seconds:g} seconds", None, 408) from None
    return bytes(data)


async def _unless_gone(request: Request, work: Awaitable[Reply]) -> Reply:
    """Return what the work returns. Raises ClientDisconnect, with the work cancelled, once the client has left."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    except BaseException:
        working.cancel()
        (made,) = await asyncio.gather(working, return_exceptions=True)
        if isinstance(made, Stream):  # it was done just then
            made.close()
        raise
    finally:
        gone.cancel()


async def _left(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _admit(request: Request, key: str | None, hosts: Collection[str]) -> None:
    """Raise Refused for who has not the key, or asks for another host."""
    if hosts and request.url.hostname not in hosts:
        raise Refused(f"this server is called {' or '.join(sorted(hosts))}, by who asks for it", None, 403, "permission_error")
    if key is None:
        return
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), key.encode()):
        raise Refused("no key, or a wrong one; send the header Authorization: Bearer KEY", None, 401, "authentication_error")


def _json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(data), status, headers, "application/json")


def _known(error: Exception) -> Refused:
    """Return what is told of an error; one that nobody foresaw is logged, and told without its words."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, Busy):
        return Refused(f"{error}; try again soon", None, 429, "rate_limit_error")
    if isinstance(error, TimeoutError):
        return Refused("the answer took too long; ask for fewer tokens", None, 504, "timeout_error")
    if isinstance(error, Failed):
        return Refused("the model failed; the server's log says how", None, 500, "server_error")
    log.error("a request failed: %s", one_line(error), exc_info=error)
    return Refused("the server failed; its log says how", None, 500, "server_error")


def openai_error(error: Exception) -> Response:
    """Return an error as OpenAI tells it (`error`), with what llm-ls reads beside it (`detail`)."""
    known = _known(error)
    told = {"message": str(known), "type": known.kind, "param": known.field, "code": known.status}
    detail = [{"loc": known.field or "body", "msg": str(known), "type": known.kind}]
    return _json({"error": told, "detail": detail}, known.status, RETRY_AFTER if known.status == 429 else None)


def tgi_error(error: Exception) -> Response:
    """Return an error as Text Generation Inference tells it."""
    known = _known(error)
    kind = {400: "validation", 429: "overloaded", 500: "generation"}.get(known.status, known.kind)
    said = f"Input validation error: {known}" if known.status == 400 else str(known)
    status = {400: 422, 500: 424}.get(known.status, known.status)
    return _json({"error": said, "error_type": kind}, status, RETRY_AFTER if status == 429 else None)
