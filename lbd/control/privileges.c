#include "lbd/control/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lbd/base/compiler.h"

uint32_t privileges_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit = raised;
        }
    }
    return limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)limit.rlim_cur;
}

bool privileges_find_user(struct slice name, struct privileges_user *user, struct err *err)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char text[4096];

    memset(user, 0, sizeof(*user));
    if (name.len >= sizeof(user->name)) {
        return err_set(err, ERR_INVALID, "the name of the user is too long");
    }
    memcpy(user->name, name.ptr, name.len);
    int failed = getpwnam_r(user->name, &entry, text, sizeof(text), &found);
    if (found == NULL) {
        return failed != 0 ? err_set(err, ERR_SYSTEM, "cannot look up the user '%s': %s",
                                     user->name, strerror(failed))
                           : err_set_at(err, ERR_INVALID, "/daemon/user",
                                        "there is no user named '%s', which lbd becomes: "
                                        "systemd-sysusers makes that of the package; or name "
                                        "another one in daemon.user",
                                        user->name);
    }
    user->uid = entry.pw_uid;
    user->gid = entry.pw_gid;
    return true;
}

static bool is_empty_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    bool empty = true;
    for (const struct dirent *item = readdir(dir); item != NULL && empty; item = readdir(dir)) {
        empty = strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0;
    }
    (void)closedir(dir);
    return empty;
}

static bool make_parents(char *path, struct err *err)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            return err_set(err, ERR_SYSTEM, "cannot make the directory '%s': %s", path,
                           strerror(errno));
        }
        *at = '/';
    }
    return true;
}

bool privileges_make_directory(const char *path, mode_t mode, const struct privileges_user *user,
                               struct err *err)
{
    char parents[4096];
    struct stat now;

    if (strlen(path) >= sizeof(parents)) {
        return err_set(err, ERR_INVALID, "the path of a directory is too long");
    }
    bool give = user != NULL && geteuid() == 0;
    if (stat(path, &now) == 0) {
        if (!S_ISDIR(now.st_mode)) {
            return err_set(err, ERR_INVALID, "'%s' is not a directory", path);
        }
        /* a folder for everybody, such as an empty /tmp, stays what it is */
        give = give && now.st_uid == 0 && (now.st_mode & S_IWOTH) == 0 && user->uid != 0 &&
               is_empty_directory(path);
    } else {
        (void)snprintf(parents, sizeof(parents), "%s", path);
        if (!make_parents(parents, err)) {
            return false;
        }
        /* chmod besides: the umask must not take rights away that `mode` gives */
        if (mkdir(path, mode) != 0 || chmod(path, mode) != 0) {
            return err_set(err, ERR_SYSTEM, "cannot make the directory '%s': %s", path,
                           strerror(errno));
        }
    }
    if (give && chown(path, user->uid, user->gid) != 0) {
        return err_set(err, ERR_SYSTEM, "cannot give the directory '%s' to %s: %s", path,
                       user->name, strerror(errno));
    }
    return true;
}

bool privileges_make_file(const char *path, const struct privileges_user *user, struct err *err)
{
    struct stat found;
    if (user == NULL || geteuid() != 0) {
        return true; /* whoever opens it makes it */
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return err_set(err, ERR_SYSTEM, "cannot open '%s': %s", path, strerror(errno));
    }
    bool ok =
        fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) || found.st_uid != 0 ||
        fchown(fd, user->uid, user->gid) == 0 ||
        err_set(err, ERR_SYSTEM, "cannot give '%s' to %s: %s", path, user->name, strerror(errno));
    (void)close(fd);
    return ok;
}

static bool has_capability(unsigned number)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    return syscall(SYS_capget, &header, data) == 0 &&
           (data[number / 32].permitted & (1U << (number % 32))) != 0;
}

static bool keep_only(unsigned number, struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (has_capability(number)) { /* a container may have taken it away before */
        data[number / 32].permitted = 1U << (number % 32);
        data[number / 32].effective = 1U << (number % 32);
    }
    if (syscall(SYS_capset, &header, data) != 0) {
        return err_set(err, ERR_SYSTEM, "cannot give up capabilities: %s", strerror(errno));
    }
    return true;
}

/* What is not in the bounding set cannot come back, not by any program we might start. */
static void drop_bounding_set(void)
{
    for (unsigned long number = 0; number < 64; number++) {
        if (number != CAP_NET_BIND_SERVICE) {
            (void)prctl(PR_CAPBSET_DROP, number, 0UL, 0UL, 0UL);
        }
    }
}

bool privileges_drop(const struct privileges_user *user, struct err *err)
{
    drop_bounding_set(); /* needs CAP_SETPCAP, so it comes first */
    if (prctl(PR_SET_KEEPCAPS, 1UL, 0UL, 0UL, 0UL) != 0) {
        return err_set(err, ERR_SYSTEM, "cannot keep capabilities: %s", strerror(errno));
    }
    if (initgroups(user->name, user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0) {
        return err_set(err, ERR_SYSTEM, "cannot become the user '%s': %s", user->name,
                       strerror(errno));
    }
    if (!keep_only(CAP_NET_BIND_SERVICE, err)) {
        return false;
    }
    (void)prctl(PR_SET_KEEPCAPS, 0UL, 0UL, 0UL, 0UL);
    if (user->uid != 0 && setresuid(0, 0, 0) == 0) {
        return err_set(err, ERR_SYSTEM, "root came back after it was given up");
    }
    return true;
}

void privileges_forbid_new(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL);
}
