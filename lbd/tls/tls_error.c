#include "lbd/tls/tls_error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

void tls_error_clear(void)
{
    /* Asked before every read and write: clearing goes over all places of the queue. */
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

void tls_error_take(int number, char out[TLS_ERROR_TEXT_MAX])
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (code != 0 && ERR_SYSTEM_ERROR(code)) {
        reason = strerror(ERR_GET_REASON(code));
    }
    if (reason == NULL) {
        reason = number != 0 ? strerror(number) : "unknown";
    }
    (void)snprintf(out, TLS_ERROR_TEXT_MAX, "%s", reason);
    ERR_clear_error();
}

bool tls_error_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    char reason[TLS_ERROR_TEXT_MAX];
    char text[384];
    va_list args;
    tls_error_take(0, reason);
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(err, kind, "%s: %s", text, reason);
}

bool tls_error_at(struct err *err, const char *place)
{
    if (err != NULL) {
        (void)snprintf(err->place, sizeof(err->place), "%s", place);
    }
    return false;
}
