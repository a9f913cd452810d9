#!/bin/sh
# test_api_lint.sh - is the OpenAPI document one that others can use?
#
# Prints it with LBD_BIN and shows it to Spectral and Redocly, installed by npm into LINT_BUILD from the
# lockfile beside this file. Installing needs the npm registry once; without it this is an error, no skip.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${LINT_BUILD:?where to install}
lbd=${LBD_BIN:?the program}
export REDOCLY_TELEMETRY=off

"$here/../npm_install.sh" "$here" "$build"
cp "$here/spectral.yaml" "$here/redocly.yaml" "$build"

cd "$build"
"$lbd" --openapi >openapi.json
failures=0
node node_modules/@stoplight/spectral-cli/dist/index.js lint --ruleset spectral.yaml \
    --fail-severity=hint openapi.json || failures=$((failures + 1))
node node_modules/@redocly/cli/bin/cli.js lint --config redocly.yaml openapi.json || failures=$((failures + 1))

# The linters do complain when there is something to complain about.
sed 's/"operationId": "getConfig"/"operationId": "putConfig"/' openapi.json >wrong.json
if node node_modules/@stoplight/spectral-cli/dist/index.js lint --ruleset spectral.yaml wrong.json >wrong.txt 2>&1; then
    echo "Spectral has nothing to say about an operationId that is there twice"
    failures=$((failures + 1))
fi
if node node_modules/@redocly/cli/bin/cli.js lint --config redocly.yaml wrong.json >wrong.txt 2>&1; then
    echo "Redocly has nothing to say about an operationId that is there twice"
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ] || exit 1
echo "others can use it"
