#!/bin/sh
# npm_install.sh - installs the npm packages of a test: npm_install.sh FROM INTO
#
# FROM has package.json, package-lock.json and .npmrc; nothing happens when INTO has what the lockfile says.
# Needs the npm registry once; without it this is an error, no skip.
set -eu
from=${1:?where package.json is}
into=${2:?where to install}
export NO_UPDATE_NOTIFIER=1 CI=1

if grep -n -e '"resolved"' -e 'registry\.' "$from/package-lock.json"; then
    echo "the lockfile names a registry: npm must ask the one that this machine is told to"
    exit 1
fi
mkdir -p "$into"
exec 9>"$into/.installing"
flock 9
if ! cmp -s "$from/package-lock.json" "$into/installed-lock.json"; then
    rm -rf "$into/node_modules" "$into/installed-lock.json"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$into"
    (cd "$into" && npm ci --no-progress --loglevel=error)
    cp "$from/package-lock.json" "$into/installed-lock.json"
fi
