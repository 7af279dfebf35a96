"""A real Slurm on loopback, all of it in one folder: munged, slurmctld and a slurmd for each of two nodes. For tests only.

Debian's packages are started as they are (slurm-wlm, munge); nothing of the machine's own configuration is read or written. A node has
two CPUs, which jobs share and tasks are bound to, and two GPUs that are only counted.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemons import daemon

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
# Debian's slurmd allows one node a host name, so the second has an invented one; where the first of a job is asked for, its name resolves.
NODES = (socket.gethostname(), "zz-second")
CONFIG = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
KillWait=30
MailProg=/bin/true
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster: `environment` is what its commands need."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True, cwd: Path | None = None) -> str:
        """Return what a command of Slurm's prints."""
        done = subprocess.run(command, env=self.environment, cwd=cwd, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """Return what the controller knows of a job."""
        fields = self.run("scontrol", "-o", "show", "job", number).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def wait(self, number: str, states: Sequence[str], seconds: float = 300) -> dict[str, str]:
        """Return the job once it is in one of the states."""
        deadline = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] not in states:
            assert time.monotonic() < deadline, f"job {number} is {job['JobState']} ({job['Reason']})\n{self.logs()}"
            time.sleep(0.3)
        return job

    def logs(self) -> str:
        """Return the end of each log."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {p.name}\n{p.read_text(errors='replace')[-2500:]}" for p in files)


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start the cluster in `folder`, and end it with all that it started."""
    missing = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if missing:
        raise RuntimeError(f"Slurm is not installed: no {', '.join(missing)}; on Debian: apt-get install slurm-wlm munge")
    folder.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(1 + len(NODES))
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    lines = [CONFIG.format(folder=folder, user=user, controller=ports[0])]
    lines += [
        f"NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} "
        "Sockets=1 CoresPerSocket=2 ThreadsPerCore=1 Gres=gpu:2 RealMemory=2000"
        for name, port in zip(NODES, ports[1:], strict=True)
    ]
    common = f"Nodes={','.join(NODES)} OverSubscribe=NO MaxTime=INFINITE State=UP"
    lines.append(f"PartitionName=main {common} Default=YES PriorityTier=1")
    lines.append(f"PartitionName=urgent {common} PriorityTier=2")  # whose jobs take nodes from the other's
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
    # It must be character devices; nothing opens them.
    (folder / "gres.conf").write_text("AutoDetect=off\nName=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf"), "GLOO_SOCKET_IFNAME": "lo"}
    munge = ["munged", "--foreground", "--force", "--num-threads=2", f"--socket={folder}/munge.socket", f"--key-file={key}"]
    munge += [f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"]
    slurm = Slurm(folder, environment)
    with ExitStack() as stack:
        stack.callback(_end_steps, folder)
        stack.enter_context(daemon(munge, folder / "munged.out.log", environment))
        _until((folder / "munge.socket").exists, "munged", slurm)
        stack.enter_context(daemon(["slurmctld", "-D"], folder / "slurmctld.out.log", environment))
        for name in NODES:
            stack.enter_context(daemon(["slurmd", "-D", "-N", name], folder / f"slurmd-{name}.out.log", environment))
        _until(
            lambda: slurm.run("sinfo", "-h", "-p", "main", "-o", "%T %D", check=False) == f"idle {len(NODES)}",
            "two idle nodes",
            slurm,
        )
        try:
            yield slurm
        finally:
            slurm.run("scancel", f"--user={user}", check=False)
            _until(lambda: not slurm.run("squeue", "-h", check=False), "an empty queue", slurm)


def _end_steps(folder: Path) -> None:
    # slurmstepd outlives slurmd, so that a node may be restarted under its jobs.
    deadline = time.monotonic() + 60
    while leftover(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    found = leftover(folder)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    assert not found, found


def leftover(folder: Path) -> dict[int, str]:
    """Return the processes, with their command lines, that have the cluster's configuration in their environment."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.name != str(os.getpid()) and str(folder).encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return {pid: line for pid, line in found.items() if line}


def _until(true: object, what: str, slurm: Slurm) -> None:
    deadline = time.monotonic() + 120
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"no {what} after two minutes\n{slurm.logs()}"
        time.sleep(0.1)


def _path() -> str:
    # The daemons lie in sbin, which is not on everybody's PATH; this environment's python comes first.
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports
