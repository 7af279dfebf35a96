"""A command sees what it was given, nothing of this machine, and ends within its bounds: asked from the inside, by a Python in it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import toolchains

from starmill.core import sandbox
from starmill.core.errors import MachineError
from starmill.core.sandbox import LIMITS, NAMESPACES, Bounds, Isolation, Sandbox

PYTHON = "/opt/python"


ENVIRONMENT = {"PYTHONHOME": PYTHON, "LD_LIBRARY_PATH": f"{PYTHON}/lib", "LC_ALL": "C.UTF-8"}
DEFAULT = Bounds()


def python(bounds: Bounds = DEFAULT, isolation: Isolation = NAMESPACES) -> Sandbox:
    """Return a sandbox that has this interpreter, without its packages, and what that is linked with."""
    real = os.path.realpath(sys.executable)
    others = {place: place for place in sandbox.libraries(real) if not Path(place).is_relative_to(sys.base_prefix)}
    return Sandbox({PYTHON: sys.base_prefix, **others}, bounds, ENVIRONMENT, isolation)


def run(code: str, box: Sandbox | None = None, *words: str) -> sandbox.Ran:
    if box is None:
        toolchains.namespaces()
    command = [f"{PYTHON}/bin/python{sys.version_info[0]}.{sys.version_info[1]}", "-I", "-S", "program.py", *words]
    return (box or python()).run(command, {"program.py": code.encode()})


def told(code: str) -> object:
    ran = run(f"import json, os\n{code}")
    assert (ran.status, ran.errors, ran.stopped) == (0, b"", "")
    return json.loads(ran.output)


def test_it_sees_its_folder_and_what_it_was_given() -> None:
    places = "['/', '/opt', '/work', '/proc', '/proc/self']"
    found = told(f"print(json.dumps([sorted(os.listdir(p)) for p in {places}]))")
    assert isinstance(found, list) and found[1:] == [["python"], ["program.py"], ["self"], ["exe"]]
    assert set(found[0]) <= {"lib", "lib64", "opt", "proc", "usr", "work"}
    assert told("print(json.dumps([dict(os.environ), os.getcwd(), os.uname().nodename, os.stat('program.py').st_mtime]))") == [
        ENVIRONMENT,
        "/work",
        "sandbox",
        0,
    ]


def test_what_this_machine_knows_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a secret")
    places = [
        "/etc/passwd",
        "/etc/shadow",
        "/proc/self/environ",
        "/proc/1/root/etc/passwd",
        "/dev/mem",
        str(tmp_path / "own"),
        sys.executable,
    ]
    assert told(f"print(json.dumps([os.path.lexists(p) for p in {places}]))") == [False] * len(places)
    climb = "/".join([".."] * 20) + "/etc/passwd"
    assert (
        told(f"print(json.dumps([os.path.exists('{climb}'), os.path.exists('/proc/self/exe/../../..{tmp_path}/own')]))")
        == [False] * 2
    )


def test_it_has_no_rights() -> None:
    code = """
import socket
def refused(act, *given):
    try:
        act(*given)
    except OSError as error:
        return error.strerror
print(json.dumps([refused(os.chroot, "."), refused(os.mknod, "device", 0o20666, 259), refused(os.setgroups, [0]), refused(os.nice, -5),
    refused(socket.sethostname, "other")]))
"""
    assert told(code) == ["Operation not permitted"] * 5


def test_it_writes_in_its_folder_alone() -> None:
    code = """
def put(place):
    try:
        with open(place, "w") as file:
            file.write("x")
    except OSError as error:
        return error.strerror
print(json.dumps([*map(put, ["/x", "/opt/python/x", "/proc/self/x", "/work/x", "program.py"])]))
"""
    *elsewhere, own, given = told(code)  # type: ignore[misc]
    assert elsewhere == ["Read-only file system"] * 3 and own is None and given in (None, "Permission denied")


def test_it_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"""
import socket
try:
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=5)
except OSError as error:
    print(json.dumps(error.strerror))
"""
        assert told(code) == "Operation not permitted"


def test_a_device_that_is_named_is_one() -> None:
    real = python()
    box = Sandbox({**real.reads, "/dev/null": "/dev/null"}, environment=ENVIRONMENT)
    ran = run("with open('/dev/null', 'w') as file: print(file.write('x'))", box)
    assert (ran.status, ran.output) == (0, b"1\n")


def test_it_sees_no_process_outside() -> None:
    pid = os.getpid()
    code = f"""
def errno(pid):
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.strerror
print(json.dumps([os.getpid(), errno({pid}) if {pid} > 9 else "No such process"]))
"""
    assert told(code) == [2, "No such process"]


@pytest.mark.parametrize(
    ("code", "bounds", "stopped"),
    [
        ("import time\ntime.sleep(60)", Bounds(seconds=0.5), "seconds"),
        ("while True: print('more')", Bounds(output_bytes=10_000), "output_bytes"),
        ("import os\nwhile True: os.write(2, b'more')", Bounds(output_bytes=10_000), "output_bytes"),
    ],
    ids=["clock", "output", "errors"],
)
@pytest.mark.parametrize("isolation", [NAMESPACES, LIMITS])
def test_a_bound_ends_it(code: str, bounds: Bounds, stopped: str, isolation: Isolation) -> None:
    if isolation == NAMESPACES:
        toolchains.namespaces()
    ran = run(code, python(bounds, isolation))
    assert ran.stopped == stopped and ran.status < 0
    assert len(ran.output) + len(ran.errors) <= bounds.output_bytes + 1


def test_the_processor_is_a_bound_that_no_program_ignores() -> None:
    toolchains.namespaces()
    ran = run("import signal\nsignal.signal(24, signal.SIG_IGN)\nwhile True: pass", python(Bounds(cpu_seconds=1)))
    assert ran.stopped == "cpu_seconds" and ran.status < 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("held = bytearray(3 << 30)", b"MemoryError"),
        ("open('big', 'wb').write(bytes(8 << 20))", b"OSError"),
        ("import os\nfor k in range(9): open(f'big{k}', 'wb').write(bytes(1 << 19))", b"No space left on device"),
        (
            "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
            b"can't start new thread",
        ),
    ],
    ids=["memory", "a file", "its folder", "threads"],
)
def test_a_bound_is_an_error_inside(code: str, said: bytes) -> None:
    toolchains.namespaces()
    ran = run(f"import signal\nsignal.signal(25, signal.SIG_IGN)\n{code}", python(Bounds(written_bytes=1 << 20, processes=32)))
    assert ran.status == 1 and said in ran.errors


@pytest.mark.parametrize("isolation", [NAMESPACES, LIMITS])
def test_what_it_leaves_running_is_ended(isolation: Isolation, tmp_path: Path) -> None:
    """A grandchild, in namespaces one that left its group, would sleep for a minute."""
    if isolation == NAMESPACES:
        toolchains.namespaces()
    away = "os.setsid()" if isolation == NAMESPACES else "pass"  # without namespaces a group is all there is to end
    code = f"import os, time\nif not os.fork():\n    {away}\n    os.close(1); os.close(2); time.sleep(77.25)\nprint('done')"
    ran = run(code, python(isolation=isolation), mark := str(tmp_path))
    assert ran.output == b"done\n" and ran.status == 0
    for _ in range(600):  # the kernel takes its time
        left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or ())]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"{left} runs")


def test_it_ends_by_its_own_status_or_signal() -> None:
    assert run("raise SystemExit(7)").status == 7
    assert run("import os\nos.abort()").status == -signal.SIGABRT


def test_the_machine_is_blamed_for_a_command_that_is_not_there() -> None:
    toolchains.namespaces()
    with pytest.raises(MachineError, match=r"^a sandbox: starting /opt/none: No such file or directory; install it"):
        Sandbox({}).run(["/opt/none"], {})
    with pytest.raises(MachineError, match=r"^a sandbox: .*/nowhere.*: No such file or directory"):
        Sandbox({"/opt/none": "/nowhere"}).run(["/opt/none"], {})


WITHOUT = """
import sys
from starmill.core import sandbox
try:
    sandbox.probe()
except sandbox.NotIsolated as error:
    print(error.status, error)
"""


def test_a_machine_without_namespaces_is_named() -> None:
    """In a user namespace of the test's own, whose limit of further ones is none."""
    toolchains.namespaces()
    less = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", less, sys.executable, WITHOUT], capture_output=True, text=True)
    assert done.stdout.startswith(
        "3 this machine gives a sandbox not a user namespace (No space left on device): let this user"
    ), done.stderr


def test_with_limits_paths_are_those_outside() -> None:
    box = Sandbox({"/opt/bin": "/bin"}, isolation=LIMITS)
    ran = box.run(["/opt/bin/sh", "-c", "pwd; echo $0 $1", "/opt/bin", "/opt/binary"], {})
    assert ran.output.splitlines()[1] == b"/bin /opt/binary" and ran.output != os.getcwd().encode()


def test_what_a_program_is_loaded_with() -> None:
    found = sandbox.libraries(shutil.which("sh") or "/bin/sh")
    assert found and all(os.path.exists(path) and path == os.path.normpath(path) for path in found)
    assert any("libc" in path or "musl" in path for path in found)
