"""Benchmarks of our own writing, two problems a file, in the layouts of the published ones; and a server that answers as it is told to."""

import csv
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import toys_bias
import toys_languages
import toys_repositories

from starmill.evaluation.data import known
from starmill.evaluation.run import run
from starmill.evaluation.tasks import TASKS

SHARED = Path(__file__).resolve().parents[3] / "shared/benchmarks"
TWICE = 'def twice(x: int) -> int:\n    """ Return two times x.\n    >>> twice(2)\n    4\n    """\n'
NONE = 'def nothing(x):\n    """ Return None, whatever x is. """\n'
CHAIN = """class Link:
    def __init__(self, v):
        self.v, self.next = v, None

def total(l):
    return l.v + (total(l.next) if l.next else 0)"""
CHECKS = {
    "twice": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n",
    "nothing": "def check(candidate):\n    assert candidate(1) is None\n",
}


def _functions() -> Iterator[tuple[str, str, str, str]]:
    yield "twice", TWICE, "    return 2 * x\n", "    return x * x\n"
    yield "nothing", NONE, "    return None\n", "    return x\n"


def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of each file of the table."""
    humaneval, plus, pack, multipl_e, infilling = [], [], [], [], []
    for number, (name, prompt, body, buggy) in enumerate(_functions()):
        test = CHECKS[name]
        called = test.replace("candidate", name) + f"\ncheck({name})"
        one = {
            "task_id": f"Toy/{number}",
            "prompt": f"\n\n{prompt}",
            "entry_point": name,
            "canonical_solution": body,
            "test": test,
        }
        humaneval.append(one)
        plus.append(one | {"base_input": [[2]], "plus_input": [[3], [-4]], "atol": 0})
        declared = prompt.partition("\n")[0] + "\n"
        pack.append(
            one
            | {
                "test": called,
                "declaration": declared,
                "buggy_solution": buggy,
                "docstring": "What it does.",
                "instruction": f"Write {name}.",
            }
        )
        multipl_e.append(one | {"test": called})
        infilling.append(one | {"prompt": prompt, "suffix": "    # the end\n", "task_id": f"Line/{number}"})
    plus[1] |= {"canonical_solution": "\n    return None if x else 0\n", "plus_input": [[0], [1]]}
    mbpp = [
        {
            "task_id": 10,
            "text": "Add one.",
            "code": "def inc(x):\r\n    return x + 1",
            "test_setup_code": "",
            "test_list": ["assert inc(1) == 2"],
            "challenge_test_list": [],
        },
        {
            "task_id": 11,
            "text": "Sum a chain.",
            "code": CHAIN,
            "test_setup_code": "a = Link(1)\na.next = Link(2)",
            "test_list": ["assert total(a) == 3"],
            "challenge_test_list": [],
        },
        {
            "task_id": 12,
            "text": "Look up.",
            "code": "def get(d, k):\n    return d.get(k)",
            "test_setup_code": "",
            "test_list": ["assert get({}, 1) is None"],
            "challenge_test_list": ["assert get({2: 3}, 1) is None"],
        },
    ]
    sanitized = [
        {
            "task_id": 3,
            "prompt": "Take the root.",
            "code": "import math\ndef root(x):\n    return math.sqrt(x)",
            "test_imports": ["import math"],
            "test_list": ["assert math.isclose(root(4), 2)"],
        }
    ]
    mbpp_plus = [
        {
            "task_id": "Mbpp/106",
            "entry_point": "join",
            "prompt": '"""\nJoin.\n"""\n',
            "canonical_solution": "\ndef join(a, b):\n    return b + tuple(a)\n",
            "base_input": [[[1], [2, 3]]],
            "plus_input": {},
            "atol": 0,
        },
        {
            "task_id": "Mbpp/252",
            "entry_point": "size",
            "prompt": '"""\nSize.\n"""\n',
            "canonical_solution": "\ndef size(z):\n    return abs(z)\n",
            "base_input": [["(3+4j)"]],
            "plus_input": [["1j"], ["nan"]][:1],
            "atol": 0,
        },
    ]
    crux = [
        {"id": "s0", "code": "def f(a, b):\n    return a + b", "input": "1, 2", "output": "3"},
        {"id": "s1", "code": "def f(d):\n    return sorted(d)", "input": "{'b': 1, 'a': 2}", "output": "['a', 'b']"},
    ]
    fim = [{"name": "n", "language": "x", "prompt": "a = 1\n", "suffix": "c = 3\n", "canonical_solution": "    b = 2"}] * 2
    gsm = [
        {"question": "One and one?", "answer": "1+1=2\n#### 2"},
        {"question": "A thousand and one?", "answer": "so\n#### 1,001"},
    ]
    hard = [{"input": "Half of three?", "target": 1.5}, {"input": "Nothing?", "target": 0.0}]
    edits = [
        {
            "full_name": "1_hello",
            "before": "def hello():\n    return 'hi'\n",
            "after": "def hello():\n    if 1 > 2:\n        return 'no'\n    return 'HI'\n",
            "tests": "assert hello() == 'HI'\n",
            "instruction_descriptive": "Make hello() return upper case.",
            "instruction_lazy": "Shout.",
        },
        {
            "full_name": "2_class",
            "before": "class A:\n    pass\n",
            "after": "class A:\n    x = 1\n",
            "tests": "class B(A):\n    pass\nassert B.x == 1\n",
            "instruction_descriptive": "Give A an x of 1.",
            "instruction_lazy": "Add x.",
        },
    ]
    found = {
        "humaneval/HumanEval.jsonl": humaneval,
        "humaneval_plus/HumanEvalPlus.jsonl": plus,
        "mbpp_plus/MbppPlus-dadf43d.jsonl": mbpp_plus,
        "mbpp/mbpp.jsonl": mbpp,
        "mbpp/sanitized-mbpp.json": sanitized,
        "multipl_e/humaneval-python.jsonl": multipl_e,
        "humanevalpack/humanevalpack-python.jsonl": pack,
        "gsm8k/gsm8k-test.jsonl": gsm,
        "gsm8k/gsmhardv2.jsonl": hard,
        "cruxeval/cruxeval.jsonl": crux,
        "canitedit/canitedit.jsonl": edits,
        **{name: fim for name in known() if name.startswith("santacoder_fim/")},
        **toys_languages.rows(),
        **toys_repositories.rows(),
        **toys_bias.rows(),
        **{name: infilling for name in known() if name.startswith("humaneval_infilling/")},
    }
    assert {*found} == {*known()}
    return found


def _text(name: str, each: list[dict[str, Any]]) -> str:
    ending = name.rpartition(".")[2]
    if ending == "txt":
        return "".join(f"{row['line']}\n" for row in each)
    if ending in ("csv", "tsv"):
        out = io.StringIO()
        rows = csv.DictWriter(out, [*each[0]], delimiter="\t" if ending == "tsv" else ",")
        rows.writeheader()
        rows.writerows(each)
        return out.getvalue()
    if ending == "json":
        return json.dumps({row["name"]: row["value"] for row in each} if "value" in each[0] else each)
    return "".join(f"{json.dumps(row)}\n" for row in each)


def write(folder: Path) -> Path:
    """Write all files below a folder, as they are published."""
    for name, each in rows().items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_text(name, each))
    return folder


def loaded(name: str, folder: Path) -> run.Loaded:
    """A task with its toy problems."""
    return run.load(TASKS[name], folder, any_version=True)


def fixed(name: str) -> list[Any]:
    """The toy problems of a task, read without a file."""
    table = rows()
    return TASKS[name].read({file: table[file] for file in TASKS[name].files})


@contextmanager
def serving(answer: Callable[[dict[str, Any], int], tuple[int, Any, dict[str, str]]]) -> Iterator[str]:
    """The URL of a server of completions; `answer` takes a request and how many of its prompt came before, and gives JSON or bytes."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                asked = json.dumps(body["messages"]) if "messages" in body else body["prompt"]
                turn = seen[asked]
                seen[asked] += 1
            status, said, headers = answer(body | {"path": self.path, "key": self.headers.get("Authorization")}, turn)
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def text(said: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """A completion as the API gives it."""
    return 200, {"choices": [{"text": said, "finish_reason": "stop"}]}, {}
