#!/bin/sh
# build.sh PRESET [cmake options ...] - configures (once) and builds one preset into build/PRESET.
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "build/$preset/build.ninja" ] || [ $# -gt 0 ]; then
    if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
fi
cmake --build "build/$preset" -j "${JOBS:-$(nproc)}"
