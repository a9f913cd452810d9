#!/bin/sh
# format.sh [--check] - clang-format over every C file that git knows; --check only says what differs.
set -eu
cd "$(dirname "$0")/.."
if ! command -v clang-format >/dev/null 2>&1; then
    echo "format.sh: needs clang-format (apt-get install clang-format)" >&2
    exit 1
fi
mode=-i
[ "${1:-}" = --check ] && mode="--dry-run -Werror"
# shellcheck disable=SC2086
git ls-files -z -- '*.c' '*.h' | xargs -0 clang-format $mode
