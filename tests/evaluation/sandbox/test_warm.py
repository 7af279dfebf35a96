"""Attacks from the inside: each is run by a real sandbox of this machine, is stopped, and leaves the interpreter able to judge the next.

A candidate runs as an ordinary user in namespaces of its own, so that an attack that got through would harm nothing here either.
"""

import os
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import toolchains

from starmill.evaluation.sandbox import Job
from starmill.evaluation.sandbox.judge import Judge

# What an attack may raise, and then is stopped. Each returns what it got through to.
FRAME = """
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    if libc.syscall(*words) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def attack():
{body}
    return "through"
def stopped():
    try:
        return attack()
    except (OSError, MemoryError, ValueError, AttributeError, RuntimeError) as error:
        return "stopped"
"""
STOPPED = {
    "tcp": "socket.create_connection(('127.0.0.1', 80), 1)",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
    "listening": "socket.create_server(('127.0.0.1', 0))",
    "an abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0x')",
    "a raw socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a file outside": "open('/outside', 'w')",
    "a file in the standard library": "open(os.__file__, 'a')",
    "a file's mode outside": "os.chmod(os.__file__, 0o777)",
    "users": "open('/etc/passwd').read()",
    "a home": "os.listdir('/home') or os.listdir('/root/.ssh')",
    "environments of others": "open('/proc/1/environ').read()",
    "processes": "[open(f'/proc/{p}/stat') for p in os.listdir('/proc')][1]",
    "devices": "open('/dev/sda', 'rb')",
    "making a device": "os.mknod('sda', 0o60600, os.makedev(8, 0))",
    "signals to others": "os.kill(2, 9)",
    "signals to all": "os.kill(-1, 9)",
    "a look into others": "call(101, 16, 2, 0, 0)",
    "another's memory": "call(310, 2, 0, 0, 0, 0, 0)",
    "a user namespace": "call(272, 0x10000000)",
    "a mount namespace": "call(272, 0x20000)",
    "a namespace by clone": "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "another's namespace": "call(308, 0, 0)",
    "a mount": "call(165, b'none', b'/candidate', b'tmpfs', 0, 0)",
    "unmounting": "call(166, b'/candidate', 2)",
    "a root": "os.chroot('/candidate')",
    "the administrator": "os.setuid(0)",
    "the administrator's group": "os.setgid(0)",
    "a set-user-id program": "open('p', 'wb').write(b'#!/bin/sh'); os.chown('p', 0, 0)",
    "keys of the kernel": "call(250, 0, -3)",
    "programs of the kernel": "call(321, 0, 0, 0)",
    "counters of the kernel": "call(298, 0, 0, -1, -1, 0)",
    "rings of the kernel": "call(425, 1, 0)",
    "page faults": "call(323, 0)",
    "another personality": "call(135, 0x0040000)",
    "the clock": "call(227, 0, b'0' * 16)",
    "the host's name": "socket.sethostname('other')",
    "a way out": "os.symlink('/etc/passwd', 'way'); open('way').read()",
    "a way out by its name": "open('../../../../../etc/passwd').read()",
    "a link to a file": "os.link(os.__file__, 'mine')",
    "a full disk": "[open(str(i), 'wb').write(bytes(1 << 20)) for i in range(200)]",
    "a large file": "open('a', 'wb').truncate(1 << 40)",
    "a million files": "[open(str(i), 'w').close() for i in range(1 << 20)]",
    "a million descriptors": "[os.dup(1) for _ in range(1 << 20)]",
    "memory": "bytearray(8 << 30)",
    "forks": "[os.fork() or time.sleep(9) for _ in range(100)]".replace("time", "__import__('time')"),
    "threads": "[__import__('threading').Thread(target=__import__('time').sleep, args=(9,)).start() for _ in range(100)]",
    "more of what is bounded": "__import__('resource').setrlimit(__import__('resource').RLIMIT_NPROC, (9999, 9999))",
    "a shell": "subprocess.run(['/bin/sh', '-c', 'true'])",
    "what it was started with": "[os.fstat(n) for n in range(4, 256)]",
}
# Solutions that pass nothing, and how they are told.
CHEATS: dict[str, tuple[str, set[str]]] = {
    "ends well": ("import os\nos._exit(0)", {"ended"}),
    "leaves": ("import sys\nsys.exit(0)", {"error"}),
    "leaves when called": ("def f(x):\n    import os\n    os._exit(0)", {"ended"}),
    "exits when called": ("def f(x):\n    exit()", {"error"}),
    "no assertion": ("import builtins\nbuiltins.AssertionError = Warning\ndef f(x): return 0", {"wrong"}),
    "equals all": ("class E:\n    def __eq__(s, o): return True\ndef f(x): return E()", {"wrong"}),
    "a number that equals all": (
        "class E(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\ndef f(x): return E()",
        {"wrong"},
    ),
    "looks at frames": (
        """
        import sys
        def f(x):
            at = sys._getframe()
            while at:
                for seen in [*at.f_locals.values(), *at.f_globals.values(), *getattr(at.f_locals.get("self"), "__dict__", {}).values()]:
                    if "secr" + "et" in repr(seen):
                        return 42
                at = at.f_back
        """,
        {"wrong"},
    ),
    "searches its memory": (
        """
        import gc
        def f(x):
            for seen in gc.get_objects():
                if isinstance(seen, dict) and any(type(one) is str and "secr" + "et" in one for one in [*seen.values()]):
                    return 42
        """,
        {"wrong"},
    ),
    "says it itself": (
        """
        import os
        for number in range(256):
            try: os.write(number, b'{"passed": "x"}')
            except OSError: pass
        def f(x): return 0
        """,
        {"ended", "wrong"},
    ),
    "sends a program": (
        """
        import os, pickle, struct
        class Sent:
            def __reduce__(self): return os.system, ("true",)
        data = pickle.dumps(("ready", Sent(), ""))
        for number in range(3, 256):
            try: os.write(number, struct.pack("<Q", len(data)) + data)
            except OSError: pass
        os._exit(0)
        """,
        {"ended"},
    ),
    "patches what compares": ("import math\nmath.isclose = lambda *a, **k: True\ndef f(x): return 0", {"wrong"}),
    "dies": ("import ctypes\nctypes.string_at(0)", {"ended"}),
    "recurses": ("import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x)", {"ended", "error", "memory", "cpu"}),
}
BOUNDS = {
    "counts": ("while True: pass", "cpu"),
    "counts in C": ("10 ** 10 ** 10", "cpu"),
    "ignores signals": ("import signal\n[signal.signal(n, signal.SIG_IGN) for n in (15, 24)]\nwhile True: pass", "cpu"),
    "sleeps": ("import time\ntime.sleep(999)", "wall"),
    "prints": ("while True: print('x' * 100000)", "output"),
    "fills memory": ("x = [0]\nwhile True: x = x + x", "memory"),
}
GOOD = Job("def f(x): return x + 1", "assert f(1) == 2")


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    toolchains.namespaces()
    with Judge() as made:
        yield made


def verdict(judge: Judge, job: Job) -> tuple[bool, str, str]:
    (found, good) = judge.judge([job, GOOD])
    assert good.passed, "the interpreter judges on"
    return found.passed, found.reason, found.said


@pytest.mark.parametrize("name", STOPPED)
def test_an_attack_is_stopped(judge: Judge, name: str) -> None:
    solution = FRAME.format(body=textwrap.indent(STOPPED[name], "    "))
    if "call(" in STOPPED[name] and os.uname().machine != "x86_64":
        pytest.skip("the numbers of calls are of x86-64")
    assert verdict(judge, Job(solution, 'assert stopped() == "stopped"', 5)) == (True, "", "")


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_fails(judge: Judge, name: str) -> None:
    solution, reasons = CHEATS[name]
    tests = "import math\nsecret = 'secret'\nassert f(1) == 42 and math.isclose(f(1), 42)"
    passed, reason, _ = verdict(judge, Job(textwrap.dedent(solution), tests, 2, memory_bytes=128 << 20))
    assert not passed and reason in reasons


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_is_kept_and_named(judge: Judge, name: str) -> None:
    solution, reason = BOUNDS[name]
    seconds = 0.2 if reason == "wall" else 1.0
    assert verdict(judge, Job(solution, "", seconds, memory_bytes=256 << 20))[:2] == (False, reason)


def test_nothing_outlives_its_job(judge: Judge) -> None:
    daemon = textwrap.dedent("""
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(600)
            os._exit(0)
        time.sleep(0.1)
    """)
    mine = psutil.Process().children(recursive=True)
    for found in judge.judge([Job(daemon, "pass")] * 5):
        assert found.passed
    for _ in range(100):
        if len(psutil.Process().children(recursive=True)) <= len(mine):
            return
        time.sleep(0.05)
    pytest.fail("processes are left")


def test_jobs_know_nothing_of_each_other(judge: Judge) -> None:
    first = Job("import os, sys\nopen('left', 'w').write('x')\nsys.modules['left'] = 1\nos.environ['LEFT'] = '1'", "pass")
    second = Job(
        "import os, sys\nseen = [os.listdir('.'), 'left' in sys.modules, 'LEFT' in os.environ]",
        "assert seen == [[], False, False]",
    )
    assert [found.passed for found in judge.judge([first, second])] == [True, True]


def test_chance_is_the_same_each_time(judge: Judge) -> None:
    job = Job("import random\nprint(random.random(), hash('a'), {'a', 'b', 'c', 'd'})", "pass")
    assert len({found.output for found in judge.judge([job] * 3)}) == 1


def test_nothing_of_this_machine_changes(judge: Judge) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    list(judge.judge([GOOD] * 3))
    assert Path("/proc/self/mounts").read_text() == mounts
    assert subprocess.run(["true"]).returncode == 0
