"""A local worker process of Beam's own runner, which dies with its driver and keeps its logs to itself.

A killed driver must leave no worker behind that writes into the workspace of the next run. What a worker logs goes to the driver
over Beam's logging channel; its standard error is the user's terminal.
"""

import logging
import os
import shlex
import sys
import threading
import time


def command() -> str:
    """Return the shell command that starts a worker; `exec` makes it the driver's own child."""
    return f"exec {shlex.quote(sys.executable)} -m starmill.pipelines.worker {os.getpid()}"


def main() -> None:
    """Run Beam's worker until it is done or the driver is gone."""
    driver = int(sys.argv.pop(1))
    threading.Thread(target=_die_with, args=(driver,), daemon=True).start()
    logging.getLogger().addHandler(logging.NullHandler())  # or the first warning would install a handler that prints
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


def _die_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    main()
