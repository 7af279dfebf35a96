"""A filter of Linux's calls for a process that runs what nobody trusts: no sockets, no namespaces, no mounts, no look into others.

A list of what is refused, not of what is allowed: an interpreter and its libraries use most calls that there are, and another version of
them others. What is listed here is what the namespaces around the process do not bound already, and the calls in which the kernel had
most of its holes. Numbers: Linux's own tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
"""

import errno
import struct

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, ABOVE, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of classic BPF
NUMBER_AT, MACHINE_AT, FIRST_WORD_AT = 0, 4, 16  # in struct seccomp_data
NEW_NAMESPACES = 0x7E020000  # all CLONE_NEW* that clone() takes
OTHER_NUMBERS = 0x40000000  # the x32 calls, which are others under numbers of their own
# Name, number on x86-64, number on AArch64; None where there is none.
REFUSED: tuple[tuple[str, int | None, int], ...] = (
    ("socket", 41, 198), ("ptrace", 101, 117), ("process_vm_readv", 310, 270), ("process_vm_writev", 311, 271),
    ("mount", 165, 40), ("umount2", 166, 39), ("pivot_root", 155, 41), ("chroot", 161, 51), ("unshare", 272, 97), ("setns", 308, 268),
    ("open_tree", 428, 428), ("move_mount", 429, 429), ("fsopen", 430, 430), ("fsconfig", 431, 431), ("fsmount", 432, 432),
    ("fspick", 433, 433), ("mount_setattr", 442, 442), ("open_by_handle_at", 304, 265), ("name_to_handle_at", 303, 264),
    ("add_key", 248, 217), ("request_key", 249, 218), ("keyctl", 250, 219), ("bpf", 321, 280), ("perf_event_open", 298, 241),
    ("io_uring_setup", 425, 425), ("userfaultfd", 323, 282), ("kexec_load", 246, 104), ("init_module", 175, 105),
    ("finit_module", 313, 273), ("delete_module", 176, 106), ("personality", 135, 92), ("swapon", 167, 224), ("swapoff", 168, 225),
    ("reboot", 169, 142), ("acct", 163, 89), ("quotactl", 179, 60), ("syslog", 103, 116), ("settimeofday", 164, 170),
    ("clock_settime", 227, 112), ("fanotify_init", 300, 262), ("pidfd_getfd", 438, 438), ("kcmp", 312, 272), ("lookup_dcookie", 212, 18),
    ("uselib", 134, 1000), ("iopl", 172, 1000), ("ioperm", 173, 1000), ("modify_ldt", 154, 1000),
)  # fmt: skip
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435  # takes its flags from memory, which a filter cannot read: the C library then uses clone
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def program(machine: str) -> bytes:
    """Return the filter for a machine, as BPF instructions of eight bytes; nothing for a machine that it has no numbers of.

    >>> len(program("x86_64")) % 8
    0
    """
    if machine not in MACHINES:
        return b""
    one = struct.Struct("<HBBI")
    column = 1 if machine == "x86_64" else 2
    numbers = [int(row[column] or 0) for row in REFUSED if row[column] not in (None, 1000)]
    lines = [(LOAD, 0, 0, MACHINE_AT), (EQUAL, 1, 0, MACHINES[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER_AT)]
    if machine == "x86_64":
        lines += [(ABOVE, 0, 1, OTHER_NUMBERS), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    for number in numbers:
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    lines += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    lines += [(EQUAL, 0, 3, CLONE[machine]), (LOAD, 0, 0, FIRST_WORD_AT)]
    lines += [(ANY_BIT, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(one.pack(*line) for line in lines)
