"""The process that parses ends with whoever asks it, and its time is linear in what grammars are known to be slow on."""

import socket
import subprocess
import sys

from starmill.core import messages
from starmill.transforms.measure.syntax import CHILD


def test_it_answers_in_order_and_ends_when_nobody_asks() -> None:
    ours, its = socket.socketpair()
    with its:
        child = subprocess.Popen([sys.executable, "-m", CHILD, str(its.fileno())], pass_fds=[its.fileno()])
    messages.send(ours, [["python", "x = 1", False], ["c", "int a = ;", False], ["python", "x = $$ 1", False]])
    first, second, third = (messages.receive(ours) for _ in range(3))
    assert (first, third) == (0.0, 0.25) and 0 < second < 1
    ours.close()
    assert child.wait(timeout=60) == 0
