"""Messages of two processes of one user over a socket: the length in eight bytes, little-endian, then JSON."""

import json
import socket
from typing import Any

LONGEST = 1 << 32  # bytes of a message: above, the other side speaks another language


def send(to: socket.socket, message: Any) -> None:
    """Send one message. Raises OSError."""
    data = json.dumps(message).encode()
    to.sendall(len(data).to_bytes(8, "little") + data)


def receive(of: socket.socket) -> Any:
    """Return the next message. Raises EOFError where the connection ended, ValueError for what is no message.

    >>> left, right = socket.socketpair()
    >>> send(left, {"texts": ["a"]})
    >>> receive(right)
    {'texts': ['a']}
    """
    size = int.from_bytes(_exactly(of, 8), "little")
    if size > LONGEST:
        raise ValueError(f"a message of {size:,} bytes")
    return json.loads(_exactly(of, size))


def _exactly(of: socket.socket, size: int) -> bytes:
    pieces, missing = [], size
    while missing:
        piece = of.recv(min(missing, 1 << 20))
        if not piece:
            raise EOFError("the connection ended")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
