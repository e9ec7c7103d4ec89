#!/usr/bin/env bash
# The standing check of a GPU (docs/gpu.md): does it compute what the processor computes, does it live with little memory,
# how fast is it beside diffusers.
#
#   cuda/check.sh pack                 here: builds what the other machine needs into target/gpu-check, and tells its size
#   cuda/check.sh run OUT [PART…]      there: a bare machine with a GPU, CUDA's driver and PyTorch; no network, no Rust
#   cuda/check.sh report OUT           either: makes docs/gpu/CARD.json and .md of what came back in OUT
#   cuda/check.sh dry                  here: every part on the stand-in for the driver, with toys; in CI
#
# Parts: conformance parity same sanitize oom soak ops bench naive. Each runs alone, so that a machine which is lent for ten
# minutes at a time takes some at a time; OUT gets one archive of all that the machine has done so far, anew after each part.
# THUMBFORGE_CHECK_SECONDS is what all parts of one call may take (540; those that come late are told), THUMBFORGE_CHECK_CASES
# what bench draws (turbo,medium,large), THUMBFORGE_CHECK_VARIANTS beside whom (all; "compiled;max-autotune" are two of them),
# THUMBFORGE_CHECK_MODELS where random weights are written, 44 GB of both models (/dev/shm or /tmp), THUMBFORGE_CHECK_WORK where
# parts lie between calls (/tmp/thumbforge-check), THUMBFORGE_PYTHON the Python that has torch.
set -euo pipefail
cd "$(dirname "$0")/.."

packed=target/gpu-check
# What the lender of a machine carries at most, with the working tree.
bytes_max=$((64 << 20))
seconds=${THUMBFORGE_CHECK_SECONDS:-540}
cases=${THUMBFORGE_CHECK_CASES:-turbo,medium,large}
# What models of full size take of a disk, rounded up.
declare -A kind_gb=([medium]=18 [large]=29)

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

# Kinds of models that the parts named draw with, a line each.
kinds() {
    local name one
    for name in "$@"; do
        case "$name" in
        oom) echo medium ;;
        soak | ops | naive) printf '%s\n' medium large ;;
        bench) for one in ${cases//,/ }; do if [ "$one" = medium ]; then echo medium; else echo large; fi; done ;;
        esac
    done | sort -u
}

# Where models of full size go that the parts named need: where an earlier call wrote some, else to the memory disk if it has
# room for those that are missing, else to /tmp.
models() {
    local folder kind folders=(/dev/shm /tmp) needed free
    if [ -n "${THUMBFORGE_CHECK_MODELS:-}" ]; then
        echo "$THUMBFORGE_CHECK_MODELS"
        return
    fi
    for folder in "${folders[@]}"; do
        if compgen -G "$folder/thumbforge-models/*/done" >/dev/null; then folders=("$folder") && break; fi
    done
    for folder in "${folders[@]}"; do
        needed=0
        for kind in $(kinds "$@"); do
            [ -f "$folder/thumbforge-models/$kind/done" ] && continue
            # What a call that was cut off has left of it.
            rm -rf "${folder:?}/thumbforge-models/$kind"
            needed=$((needed + (kind_gb[$kind] * 1000000000)))
        done
        free=$(df --output=avail -B1 "$folder" 2>/dev/null | tail -1)
        if [ "${free:-0}" -ge "$needed" ]; then
            echo "$folder/thumbforge-models"
            return
        fi
    done
    fail "${folders[*]}: no room for $((needed / 1000000000)) GB of models: name a folder in THUMBFORGE_CHECK_MODELS"
}

# Models of these kinds, written once, side by side: a processor writes some 1.7 GB a second.
weights() {
    local kind pid pids=() from=$SECONDS
    for kind in "$@"; do
        [ -f "$models/$kind/done" ] && continue
        ("$program" weights "$kind" "$models/$kind" && touch "$models/$kind/done") &
        pids+=($!)
    done
    for pid in "${pids[@]+"${pids[@]}"}"; do wait "$pid" || return 1; done
    [ ${#pids[@]} -eq 0 ] || echo "random weights of $*: $((SECONDS - from)) s"
}

# part NAME COUNT: runs it in the time that is left. Parts that take whatever they get have one share of it, where COUNT
# are still to come.
part() {
    local name=$1 left=$((ends - SECONDS))
    case "$name" in soak | bench | naive) left=$((left / $2)) && ends=$((SECONDS + left)) ;; esac
    if [ "$left" -lt 30 ]; then
        echo "NOT RUN: $name: $left s are left of $seconds" >&2
        return 1
    fi
    local more=("--device" "$device" "--models" "$models" "--out" "$work" "--seconds" $((left - 20)))
    [ -z "$tiny" ] || more+=(--tiny)
    # A part begins nothing new when its time is over; what hangs is ended.
    local limited=(timeout --kill-after=5 $((left + 20)))
    case "$name" in
    conformance | parity) "${limited[@]}" "$program" "$name" "${more[@]}" ;;
    same) "${limited[@]}" "$program" same --library never "${more[@]}" ;;
    oom)
        # shellcheck disable=SC2046 # several words
        [ -n "$tiny" ] || weights $(kinds oom) || return 1
        "${limited[@]}" "$program" oom --library never "${more[@]}"
        ;;
    soak | ops)
        # shellcheck disable=SC2046 # several words
        [ -n "$tiny" ] || weights $(kinds "$name") || return 1
        "${limited[@]}" "$program" "$name" "${more[@]}"
        ;;
    sanitize) sanitize "${more[@]}" ;;
    bench | naive)
        # shellcheck disable=SC2046 # several words
        [ -n "$tiny" ] || weights $(kinds "$name") || return 1
        rivals "$name"
        ;;
    *) fail "there is no part $name" ;;
    esac
}

# NVIDIA's checkers over the toy shapes: reads and writes out of bounds, and races for shared memory.
sanitize() {
    local tool ended code told rows=()
    if ! command -v compute-sanitizer >/dev/null; then
        echo "NOT RUN: compute-sanitizer is not here" >&2
        return 1
    fi
    ended=0
    for tool in memcheck racecheck; do
        code=0
        timeout --kill-after=5 $(((ends - SECONDS) / 2 + 15)) compute-sanitizer --tool "$tool" --error-exitcode 9 \
            --print-limit 20 "$program" conformance --library never "$@" --tiny --out "$work/$tool" 2>&1 | tee "$work/$tool.log" || code=$?
        case "$code" in
        0) told=clean ;;
        124 | 137) told="out of time" ;;
        9) told="something found" ;;
        *) told="ended with $code" ;;
        esac
        [ "$code" -eq 0 ] || ended=1
        rows+=("{\"tool\": \"$tool\", \"outcome\": \"$told\"}")
        echo "$tool: $told"
        (IFS=, && echo "{\"passed\": $([ "$ended" -eq 0 ] && echo true || echo false), \"tools\": [${rows[*]}]}") >"$work/sanitize.json"
    done
    return "$ended"
}

rivals() {
    # What is begun when the rounds' time is over, each of ours once more, takes up to a minute and a half.
    local left=$((ends - SECONDS)) arguments
    arguments=(--models "$models" --ours "$program" --ours-device "$device")
    if [ -n "$tiny" ]; then
        arguments+=(--tiny --device cpu --runs 2 --cases medium --variants eager --caps-mb 10490 --seconds "$left")
    else
        [ -z "${THUMBFORGE_CHECK_VARIANTS:-}" ] || arguments+=(--variants "$THUMBFORGE_CHECK_VARIANTS")
        arguments+=(--cases "$cases" --seconds $((left > 180 ? left - 90 : left / 2)))
    fi
    if [ "$1" = naive ]; then
        timeout --kill-after=5 $((left + 20)) "$python" -B cuda/bench/rivals.py soak --jobs "$work/soak-jobs.json" \
            --out "$work/soak-naive.json" "${arguments[@]}"
    else
        # Cases that an earlier call timed stay beside those of this one.
        timeout --kill-after=5 $((left + 20)) "$python" -B cuda/bench/rivals.py bench --keep --out "$work/bench.json" \
            "${arguments[@]}"
    fi
}

# parts NAME…: each, whatever became of the one before.
parts() {
    local name failed=() count=$#
    mkdir -p "$out" "$work"
    for name in "$@"; do
        local from=$SECONDS
        echo "== $name"
        # A subshell, so that one part's failure is that part's.
        if ! (part "$name" "$count") 2>&1 | tee "$work/$name.log"; then failed+=("$name"); fi
        count=$((count - 1))
        echo "== $name: $((SECONDS - from)) s"
        # One file, for few come back from some machines; a call that is cut off leaves the last whole one.
        tar -cf "$out/parts.tar.new" -C "$work" . && mv "$out/parts.tar.new" "$out/parts.tar"
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
    device=cuda tiny='' program=$packed/gpu_check python=${THUMBFORGE_PYTHON:-python3} ends=$((SECONDS + seconds))
    work=${THUMBFORGE_CHECK_WORK:-/tmp/thumbforge-check}
    [ -x "$program" ] || fail "$program is not here: run \`cuda/check.sh pack\` where Rust is, and carry target/gpu-check"
    command -v nvidia-smi >/dev/null || fail "nvidia-smi is not here: this machine has no NVIDIA driver"
    nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv,noheader
    # What another version has found is not this one's.
    cmp -s "$packed/commit" "$work/commit" || rm -rf "$work"
    mkdir -p "$work" "$out"
    cp "$packed/commit" "$work/commit"
    "$program" about --out "$work" || fail "the program does not start here, or the card cannot be opened; see above"
    if [ $# -eq 0 ]; then set -- conformance parity same sanitize oom soak ops bench naive; fi
    models=$(models "$@")
    mkdir -p "$models"
    if ls "$packed"/wheels/*.whl >/dev/null 2>&1; then
        "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$models/site" \
            "$packed"/wheels/*.whl && export PYTHONPATH=$models/site
    fi
    export HF_HUB_OFFLINE=1
    local ended=0
    parts "$@" || ended=1
    report "$work" "$out" || ended=1
    return "$ended"
}

# report FOLDER [INTO]: of parts, or of their archive; into docs/gpu unless a folder is named.
report() {
    local program=$packed/gpu_check card
    [ -x "$program" ] || program=${CARGO_TARGET_DIR:-target}/debug/examples/gpu_check
    if [ -f "$1/parts.tar" ]; then
        rm -rf "$1/parts"
        mkdir "$1/parts"
        tar -xf "$1/parts.tar" -C "$1/parts"
        set -- "$1/parts" "${2:-}"
    fi
    card=$(grep -o '"card": "[^"]*"' "$1/about.json" | cut -d'"' -f4 | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
    THUMBFORGE_CHECK_DATE=$(date -u +%F) THUMBFORGE_CHECK_COMMIT=$(cat "$1/commit" 2>/dev/null || git rev-parse --short HEAD) \
        "$program" report "$1" "${2:-docs/gpu}/${card:-card}.json"
}

dry() {
    out=target/gpu-check-dry device=${1:-standin} tiny=1 models=$PWD/target/gpu-check-dry/models ends=$((SECONDS + 3600))
    work=$out/work
    program=${CARGO_TARGET_DIR:-target}/debug/examples/gpu_check
    rm -rf "$out"
    # shellcheck disable=SC2086 # several words
    cargo build --locked -q ${THUMBFORGE_BUILD:--p thumbforge-cuda --example gpu_check} || fail "the program was not built"
    # NVIDIA's checker is played by what runs the program and ends as it does.
    mkdir -p "$out/bin" "$work"
    cat >"$out/bin/compute-sanitizer" <<'END'
#!/bin/sh
while [ "$1" != "${1#--}" ]; do shift 2; done
exec "$@"
END
    chmod +x "$out/bin/compute-sanitizer"
    PATH=$PWD/$out/bin:$PATH
    "$program" about --device "$device" --out "$work"
    local list=(conformance parity same sanitize oom soak ops)
    # What PyTorch does is tried where it is: `tests/diffusion/run` installs it.
    python=${THUMBFORGE_PYTHON:-target/diffusion/python/bin/python}
    if [ -x "$python" ]; then
        "$python" -B cuda/bench/rivals_test.py
        list+=(bench naive)
    else
        echo "NOT RUN: torch and diffusers are not in target/diffusion: the driver of rivals was not tried"
        python3 -c "import ast, sys; ast.parse(open('cuda/bench/rivals.py').read())"
    fi
    parts "${list[@]}" && report "$out" "$out"
    # Nothing that ran is missing in the report, and nothing that did not looks as if it had.
    ! grep -q '"not_run": \[\]' "$out/stand-in.json" || [ -x "$python" ] || fail "the report says that everything ran"
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
