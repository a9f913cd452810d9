#!/bin/sh
# machine.sh BASE DEBS OUT - a small machine that is thrown away: a layer of memory over /, namespaces of
# its own, systemd as process 1, no network. It installs the packages of DEBS and runs service.sh, which
# writes to OUT.
#
# Everything is inside of a cgroup of its own, so that this systemd manages nothing but itself; /proc/sys
# is read-only and /sys is empty. Ends with 77 where the kernel or the container does not let us.
set -eu
base=$1 debs=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)

if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    top=/sys/fs/cgroup kind=unified line='0::'
else
    top=/sys/fs/cgroup/systemd kind=legacy line='[0-9]*:name=systemd:'
fi
group=$top/lbd-test-$$
mkdir "$group" 2>/dev/null || exit 77
home=$top$(sed -n "s/^$line//p" /proc/self/cgroup)
leave() {
    echo $$ >"$home/cgroup.procs" 2>/dev/null || true
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap leave EXIT
echo $$ >"$group/cgroup.procs" || exit 77

set +e
timeout -k 5 120 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net --propagation private \
    sh -c '. "$0" && boot "$@"' "$here/boot.sh" "$base" "$debs" "$out" "$here/service.sh" "$kind" \
    </dev/null >"$out/machine.log" 2>&1
code=$?
set -e
[ -e "$out/began" ] || exit 77
exit "$code"
