#!/bin/sh
# test_docs.sh - do the documents say what is?
#
# Man pages are clean and name every command and option; what README.md, CONTRIBUTING.md and
# ARCHITECTURE.md name exists; the examples are valid configurations; systemd takes the unit.
# Run from the top of the tree; LBD_BIN and LBCTL_BIN name the programs, where they are built.
set -u
failures=0
fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# -- man pages --
command -v mandoc >/dev/null 2>&1 || fail "no mandoc: scripts/deps.sh test"
for page in docs/man/*.[1-9]; do
    mandoc -Tlint "$page" 2>&1 |
        grep -v -e 'outdated mandoc.db' -e 'referenced manual not found' >"$work/lint" &&
        fail "$page: $(cat "$work/lint")"
done

lbctl=${LBCTL_BIN:-}
if [ -n "$lbctl" ] && [ -x "$lbctl" ]; then
    "$lbctl" help >"$work/help" || fail "lbctl help ends with $?"
    # a word or two, the summary two spaces behind; a page names "config validate" as Cm config Cm validate
    sed -n '/^options for all/q; s/^  \([a-z]*\( [a-z][a-z]*\)\{0,1\}\)  .*/\1/p' "$work/help" >"$work/commands"
    [ "$(wc -l <"$work/commands")" -ge 8 ] || fail "lbctl help lists no commands"
    while read -r first second; do
        grep -q "^\.It Cm $first${second:+ Cm $second}\b" docs/man/lbctl.1 ||
            fail "lbctl.1 lacks the command $first $second"
        # shellcheck disable=SC2086
        "$lbctl" help "$first" $second >"$work/one" || fail "lbctl help $first $second ends with $?"
        for option in $(sed -n 's/^  .*--\([a-z-]*\).*/\1/p' "$work/one"); do
            grep -q -e "^\..*[F,][l ]* -$option\b" docs/man/lbctl.1 ||
                fail "lbctl.1 lacks --$option ($first $second)"
        done
    done <"$work/commands"
    sed -n 's/^\.It Cm \([a-z]*\)\( Cm \([a-z]*\)\)\{0,1\}.*/\1 \3/p' docs/man/lbctl.1 |
        while read -r first second; do
            grep -q "^$first\b" "$work/commands" || echo "lbctl.1 has $first, which lbctl lacks"
            [ -z "$second" ] || grep -qx -e "$first $second" -e "$first" "$work/commands" ||
                echo "lbctl.1 has $first $second, which lbctl lacks"
        done >"$work/foreign"
    [ ! -s "$work/foreign" ] || fail "$(cat "$work/foreign")"
    sed -n '/^enum ctl_exit/,/^};/s/^ *CTL_[A-Z_]* = \([0-9]*\).*/\1/p' ctl/ctl.h >"$work/codes"
    sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EXAMPLES/s/^\.It \([0-9]*\)$/\1/p' docs/man/lbctl.1 >"$work/told"
    [ -s "$work/codes" ] && cmp -s "$work/codes" "$work/told" ||
        fail "lbctl.1 has the exit codes $(tr '\n' ' ' <"$work/told"), ctl/ctl.h $(tr '\n' ' ' <"$work/codes")"
    sed 's/ .*//' "$work/commands" >"$work/words"
    # what the documents tell people to type
    grep -ho 'lbctl [a-z][a-z]*' README.md CONTRIBUTING.md docs/*.md conf/lbd.json conf/examples/*.json docs/man/*.[1-9] |
        sort -u | while read -r _ word; do
            case $word in is | and | asks | over | refuses | holds | sees) continue ;; esac
            grep -qx "$word" "$work/words" || echo "a document says 'lbctl $word'"
        done >"$work/typed"
    [ ! -s "$work/typed" ] || fail "$(cat "$work/typed")"
else
    fail "no lbctl: LBCTL_BIN is '$lbctl'"
fi

# -- each example is in the cookbook --
for file in conf/examples/*.json; do
    grep -q "(../$file)" docs/cookbook.md || fail "docs/cookbook.md lacks $file"
done
grep -o '(\.\./conf/[^)]*)' docs/cookbook.md | tr -d '()' | while read -r file; do
    [ -f "docs/$file" ] || echo "docs/cookbook.md names $file"
done >"$work/recipes"
[ ! -s "$work/recipes" ] || fail "$(cat "$work/recipes")"

# -- examples are valid; what lbd.json(5) says of settings is compared by test_conf_schema --
lbd=${LBD_BIN:-}
if [ -n "$lbd" ] && [ -x "$lbd" ]; then
    "$lbd" --help >"$work/options" || fail "lbd --help ends with $?"
    options=$(grep -o -e '--[a-z]*' "$work/options" | sort -u)
    [ "$(echo "$options" | wc -l)" -ge 4 ] || fail "lbd --help lists no options"
    for option in $options; do
        grep -q -e "^\.It .*Fl -${option#--}\b" -e "^\.It .*, -${option#--}\b" docs/man/lbd.8 || fail "lbd.8 lacks $option"
    done
    for option in $(sed -n 's/^\.It Fl -\([a-z]*\)$/\1/p' docs/man/lbd.8); do
        echo "$options" | grep -qx -e "--$option" || fail "lbd.8 has --$option, which lbd lacks"
    done
    sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' docs/man/lbd.json.5 | sed '/^\./d' >"$work/man.json"
    awk '/^```jsonc/ { n++; inside = 1; next } /^```/ { inside = 0 }
         inside { print > (dir "/readme" n ".json") }' dir="$work" README.md
    # certificates that an example names are looked at
    for file in "$work"/*.json conf/lbd.json conf/examples/*.json; do
        [ -s "$file" ] || continue
        sed "s|/etc/lbd/|$work/etc/|g; s|build/demo/\([a-z]*.pem\)|$work/etc/\1|g" "$file" >"$work/one"
        tests/docs/example_files.sh "$work/ca" "$work/one" >"$work/out" || fail "$(cat "$work/out")"
        "$lbd" -t -c "$work/one" >"$work/out" 2>&1 || fail "lbd -t -c $file: $(cat "$work/out")"
    done
else
    fail "no lbd: LBD_BIN is '$lbd'"
fi

# -- paths, links and targets --
for document in README.md CONTRIBUTING.md ARCHITECTURE.md docs/*.md tests/bench/README.md; do
    [ -s "$document" ] || { fail "$document is missing"; continue; }
    for target in $(grep -o '](\([^)#]*\)[)#]' "$document" | sed 's/^](//; s/[)#]$//' | grep -v '^https*:'); do
        [ -e "$target" ] || [ -e "$(dirname "$document")/$target" ] || fail "$document links to $target"
    done
    # shellcheck disable=SC2016
    for path in $(grep -o '`[a-z][A-Za-z0-9_./-]*`' "$document" | tr -d '`' | sort -u); do
        case $path in
        build/* | lbd/ | */ | *STEM*) continue ;;
        lbd/*/* | conf/* | api/* | ctl/* | tests/* | scripts/* | cmake/* | docs/* | systemd/* | contrib/* | packaging/*)
            [ -e "$path" ] || [ -e "$path.h" ] || [ -e "$path.c" ] || fail "$document names $path" ;;
        esac
    done
    # shellcheck disable=SC2016
    for target in $(grep -o '\(^\|`\)make [a-z]*' "$document" | sed 's/.*make //' | sort -u); do
        grep -q "^$target:" Makefile || fail "$document says 'make $target'"
    done
done
# the files that ARCHITECTURE.md names as room/stem
rooms='base conf stats net tls http balance upstream proxy snapshot worker control api ctl'
for room in $rooms; do
    grep -o "\(^\|[^a-z/]\)$room/[a-z0-9_]\+" ARCHITECTURE.md | sed 's/^[^a-z]//' | sort -u
done >"$work/stems"
while read -r stem; do
    found=
    for file in "lbd/$stem" "$stem"; do
        [ -e "$file.c" ] || [ -e "$file.h" ] || [ -e "$file.def" ] || [ -d "$file" ] && found=yes
    done
    [ -n "$found" ] || fail "ARCHITECTURE.md names $stem"
done <"$work/stems"
[ "$(wc -l <"$work/stems")" -gt 20 ] || fail "ARCHITECTURE.md names few files"
lines=$(wc -l <ARCHITECTURE.md)
[ "$lines" -le 150 ] || fail "ARCHITECTURE.md has $lines lines, more than 150"

# -- systemd --
if command -v systemd-analyze >/dev/null 2>&1; then
    mkdir -p "$work/unit"
    sed 's|@SBINDIR@/lbd|/bin/true|; s|@BINDIR@/lbctl|/bin/true|; s|@CONFDIR@|/etc/lbd|' systemd/lbd.service \
        >"$work/unit/lbd.service"
    cp systemd/lbd.socket "$work/unit/"
    if systemd-analyze verify --man=no "$work/unit/lbd.service" "$work/unit/lbd.socket" >"$work/out" 2>&1; then
        [ ! -s "$work/out" ] || fail "lbd.service: $(cat "$work/out")"
    else
        fail "lbd.service: $(cat "$work/out")"
    fi
    systemd-analyze security --offline=true --threshold=20 --no-pager "$work/unit/lbd.service" \
        >"$work/out" 2>&1 || fail "lbd.service is less protected than it was: $(tail -1 "$work/out")"
else
    echo "no systemd-analyze: the unit is not verified"
fi
if command -v systemd-sysusers >/dev/null 2>&1; then
    systemd-sysusers --dry-run "$PWD/systemd/lbd.sysusers" >"$work/out" 2>&1 ||
        fail "lbd.sysusers: $(cat "$work/out")"
fi

[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
echo "the documents are true"
