#!/bin/sh
# build.sh PRESET [target ...] - configures (once) and builds a preset into build/PRESET; everything when
# no target is named.
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "build/$preset/build.ninja" ]; then
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
fi
if [ $# -gt 0 ]; then
    set -- --target "$@"
fi
cmake --build "build/$preset" -j "${JOBS:-$(nproc)}" "$@"
