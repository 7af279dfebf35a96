"""The process in which functions are found: a grammar is C code that others wrote, and one that crashes ends this process alone.

It is asked over a socket (core/messages.py) for the functions of some texts, answers a message a text, and ends with its parent.
"""

import signal
import socket
import sys

import tree_sitter_language_pack
from tree_sitter import Parser

from starmill.core import messages
from starmill.pipelines.sources.functions.extract import functions
from starmill.pipelines.sources.functions.languages import LANGUAGES

ORPHAN_SECONDS = 3600  # after which a process ends that a grammar holds fast, and whose parent may be gone


def serve(asked: socket.socket) -> None:
    """Answer until the other side ends: pairs of a language and a text."""
    parsers: dict[str, Parser] = {}
    while True:
        try:
            request = messages.receive(asked)
        except EOFError:
            return
        for language, text in request:
            signal.alarm(ORPHAN_SECONDS)
            if language not in parsers:
                parsers[language] = Parser(tree_sitter_language_pack.get_language(LANGUAGES[language].grammar))  # type: ignore[arg-type]
            data = text.encode()
            messages.send(asked, functions(parsers[language].parse(data).root_node, data, language))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    serve(socket.socket(fileno=int(sys.argv[1])))
