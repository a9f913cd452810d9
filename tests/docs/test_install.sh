#!/bin/sh
# test_install.sh - does `cmake --install` put everything where it belongs?
#
# Installs LBD_BUILD below a temporary DESTDIR, twice, and looks. Nothing outside of it is touched.
set -u
build=${LBD_BUILD:-}
if [ -z "$build" ] || [ ! -x "${LBD_BIN:-}" ] || [ ! -x "${LBCTL_BIN:-}" ]; then
    echo "FAIL: lbd is not built"
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

run() {
    DESTDIR="$work" cmake --install "$build" --prefix "$1" >"$work/log" 2>&1 ||
        fail "cmake --install --prefix $1: $(tail -5 "$work/log")"
}

run /usr
for file in usr/sbin/lbd usr/bin/lbctl usr/share/man/man8/lbd.8 usr/share/man/man1/lbctl.1 \
    usr/share/man/man5/lbd.json.5 usr/lib/systemd/system/lbd.service usr/lib/sysusers.d/lbd.conf \
    usr/lib/tmpfiles.d/lbd.conf usr/lib/systemd/system/lbd.socket etc/logrotate.d/lbd usr/share/bash-completion/completions/lbctl \
    usr/share/zsh/site-functions/_lbctl etc/lbd/lbd.json; do
    [ -s "$work/$file" ] || fail "/$file is not there"
done
grep -q '^ExecStart=/usr/sbin/lbd -c /etc/lbd/lbd.json$' "$work/usr/lib/systemd/system/lbd.service" ||
    fail "lbd.service starts something else"
grep -q '^ExecReload=/usr/bin/lbctl reload --wait$' "$work/usr/lib/systemd/system/lbd.service" ||
    fail "lbd.service reloads otherwise"
[ -d "$work/etc/lbd/conf.d" ] || fail "/etc/lbd/conf.d is not there"
grep -q '^[A-Z].*@[A-Z]*@' "$work/usr/lib/systemd/system/lbd.service" && fail "lbd.service has a word left"
grep -q __complete "$work/usr/share/bash-completion/completions/lbctl" || fail "no completion"
bash -n "$work/usr/share/bash-completion/completions/lbctl" || fail "bash does not read the completion"
cmp -s conf/lbd.json "$work/etc/lbd/lbd.json" || fail "/etc/lbd/lbd.json is not conf/lbd.json"

echo '{}' >"$work/etc/lbd/lbd.json"
echo '# mine' >"$work/etc/logrotate.d/lbd"
run /usr
[ "$(cat "$work/etc/lbd/lbd.json")" = '{}' ] || fail "a configuration was overwritten"
[ "$(cat "$work/etc/logrotate.d/lbd")" = '# mine' ] || fail "a logrotate file was overwritten"

run /opt/lbd
[ -s "$work/opt/lbd/etc/logrotate.d/lbd" ] || fail "/opt/lbd has no logrotate file of its own"
[ -s "$work/opt/lbd/etc/lbd/lbd.json" ] || fail "/opt/lbd has no configuration of its own"
grep -q '^ExecStart=/opt/lbd/sbin/lbd -c /opt/lbd/etc/lbd/lbd.json$' \
    "$work/opt/lbd/lib/systemd/system/lbd.service" || fail "the unit below /opt/lbd starts something else"

[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
echo "installed as it should be"
