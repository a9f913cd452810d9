"""procfs - what the kernel knows about a process: memory, threads, processor time, sockets."""

import os


def tree(pid):
    """`pid` and all its descendants, oldest first."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                    parents[int(name)] = int(stat.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found = [pid]
    for one in found:
        found.extend(sorted(child for child, parent in parents.items() if parent == one))
    return found


def pss_bytes(pids):
    """Proportional set size, user space, summed."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                for line in rollup:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def tids(pids):
    found = []
    for pid in pids:
        try:
            found.extend(int(tid) for tid in os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
    return found


def ran_ns(tid):
    try:
        with open(f"/proc/{tid}/schedstat", encoding="ascii") as stat:
            return int(stat.read().split()[0])
    except OSError:
        return 0


SLABS = ("TCP", "sock_inode_cache", "filp", "dentry", "eventpoll_epi", "eventpoll_pwq", "request_sock_TCP",
         "tcp_bind_bucket", "tcp_bind2_bucket", "skbuff_head_cache", "skbuff_small_head", "lsm_inode_cache")


def kernel_memory():
    """(bytes of all slabs, bytes of TCP buffers, {slab: (objects, bytes each)}); empty without root."""
    slab, tcp, objects = 0, 0, {}
    try:
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            for line in meminfo:
                if line.startswith("Slab:"):
                    slab = int(line.split()[1]) * 1024
        with open("/proc/net/sockstat", encoding="ascii") as sockstat:
            for line in sockstat:
                if line.startswith("TCP:"):
                    tcp = int(line.split()[-1]) * os.sysconf("SC_PAGESIZE")
        with open("/proc/slabinfo", encoding="ascii") as slabinfo:
            for line in slabinfo:
                words = line.split()
                if words[0] in SLABS:
                    objects[words[0]] = (int(words[1]), int(words[3]))
    except OSError:
        pass
    return slab, tcp, objects


def machine():
    """What a reader must know to judge the figures."""
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cpus": len(os.sched_getaffinity(0)), "kernel": os.uname().release}
