#!/bin/bash
# service.sh - lbd as systemd runs it. Run by machine.sh in a machine of its own; says "ok NAME" for
# each step and ends with the first thing that is wrong.
set -u
: >/out/began
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C SYSTEMD_PAGER=

step() {
    echo "ok $*"
}
die() {
    echo "FAIL: $*"
    systemctl --no-pager status lbd.service lbd.socket
    tail -n 40 /out/lbd.log
    exit 1
}
within() { # $1 times 0.1 s for the rest to become true
    local count=$1
    shift
    until "$@" >/dev/null 2>&1; do
        ((--count > 0)) || die "in time: $*"
        sleep 0.1
    done
}
property() {
    systemctl show -P "$1" lbd.service
}
line_is() { # a pattern
    # shellcheck disable=SC2053
    [[ $(property StatusText) == $1 ]]
}

mkdir -p /etc/systemd/system/lbd.service.d
cat >/etc/systemd/system/lbd.service.d/test.conf <<'UNIT'
[Unit]
StartLimitBurst=100
[Service]
StandardOutput=append:/out/lbd.log
StandardError=append:/out/lbd.log
WatchdogSec=2
TimeoutStopSec=2
UNIT

dpkg -i /debs/lbctl_*.deb /debs/lbd_0*.deb >/tmp/dpkg.log 2>&1 || die "dpkg: $(cat /tmp/dpkg.log)"
if [ "$(property ExecMainStatus)" = 226 ]; then
    echo "SKIP: the kernel or the container has no namespaces for a sandbox in here"
    exit 0
fi
systemctl is-active --quiet lbd.service || die "the package did not start it: $(cat /tmp/dpkg.log)"
lbctl status >/dev/null || die "the API does not answer"
line_is 'rev 1, 0 listeners, 0/0 servers up' || die "the line is '$(property StatusText)'"
status=/proc/$(property MainPID)/status
for want in $'Uid:\t'"$(id -u lbd)"$'\t' $'NoNewPrivs:\t1' $'Seccomp:\t2' $'CapEff:\t0000000000000400' \
    $'CapBnd:\t0000000000000400' $'CapAmb:\t0000000000000400'; do
    grep -q "^$want" "$status" || die "not '$want' in $(cat "$status")"
done
step start

# -- the API holds the configuration: a reload of the file says that it would do nothing --
systemctl reload lbd 2>/dev/null && die "a reload of a file that nobody reads looks like one"
grep -q 'lbctl: the API holds the configuration' /out/lbd.log || die "lbctl does not say why"

# -- the file holds it; a privileged port --
sed -i 's/"config_source": "api"/"config_source": "file"/; s/"drain_timeout": "30s"/"drain_timeout": "4s"/' /etc/lbd/lbd.json
systemctl restart lbd || die "no restart"
cat >/etc/lbd/conf.d/web.json <<'JSON'
{
  "listeners": { "web": { "bind": ["127.0.0.1:80"], "default_pool": "main" } },
  "pools": { "main": { "servers": { "a": { "address": "127.0.0.1:81" }, "b": { "address": "127.0.0.1:82" } } } }
}
JSON
systemctl reload lbd || die "no reload"
within 50 line_is 'rev [0-9]*, 1 listener, 2/2 servers up'
step reload

echo '{ "pools": { "main": {} } }' >/etc/lbd/conf.d/wrong.json
systemctl reload lbd 2>/dev/null && die "a wrong file was reloaded"
grep -q "/etc/lbd/conf.d/wrong.json:1:14: /pools/main: 'main' is already in /etc/lbd/conf.d/web.json:3:14" /out/lbd.log ||
    die "the mistake is not told"
systemctl is-active --quiet lbd.service || die "a wrong file ended it"
line_is 'rev [0-9]*, 1 listener, 2/2 servers up' || die "a wrong file changed something"
step wrong_reload

# -- and with it, a start fails once --
systemctl restart lbd 2>/dev/null && die "a wrong file was started"
sleep 1.5 # longer than RestartSec
[ "$(property ActiveState) $(property NRestarts) $(property ExecMainStatus)" = 'failed 0 78' ] ||
    die "it is tried again: $(property ActiveState) $(property NRestarts) $(property ExecMainStatus)"
rm /etc/lbd/conf.d/wrong.json
systemctl start lbd || die "no start"
step wrong_start

# -- a stop that drains for longer than TimeoutStopSec is let --
exec 9<>/dev/tcp/127.0.0.1/80
printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&9
read -r _ <&9 # it was answered; the connection stays open
began=$SECONDS
systemctl stop lbd
exec 9>&-
((SECONDS - began >= 3)) || die "it was not let drain: $((SECONDS - began)) s"
[ "$(property Result)" = success ] || die "the stop ended with $(property Result)"
step drain

# -- killed, it comes back; the watchdog of 2 s was content all the time --
systemctl start lbd || die "no start"
kill -9 "$(property MainPID)"
came_back() {
    [[ $(property NRestarts) == 1 && $(property ActiveState) == active ]]
}
within 100 came_back
sleep 3
[ "$(property NRestarts)" = 1 ] || die "the watchdog bit"
step restart

# -- the API's socket is systemd's --
systemctl stop lbd
systemctl enable --quiet --now lbd.socket || die "no socket"
[ "$(stat -c '%a %U:%G' /run/lbd/api.sock)" = '660 lbd:lbd' ] || die "$(stat -c '%a %U:%G' /run/lbd/api.sock)"
lbctl status >/dev/null || die "asking does not start it"
within 50 systemctl is-active --quiet lbd.service # it answers a moment before it says READY
for _ in 1 2 3; do
    systemctl restart lbd &
    said=$(lbctl status 2>&1) || die "refused while it restarts: $said"
    wait
done
systemctl stop lbd 2>/dev/null
[ -S /run/lbd/api.sock ] || die "the socket went with the service"
grep -q 'api.listening address=unix:/run/lbd/api.sock opened_by=service_manager' /out/lbd.log || die "not taken over"
step socket

# -- it goes away as a service goes --
dpkg -P lbd lbctl >/tmp/dpkg.log 2>&1 || die "dpkg: $(cat /tmp/dpkg.log)"
systemctl is-active --quiet lbd.socket && die "the socket stays"
[ ! -e /run/lbd ] || die "/run/lbd stays"
step purge
