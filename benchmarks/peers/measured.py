"""Run a command and write its seconds, CPU seconds and peak KiB, with its children's, as JSON: measured.py USAGE.json COMMAND ...

A process of its own because a child's peak memory begins at its parent's when it was started: this parent is small.
"""

import json
import os
import sys
import time

started = time.monotonic()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as file:
    json.dump([time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
sys.exit(status and 1)
