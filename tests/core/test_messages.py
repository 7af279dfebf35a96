"""Messages arrive as they were sent, in order, in whatever pieces; an end and what is no message are told."""

import socket
import threading

import pytest

from starmill.core.messages import LONGEST, receive, send


def test_messages_arrive_in_order_and_whole() -> None:
    left, right = socket.socketpair()
    sent = [{"texts": ["é" * 3_000_000]}, [], None, {"a": 1.5}]
    thread = threading.Thread(target=lambda: [send(left, message) for message in sent])
    thread.start()
    assert [receive(right) for _ in sent] == sent
    thread.join()


def test_an_end_and_what_is_no_message() -> None:
    left, right = socket.socketpair()
    left.sendall((10).to_bytes(8, "little") + b"{}")
    left.close()
    with pytest.raises(EOFError):
        receive(right)
    left, right = socket.socketpair()
    left.sendall((LONGEST + 1).to_bytes(8, "little"))
    with pytest.raises(ValueError, match="a message of"):
        receive(right)
