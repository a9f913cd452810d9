#include "lbd/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"

#define BUF_FIRST_BYTES 256U

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

bool buf_grow(struct buf *buf, size_t len)
{
    if (len > buf->max || buf->len > buf->max - len) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + len;
    size_t capacity = buf->capacity != 0 ? buf->capacity : BUF_FIRST_BYTES;
    while (capacity < need) {
        capacity = capacity <= buf->max / 2 ? capacity * 2 : buf->max;
    }
    if (capacity > buf->max) { /* what has room is not asked for its maximum again */
        capacity = buf->max;
    }
    /* capacity is what may be used: the NUL has its own byte */
    buf->data = mem_resize(buf->data, capacity + 1);
    buf->capacity = capacity;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_append(struct buf *buf, const void *data, size_t len)
{
    if (!buf_reserve(buf, len)) {
        return false;
    }
    if (len != 0) {
        memcpy(buf->data + buf->len, data, len);
        buf->len += len;
        buf->data[buf->len] = '\0';
    }
    return true;
}

bool buf_append_slice(struct buf *buf, struct slice s)
{
    return buf_append(buf, s.ptr, s.len);
}

bool buf_append_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

bool buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

bool buf_append_u64(struct buf *buf, uint64_t value)
{
    char text[NUM_TEXT_MAX];
    return buf_append(buf, text, num_write_u64(text, value));
}

bool buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    bool ok = buf_vprintf(buf, fmt, args);
    va_end(args);
    return ok;
}

bool buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, fmt, args);
    bool ok = need >= 0 && buf_reserve(buf, (size_t)need);
    if (ok) {
        (void)vsnprintf(buf->data + buf->len, (size_t)need + 1, fmt, again);
        buf->len += (size_t)need;
    }
    va_end(again);
    return ok;
}

void buf_consume(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (len == 0) {
        return;
    }
    buf->len -= len;
    memmove(buf->data, buf->data + len, buf->len);
    buf->data[buf->len] = '\0';
}

char *buf_take(struct buf *buf, size_t *len)
{
    char *data = buf->data != NULL ? buf->data : mem_strdup("");
    if (len != NULL) {
        *len = buf->len;
    }
    buf_init(buf, buf->max);
    return data;
}
