"""Run a command and write its seconds, CPU seconds and peak KiB, with its children's, as JSON: measured.py USAGE.json COMMAND ...

A process of its own because a child's peak memory begins at its parent's when it was started: this parent is small. Children that nobody
waited for become this one's, and count: those that end within ten seconds of the command.
"""

import ctypes
import json
import os
import resource
import sys
import time

PR_SET_CHILD_SUBREAPER = 36

ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
started = time.monotonic()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status = os.waitpid(process, 0)
wall = time.monotonic() - started
try:
    while time.monotonic() < started + wall + 10:
        if os.waitpid(-1, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
except ChildProcessError:  # none is left
    pass
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
sys.exit(status and 1)
