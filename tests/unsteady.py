"""Run the few tests that failed beside others once more, alone, and name in a box those that pass then.

Tests of killed processes share a machine with others, and one that waits for the wrong of two true outcomes fails once in many
runs. It is a defect and is named as one; it does not hide what the other thousands of tests say. More than three failures, a process
that died and a failure that is repeated stay failures.
"""

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
SOME_FAILED = 1  # pytest's exit status; all others say that the run itself went wrong


def main(status: int, pytest: list[str]) -> int:
    """Return the exit status of the whole: 0 where each test that failed with `status` passes in `pytest` alone."""
    found = Path(".pytest_cache/v/cache/lastfailed")
    if status != SOME_FAILED or not found.exists():
        return status
    failed = sorted(json.loads(found.read_text()))
    if not 1 <= len(failed) <= MOST:
        return status
    again = subprocess.run([*pytest, *failed]).returncode
    if again == 0:
        line = "*" * 80
        print("", line, "UNSTEADY: failed beside other tests and passed alone. Mend:", *failed, line, sep="\n", flush=True)
    return again


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
