"""The inside of core/sandbox.py, run by it as a script of its own in a new process: only the standard library, and Linux's own calls.

It makes the namespaces, lays a root of the named files and folders alone, gives every right away, and runs one command in it. What
it could not do, or how the command ended, is one line of JSON in the descriptor that it was given.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
SECCOMP_MODE_FILTER = 2
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_RECURSIVE, AT_FDCWD = 1, 2, 4, 0x8000, -100
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")  # that harm nobody, and are devices in there too
MNT_DETACH = 2
NAMESPACES = {"mount": 0x20000, "UTS": 0x4000000, "IPC": 0x8000000, "process": 0x20000000, "network": 0x40000000}
USER_NAMESPACE = 0x10000000
SYS_MOUNT_SETATTR = 442  # one number on every architecture
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
NOBODY = 65534
CAPABILITY_VERSION = 0x20080522
NEW_ROOT = "/proc"  # an empty place on every Linux, and no command reads it: what is laid over it hides nothing else
WORK = "/work"
STACK = 8 << 20  # bytes, so that what is too deep does not depend on the shell that started the run


class Failed(Exception):
    """A step that the kernel refused: its name, and the number of the error."""


def main() -> None:
    """Read what to run, as a line of JSON and the files' bytes behind it, from the standard input, and run it."""
    report = int(sys.argv[1])
    os.set_inheritable(report, False)
    with open(0, "rb", closefd=False) as file:
        spec = json.loads(file.readline())
        contents = {name: file.read(size) for name, size in spec["files"]}
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        if not spec["namespaces"]:
            os.chdir(spec["folder"])
            _write(contents)
            _command(libc, spec, report, None)
        isolated(libc, spec, contents, lambda user: _command(libc, spec, report, user))
    except Failed as failure:
        _end(report, {"failed": failure.args[0], "errno": failure.args[1]})
    except OSError as error:
        _end(report, {"failed": f"{error.filename or 'a file'}", "errno": error.errno})


def isolated(libc: Any, spec: dict[str, Any], contents: dict[str, bytes], first: Callable[[int | None], NoReturn]) -> None:
    """Call `first` as the first process of namespaces of its own, with all rights in them and the user that it is to give them up for.

    This process stays outside, tells the kernel who the users inside are, and ends with the first. Raises Failed.
    """
    is_root = os.geteuid() == 0
    asked, answered = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        os.close(asked[1])
        os.close(answered[0])
        if os.read(asked[0], 1):
            _map_users(child, is_root)
            os.write(answered[1], b"x")
        os.waitpid(child, 0)
        os._exit(0)
    os.close(asked[0])
    os.close(answered[1])
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _call(libc, "a user namespace", libc.unshare(USER_NAMESPACE))
    os.write(asked[1], b"x")
    if not os.read(answered[0], 1):
        raise Failed("the users of a user namespace", 1)
    os.close(asked[1])
    os.close(answered[0])
    for name, flag in NAMESPACES.items():
        _call(libc, f"a {name} namespace", libc.unshare(flag))
    libc.sethostname(b"sandbox", 7)
    _lay_root(libc, spec, contents)
    started = os.fork()
    if started:
        os.waitpid(started, 0)
        os._exit(0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The first process of the namespace: with its end, the kernel ends all others in it.
    first(1 if is_root else None)


def _map_users(child: int, is_root: bool) -> None:
    """Say who is 0 inside: whoever started it; of root, who runs the command is 1 inside and `nobody` outside."""
    if not is_root:
        _put(f"/proc/{child}/setgroups", "deny")
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        _put(f"/proc/{child}/{kind}_map", f"0 {own} 1\n" + (f"1 {NOBODY} 1\n" if is_root else ""))


def _put(place: str, text: str) -> None:
    descriptor = os.open(place, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _lay_root(libc: Any, spec: dict[str, Any], contents: dict[str, bytes]) -> None:
    """Make a root that holds what is read, read-only, and an empty folder, and leave the old one."""
    mount, work = _mounter(libc), spec.get("work", WORK)
    mount("private mounts", None, "/", None, MS_REC | MS_PRIVATE, None)
    mount("a tmpfs", "tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for inside, outside in spec["reads"]:
        target = NEW_ROOT + inside
        os.makedirs(target if os.path.isdir(outside) else os.path.dirname(target), exist_ok=True)
        if not os.path.isdir(outside):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        mount(f"{outside} in the sandbox", outside, target, None, MS_BIND | MS_REC, None)
        _read_only(libc, target, AT_RECURSIVE, 0 if inside in DEVICES else ATTR_NODEV)
    os.makedirs(NEW_ROOT + work)
    os.makedirs(f"{NEW_ROOT}/proc/self", exist_ok=True)
    os.symlink(
        spec["command"][0] if spec["command"] else "/", f"{NEW_ROOT}/proc/self/exe"
    )  # where programs look for themselves
    mount("a tmpfs", "tmpfs", NEW_ROOT + work, "tmpfs", MS_NOSUID | MS_NODEV, f"size={spec['scratch_bytes']},mode=1777")
    os.chdir(NEW_ROOT + work)
    _write(contents)
    _read_only(libc, NEW_ROOT, 0)
    os.chdir(NEW_ROOT)
    number = SYS_PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise Failed(f"a root of its own on {platform.machine()}", 38)
    _call(libc, "a root of its own", libc.syscall(number, b".", b"."))
    _call(libc, "leaving the old root", libc.umount2(b".", MNT_DETACH))
    os.chdir(work)


def _mounter(libc: Any) -> Callable[..., None]:
    def mount(what: str, source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
        words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
        _call(libc, what, libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))

    return mount


def _read_only(libc: Any, place: str, flags: int, more: int = ATTR_NODEV) -> None:
    """Make a mount read-only, without set-user-id programs and devices; `flags`: and those below it."""
    attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY | ATTR_NOSUID | more, 0, 0, 0)
    done = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(place), flags, ctypes.byref(attributes), 32)
    _call(libc, "read-only mounts (Linux 5.12)", done)


def _write(contents: dict[str, bytes]) -> None:
    for name, data in contents.items():
        with open(name, "xb") as file:
            file.write(data)
        os.chmod(name, 0o444)
        os.utime(name, (0, 0))


def _command(libc: Any, spec: dict[str, Any], report: int, user: int | None) -> NoReturn:
    """Run the command in a child, and report how it ended; without one, that all is ready."""
    if not spec["command"]:
        _end(report, {"status": 0, "seconds": 0.0})
    child = os.fork()
    if not child:
        try:
            _give_up_rights(libc, spec, user)
            os.execve(spec["command"][0], spec["command"], spec["environment"])
        except OSError as error:
            _end(report, {"failed": f"starting {spec['command'][0]}", "errno": error.errno})
        except Failed as failure:
            _end(report, {"failed": failure.args[0], "errno": failure.args[1]})
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            _end(report, {"status": os.waitstatus_to_exitcode(status), "seconds": used.ru_utime + used.ru_stime})


def filter_calls(libc: Any, program: bytes) -> None:
    """Refuse calls of the kernel to this process and all that it starts, for ever, by a program of BPF (seccomp.py). Raises Failed."""

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))

    if program:
        made = Filter(len(program) // 8, program)
        _call(libc, "a filter of calls (seccomp)", libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(made), 0, 0))


def limit(limits: dict[str, tuple[int, int]]) -> None:
    """Bound this process: soft and hard, by the name of the resource, and never above what it has."""
    for name, (soft, hard) in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(number)[1]
        most = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(number, (min(soft, most), most))


def _give_up_rights(libc: Any, spec: dict[str, Any], user: int | None) -> None:
    limit(spec["limits"])
    give_up_rights(libc, user, spec["namespaces"])
    if spec["namespaces"]:
        filter_calls(libc, bytes.fromhex(spec["filter"]))


def give_up_rights(libc: Any, user: int | None, namespaces: bool) -> None:
    """Leave this process no right, in its namespaces or outside, and none that a program could give it. Raises Failed, OSError."""
    if namespaces:
        for capability in range(64):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # of those that this kernel has not, nothing is to be given up
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header, none = struct.pack("<Ii", CAPABILITY_VERSION, 0), bytes(24)
    _call(libc, "giving up rights", libc.capset(header, none))
    _call(libc, "no new privileges", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _call(libc: Any, what: str, result: int) -> None:
    if result:
        raise Failed(what, ctypes.get_errno())


def _end(report: int, said: dict[str, Any]) -> NoReturn:
    os.write(report, json.dumps(said).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
