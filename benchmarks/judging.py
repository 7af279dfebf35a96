"""Verdicts a CPU second of the sandbox, beside EvalPlus's checker and a bare interpreter, in one run: `judging.py BENCHMARKS [--write]`.

HumanEval's canonical solutions and as many wrong ones, with the inputs of its own tests (HumanEval+'s base inputs). CPU seconds are of
all processes; EvalPlus and the interpreter isolate nothing. The verdicts must be equal.
"""

import argparse
import datetime
import gzip
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import report
import tools

from starmill.evaluation.sandbox import Job
from starmill.evaluation.sandbox.judge import Judge

CACHE = Path.home() / ".cache" / "starmill" / "peers"


def rows(place: Path) -> list[dict[str, Any]]:
    """Return right and wrong solutions with inputs and what is expected."""
    found = []
    with gzip.open(place / "humaneval_plus" / "HumanEvalPlus.jsonl.gz", "rt") as file:
        for line in file:
            row = json.loads(line)
            right = row["prompt"] + row["canonical_solution"]
            space: dict[str, Any] = {}
            exec(right, space)  # the benchmark's own solution
            inputs = list(row["base_input"])
            expected = [space[row["entry_point"]](*json.loads(json.dumps(case))) for case in inputs]
            if json.loads(json.dumps([inputs, expected])) != [inputs, expected]:
                continue  # tuples and sets, which JSON would change for the other two
            tests = f"for case, wanted in zip({inputs!r}, {expected!r}):\n    assert {row['entry_point']}(*case) == wanted\n"
            for code in (right, f"{row['prompt']}\n    return 'wrong'\n"):
                found.append(
                    {"code": code, "entry_point": row["entry_point"], "inputs": inputs, "expected": expected, "tests": tests,
                     "program": f"{code}\n{tests}"}
                )  # fmt: skip
    return found


def ours(given: list[dict[str, Any]]) -> tuple[list[bool], float]:
    """Return the verdicts, and the CPU seconds of the warm interpreter with all that it started."""
    with Judge() as judge:
        started = _cpu()
        passed = [verdict.passed for verdict in judge.judge(Job(row["code"], row["tests"]) for row in given)]
        return passed, _cpu() - started


def _cpu() -> float:
    times = [process.cpu_times() for process in [psutil.Process(), *psutil.Process().children(recursive=True)]]
    return sum(one.user + one.system for one in times) + sum(one.children_user + one.children_system for one in times[1:])


def main() -> None:
    """Measure, print and, with --write, append a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    given = rows(wanted.benchmarks)
    passed, cpu = ours(given)
    lines = [("starmill, two processes in namespaces", len(given) / cpu, passed)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "given.json"
        place.write_text(json.dumps(given))
        for name, python in (("evalplus", tools.environment("evalplus", CACHE)), ("interpreter", sys.executable)):
            usage = tools.run([python, str(tools.PEERS / "judging.py"), name, str(place)])
            lines.append((name, len(given) / usage.cpu, json.loads(usage.last)))
    heads = ("", "verdicts per CPU second", "ours beside it", "right ones passed", "wrong ones passed", "verdicts unlike ours")
    table = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, rate, each in lines:
        unlike = sum(a != b for a, b in zip(each, passed, strict=True))
        table.append(f"| {name} | {rate:.0f} | {lines[0][1] / rate:.2f} | {sum(each[::2])} | {sum(each[1::2])} | {unlike} |")
    where = f"{len(given)} solutions, {report.processor()}, Python {platform.python_version()}"
    text = "\n".join(("", f"## {datetime.date.today()}, {where}", "", *table, ""))
    print(text)
    if wanted.write:
        with open(Path(__file__).parent / "results" / "judging.md", "a") as file:
            file.write(text)


if __name__ == "__main__":
    main()
