#!/usr/bin/env bash
# Builds the core, the channel, the C ABI and the sidecar for Windows and runs under Wine:
# their own tests, the same as everywhere; programs in C that load thumbforge.dll and start thumbforge.exe; and the
# sample batch, whose files must be those that this system's own build writes, byte for byte.
# `tests/run` calls it once the tools are there. What this proves and what not: README.md beside this.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=x86_64-pc-windows-gnu
gcc=x86_64-w64-mingw32-gcc-posix
out=$PWD/target/windows
built=$out/$target/debug
work=$out/work
# A Wine of our own: nothing of the user's is read or written, and what is left running at the end is ended.
export WINEPREFIX=$out/wine WINEDEBUG=-all
trap '/usr/lib/wine/wineserver -k || true' EXIT

# The user's own wrappers and flags are meant for another compiler. Dependencies stay unoptimised: their optimising
# takes three times as long as everything else here together. `panic_unwind` lets the ABI answer a panic.
cargo() {
    env -u RUSTFLAGS -u RUSTC_WRAPPER -u RUSTUP_TOOLCHAIN \
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR="$out" \
        CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$gcc CC_x86_64_pc_windows_gnu=$gcc \
        /usr/bin/cargo "$1" --config 'profile.dev.package."*".opt-level=0' \
        -Z build-std=std,panic_unwind --target $target --locked "${@:2}"
}

# Runs a program in FOLDER; one that hangs is ended.
run() {
    local folder=$1
    shift
    (cd "$folder" && timeout 600 /usr/lib/wine/wine64 "$@" 2>&1)
}

# The name that Windows programs know a path by.
windows_path() { echo "Z:${1//\//\\}"; }

from=$SECONDS
packages=(-p thumbforge-core -p thumbforge-channel -p thumbforge-ffi -p thumbforge-sidecar)
mkdir -p "$out"
cargo build -q --tests --bins --lib "${packages[@]}" --message-format=json-render-diagnostics >"$out/messages"
echo "built in $((SECONDS - from)) s"

# Wine 8 lacks a library of Windows that Rust's standard library takes its random bytes from.
for folder in "$built" "$built/deps"; do
    $gcc -shared -O2 -Wall -Wextra -Werror -o "$folder/bcryptprimitives.dll" tests/windows/bcryptprimitives.c -ladvapi32
done
# The first start makes the prefix, which takes some seconds and is nobody's test.
/usr/lib/wine/wine64 "$built/thumbforge.exe" --version 2>/dev/null

tests=$(sed -n 's|.*"manifest_path":"\([^"]*\)/Cargo.toml".*"profile":{[^}]*"test":true}.*"executable":"\([^"]*\)".*|\1 \2|p' "$out/messages")
if [ "$(wc -l <<<"$tests")" -lt 5 ]; then
    echo "expected the tests of four crates, found: $tests" >&2
    exit 1
fi
while read -r package program; do
    echo "-- $(basename "$program")"
    run "$package" "$program" -q </dev/null
done <<<"$tests"

# Both headers lay structs out as each other does for this system too.
$gcc -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -I ffi/include tests/abi/c/layout.c

rm -rf "$work"
mkdir -p "$work"
cp "$built/thumbforge.exe" "$built/bcryptprimitives.dll" "$built/deps/thumbforge.dll" "$work"
sed -n '/^```c$/,/^```$/{/^```/d;p}' README.md >"$work/readme.c"
for source in tests/abi/c/round_trip.c tests/windows/load.c "$work/readme.c"; do
    $gcc -std=c99 -Wall -Wextra -Werror -pedantic -O1 -I ffi/include -I tests/abi/c "$source" \
        -o "$work/$(basename "$source" .c).exe" "$built/deps/libthumbforge.dll.a"
done
sidecar=$(windows_path "$work/thumbforge.exe")
for program in round_trip readme load; do
    mkdir "$work/$program"
    echo "-- $program.exe"
    arguments=("$(windows_path "$work/$program")" "$sidecar")
    if [ $program = load ]; then arguments+=(50); fi
    run "$work" "$work/$program.exe" "${arguments[@]}" </dev/null
done

echo "-- the sample batch, here and there"
for system in here there; do
    mkdir "$work/$system"
    cp -r unity-package/Samples~/LocaleVariants "$work/$system"
done
# shellcheck disable=SC2086 # several words
command cargo build -q --locked ${THUMBFORGE_BUILD:---workspace --bins}
target/debug/thumbforge batch "$work/here/LocaleVariants" --data-dir "$work/here/data" -q
run "$work/there" "$work/thumbforge.exe" batch LocaleVariants --data-dir data -q </dev/null
diff -r "$work/here/LocaleVariants" "$work/there/LocaleVariants"
run "$work/there" "$work/thumbforge.exe" batch LocaleVariants --data-dir data --check </dev/null
