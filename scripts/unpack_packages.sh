#!/bin/sh
# unpack_packages.sh - puts programs of Debian packages into a directory without installing them.
#
#   scripts/unpack_packages.sh DIRECTORY PACKAGE ...
#
# For servers that stand in each other's way as packages (cyrus-imapd, perdition and imapproxy conflict with
# Dovecot). What they depend on and is not installed comes along; no script of theirs runs. Needs no root, and
# nothing at all when DIRECTORY has them. Run them with the libraries of DIRECTORY/usr/lib and its folder of the
# architecture in LD_LIBRARY_PATH.
set -eu

directory=$1
shift
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)

for package in "$@"; do
    [ -e "$directory/.unpacked/$package" ] || break
    package=
done
[ -n "$package" ] || exit 0

# Names what would be installed, from apt's own account of it.
named() {
    apt-get -s install --reinstall -y --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}

wanted=$(named "$@")
if [ -z "$wanted" ]; then
    echo "unpack_packages.sh: apt-get does not know all of: $*" >&2
    exit 1
fi
debs=$(mktemp -d)
trap 'rm -rf "$debs"' EXIT
trap 'exit 130' INT TERM
# shellcheck disable=SC2086
if ! (cd "$debs" && apt-get -q download $wanted) >"$debs/log" 2>&1; then
    cat "$debs/log" >&2
    echo "unpack_packages.sh: cannot fetch $wanted" >&2
    exit 1
fi
for deb in "$debs"/*.deb; do
    dpkg-deb -x "$deb" "$directory"
done
mkdir -p "$directory/.unpacked"
for package in "$@"; do
    : >"$directory/.unpacked/$package"
done
