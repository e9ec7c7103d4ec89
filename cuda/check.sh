#!/usr/bin/env bash
# The standing check of a GPU (docs/gpu.md): does it compute what the processor computes, does it live with little memory,
# how fast is it beside diffusers.
#
#   cuda/check.sh pack                 here: builds what the other machine needs into target/gpu-check, and tells its size
#   cuda/check.sh run OUT [PART…]      there: a bare machine with a GPU, CUDA's driver and PyTorch; no network, no Rust
#   cuda/check.sh report OUT           either: makes docs/gpu/CARD.json and .md of the parts in OUT
#   cuda/check.sh dry                  here: every part on the stand-in for the driver, with toys; in CI
#
# Parts: about conformance parity same sanitize oom soak ops bench naive. Each runs alone and leaves its file in OUT, so a
# machine that is lent for ten minutes at a time takes some at a time: first "about conformance parity same sanitize oom",
# then "soak ops", then "bench". THUMBFORGE_CHECK_SECONDS is what one part may take (540), THUMBFORGE_CHECK_CASES what
# bench draws (medium,turbo,large), THUMBFORGE_CHECK_MODELS where 44 GB of random weights are written.
set -euo pipefail
cd "$(dirname "$0")/.."

packed=target/gpu-check
# What the lender of a machine carries at most, with the working tree.
bytes_max=$((64 << 20))
seconds=${THUMBFORGE_CHECK_SECONDS:-540}

fail() {
    echo "cuda/check.sh: $*" >&2
    exit 1
}

pack() {
    rm -rf "$packed"
    mkdir -p "$packed/wheels"
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --locked --release -q -p thumbforge-cuda --example gpu_check ||
        fail "the program was not built"
    cp "${CARGO_TARGET_DIR:-target}/release/examples/gpu_check" "$packed/"
    # A bare machine has torch and transformers, and these it lacks.
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$packed/wheels" \
        diffusers==0.42.1 importlib_metadata ||
        echo "NOT PACKED: diffusers cannot be had from PyPI, so nothing will be timed beside it" >&2
    git rev-parse --short HEAD >"$packed/commit"
    [ -z "$(git status --porcelain)" ] || echo "$(cat "$packed/commit")+changes" >"$packed/commit"
    local tree mine
    tree=$(git ls-files -z --cached --others --exclude-standard | du -cb --files0-from=- | tail -1 | cut -f1)
    mine=$(du -sb "$packed" | cut -f1)
    echo "packed $((mine >> 10)) KiB in $packed; with the working tree $(((mine + tree) >> 20)) MiB of $((bytes_max >> 20))"
    echo "it needs $(grep -ao 'GLIBC_2\.[0-9]*' "$packed/gpu_check" | sort -Vu | tail -1) or newer"
    [ $((mine + tree)) -le "$bytes_max" ] || fail "that is more than is carried"
}

# Where models of full size go: the memory disk if it has room, else /tmp.
models() {
    local folder
    if [ -n "${THUMBFORGE_CHECK_MODELS:-}" ]; then
        echo "$THUMBFORGE_CHECK_MODELS"
        return
    fi
    for folder in /dev/shm /tmp; do
        if [ "$(df --output=avail -B1 "$folder" 2>/dev/null | tail -1)" -gt 47000000000 ]; then
            echo "$folder/thumbforge-models"
            return
        fi
    done
    fail "neither /dev/shm nor /tmp has 47 GB free: name a folder in THUMBFORGE_CHECK_MODELS"
}

# Models of these kinds, written once.
weights() {
    local kind
    for kind in "$@"; do
        [ -f "$models/$kind/done" ] && continue
        echo "== random weights: $kind"
        "$program" weights "$kind" "$models/$kind" || return 1
        touch "$models/$kind/done"
    done
}

# part NAME: runs it within its time, its output in OUT/NAME.log as well.
part() {
    local name=$1 more=("--device" "$device" "--models" "$models" "--out" "$out" "--seconds" "$seconds")
    [ -z "$tiny" ] || more+=(--tiny)
    # A part stops by itself; what hangs is ended.
    local limited=(timeout --kill-after=10 $((seconds + 60)))
    case "$name" in
    about | conformance | parity | same) "${limited[@]}" "$program" "$name" "${more[@]}" ;;
    oom)
        [ -n "$tiny" ] || weights medium || return 1
        "${limited[@]}" "$program" oom "${more[@]}"
        ;;
    soak | ops)
        [ -n "$tiny" ] || weights medium large || return 1
        "${limited[@]}" "$program" "$name" "${more[@]}"
        ;;
    sanitize) sanitize "${more[@]}" ;;
    bench | naive)
        [ -n "$tiny" ] || weights medium large || return 1
        rivals "$name"
        ;;
    *) fail "there is no part $name" ;;
    esac
}

# NVIDIA's checkers over the toy shapes: reads and writes out of bounds, and races for shared memory.
sanitize() {
    local tool ended=0
    if ! command -v compute-sanitizer >/dev/null; then
        echo "NOT RUN: compute-sanitizer is not here" >&2
        return 1
    fi
    for tool in memcheck racecheck; do
        timeout --kill-after=10 "$seconds" compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 20 \
            "$program" conformance "$@" --tiny --out "$out/$tool" || ended=1
    done
    return "$ended"
}

rivals() {
    local arguments=(--models "$models" --ours "$program" --ours-device "$device" --seconds "$seconds")
    if [ -n "$tiny" ]; then
        arguments+=(--tiny --device cpu --runs 2 --cases medium --variants eager)
    else
        arguments+=(--cases "${THUMBFORGE_CHECK_CASES:-medium,turbo,large}")
    fi
    if [ "$1" = naive ]; then
        "$python" cuda/bench/rivals.py soak --jobs "$out/soak-jobs.json" --out "$out/soak-naive.json" "${arguments[@]}"
    else
        "$python" cuda/bench/rivals.py bench --out "$out/bench.json" "${arguments[@]}"
    fi
}

# parts NAME…: each, whatever became of the one before.
parts() {
    local name failed=()
    mkdir -p "$out"
    for name in "$@"; do
        local from=$SECONDS
        echo "== $name"
        # A subshell, so that one part's failure is that part's.
        if ! (part "$name") 2>&1 | tee "$out/$name.log"; then failed+=("$name"); fi
        echo "== $name: $((SECONDS - from)) s"
    done
    if [ ${#failed[@]} -gt 0 ]; then
        echo "cuda/check.sh: FAILED: ${failed[*]}" >&2
        return 1
    fi
    echo "cuda/check.sh: all passed: $*"
}

run() {
    out=${1:?name the folder for what comes back}
    shift
    device=cuda tiny='' program=$packed/gpu_check python=${THUMBFORGE_PYTHON:-python3}
    [ -x "$program" ] || fail "$program is not here: run \`cuda/check.sh pack\` where Rust is, and carry target/gpu-check"
    command -v nvidia-smi >/dev/null || fail "nvidia-smi is not here: this machine has no NVIDIA driver"
    nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv,noheader
    "$program" about --out "$out" || fail "the program does not start here, or the card cannot be opened; see above"
    models=$(models)
    mkdir -p "$models"
    if ls "$packed"/wheels/*.whl >/dev/null 2>&1; then
        "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$models/site" \
            "$packed"/wheels/*.whl && export PYTHONPATH=$models/site
    fi
    export HF_HUB_OFFLINE=1
    local ended=0
    if [ $# -eq 0 ]; then set -- about conformance parity same sanitize oom soak ops bench naive; fi
    parts "$@" || ended=1
    report "$out" "$out" || ended=1
    return "$ended"
}

# report OUT [FOLDER]: docs/gpu unless a folder is named.
report() {
    local program=$packed/gpu_check card
    [ -x "$program" ] || program=${CARGO_TARGET_DIR:-target}/debug/examples/gpu_check
    card=$(grep -o '"card": "[^"]*"' "$1/about.json" | cut -d'"' -f4 | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
    THUMBFORGE_CHECK_DATE=$(date -u +%F) THUMBFORGE_CHECK_COMMIT=$(cat "$packed/commit" 2>/dev/null || git rev-parse --short HEAD) \
        "$program" report "$1" "${2:-docs/gpu}/${card:-card}.json"
}

dry() {
    out=target/gpu-check-dry device=${1:-standin} tiny=1 models=$PWD/target/gpu-check-dry/models
    program=${CARGO_TARGET_DIR:-target}/debug/examples/gpu_check
    rm -rf "$out"
    # shellcheck disable=SC2086 # several words
    cargo build --locked -q ${THUMBFORGE_BUILD:--p thumbforge-cuda --example gpu_check} || fail "the program was not built"
    # Toys end within a minute or two; what hangs is ended.
    local list=(about conformance parity same oom soak ops)
    # What PyTorch does is tried where it is: `tests/diffusion/run` installs it.
    python=${THUMBFORGE_PYTHON:-target/diffusion/python/bin/python}
    if [ -x "$python" ]; then
        list+=(bench)
    else
        echo "NOT RUN: torch and diffusers are not in target/diffusion: the driver of rivals was not tried"
        python3 -c "import ast, sys; ast.parse(open('cuda/bench/rivals.py').read())"
    fi
    parts "${list[@]}" && report "$out" "$out"
}

case "${1:-}" in
pack) pack ;;
run) shift && run "$@" ;;
report) report "${2:?name the folder of parts}" "${3:-}" ;;
dry) dry "${2:-}" ;;
*)
    sed -n '2,/^set/p' "$0" | grep '^#' | cut -c3- >&2
    exit 2
    ;;
esac
