"""A double of a hub of data sets: the answers that huggingface_hub's file system asks for, from a folder, with a count of the bytes."""

import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Hub(http.server.ThreadingHTTPServer):
    """Serves `folder` as the data set owner/name; `sent` counts the bytes of files that it gave, `asked` the requests."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.folder, self.sent, self.asked = folder, 0, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *said: object) -> None: ...

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path.partition("?")[0])
        self.server.asked.append(f"{self.command} {self.path}")
        if path.startswith("/api/datasets/owner/name/tree/main"):
            below = path.removeprefix("/api/datasets/owner/name/tree/main").strip("/")
            return self.say(200, json.dumps(self.tree(below)).encode())
        if path.startswith("/api/datasets/owner/name"):
            return self.say(200, json.dumps({"id": "owner/name", "_id": "1", "sha": "ab" * 20, "siblings": []}).encode())
        if found := re.fullmatch(r"/datasets/owner/name/resolve/[^/]+/(.*)", path):
            file = self.server.folder / found[1]
            if file.is_file():
                return self.give(file.read_bytes())
        return self.say(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append(f"POST {self.path}")
        everything = {entry["path"]: entry for entry in self.tree("")}
        self.say(200, json.dumps([everything[p] for p in asked.get("paths", []) if p in everything]).encode())

    def tree(self, below: str) -> list[dict]:
        files = [p for p in sorted(self.server.folder.rglob("*")) if p.is_file() or p.is_dir()]
        shown = [(p, str(p.relative_to(self.server.folder))) for p in files]
        return [
            {
                "type": "directory" if p.is_dir() else "file",
                "oid": f"{p.stat().st_mtime_ns:040x}",
                "path": name,
                "size": p.stat().st_size,
            }
            for p, name in shown
            if not below or name.startswith(f"{below}/")
        ]

    def give(self, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        part = data[int(asked[1]) : int(asked[2] or len(data)) + 1] if asked else data
        more = {"Content-Range": f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(data)}"} if asked else {}
        self.server.sent += len(part) if self.command == "GET" else 0
        self.say(206 if asked else 200, part, {"ETag": '"1"', "X-Repo-Commit": "ab" * 20, **more})

    def say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """Serve a folder in the block."""
    with Hub(folder) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()
