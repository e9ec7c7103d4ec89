#!/usr/bin/env bash
# Installs the compiler of the kernels into target/tools/nvrtc: PyPI's wheel of NVRTC (88 MB), pinned by its hash. It ends
# with 69 where that cannot be had. Arguments go to pip: `--no-index --find-links FOLDER` installs a wheel that is here.
set -euo pipefail
cd "$(dirname "$0")/../.."

into=target/tools/nvrtc wanted=cuda/compile/nvrtc.txt
if cmp -s "$wanted" "$into/installed"; then exit 0; fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "cuda/compile/nvrtc.sh: the kernels are compiled on Linux for x86-64, and this is $(uname -sm)" >&2
    exit 69
fi
rm -rf "$into"
# Into a folder of its own: nothing of the system's Python is touched.
if ! python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --only-binary=:all: --require-hashes \
    --target "$into" -r "$wanted" "$@"; then
    echo "cuda/compile/nvrtc.sh: python3 with pip is not here, or NVRTC cannot be had from PyPI" >&2
    exit 69
fi
cp "$wanted" "$into/installed"
