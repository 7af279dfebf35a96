"""Shell commands of docs/flink.md on a small tree: at free ports, in a folder of the test's own."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from pages import ROOT
from small_tree import RECIPE

from starmill.pipelines.runners.pool import TOKEN

CACHE = os.environ.get("XDG_CACHE_HOME") or f"{Path.home()}/.cache"


class Shell:
    """`run(command)` with the cluster and the recipe of this test in place of the page's."""

    def __init__(self, home: Path, place: Path) -> None:
        self.home, self.ports = home, _free_ports()
        values = {"workspace": home / "made", "tree": place / "tree", "benchmark": place / "benchmark.jsonl"}
        (home / "recipe.yaml").write_text(RECIPE.format(**values))
        (home / "checkouts").symlink_to(place / "tree", target_is_directory=True)
        flags = " ".join(f"--{name}-port {port}" for name, port in self.ports.items())
        mine = {
            TOKEN: "a secret of this cluster",
            "HOME": str(home),
            "XDG_CACHE_HOME": CACHE,
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME")
            or f"{Path.home()}/.rustup",  # where rustup's `rustc` finds the compiler
            "FLINK": f"--folder {home}/flink {flags}",
        }
        self.environment = {**os.environ, **mine, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def __call__(self, command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = command.replace("recipes/data/smoke.yaml", f"{self.home}/recipe.yaml")
        command = command.replace(":8081", f":{self.ports['rest']}").replace(":50000", f":{self.ports['pool']}")
        place = ROOT if command.startswith("make ") else self.home
        done = subprocess.run(
            ["bash", "-c", command], cwd=place, env=self.environment, capture_output=True, text=True, timeout=1500
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done

    def processes(self) -> dict[str, int]:
        """Names and ids of the cluster's processes, dead or alive."""
        found = json.loads((self.home / "flink" / "cluster.json").read_text())["processes"]
        return {name: process["pid"] for name, process in found.items()}

    def options(self) -> list[str]:
        """Beam's options for the cluster."""
        return shlex.split(self(f"python {ROOT}/infra/flink/cluster.py --folder {self.home}/flink options").stdout)

    def workers(self) -> list[int]:
        """Processes of the pool's workers, but for one that a driver has started to see whether that works."""
        tasks = Path(f"/proc/{self.processes()['pool']}/task").glob("*/children")
        found = [int(pid) for task in tasks for pid in task.read_text().split()]
        mine = [pid for pid in found if "starmill.pipelines.runners.worker" in _read(pid, "cmdline")]
        return [pid for pid in mine if "WORKER_ID=check" not in _read(pid, "environ").split("\0")]

    def signal_workers(self, number: signal.Signals) -> None:
        """Send them all a signal."""
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def jobs(self) -> set[str]:
        """States of all jobs that Flink knows."""
        return {job["state"] for job in self.get("jobs/overview")["jobs"]}

    def get(self, path: str) -> dict:
        """An answer of Flink's REST interface."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['rest']}/{path}", timeout=10) as answer:
            return json.load(answer)


def running(text: str) -> dict[int, str]:
    """Command lines of all processes that have `text` in theirs."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_text().replace("\0", " ")
        except OSError:
            continue
        if text in line:
            found[int(entry.parent.name)] = line
    return found


def running_command(pid: int) -> str:
    """The command line of a process; empty of a zombie, and of none."""
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def _free_ports() -> dict[str, int]:
    held = {name: socket.create_server(("127.0.0.1", 0)) for name in ("rest", "rpc", "pool")}
    found = {name: server.getsockname()[1] for name, server in held.items()}
    for server in held.values():
        server.close()
    return found | {"job": found["rest"] - 10 if found["rest"] > 20_000 else found["rest"] + 10}
