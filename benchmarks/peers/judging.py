"""Judges solutions of HumanEval+ as EvalPlus does, or as a bare interpreter a program would: `python judging.py HOW FILE`.

FILE: JSON, a list of objects with code, entry_point, inputs, expected, program. Prints a JSON list of whether each passed.
"""

import json
import subprocess
import sys
import tempfile


def by_evalplus(rows: list[dict]) -> list[bool]:
    """EvalPlus's own: one forked process a solution, with the guard that its documentation calls no sandbox."""
    from evalplus.eval import PASS, untrusted_check

    found = []
    for row in rows:
        times = [0.5] * len(row["inputs"])
        said = untrusted_check("humaneval", row["code"], row["inputs"], row["entry_point"], row["expected"], 0, times, True)
        found.append(said[0] == PASS)
    return found


def by_interpreter(rows: list[dict]) -> list[bool]:
    """A new interpreter a program, whose exit status is believed."""
    found = []
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-I", "-c", row["program"]], cwd=folder, capture_output=True, timeout=60)
        found.append(done.returncode == 0)
    return found


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        given = json.load(file)
    print(json.dumps({"evalplus": by_evalplus, "interpreter": by_interpreter}[sys.argv[1]](given)))
