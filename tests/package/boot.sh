# boot.sh - makes the root of machine.sh's machine and becomes its systemd. Sourced as process 1 of new
# namespaces: every mount here is seen by nobody else.

boot() {
    set -eu
    base=$1 debs=$2 out=$3 script=$4 kind=$5
    mount -t tmpfs tmpfs "$base"
    mkdir "$base/changes" "$base/work" "$base/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$base/changes,workdir=$base/work" "$base/root"
    cd "$base/root"
    rm -rf var/lib/lbd etc/lbd  # of this machine, if it has any: not of a new one
    mkdir -p proc dev run tmp sys debs out mnt/old
    cp -r "$debs/." debs/
    cp "$script" debs/service.sh
    mount --bind "$out" out

    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,ro,bind proc/sys
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t tmpfs tmpfs sys
    mkdir -p sys/fs/cgroup
    if [ "$kind" = unified ]; then
        mount -t cgroup2 cgroup2 sys/fs/cgroup
    else
        mount -t tmpfs tmpfs sys/fs/cgroup
        mkdir sys/fs/cgroup/systemd
        mount -t cgroup -o none,name=systemd systemd sys/fs/cgroup/systemd
    fi
    mount -t tmpfs tmpfs dev
    mknod -m 666 dev/null c 1 3
    mknod -m 666 dev/zero c 1 5
    mknod -m 666 dev/full c 1 7
    mknod -m 666 dev/random c 1 8
    mknod -m 666 dev/urandom c 1 9
    mknod -m 666 dev/tty c 5 0
    mkdir dev/pts dev/shm dev/mqueue dev/hugepages
    mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mount -t mqueue mqueue dev/mqueue
    mount -t tmpfs tmpfs dev/shm

    # nothing of the machine below starts; no rule of it against starting holds
    rm -rf etc/systemd/system/*.wants usr/sbin/policy-rc.d
    rm -f var/lib/man-db/auto-update
    cat >etc/systemd/system/probe.target <<'UNIT'
[Unit]
Requires=basic.target
After=basic.target
Wants=probe.service
UNIT
    cat >etc/systemd/system/probe.service <<'UNIT'
[Unit]
DefaultDependencies=no
After=basic.target
[Service]
Type=oneshot
StandardOutput=file:/out/service.log
StandardError=inherit
ExecStart=/bin/bash /debs/service.sh
ExecStopPost=/bin/systemctl --force --force exit
UNIT
    pivot_root . mnt/old
    cd /
    umount -l /mnt/old
    mount --make-rshared /
    exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=probe.target --show-status=no
}
