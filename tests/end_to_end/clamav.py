"""Debian's clamd with signatures of a test's own, which find a harmless word; `make clamd` keeps one in the foreground.

No data base comes with ClamAV, and none is fetched: two files of a line each are one.
"""

import hashlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

WORD = "starmill-test-of-malware-" + "in-a-text"  # found anywhere in a text
WHOLE = "print('found " + "by its hash')\n"  # found as a whole text
BODY, HASH = "Starmill.Test.Word.UNOFFICIAL", "Starmill.Test.Hash.UNOFFICIAL"
CONFIGURATION = """LocalSocket {folder}/clamd.sock
LocalSocketMode 600
TCPSocket {port}
TCPAddr 127.0.0.1
DatabaseDirectory {folder}/signatures
Foreground yes
StreamMaxLength {stream}
LogFile {folder}/clamd.log
SelfCheck 0
"""


@dataclass
class Clamd:
    """A daemon that listens at `socket` and at `tcp`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> str:
        return str(self.folder / "clamd.sock")

    @property
    def tcp(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def running(stream: str = "2M") -> Iterator[Clamd]:
    """Run one in the block. Skips the test where Debian's clamav-daemon is not installed."""
    program = shutil.which("clamd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("NOT RUN: no clamd (Debian: apt-get install clamav-daemon)")
    folder = Path(tempfile.mkdtemp(prefix="clamd-"))  # the path of a socket has 107 characters at most
    try:
        (folder / "signatures").mkdir()
        (folder / "signatures/own.ndb").write_text(f"Starmill.Test.Word:0:*:{WORD.encode().hex()}\n")
        (folder / "signatures/own.hdb").write_text(
            f"{hashlib.md5(WHOLE.encode()).hexdigest()}:{len(WHOLE)}:Starmill.Test.Hash\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / "clamd.conf").write_text(CONFIGURATION.format(folder=folder, port=port, stream=stream))
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([program, "--config-file", str(folder / "clamd.conf")], **quiet)
        try:
            made = Clamd(folder, port, process)
            until = time.monotonic() + 60
            while not (folder / "clamd.sock").exists():
                assert process.poll() is None and time.monotonic() < until, (folder / "clamd.log").read_text()[-2000:]
                time.sleep(0.05)
            yield made
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running(stream="25M") as started:
        print(
            f"clamd finds {WORD!r}; --set release.malware.socket={started.socket} (or {started.tcp}); Ctrl-C ends it",
            flush=True,
        )
        try:
            sys.exit(started.process.wait())
        except KeyboardInterrupt:
            sys.exit(0)
