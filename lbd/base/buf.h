/*
 * buf - owned bytes that grow up to a stated maximum.
 *
 * For the control side: documents, answers, files. Appending past the maximum fails and sets
 * `overflow`; the content stays what it was. The bytes are always followed by a NUL that is not
 * counted.
 *
 * Memory: the buf owns its bytes. Threads: one owner.
 */
#ifndef LBD_BASE_BUF_H
#define LBD_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t capacity;
    size_t max;
    bool overflow; /* an append was refused */
};

/* For buf_reserve, when there is no room. */
bool buf_grow(struct buf *buf, size_t len);
void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);
/* Empties; keeps the memory. */
void buf_clear(struct buf *buf);
bool buf_append(struct buf *buf, const void *data, size_t len);
bool buf_append_slice(struct buf *buf, struct slice s);
bool buf_append_text(struct buf *buf, const char *text);
bool buf_append_char(struct buf *buf, char c);
bool buf_append_u64(struct buf *buf, uint64_t value);
bool buf_printf(struct buf *buf, const char *fmt, ...) LB_PRINTF(2, 3);
bool buf_vprintf(struct buf *buf, const char *fmt, va_list args) LB_PRINTF(2, 0);
/* Room for at least `len` more bytes at data + len of the buf, or false. The caller then adds to
 * buf->len. */
static inline bool buf_reserve(struct buf *buf, size_t len)
{
    return LB_LIKELY(buf->data != NULL && len <= buf->capacity - buf->len) || buf_grow(buf, len);
}
/* Drops `len` bytes from the front. */
void buf_consume(struct buf *buf, size_t len);
/* Gives the terminated bytes to the caller (free()); the buf is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf, size_t *len);
static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}

#endif
