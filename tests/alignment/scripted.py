"""A model of a script, behind a server: right, wrong, malformed, cut off, refused, slow, busy, broken and dead in the middle.

Ten seeds; WANTED says what must come of them, stage by stage.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from starmill.alignment.recipe import AlignRecipe, Asked, Respond, Select, Verify
from starmill.alignment.stages import seeds_of
from starmill.core import seeds

SEEDS = 10
SAMPLES = 3
FILES = (6, 4)  # seeds in each file
WANTED = {
    "judge": (12, 10 - 2, {"judged_no": 2, "not_a_seed": 1, "not_verified_here": 1}),
    "concepts": (8, 7, {"malformed": 1}),
    "instruct": (7, 4, {"another_language": 1, "cut_off": 1, "refused": 1}),
    "respond": (12, 6, {"not_answered": 3, "cut_off": 1, "sections": 1, "tests_not_invoked": 1}),
    "verify": (6, 3, {"failed_wrong": 2, "failed_cpu": 1}),
    "select": (3, 2, {"another_response": 1}),
}
REQUESTS = 10 + 8 + 7 + 12
RETRIES = 3


def snippet(i: int) -> str:
    return f'def keep_{i}(items):\n    """Return the items above {i}."""\n    return [item for item in items if item > {i}]\n'


def rows(begin: int, end: int) -> list[dict[str, Any]]:
    lineage = {"repository": "https://example.org/a", "path": "/a.py", "licenses": ["MIT"]}
    return [
        {"seed": snippet(i), "language": "Python", "swhid": f"swh:1:cnt:{i:040x}", "lines": [1 + 4 * i, 3 + 4 * i], **lineage}
        for i in range(begin, end)
    ]


def write_seeds(folder: Path) -> Path:
    folder.mkdir(parents=True)
    first = [json.dumps(row) for row in rows(0, FILES[0])]
    second = [json.dumps(row) for row in rows(FILES[0], SEEDS)]
    other = json.dumps({**rows(0, 1)[0], "language": "Go"})
    (folder / "part-00000.jsonl").write_text("\n".join([*first, "{torn", ""]))
    (folder / "part-00001.jsonl").write_text("\n".join([other, *second, ""]))
    return folder


def recipe(workspace: Path, folder: Path, url: str, **more: Any) -> AlignRecipe:
    values = {
        "judge": Asked(3, 0.0, max_new_tokens=5),
        "concepts": Asked(3),
        "instruct": Asked(3),
        "respond": Respond(1, samples=SAMPLES),
        "verify": Verify(cpu_seconds=1.0),
        "select": Select(),
        "at_once": 3,
    }
    return AlignRecipe(str(workspace), str(folder), "scripted", endpoint=url, **{**values, **more})


def response(i: int, value: str, tests: str | None = None, loops: bool = False) -> str:
    said = tests if tests is not None else f"assert task_{i}([-1, {i + 5}]) == [{i + 5}]\nassert task_{i}([]) == []"
    body = "    while True:\n        pass\n" if loops else f"    # what is above\n    return {value}\n"
    return (
        f"[Reasoning]\nCompare each item of list {i}.\n\n[Implementation]\n```python\ndef task_{i}(items):\n{body}```\n\n"
        f"[Explanation]\nOne pass.\n\n[Tests]\n```python\n{said}\n```\nThat is all."
    )


@dataclass
class Script:
    """What the server knows, and what it was asked: `answered` counts requests by (stage, seed, sample)."""

    names: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    attempts: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    answered: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    told: Callable[[int], None] = lambda _: None  # how many were answered, after each

    @classmethod
    def of(cls, folder: Path, seed: int = 3407) -> "Script":
        """Know each request by its seed, which is of its name."""
        script, known = cls(), set[str]()
        made = [row for place in sorted(folder.iterdir()) for row in seeds_of(place.name, place.read_bytes(), known).kept]
        for i, row in enumerate(made):
            for stage, each in (("judge", 1), ("concepts", 1), ("instruct", 1), ("respond", SAMPLES)):
                for n in range(each):
                    script.names[seeds.uint64(seed, "evaluate", f"align/{stage}/{row['name']}/{n}") >> 33] = (stage, i, n)
        return script

    def answer(self, at: tuple[str, int, int], turn: int) -> tuple[int, str, str]:
        """Status, text and why it ends, of the request's `turn`; status 0: dead in the middle."""
        stage, i, n = at
        if turn == 0 and at in (("concepts", 0, 0), ("concepts", 1, 0)):
            return (429, 500)[i], "", ""
        if turn == 0 and at == ("instruct", 3, 0):
            return 0, "", ""
        if stage == "judge":
            return 200, {8: " No", 9: " Yes and no"}.get(i, " Yes"), "length"
        if stage == "concepts":
            return 200, "### Snippet" if i == 7 else f" filter lists, topic {i}\n", "stop"
        if stage == "instruct":
            return {
                4: (200, "编写一个函数，返回列表中的项目。", "stop"),
                5: (200, "I'm sorry, I cannot help with that.", "stop"),
                6: (200, "Write a function that", "length"),
            }.get(i, (200, f"Write a function `task_{i}(items)` of the items above {i}.\n", "stop"))
        right = response(i, f"[item for item in items if item > {i}]")
        return {
            (0, 1): (200, response(i, "items"), "stop"),
            (1, 0): (200, "Here is some code.", "stop"),
            (1, 1): (200, response(i, "[]", "def test():\n    assert task_1([]) == []"), "stop"),
            (2, 0): (200, response(i, "[0]"), "stop"),
            (2, 1): (200, right[:60], "length"),
            (2, 2): (200, response(i, "", loops=True), "stop"),
            (3, n): (400, "", ""),
        }.get((i, n), (200, right, "stop"))


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The URL of a server that plays the script."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            at = script.names[body["seed"]]
            with lock:
                turn = script.attempts[at]
                script.attempts[at] += 1
                script.bodies.append(body)
            status, text, ended = script.answer(at, turn)
            if at == ("respond", 0, 2):
                time.sleep(0.05)
            used = {"prompt_tokens": 100, "completion_tokens": 10}
            said = {"choices": [{"text": text, "finish_reason": ended}], "usage": used} if status == 200 else {"error": "no"}
            data = json.dumps(said).encode()
            if status in (200, 400):
                with lock:
                    script.answered[at] += 1
            self.send_response(status or 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data if status else data[:9])
            if status in (200, 400):
                with lock:
                    script.told(script.answered.total())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02}).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
