#!/bin/sh
# test.sh [asan|tsan|release ...] - builds and tests; all three when none is named.
#
#   release   builds with warnings as errors; the Debian packages of it are made, linted, installed,
#             upgraded and purged in a root that is thrown away; journeys that measure memory
#   asan      every test under the address and undefined-behaviour sanitizers
#   tsan      those that cross threads, under the thread sanitizer
#
# Goes on after a failure, to say everything that is wrong; the last line is the sum.
set -u
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- release asan tsan
jobs=${JOBS:-$(nproc)}
logs=build/test-logs
mkdir -p "$logs"
rm -f "$logs"/*

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

broken=0
for step in "$@"; do
    echo "== $step: build"
    preset=$step
    targets=
    if [ "$step" = release ]; then
        preset=strict
        targets="lbd lbctl bench_programs" # two hundred tests would be optimised at link time, for nothing
    fi
    # shellcheck disable=SC2086
    if ! scripts/build.sh "$preset" $targets; then
        echo "== $step: does not build"
        broken=$((broken + 1))
        continue
    fi
    case $step in
    release) labels="-L package|memory" ;;
    asan) labels= ;;
    tsan) labels="-L tsan" ;;
    *) continue ;;
    esac
    echo "== $step: test"
    # shellcheck disable=SC2086
    ctest --test-dir "build/$preset" $labels -j "$jobs" --output-on-failure --no-tests=error \
        --schedule-random || broken=$((broken + 0))
    cp "build/$preset/Testing/Temporary/LastTest.log" "$logs/$step.log" 2>/dev/null ||
        broken=$((broken + 1))
done

/usr/bin/python3 -B scripts/count_tests.py "$broken" "$logs"/*.log
