#!/bin/sh
# fuzz.sh [stem ...] - libFuzzer on every target of tests/fuzz (or on those named), one after another.
# FUZZ_SECONDS (30) each. What it finds stays in build/fuzz/found/<stem>/; an input worth keeping is
# copied by hand into tests/fuzz/corpus/<stem>/.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh fuzz
seconds=${FUZZ_SECONDS:-30}
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.c | sed 's|.*/fuzz_||; s|\.c$||')

failed=0
for stem in "$@"; do
    found=build/fuzz/found/$stem
    corpus=tests/fuzz/corpus/$stem
    mkdir -p "$found"
    [ -d "$corpus" ] || corpus=
    echo "== $stem"
    # shellcheck disable=SC2086
    build/fuzz/tests/fuzz_"$stem" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
        -print_final_stats=1 -artifact_prefix="$found/crash-" "$found" $corpus \
        >"build/fuzz/$stem.log" 2>&1 || {
        failed=$((failed + 1))
        tail -n 40 "build/fuzz/$stem.log"
        continue
    }
    grep -E 'number_of_executed_units|new_units_added' "build/fuzz/$stem.log"
done
echo "$# targets, $failed failed"
[ "$failed" -eq 0 ]
