"""A double of a hub that takes a data set: what huggingface_hub asks for when it creates one, lists it, sends files and commits."""

import base64
import hashlib
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager


class WritableHub(http.server.ThreadingHTTPServer):
    """Holds data sets: `sets[name][path]` is a file's bytes, `large` the large ones. `sent` names uploads, `fails` what is refused."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.sets: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}  # by sha256
        self.private: dict[str, bool] = {}
        self.sent: list[str] = []
        self.commits = 0
        self.tokens: set[str] = set()
        self.fails = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(http.server.BaseHTTPRequestHandler):
    server: WritableHub
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet

    def log_message(self, *said: object) -> None: ...

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path.partition("?")[0])
        if self.server.fails and self.server.fails in path:
            return self.say(403, {"error": "not for you"})
        found = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/[^/]+/?", path)
        if found is None or found[1] not in self.server.sets:
            return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        entries = []
        for name, data in sorted(self.server.sets[found[1]].items()):
            sha256 = hashlib.sha256(data).hexdigest()
            large = {"lfs": {"oid": sha256, "size": len(data), "pointerSize": 130}} if sha256 in self.server.large else {}
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entries.append({"type": "file", "path": name, "size": len(data), "oid": git, **large})
        self.say(200, entries)

    def do_POST(self) -> None:
        data, path = self.body(), urllib.parse.unquote(self.path.partition("?")[0])
        self.server.tokens.add(self.headers.get("Authorization", ""))
        if self.server.fails and self.server.fails in path:
            return self.say(400, {"error": "not today"})
        if path == "/api/repos/create":
            asked = json.loads(data)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.server.sets.setdefault(name, {".gitattributes": b"*.parquet filter=lfs\n"})
            self.server.private.setdefault(name, asked.get("visibility") == "private" or bool(asked.get("private")))
            return self.say(200, {"url": f"{self.server.url}/datasets/{name}"})
        if path == "/api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/preupload/main", path):
            asked = json.loads(data)["files"]
            modes = (
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith((".parquet", ".gz")) else "regular"}
                for f in asked
            )
            return self.say(200, {"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        if path.endswith("/info/lfs/objects/batch"):
            objects = []
            for one in json.loads(data)["objects"]:
                actions = {"upload": {"href": f"{self.server.url}/upload/{one['oid']}"}}
                objects.append({**one, **({} if one["oid"] in self.server.large else {"actions": actions})})
            return self.say(200, {"transfer": "basic", "objects": objects})
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/commit/main", path):
            files = self.server.sets[found[1]]
            for line in data.splitlines():
                operation = json.loads(line)
                key, value = operation["key"], operation["value"]
                if key == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif key == "lfsFile":
                    files[value["path"]] = self.server.large[value["oid"]]
                elif key == "deletedFile":
                    del files[value["path"]]
            self.server.commits += 1
            oid = f"{self.server.commits:040x}"
            return self.say(
                200, {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/datasets/{found[1]}/commit/{oid}"}
            )
        return self.say(404, {"error": path})

    def do_PUT(self) -> None:
        data = self.body()
        if self.server.fails and self.server.fails in self.path:
            return self.say(400, {"error": "not today"})
        sha256 = self.path.rpartition("/")[2].partition("?")[0]
        assert hashlib.sha256(data).hexdigest() == sha256
        self.server.large[sha256] = data
        self.server.sent.append(sha256)
        self.say(200, {})

    def say(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def taking() -> Iterator[WritableHub]:
    """Serve an empty hub in the block."""
    with WritableHub() as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()
