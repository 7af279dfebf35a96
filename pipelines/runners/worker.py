"""A Beam worker process that ends with its driver or TaskManager, and does not log to the terminal.

A killed driver or TaskManager must leave no worker that writes into the workspace of the next run. A worker whose TaskManager died
before the worker connected would wait a minute for a channel, so each worker checks that a server listens at its control endpoint.
Logs go to the driver over Beam's logging channel: a worker's standard error is the user's terminal.
"""

import logging
import os
import re
import socket
import sys
import threading
import time

from starmill.core.process import die_with, note_into
from starmill.core.terminal import talking

REFUSALS = 4  # by the control endpoint, a second apart, after which the server counts as gone


def main() -> None:
    """Run Beam's worker until it is done or the driver is gone.

    Arguments: the driver's id; of a driver on this machine also the descriptor of the file for notes.
    """
    parent, *notes = map(int, sys.argv[1:])
    del sys.argv[1:]
    die_with(parent)
    for descriptor in notes:
        note_into(descriptor)
    if endpoint := re.search(r'"(.+):(\d+)"', os.environ.get("CONTROL_API_SERVICE_DESCRIPTOR", "")):
        threading.Thread(target=_die_without, args=(endpoint[1], int(endpoint[2])), daemon=True).start()
    logging.getLogger().addHandler(logging.NullHandler())  # or the first warning would install a handler that prints
    from apache_beam.runners.worker import sdk_worker, sdk_worker_main

    # Beam prints and logs the trace of what failed before it answers, with the same trace in the answer.
    sdk_worker.print = lambda *said, **to: None
    if notes:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    with talking():
        sdk_worker_main.main(sys.argv)


def _die_without(host: str, port: int) -> None:
    refusals = 0
    while refusals < REFUSALS:
        time.sleep(1)
        try:
            socket.create_connection((host, port), timeout=10).close()
            refusals = 0
        except ConnectionRefusedError:  # no server listens; other errors may pass
            refusals += 1
        except OSError:
            refusals = 0
    os._exit(1)


if __name__ == "__main__":
    main()
