"""What a process is at for long is named from beside it, also while C code holds Python's lock; it ends with that process."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Tells what it is at, holds the lock for four seconds, and is at something else then.
STUCK = """
import ctypes, json
from starmill.core import watch

watch.NAMED_SECONDS = 1.0
slot = watch.take()
at = {"stage": "curate", "step": "stuck", "part": 7, "of": "part 7", "rows": 1, "limit": None, "place": "w"}
at |= {"first": ["code", "me/x", "/a\\x1b[2J.py", "0"], "last": ["code", "me/x", "/jane.doe@real-site.org", "0"]}
watch.tell(slot, json.dumps(at).encode())
ctypes.PyDLL(None).sleep(5)
watch.tell(slot, json.dumps(at | {"rows": 1234}).encode())
ctypes.PyDLL(None).sleep(4)
print(watch._watcher.pid)
"""


def test_what_takes_long_is_named_once_escaped_and_without_personal_data() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=100)
    one, several = done.stderr.splitlines()  # and the pipe has closed: the process beside it has ended too
    assert one.startswith(r"curate    part 7: step stuck has been at me/x:/a\x1b[2J.py for "), done.stderr
    assert r"has been at 1,234 records (me/x:/a\x1b[2J.py to me/x:/<EMAIL-" in several


def test_what_changes_is_not_named() -> None:
    code = STUCK.replace("ctypes.PyDLL(None).sleep(5)", "watch.tell(slot, b'')").replace('"rows": 1234', '"rows": 2')
    code = code.replace("ctypes.PyDLL(None).sleep(4)", "watch.give(slot)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stderr == ""


def test_a_run_that_stands_still_has_no_record_that_takes_long() -> None:
    """Ctrl-Z stops a run and what watches it; once it goes on, nothing may have been left out."""
    code = (
        STUCK.replace('"limit": None', '"limit": 8.0')
        .replace("sleep(5)", "sleep(12)")
        .replace("print(", "watch.tell(slot, b'')\nprint(")
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as run:
        time.sleep(2)
        os.killpg(run.pid, signal.SIGSTOP)
        time.sleep(8)
        os.killpg(run.pid, signal.SIGCONT)
        said, _ = run.communicate(timeout=100)
    assert run.returncode == 0 and json.loads(said) > 0


def test_a_process_that_has_ended_by_itself_is_no_error(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    at = {"stage": "curate", "step": "stuck", "part": 7, "of": "part 7", "rows": 1, "limit": 0.1, "place": str(tmp_path)}
    what = json.dumps(at | {end: ["code", "me/x", "/a.py", "0"] for end in ("first", "last")}).encode()
    with tempfile.TemporaryFile() as board:
        board.write(b"%08d" % len(what) + what)
        board.flush()
        command = [sys.executable, "-m", "starmill.core.watch", str(board.fileno()), str(gone.pid), "9"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[board.fileno()]) as watcher:
            assert watcher.stderr and b"takes longer than 0.1 s" in (said := watcher.stderr.read())
    assert watcher.returncode == 0 and b"Traceback" not in said
