"""A real Flink session cluster on this machine's loopback, for Beam's Python jobs: jars, up, run, status, down.

Flink's PyPI distribution has no configuration and no start scripts, so its main classes are started here, with the memory settings that the
shell scripts would compute. The runner's jar lies in Flink's class path with parent-first loading: only then does a Python
worker outlive the phase of the job that started it. docs/flink.md has the measurements.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from starmill.core import files

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / "flink"
JAVA = (11, 17)
RUNNER, JOB_SERVER = "starmill-flink-1-runner.jar", "starmill-flink-1-job-server.jar"
# Flink's own, for Java 17: flink-dist's conf/config.yaml, env.java.opts.all.
EXPORTS = "java.base/sun.net.util java.rmi/sun.rmi.registry java.security.jgss/sun.security.krb5"
OPENS = "lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks"
MODULES = [f"--add-exports={m}=ALL-UNNAMED" for m in EXPORTS.split()] + [
    f"--add-opens=java.base/{'sun.nio.ch' if m == 'nio.ch' else 'java.' + m}=ALL-UNNAMED" for m in OPENS.split()
]
CONFIG = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc_port}
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest_port}
rest.bind-port: {rest_port}
blob.server.port: 0
blob.service.cleanup.interval: 60
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.off-heap.size: 128m
taskmanager.memory.managed.size: 256m
taskmanager.memory.network.min: 128m
taskmanager.memory.network.max: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
classloader.resolve-order: parent-first
web.refresh-interval: 250
heartbeat.interval: 2000
heartbeat.timeout: 20000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 1 s
io.tmp.dirs: {folder}/tmp
"""
LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


@dataclass(frozen=True)
class Process:
    """A process of the cluster, told by id and start: after a restart of the machine another process may have its id."""

    pid: int
    started: int  # in clock ticks since the machine's start

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Return a process that was just started."""
        fields = _stat(pid)
        return cls(pid, int(fields[19]) if fields else 0)

    def is_alive(self) -> bool:
        """Say whether the process runs. A killed process loses its memory, and so its command line, before its id is free."""
        try:
            line, fields = Path(f"/proc/{self.pid}/cmdline").read_bytes(), _stat(self.pid)
        except OSError:
            return False
        return bool(line and fields) and int(fields[19]) == self.started


@dataclass(frozen=True)
class Ports:
    """The cluster's ports, all on loopback."""

    rest: int
    rpc: int
    pool: int
    job: int


def main() -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "jars", "up", "run", "options", "status", "down"])
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of run: the arguments of `starmill run`")
    parser.add_argument("--folder", type=Path, default=Path("runs/flink"), help="configuration, logs and process ids")
    parser.add_argument("--taskmanagers", type=int, default=2)
    parser.add_argument("--rest-port", type=int, default=8081)
    parser.add_argument("--rpc-port", type=int, default=6123)
    parser.add_argument("--pool-port", type=int, default=50000)
    parser.add_argument("--job-port", type=int, default=8099, help="of the job server, which also takes the two lower ports")
    options = parser.parse_args()
    folder = options.folder.resolve()
    try:
        if options.command == "up":
            up(folder, options.taskmanagers, Ports(options.rest_port, options.rpc_port, options.pool_port, options.job_port))
        elif options.command == "check":
            check()
        elif options.command == "jars":
            print(build_jars(), distribution(), sep="\n")
        elif options.command == "options":
            print(shlex.join(beam_options(folder)))
        elif options.command == "run":
            command = [sys.executable, "-m", "starmill.cli", "run", *options.arguments, "--", *beam_options(folder)]
            os.execv(sys.executable, command)
        elif options.command == "status":
            print("\n".join(status(folder)))
        else:
            down(folder)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"flink: {error}", file=sys.stderr)
        return 1
    return 0


def up(folder: Path, taskmanagers: int, ports: Ports) -> None:
    """Start the processes that do not run: cluster, worker pool and Beam's job server; wait until all answer.

    After a crash only the crashed ones are started, and a waiting job continues. Raises RuntimeError.
    """
    running = {name: process for name, process in _processes(folder).items() if process.is_alive()}
    if running:
        state = _state(folder)
        if len(running) == len(state["processes"]):
            raise RuntimeError(f"a cluster of {folder} is up already; `make flink-status` shows it, `make flink-down` ends it")
        if (state["taskmanagers"], state["ports"]) != (taskmanagers, asdict(ports)):
            raise RuntimeError(f"part of cluster {folder} runs, with other ports or TaskManagers; `make flink-down` ends it")
    java, jars, flink = _java(), build_jars(), distribution()
    for name in ("conf", "log", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "config.yaml").write_text(CONFIG.format(rest_port=ports.rest, rpc_port=ports.rpc, folder=folder))
    (folder / "conf" / "log4j.properties").write_text(LOG4J)
    common = [f"-Dlog4j.configurationFile={folder}/conf/log4j.properties", *MODULES, "-cp", f"{flink}/lib/*:{jars / RUNNER}"]
    configured = ["--configDir", str(folder / "conf")]
    runtime, manager = "org.apache.flink.runtime", ["-Xmx640m", "-XX:MaxDirectMemorySize=512m"]
    served = {"job": ports.job, "artifact": ports.job - 1, "expansion": ports.job - 2}
    commands = {
        "jobmanager": [java, "-Xmx512m", *common, f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint", *configured],
        **{
            f"taskmanager-{k}": [java, *manager, *common, f"{runtime}.taskexecutor.TaskManagerRunner", *configured]
            for k in range(taskmanagers)
        },
        "pool": [sys.executable, "-m", "starmill.cli", "pool", "--address", f"127.0.0.1:{ports.pool}"],
        "jobserver": [java, "-Xmx512m", *MODULES, "-jar", str(jars / JOB_SERVER), "--job-host=127.0.0.1"]
        + [f"--flink-master=127.0.0.1:{ports.rest}", f"--artifacts-dir={folder / 'tmp'}"]
        + [f"--{name}-port={port}" for name, port in served.items()],
    }
    processes = dict(running)
    try:
        for name, command in commands.items():
            if name not in processes:
                with _uninterrupted():
                    processes[name] = _start(command, folder / "log" / f"{name}.log")
                    _record(folder, ports, taskmanagers, processes)  # at once: `down` must find the process
        _wait_until_up(folder, ports, taskmanagers, processes)
        _run([sys.executable, "-m", "starmill.cli", "pool", "--check", "--address", f"127.0.0.1:{ports.pool}"], "pool")
    except BaseException:  # Ctrl-C too
        if running:
            _end(process for name, process in processes.items() if name not in running)
        else:
            down(folder)
        raise
    print("\n".join(status(folder)))


def beam_options(folder: Path) -> list[str]:
    """Return Beam's options for a job on the cluster. Raises RuntimeError when none is up."""
    state = _state(folder)
    ports = state["ports"]
    return [
        "--runner=FlinkRunner",
        f"--flink_master=127.0.0.1:{ports['rest']}",
        f"--job_endpoint=127.0.0.1:{ports['job']}",  # otherwise each stage would start a job server
        "--environment_type=EXTERNAL",
        f"--environment_config=127.0.0.1:{ports['pool']}",
        f"--parallelism={state['taskmanagers']}",
        "--environment_cache_millis=60000",
    ]


def status(folder: Path) -> list[str]:
    """Return lines on the cluster: its processes and jobs. Raises RuntimeError when none was started."""
    state = _state(folder)
    lines = [f"{name:<14} pid {p.pid:<8} {'up' if p.is_alive() else 'down'}" for name, p in _processes(folder).items()]
    try:
        overview, jobs = (_get(state["ports"]["rest"], path) for path in ("overview", "jobs/overview"))
    except OSError as error:
        return [*lines, f"Flink does not answer at 127.0.0.1:{state['ports']['rest']}: {error}"]
    slots = f"{overview['slots-available']} of {overview['slots-total']} slots free"
    lines.append(f"Flink {overview['flink-version']} at http://127.0.0.1:{state['ports']['rest']}, {slots}")
    return lines + [f"job {job['state']:<9} {job['duration'] / 1000:7.1f} s  {job['name']}" for job in jobs["jobs"]]


def down(folder: Path) -> None:
    """End all processes of the cluster."""
    ended = _end(_processes(folder).values())
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    (folder / "cluster.json").unlink(missing_ok=True)
    print(f"{ended} processes ended")


def _end(processes: Iterable[Process]) -> int:
    alive = [process for process in processes if process.is_alive()]
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = [process for process in alive if process.is_alive()]
        for process in left:
            os.kill(process.pid, number)
        deadline = time.monotonic() + 10
        while any(process.is_alive() for process in left) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(alive)


def check() -> None:
    """Raise RuntimeError for a missing program that the cluster needs."""
    _java()
    if not (_jars() / RUNNER).exists():
        _maven()


def distribution() -> Path:
    """Return the folder of Flink, in the version of pom.xml, downloaded from PyPI at the first call."""
    version = _property("flink.version")
    place = CACHE / f"flink-{version}"
    if not (place / "lib").exists():
        print(f"downloading Flink {version} (230 MB) into {CACHE}", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="download-") as packed:
            _run([*pip, "-d", packed, f"apache-flink-libraries=={version}"], "pip")
            [archive] = Path(packed).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                tar.extractall(packed, filter="data")
            [found] = Path(packed).glob("*/deps")
            found.rename(place)
    return place


def build_jars() -> Path:
    """Return the folder of the job server's and the runner's jar, built by Maven when pom.xml has changed. Raises RuntimeError."""
    place = _jars()
    if not (place / RUNNER).exists():
        maven = _maven()
        _java()
        print(f"building the jars of Beam's Flink runner into {place} (minutes, once)", flush=True)
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="build-") as output:
            _run([maven, "-B", "-q", "-f", str(HERE / "pom.xml"), f"-Doutput={output}", "package"], "Maven")
            for jar in (JOB_SERVER, RUNNER):  # the one that is looked for last
                os.replace(Path(output) / jar, place / jar)
    return place


def _jars() -> Path:
    return CACHE / f"beam-{_property('beam.version')}-flink-{_property('flink.version')}"


def _maven() -> str:
    maven = shutil.which("mvn")
    if maven is None:
        raise RuntimeError("Maven is missing; install it (Debian: apt-get install maven), then run this again")
    return maven


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    how = "install Java 17 (Debian: apt-get install openjdk-17-jre-headless), or point JAVA_HOME at one"
    if java is None or not Path(java).exists():
        raise RuntimeError(f"Java is missing; {how}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) not in JAVA:
        raise RuntimeError(f"{java} is {said.splitlines()[0] if said else 'no Java'}; Flink needs Java 11 or 17: {how}")
    return java


def _property(name: str) -> str:
    found = re.search(rf"<{re.escape(name)}>([^<]+)<", (HERE / "pom.xml").read_text())
    assert found
    return found[1]


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{what} failed: {(done.stdout + done.stderr).strip()[-1500:]}")


def _start(command: list[str], log: Path) -> Process:
    # The venv's folder comes first, so that `python` is this one.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    with open(log, "ab") as file:
        streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
        return Process.of(subprocess.Popen(command, **streams, env={**os.environ, "PATH": path}, start_new_session=True).pid)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: every started process must be recorded."""
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _wait_until_up(folder: Path, ports: Ports, taskmanagers: int, processes: dict[str, Process]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for name, process in processes.items():
            if not process.is_alive():
                log = folder / "log" / f"{name}.log"
                raise RuntimeError(f"{name} ended at once; the end of {log}:\n{log.read_text(errors='replace')[-1500:]}")
        try:
            socket.create_connection(("127.0.0.1", ports.job), timeout=5).close()
            # One more while Flink has not noticed a lost one.
            if _get(ports.rest, "overview")["taskmanagers"] >= taskmanagers:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise RuntimeError(f"no Flink with {taskmanagers} TaskManagers at port {ports.rest} after two minutes; see {folder}/log")


def _get(port: int, path: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
        return dict(json.load(answer))


def _state(folder: Path) -> dict:
    try:
        return dict(json.loads((folder / "cluster.json").read_text()))
    except FileNotFoundError:
        raise RuntimeError(f"no cluster was started in {folder}; `make flink-up` starts one") from None


def _record(folder: Path, ports: Ports, taskmanagers: int, processes: dict[str, Process]) -> None:
    values = {name: asdict(process) for name, process in processes.items()}
    text = json.dumps({"ports": asdict(ports), "taskmanagers": taskmanagers, "processes": values}, indent=1)
    files.write(folder / "cluster.json", text.encode())


def _processes(folder: Path) -> dict[str, Process]:
    try:
        return {name: Process(**values) for name, values in _state(folder)["processes"].items()}
    except RuntimeError:
        return {}


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name, the state first; none for a process that ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
