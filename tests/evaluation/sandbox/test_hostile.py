"""Solutions that speak to the tests' process in messages of their own, or have it run something for them, pass nothing."""

import textwrap
from collections.abc import Iterator

import pytest
import toolchains

from starmill.evaluation.sandbox import Job
from starmill.evaluation.sandbox.judge import Judge

# What a solution needs to answer by itself, in place of its process: the socket, and words of a pickle.
RAW = """
import os, pickle, socket, stat, struct, time
def is_socket(n):
    try: return stat.S_ISSOCK(os.fstat(n).st_mode)
    except OSError: return False
channel = next(socket.socket(fileno=n) for n in range(3, 256) if is_socket(n))
def say(data):
    channel.sendall(struct.pack("<Q", len(data)) + data)
def hear():
    size = struct.unpack("<Q", channel.recv(8, socket.MSG_WAITALL))[0]
    return channel.recv(size, socket.MSG_WAITALL)
def text(word): return b"\\x8c" + bytes([len(word)]) + word.encode()
def thing(module, name): return text(module) + text(name) + b"\\x93"
def then():
    while True:
        hear()
        say(pickle.dumps(("is", None, None)))
"""
# Looks for the word that passes in the process in which it is executed.
FINDS = """import sys, os, json
at = sys._getframe()
while at:
    if "nonce" in at.f_locals and "report" in at.f_locals:
        os.write(at.f_locals["report"], json.dumps({"passed": at.f_locals["nonce"]}).encode()); os._exit(0)
    at = at.f_back
"""
ATTACKS = {
    "a class's comparison is set": (
        RAW
        + """
def f(x):
    kind = thing("fractions", "Fraction")
    patched = kind + b"N}" + text("__eq__") + thing("builtins", "slice") + b"s\\x86b0"
    say(b"\\x80\\x05" + patched + text("is") + kind + b"K\\x00\\x85RN\\x87.")
    then()
""",
        "assert f(1) == 42",
    ),
    "an exception's comparison is set": (
        RAW
        + """
def f(x):
    made = thing("starmill.evaluation.sandbox.values", "_ERROR_CLASS") + b"K\\x05" + text("E") + thing("builtins", "ValueError")
    made += b"\\x85\\x87RN}" + text("__eq__") + thing("builtins", "slice") + b"s\\x86b)R"
    say(b"\\x80\\x05" + text("is") + made + b"N\\x87.")
    then()
""",
        "assert f(1) == 42",
    ),
    "a frame of a generator": (
        f"def f(given): given.gi_frame.f_builtins['exec']({FINDS!r}, {{}})",
        "assert f(n for n in [1]) == 42",
    ),
    "code of a generator": ("def f(given): return given.gi_code.co_consts[0]", "assert f(42 for n in [1]) == 42"),
    "a module that the tests lend": (
        f"def f(given): given.sys.modules['builtins'].exec({FINDS!r}, {{}})",
        "import os\nassert f(os) == 42",
    ),
    "exec by another name": (f"decode = exec\ndef encode(x): return {FINDS!r}", "assert decode(encode('x')) == 'x'"),
    "a reader of pickles": (
        f"from pickle import loads as decode\nclass X:\n    def __reduce__(self): return exec, ({FINDS!r},)\n"
        "import pickle\ndef encode(x): return pickle.dumps(X())",
        "assert decode(encode('x')) == 'x'",
    ),
    "what equals all": (
        RAW + "say(pickle.dumps(('ready', [('answer', 'unittest.mock', 'ANY')], '')))\nthen()",
        "assert answer == 42",
    ),
    "a function of Python's": ("def all(values): return True", "assert all(f(x) == 2 for x in [1])"),
    "no turns of a loop": ("def range(*bounds): return []\ndef f(x): return 0", "for x in range(3): assert f(x) == 42"),
    "a fork of the tests": ("from os import fork as f", "assert f() == 0\nassert f() == 0"),
    "a name that Python reads": (
        RAW
        + "say(pickle.dumps(('ready', [('__name__', '', '')], '')))\nhear()\nsay(pickle.dumps(('is', 'other', None)))\nthen()",
        "assert __name__ != 'tests'",
    ),
    "a reason of its own": (RAW + "say(pickle.dumps(('failed', '', '\\ud800')))", "assert False"),
    "a message in the middle of which it ends": (RAW + "channel.sendall(b'\\xff\\0\\0\\0\\0\\0\\0\\0x')\nos._exit(0)", "pass"),
    "a message as large as memory": (RAW + "channel.sendall(b'\\xff' * 8)\nthen()", "pass"),
    "a pickle that is cut off": (RAW + "say(b'\\x80\\x05X\\xff\\xff\\xff\\x7f')\nthen()", "pass"),
    "an endless nest": (
        RAW + "def f(x):\n    say(b'\\x80\\x05' + text('is') + b']' + b'\\x85' * 1000000 + b'N\\x87.')\n    then()",
        "assert hash(f(1)) == 42",
    ),
}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    toolchains.namespaces()
    with Judge() as made:
        yield made


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_solution_fails(judge: Judge, name: str) -> None:
    solution, tests = ATTACKS[name]
    found, good = judge.judge([Job(solution, tests, 1), Job("def f(x): return x + 1", "assert f(1) == 2")])
    assert not found.passed and found.reason and found.said.encode()
    assert good.passed, "the interpreter judges on"


def test_a_candidate_has_its_output_and_one_socket(judge: Judge) -> None:
    seen = textwrap.dedent("""
        import os
        def is_open(n):
            try: return bool(os.fstat(n))
            except OSError: return False
        count = sum(map(is_open, range(256)))
    """)
    assert next(judge.judge([Job(seen, "assert count == 4, count")])).said == ""


def test_what_the_tests_start_ends_with_them(judge: Judge) -> None:
    tests = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(99)\nassert f(1) == 1"
    found = [*judge.judge([Job("def f(x): return x", tests, 2)] * 30)]  # more than PROCESSES
    assert {one.reason for one in found} <= {"", "wall"}
