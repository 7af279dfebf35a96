"""A real Kubernetes control plane on loopback: etcd, API server, and the controllers of Jobs; no kubelet, so pods run nowhere.

The two programs of Kubernetes are built once from the Go module proxy into the user's cache folder; etcd is Debian's (etcd-server).
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from buckets import free_port
from daemons import daemon

VERSION = "1.34.4"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / f"kubernetes-{VERSION}"
PROGRAMS = ("kube-apiserver", "kube-controller-manager")
NEEDED = {
    "etcd": "Debian: apt-get install etcd-server",
    "openssl": "Debian: apt-get install openssl",
    "kubectl": "Kubernetes' client",
}


@dataclass(frozen=True)
class Cluster:
    """A control plane that answers: `environment` is what kubectl needs to find it."""

    environment: dict[str, str]
    folder: Path

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, and return how it ended."""
        command = ["kubectl", *arguments]
        return subprocess.run(command, env=self.environment, input=stdin, capture_output=True, text=True, timeout=120)

    def do(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl, which must succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return objects as the API server has them."""
        return json.loads(self.do("get", *arguments, "-o", "json"))


def missing() -> list[str]:
    """Return what has to be installed first."""
    wanted = (
        NEEDED
        if all((CACHE / name).exists() for name in PROGRAMS)
        else {**NEEDED, "go": "Go 1.24 or later, to build Kubernetes"}
    )
    return [f"{name} ({how})" for name, how in wanted.items() if shutil.which(name) is None]


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start the control plane in `folder`, and end it."""
    if absent := missing():
        raise RuntimeError(f"not installed: {', '.join(absent)}")
    build()
    folder.mkdir(parents=True, exist_ok=True)
    ports = {name: free_port() for name in ("etcd", "peer", "api")}
    key, tokens, config = (folder / name for name in ("key.pem", "tokens.csv", "kubeconfig"))
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens.write_text("test-token,admin,admin,system:masters\n")
    config.write_text(_kubeconfig(ports["api"]))
    etcd, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "peer"))
    options = {
        "etcd": {
            "data-dir": folder / "etcd",
            "listen-client-urls": etcd,
            "advertise-client-urls": etcd,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        },
        "kube-apiserver": {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "secure-port": ports["api"],
            "cert-dir": folder / "certificates",
            "token-auth-file": tokens,
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.0.0.0/24",
            "endpoint-reconciler-type": "none",
            "service-account-issuer": "https://test",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
        },
        "kube-controller-manager": {
            "kubeconfig": config,
            "controllers": "job-controller,namespace-controller,serviceaccount-controller",
            "leader-elect": "false",
            "secure-port": 0,
            "service-account-private-key-file": key,
        },
    }
    environment = {**os.environ, "KUBECONFIG": str(config), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    cluster = Cluster(environment, folder)
    with ExitStack() as stack:
        for name, values in options.items():
            program = CACHE / name if name in PROGRAMS else name
            command = [str(program), *(f"--{option}={value}" for option, value in values.items())]
            stack.enter_context(daemon(command, folder / f"{name}.log", environment))
            if name == "kube-apiserver":
                _until_ready(cluster, folder)
        yield cluster


def build() -> None:
    """Build what is not there yet, for many minutes."""
    if all((CACHE / name).exists() for name in PROGRAMS):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = CACHE / "build"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    module = f"k8s.io/kubernetes@v{VERSION}"
    said = subprocess.run(
        ["go", "mod", "download", "-json", module], cwd=scratch, env=environment, capture_output=True, check=True
    )
    # Kubernetes' own go.mod points to folders beside it; outside they are modules of the same minor and patch, from v0 on.
    beside = [line.split()[0] for line in Path(json.loads(said.stdout)["GoMod"]).read_text().splitlines() if "=>" in line]
    replaced = [f"replace {name} => {name} v0.{VERSION.partition('.')[2]}" for name in beside]
    (scratch / "go.mod").write_text(
        "\n".join(["module test", "go 1.24.0", f"require k8s.io/kubernetes v{VERSION}", *replaced]) + "\n"
    )
    packages = [f"k8s.io/kubernetes/cmd/{name}" for name in PROGRAMS]
    command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", f"{scratch}/", *packages]
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in PROGRAMS:
        os.replace(scratch / name, CACHE / name)
    shutil.rmtree(scratch)


def _kubeconfig(port: int) -> str:
    here = {"name": "here"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{**here, "cluster": {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}}],
            "users": [{**here, "user": {"token": "test-token"}}],
            "contexts": [{**here, "context": {"cluster": "here", "user": "here"}}],
            "current-context": "here",
        }
    )


def _until_ready(cluster: Cluster, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while cluster.run("get", "--raw", "/readyz").returncode:
        log = (folder / "kube-apiserver.log").read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, f"the API server is not ready after two minutes:\n{log}"
        time.sleep(0.5)
