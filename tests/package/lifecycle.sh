#!/bin/sh
# lifecycle.sh FOLDER - installs, runs, upgrades, removes and purges the packages in FOLDER, and looks
# after each step. Run by test_deb.py inside of a root that is thrown away: it changes the system it
# runs in. Says "ok NAME" for each step; ends with the first thing that is wrong.
set -eu
debs=$1
log=/tmp/lifecycle.log
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

began=$(date +%s)
step() {
    echo "ok $* at $(($(date +%s) - began)) s"
}
die() {
    echo "FAIL: $*"
    [ ! -s "$log" ] || tail -n 30 "$log"
    exit 1
}
quietly() {
    "$@" >"$log" 2>&1 || die "'$*' ends with $?"
}
# mode and owner of a path
is() {
    [ "$(stat -c '%a %U:%G' "$1")" = "$2" ] || die "$1 is $(stat -c '%a %U:%G' "$1"), not $2"
}
# $1 times 0.1 s for the rest to become true
within() {
    count=$1
    shift
    until "$@" >"$log" 2>&1; do
        count=$((count - 1))
        [ "$count" -gt 0 ] || die "in time: $*"
        sleep 0.1
    done
}
as() { # user, groups, command
    user=$1 groups=$2
    shift 2
    HOME=/nonexistent setpriv --reuid "$user" --regid nogroup --groups "$groups" "$@"
}
# names of ours where packages may put things, but for the index of all manuals
ours() {
    find /etc /opt /srv /usr /var -xdev \( -path /var/cache/man -o -path /var/tmp \) -prune -o \
        \( -iname 'lbd' -o -iname 'lbd.*' -o -iname '*lbctl*' -o -iname 'lbd-*' \) -print | sort
}

# -- before: nothing of it is here --
for name in lbd lbctl; do
    dpkg-query -W "$name" >/dev/null 2>&1 && quietly dpkg -P "$name"
done
ours >/tmp/before
rm -f /var/lib/man-db/auto-update # an index of all manuals, at each step, says nothing about us

# -- install --
# there is a system manager as far as the scripts can see; what they ask of it is written down
mkdir -p /run/systemd/system /usr/local/sbin
: >/tmp/asked
printf '#!/bin/sh\necho "deb-systemd-invoke $*" >>/tmp/asked\n' >/usr/local/sbin/deb-systemd-invoke
cat >/usr/local/sbin/systemctl <<'SH'
#!/bin/sh
echo "systemctl $*" >>/tmp/asked
case "$*" in
*preset*) exec /usr/bin/systemctl --root=/ "$@" ;;
kill*) kill -USR1 "$(cat /tmp/lbd.pid)" ;;
esac
SH
chmod 755 /usr/local/sbin/systemctl /usr/local/sbin/deb-systemd-invoke
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

quietly dpkg -i "$debs"/lbctl_*.deb "$debs"/lbd_0*.deb "$debs"/lbd-dbgsym_*.deb
getent passwd lbd >/dev/null || die "no user lbd"
for group in lbd lbd-admin lbd-operate lbd-read; do
    getent group "$group" >/dev/null || die "no group $group"
done
is /var/lib/lbd '700 lbd:lbd'
is /var/log/lbd '750 lbd:lbd'
is /etc/lbd '755 root:root'
is /etc/lbd/conf.d '755 root:root'
is /etc/lbd/lbd.json '644 root:root'
is /usr/sbin/lbd '755 root:root'
[ -L /etc/systemd/system/multi-user.target.wants/lbd.service ] || die "lbd.service is not enabled"
[ ! -e /etc/systemd/system/sockets.target.wants/lbd.socket ] || die "lbd.socket is enabled"
grep -q 'deb-systemd-invoke start lbd.service' /tmp/asked || die "lbd was not started"
step install

# -- the units, with everything they name --
if command -v systemd-analyze >/dev/null; then
    quietly systemd-analyze verify lbd.service lbd.socket
    [ ! -s "$log" ] || die "the units are not clean"
    quietly systemd-analyze security --offline=true --threshold=20 --no-pager lbd.service
    step units
fi

# -- what was installed runs --
quietly lbd --version
quietly lbctl --version
quietly lbd -t -c /etc/lbd/lbd.json
for page in man8/lbd.8 man5/lbd.json.5 man1/lbctl.1; do
    quietly gzip -t "/usr/share/man/$page.gz"
done
quietly bash -n /usr/share/bash-completion/completions/lbctl
! command -v zsh >/dev/null || quietly zsh -n /usr/share/zsh/vendor-completions/_lbctl
# the certificates that examples name, seen from a folder of their own
mkdir /tmp/examples
cd /tmp/examples
sh "$debs/example_files.sh" /tmp/examples/ca /usr/share/doc/lbd/examples/*.json >/tmp/made || die "$(cat /tmp/made)"
for example in /usr/share/doc/lbd/examples/*.json; do
    quietly lbd -t -c "$example"
done
xargs rm </tmp/made
cd /
[ -e "/usr/lib/debug/.build-id/$(file /usr/sbin/lbd | sed 's|.*BuildID\[sha1\]=\(..\)\([0-9a-f]*\).*|\1/\2|').debug" ] ||
    die "no symbols for this lbd"
step programs

# -- as a service runs it: root, then the user; logs in files, turned over by logrotate --
cat >/etc/lbd/conf.d/pool.json <<'JSON'
{ "pools": { "main": { "servers": { "a": { "address": "127.0.0.1:1" } } } } }
JSON
sed -i 's|"path": "stderr"|"path": "/var/log/lbd/lbd.log"|' /etc/lbd/lbd.json
quietly lbd -t -c /etc/lbd/lbd.json
lbd -c /etc/lbd/lbd.json </dev/null >/tmp/lbd.out 2>&1 &
pid=$!
trap 'kill -9 $pid 2>/dev/null || true' EXIT
within 100 lbctl status
[ "$(ps -o user= -p "$pid")" = lbd ] || die "lbd runs as $(ps -o user= -p "$pid")"
quietly lbctl get pools main
is /run/lbd '750 lbd:lbd'
is /run/lbd/api.sock '660 lbd:lbd'
# the gate and the roles
as nobody lbd,lbd-read lbctl get pools main >"$log" 2>&1 || die "lbd-read may not read"
if as nobody lbd,lbd-read lbctl delete pool/main --yes >"$log" 2>&1; then
    die "lbd-read may delete"
fi
if as nobody lbd-read lbctl status >"$log" 2>&1; then
    die "the gate is open"
fi
if command -v logrotate >/dev/null; then
    echo "$pid" >/tmp/lbd.pid
    quietly logrotate -f -s /tmp/logrotate.state /etc/logrotate.d/lbd
    [ -s /var/log/lbd/lbd.log.1 ] || die "nothing was turned over"
    is /var/log/lbd/lbd.log '640 lbd:adm'
    within 50 grep -q log.reopened /var/log/lbd/lbd.log
    step logrotate
fi
kill -TERM "$pid"
wait "$pid" || die "lbd ends with $?"
trap - EXIT
[ -s /var/lib/lbd/config.json ] || die "nothing was saved"
step run

# -- upgrade: what a person changed stays, and what runs is started anew --
: >/tmp/asked
quietly dpkg -i "$debs"/lbctl_*.deb "$debs"/newer/lbd_*.deb
grep -q '/var/log/lbd/lbd.log' /etc/lbd/lbd.json || die "a changed configuration was overwritten"
[ -s /var/lib/lbd/config.json ] || die "the saved state is gone"
grep -q 'deb-systemd-invoke restart lbd.service' /tmp/asked || die "lbd was not restarted"
grep -q 'stop' /tmp/asked && die "lbd was stopped"
step upgrade

# -- with a wrong configuration nothing is started --
: >/tmp/asked
cp /etc/lbd/conf.d/pool.json /etc/lbd/conf.d/twice.json
quietly dpkg -i "$debs"/newer/lbd_*.deb
grep -q 'deb-systemd-invoke' /tmp/asked && die "lbd was restarted with a wrong configuration"
grep -q "twice.json:1:14: #/pools/main: 'main' is already in /etc/lbd/conf.d/pool.json:1:14" "$log" ||
    die "the mistake was not shown"
rm /etc/lbd/conf.d/twice.json
step wrong_configuration

# -- remove: configuration and state stay --
: >/tmp/asked
quietly dpkg -r lbd-dbgsym lbd
grep -q 'deb-systemd-invoke stop lbd.socket lbd.service' /tmp/asked || die "lbd was not stopped"
if [ ! -e /etc/lbd/lbd.json ] || [ ! -s /var/lib/lbd/config.json ]; then
    die "a removal took too much"
fi
[ ! -e /usr/sbin/lbd ] || die "lbd is still there"
step remove

# -- and purge leaves nothing --
quietly dpkg -P lbd lbd-dbgsym lbctl
rm -f /usr/local/sbin/systemctl /usr/local/sbin/deb-systemd-invoke
getent passwd lbd >/dev/null && die "the user is left"
getent group lbd lbd-admin lbd-operate lbd-read >/dev/null && die "a group is left"
ours >/tmp/after
cmp -s /tmp/before /tmp/after || die "left behind: $(comm -13 /tmp/before /tmp/after | tr '\n' ' ')"
step purge
