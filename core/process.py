"""A process that must not outlive the one that started it."""

import os
import threading
import time


def die_with(parent: int) -> None:
    """End this process, from a thread, within a second after its parent with that id is gone: a killed parent cannot tell it to.

    The parent names itself, since it may be gone before this process asks who it is. Nothing is cleaned up; the exit status is 1.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
