"""A content store on loopback that goes wrong as a test says: statuses, headers, cut, slow and endless bodies, connections reset."""

import gzip
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from starmill.core.swhid import blob_id

CUT, RESET, ENDLESS, SLOW, SILENT = 0, -1, -2, -3, -4  # what goes wrong, beside statuses
XML = b"<?xml version='1.0'?><Error><Code>InvalidRange</Code><Message>The requested range is not satisfiable</Message></Error>"


class Contents(ThreadingHTTPServer):
    """Gives `objects` by their names; first each name's `failures`. `headers` are those of every answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.objects: dict[str, bytes] = {}
        self.failures: dict[str, list[int]] = {}
        self.headers: dict[str, str] = {}
        self.asked, self.sent, self.methods = Counter[str](), Counter[str](), Counter[str]()
        self.moments: list[float] = []  # when requests came
        self.now, self.together, self.lock = 0, 0, threading.Lock()
        self.pause = 0.0  # seconds before each answer
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/content"

    def put(self, *texts: bytes) -> None:
        self.objects |= {blob_id(text): gzip.compress(text, mtime=0) for text in texts}

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away."""


class Answers(BaseHTTPRequestHandler):
    server: Contents
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        server, name = self.server, self.path.rsplit("/", 1)[-1].partition("?")[0]
        with server.lock:
            server.asked[name] += 1
            server.methods[self.command] += 1
            server.moments.append(time.monotonic())
            server.now += 1
            server.together = max(server.together, server.now)
            failing = server.failures.get(name, [])
            status = failing.pop(0) if failing else 200 if name in server.objects else 404
        try:
            server.ending.wait(server.pause)
            with suppress(OSError):
                self.give(name, status)
        finally:
            with server.lock:
                server.now -= 1

    do_HEAD = do_GET

    def give(self, name: str, status: int) -> None:
        data, server = self.server.objects.get(name, b""), self.server
        if status in (RESET, SILENT):
            if status == SILENT:
                server.ending.wait()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        if status == 416:
            data = XML
        self.send_response(status if status > 0 else 200)
        for header, value in server.headers.items():
            self.send_header(header, value)
        if status == ENDLESS:
            self.end_headers()
            self.close_connection = True
            while not server.ending.is_set():
                self.wfile.write(b"\0" * 65536)
                server.sent[name] += 65536
            return
        shown = data if status in (CUT, SLOW, 200, 416) else b""
        self.send_header("Content-Length", str(len(shown)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if status == SLOW:
            for at in range(len(shown)):
                self.wfile.write(shown[at : at + 1])
                if server.ending.wait(0.2):
                    return
        else:
            self.wfile.write(shown[: len(shown) // 2] if status == CUT else shown)
        self.close_connection = status == CUT


@contextmanager
def contents() -> Iterator[Contents]:
    """Run an empty store."""
    with Contents() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()
