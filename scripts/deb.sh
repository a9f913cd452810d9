#!/bin/sh
# deb.sh [BUILD [FOLDER]] - Debian packages of what BUILD (build/release) holds, into FOLDER (build/deb).
#
# CPack makes them (cmake/Package.cmake). Its packages of symbols are put right here: cpack 3.25 writes
# the path of the machine into their md5sums, and gives them no documents and a name of their own.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/release}
folder=${2:-build/deb}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! (cd "$build" && cpack -B "$work/cpack") >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi

for symbols in "$work"/cpack/*.ddeb; do
    [ -e "$symbols" ] || continue
    name=$(basename "$symbols" .ddeb)
    package=${name%%_*}
    dpkg-deb -R "$symbols" "$work/$package"
    mkdir -p "$work/$package/usr/share/doc"
    ln -s "${package%-dbgsym}" "$work/$package/usr/share/doc/$package"
    (cd "$work/$package" && find usr -type f -exec md5sum {} + >DEBIAN/md5sums)
    chmod -R u=rwX,go=rX "$work/$package"
    dpkg-deb --root-owner-group -b "$work/$package" "$work/cpack/$name.deb" >/dev/null
done

mkdir -p "$folder"
rm -f "$folder"/*.deb
mv "$work"/cpack/*.deb "$folder/"
ls -1 "$folder"/*.deb
