"""The decisions of starcoder2-self-align's own code, and ours, on the same responses, filter by filter; and how fast both verify.

    .venv/bin/python benchmarks/alignment.py CHECKOUT [--copies 40] [--theirs PYTHON]

CHECKOUT: a clone of https://github.com/bigcode-project/starcoder2-self-align (0b19dbc ran last). Responses are the examples that ship, each
as it is and changed in the ways of CHANGES. Their functions are taken out of their files, whose ends (models, hubs) are left out: what
extract_code finds is executed by a forked process, as their execution filter does, without the guard of EvalPlus, which needs a
package; then sanitize_data's filter with RAW. A difference is listed with our reason.

--theirs: an interpreter that has what their execution_filter.py imports (evalplus 0.3.1, fire, tqdm, openai, tenacity, tiktoken,
transformers). Then their whole program verifies the same responses with one worker; of it and of ours the start is subtracted, by a run of
a tenth of them. The seconds of processors count all processes.
"""

import argparse
import ast
import functools
import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starmill.alignment.prompts import Prompts
from starmill.alignment.read import Reason, Response, response
from starmill.alignment.recipe import Verify
from starmill.alignment.verify import verified
from starmill.evaluation.sandbox.judge import Judge

SANITIZE = "filter_x incomplete_substrings removing_tests removing_explanation removing_reasoning removing_comments"
SANITIZE += " removing_incomplete codeonly augmentation_prob keep_raw_format smart"
CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "no explanation": lambda text: text.replace("[Explanation]\n", ""),
    "two explanations": lambda text: text.replace("[Explanation]", "[Explanation]\n[Explanation]"),
    "tests first": lambda text: text.replace("[Tests]", "[x]").replace("[Reasoning]", "[Tests]").replace("[x]", "[Reasoning]"),
    "text behind": lambda text: f"{text}\n\nI hope that this helps.",
    "a block behind": lambda text: f"{text}\n\n```\nok\n```",
    "a second test": lambda text: f"{text}\n```python\nassert True\n```",
    "no fences": lambda text: text.replace("```", ""),
    "the last fence open": lambda text: text[: text.rindex("```")],
    "code without language": lambda text: text.replace("```python", "```", 1),
    "code of another language": lambda text: text.replace("```python", "```java", 1),
    "no assertions": lambda text: re.sub(r"assert .*", "print(1)", text),
    "a wrong assertion": lambda text: text.replace("assert ", "assert not ", 1),
    "a false one more": lambda text: text[: text.rindex("```")] + "assert False\n```",
    "tests in a function that is not called": lambda text: _not_called(text),
    "tests behind a main block": lambda text: _not_called(text, "\n\nif __name__ == '__main__':\n    check()"),
    "a syntax error in the code": lambda text: text.replace("def ", "def (", 1) if "def " in text else text.replace(":", "", 1),
    "an exit in the code": lambda text: text.replace("```python\n", "```python\nimport sys\nsys.exit(0)\n", 1),
    "an endless loop": lambda text: text.replace("```python\n", "```python\nwhile True:\n    pass\n", 1),
    "a mark in the text": lambda text: text.replace("[Explanation]\n", "[Explanation]\nSee [Tests] below. "),
    "blocks of py": lambda text: text.replace("```python", "```py"),
}


def _not_called(text: str, more: str = "") -> str:
    before, found, after = text.rpartition("```python\n")
    body = after[: after.rindex("```")]
    return f"{before}{found}def check():\n" + "".join(f"    {line}\n" for line in body.splitlines()) + f"{more}\n```"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--copies", type=int, default=40, help="of each example, for the rates")
    parser.add_argument("--theirs", type=Path, help="an interpreter for their execution_filter.py")
    options = parser.parse_args()
    extract, keeps = theirs(options.checkout / "src/star_align")
    shots = [shot["response"] for shot in Prompts().shots if "response" in shot]
    table: Counter[str] = Counter()
    with Judge() as judge:
        for name, change in CHANGES.items():
            for text in map(change, shots):
                code = extract(text)
                passes = (
                    bool(code)
                    and subprocess.run([sys.executable, "-I", "-c", _limited(code)], capture_output=True).returncode == 0
                )
                peer = f"kept: {'yes' if passes and keeps(text) else 'no'}"
                found = response(text)
                reason = found if isinstance(found, Reason) else next(verified(judge, [found], Verify(cpu_seconds=2.0)))
                mine = f"kept: {'yes' if reason is None else 'no'}"
                same = "alike" if mine == peer else f"OTHERWISE: ours {reason.reason if reason else 'kept'}, theirs {peer}"
                table[f"{name}: {same}{f' ({reason.reason})' if reason and mine == peer else ''}"] += 1
        for what, count in table.items():
            print(f"  {count:3}  {what}")
        some = [found for text in shots * options.copies if isinstance(found := response(text), Response)]
        began = time.perf_counter()
        assert all(why is None for why in verified(judge, some, Verify(runs=1)))
        ours = len(some) / (time.perf_counter() - began)
    began = time.perf_counter()
    for text in shots * options.copies:
        assert forked(extract(text))
    print(
        f"  ours {ours:.0f} responses/s, isolated, one worker; a forked process each {len(some) / (time.perf_counter() - began):.0f}/s"
    )

    if options.theirs:
        texts = shots * options.copies
        for name, run in (("ours", ours_on), ("theirs", functools.partial(program, options.theirs, options.checkout))):
            few, many = (timed(run, texts[:count]) for count in (len(texts) // 10, len(texts)))
            count = len(texts) - len(texts) // 10
            print(
                f"  {name}: {count / (many[0] - few[0]):.0f} responses/s, {1e3 * (many[1] - few[1]) / count:.1f} ms of processors each"
            )


def timed(run: Callable[[list[str]], int], texts: list[str]) -> tuple[float, float]:
    """Return the seconds of the clock, and of processors of all processes, in which all texts are verified."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    began = time.perf_counter()
    print(f"  {run(texts):,} of {len(texts):,} pass")
    seconds = time.perf_counter() - began
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return seconds, sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))


def ours_on(texts: list[str]) -> int:
    """Return how many pass with us."""
    with Judge() as judge:
        found = [one for one in map(response, texts) if isinstance(one, Response)]
        return sum(why is None for why in verified(judge, found, Verify(runs=1)))


def program(python: Path, checkout: Path, texts: list[str]) -> int:
    """Return how many pass by their execution_filter.py with one worker."""
    with tempfile.TemporaryDirectory() as place:
        asked, told = Path(place, "asked.jsonl"), Path(place, "told.jsonl")
        asked.write_text("".join(json.dumps({"instruction": "Write it.", "response": text}) + "\n" for text in texts))
        words = [python, checkout / "src/star_align/execution_filter.py", f"--response_path={asked}", f"--result_path={told}"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout / "src")}
        subprocess.run([*words, "--max_workers=1"], env=environment, check=True, capture_output=True)
        return len(told.read_text().splitlines())


def theirs(folder: Path) -> tuple[Callable[[str], str], Callable[[str], bool]]:
    """Return their extract_code and their sanitizing filter."""
    tools = taken(folder / "utils.py", "find_code_blocks find_codeblock_indices remove_comments_from_code_blocks")
    extract = taken(folder / "execution_filter.py", "extract_code is_compilable")["extract_code"]
    os.environ["RAW"] = "1"
    sanitize = taken(folder / "sanitize_data.py", SANITIZE, **tools)
    return extract, lambda text: bool(sanitize["filter_x"]({"response": text, "instruction": "Write it."}))


def taken(place: Path, names: str, **beside: Any) -> dict[str, Any]:
    """Return what a file defines by these names, with nothing else of it executed but its imports of the standard library."""
    import random

    space: dict[str, Any] = {"re": re, "ast": ast, "os": os, "random": random, **beside}
    for node in ast.parse(place.read_text()).body:
        defined = {getattr(target, "id", "") for target in getattr(node, "targets", ())} | {getattr(node, "name", "")}
        if isinstance(node, ast.AnnAssign):
            defined.add(getattr(node.target, "id", ""))
        if defined & {*names.split()}:
            exec(compile(ast.Module([node], []), place.name, "exec"), space)
    return space


def _limited(code: str) -> str:
    return f"import resource\nresource.setrlimit(resource.RLIMIT_CPU, (4, 4))\nexec({code!r}, {{'__name__': '__main__'}})"


def forked(code: str) -> bool:
    """Execute a program as fork_run does, without a guard."""
    process = multiprocessing.get_context("fork").Process(target=exec, args=(code, {"__name__": "x"}))
    process.start()
    process.join(10)
    return process.exitcode == 0


if __name__ == "__main__":
    main()
