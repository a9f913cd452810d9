#include "lbd/base/sd_notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lbd/base/num.h"

static bool find_socket(struct sockaddr_un *address, socklen_t *len)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@')) {
        return false;
    }
    size_t path_len = strlen(path);
    if (path_len < 2 || path_len >= sizeof(address->sun_path)) {
        return false;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, path_len);
    if (path[0] == '@') {
        address->sun_path[0] = '\0'; /* an abstract name ends with its length, not with a NUL */
    }
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    return true;
}

bool sd_notify_is_wanted(void)
{
    struct sockaddr_un address;
    socklen_t len;
    return find_socket(&address, &len);
}

bool sd_notify_send(const char *fmt, ...)
{
    struct sockaddr_un address;
    socklen_t address_len;
    if (!find_socket(&address, &address_len)) {
        return false;
    }

    char text[1024];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len < 0 || len >= (int)sizeof(text)) {
        return false;
    }

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    ssize_t sent;
    do {
        /* whoever does not read must not stop the thread that answers everybody else */
        sent = sendto(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
                      (const struct sockaddr *)&address, address_len);
    } while (sent < 0 && errno == EINTR);
    (void)close(fd);
    return sent == len;
}

uint64_t sd_notify_watchdog_ms(void)
{
    uint64_t usec;
    uint64_t pid;
    const char *usec_text = getenv("WATCHDOG_USEC");
    const char *pid_text = getenv("WATCHDOG_PID");
    if (usec_text == NULL || !num_parse_u64(slice_from(usec_text), &usec)) {
        return 0;
    }
    if (pid_text != NULL &&
        (!num_parse_u64(slice_from(pid_text), &pid) || pid != (uint64_t)getpid())) {
        return 0;
    }
    return usec / 2000U;
}
