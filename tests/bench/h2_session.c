#include "tests/bench/h2_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void h2_session_must(int result, const char *what)
{
    if (result != 0) {
        (void)fprintf(stderr, "HTTP/2: %s: %s\n", what, nghttp2_strerror(result));
        exit(EXIT_FAILURE);
    }
}

nghttp2_nv h2_session_field(const char *name, const char *value)
{
    nghttp2_nv nv = {.namelen = strlen(name), .valuelen = strlen(value)};
    /* The library takes no const and writes nothing. */
    memcpy(&nv.name, &name, sizeof(name));
    memcpy(&nv.value, &value, sizeof(value));
    return nv;
}

size_t h2_session_take(struct h2_session *session, char *out, size_t room)
{
    size_t len = 0;
    while (len < room) {
        if (session->taken_len == 0) {
            ssize_t more = nghttp2_session_mem_send(session->session, &session->taken);
            if (more <= 0) {
                break;
            }
            session->taken_len = (size_t)more;
        }
        size_t take = session->taken_len < room - len ? session->taken_len : room - len;
        memcpy(out + len, session->taken, take);
        session->taken += take;
        session->taken_len -= take;
        len += take;
    }
    return len;
}
